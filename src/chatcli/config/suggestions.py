"""The nearest known name to a mistyped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest of ``known``, or all of them when none is near."""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    candidates = list(known)
    nearest = difflib.get_close_matches(name, candidates, n=1)
    if nearest:
        return f"Did you mean {nearest[0]}?"
    return f"Known: {', '.join(candidates)}." if candidates else "There are none."
