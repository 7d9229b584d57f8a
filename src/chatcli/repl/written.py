"""What a person has written, in the forms it is needed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """``text`` is what is sent, ``shown`` what is shown of it, where a folded paste is a placeholder.

    ``draft`` is how it stands in the composer, to be put back there.
    """

    text: str
    shown: str
    draft: str

    @classmethod
    def plain(cls, text: str) -> Written:
        """Return what was written without anything folded in it."""
        return cls(text, text, text)
