"""A value that does not show itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatcli.core.errors import ChatcliError

if TYPE_CHECKING:
    from collections.abc import Callable

_LONG_ENOUGH_TO_SHOW_ENDS = 20


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A key, or what fetches it: a callable that returns it or raises a ``ChatcliError``, and is called once, when needed.

    ``str`` is masked like ``sk-…abcd``; ``reveal`` is the only way to the value. ``repr`` fetches nothing.
    """

    _source: str | Callable[[], str] = field(repr=False)
    _fetched: list[str] = field(default_factory=list, repr=False, compare=False)

    def reveal(self) -> str:
        if isinstance(self._source, str):
            return self._source
        # Asked once: a keyring may ask the person each time.
        if not self._fetched:
            self._fetched.append(self._source())
        return self._fetched[0]

    def revealed(self) -> str | None:
        """Return the value if it is known by now; nothing is fetched."""
        return self._source if isinstance(self._source, str) else next(iter(self._fetched), None)

    def __str__(self) -> str:
        try:
            return _masked(self.reveal())
        except ChatcliError as error:
            return f"… ({error.clause})"

    def __repr__(self) -> str:
        return f"Secret({_masked(self._source) if isinstance(self._source, str) else '…'})"


def _masked(value: str) -> str:
    # The ends of a short key would be most of it.
    if len(value) < _LONG_ENOUGH_TO_SHOW_ENDS:
        return "…"
    return f"{value[:3]}…{value[-4:]}"
