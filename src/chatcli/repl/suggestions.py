"""How the line being written may go on, from what was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.document import Document


class HistorySuggestions(AutoSuggest):
    """Suggests the rest of the line from the newest text in the buffer's history that begins like this one."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        text = document.text
        if not text.strip() or not document.is_cursor_at_the_end:
            return None
        for earlier in reversed(buffer.history.get_strings()):
            if earlier.startswith(text) and (rest := earlier[len(text) :].partition("\n")[0]):
                return Suggestion(rest)
        return None
