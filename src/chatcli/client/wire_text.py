"""Text and numbers as they come over the wire, and go."""

from __future__ import annotations

import json
from typing import Any, Final

_MOST_TOKENS: Final = 10**12
"""No answer takes more; what follows from a count is reckoned with, and stored."""


def wire_text(text: str) -> str:
    """Return ``text`` without lone surrogates, which have no UTF-8: a pair becomes its character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_json(value: Any) -> str:
    """Return ``value`` as JSON, nothing where it is too deep to be written."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # what could just be read may be too deep to be written
        return ""


class SurrogateJoiner:
    """Joins a character that JSON spells as two surrogates when a server cut between them."""

    def __init__(self) -> None:
        self._held_back = ""

    def join(self, text: str) -> str:
        """Return the text that is complete, empty where the second half of its only character is to come."""
        if self._held_back:
            text = (
                (self._held_back + text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
            )
            self._held_back = ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._held_back = text[:-1], text[-1]
        return text

    def rest(self) -> str:
        """Return what was held back for a second half that did not come."""
        held, self._held_back = self._held_back, ""
        return held


def count(counts: object, name: str) -> int | None:
    """Return a count of tokens, ``None`` where there is no such number, or one that can be no count."""
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
