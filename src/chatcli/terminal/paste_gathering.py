"""Gathering a long paste before it is looked at.

prompt_toolkit searches everything it has of a paste for its end each time more comes, which for some megabytes takes
longer than anybody waits.
"""

from __future__ import annotations

from typing import Final

BEGIN: Final = "\x1b[200~"
END: Final = "\x1b[201~"
"""https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, "Bracketed Paste Mode"."""


class PasteGatherer:
    """Holds back what a terminal sends from the beginning of a paste on, until its end has come."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tail = ""

    def feed(self, text: str) -> str:
        """Return what can be looked at now."""
        if not self._pieces:
            return self._held_back(text)
        self._pieces.append(text)
        recent = self._tail + text
        # The end may come in pieces.
        self._tail = recent[-len(END) :]
        if END not in recent:
            return ""
        gathered = "".join(self._pieces)
        self._pieces = []
        return self._held_back(gathered)

    def _held_back(self, text: str) -> str:
        begin = text.rfind(BEGIN)
        if begin < 0 or text.find(END, begin) >= 0:
            return text
        self._pieces = [text[begin:]]
        self._tail = self._pieces[0][-len(END) :]
        return text[:begin]
