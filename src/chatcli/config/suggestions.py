"""Suggestions of the nearest known name for a mistyped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], kind: str = "known") -> str:
    """Return a hint with the nearest of ``known``, or all of them, headed by ``kind``, if none is near."""
    candidates = list(known)
    if sentence := nearest(name, candidates):
        return sentence
    return f"{kind}: {', '.join(candidates)}" if candidates else "there are none"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest of ``known``, empty if none is near."""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    found = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]}?" if found else ""
