"""A value that does not show itself."""

from __future__ import annotations

from dataclasses import dataclass, field

_LONG_ENOUGH_TO_SHOW_ENDS = 20


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A key. Its ``str`` and ``repr`` are masked like ``sk-…abcd``; ``reveal`` is the only way to the value."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        # The ends of a short key would be most of it.
        if len(self._value) < _LONG_ENOUGH_TO_SHOW_ENDS:
            return "…"
        return f"{self._value[:3]}…{self._value[-4:]}"

    def __repr__(self) -> str:
        return f"Secret({self})"
