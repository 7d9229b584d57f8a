"""Where the newest turns that are sent begin, and that it stays there for many questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.conversation.strategies.selection import Selection
    from chatcli.core.messages import Message

SHARE_AFTER_CUT: Final = 0.7
"""How much of the room is filled after a cut."""


class Cut:
    """Remembers where the newest turns begin.

    A cut at the last place possible would move with every question, and with it the beginning of the prompt, of which
    a provider's prompt cache lives. So what overflows is cut to ``SHARE_AFTER_CUT`` of the room, and then stays as it
    is until the room is full again.
    """

    def __init__(self) -> None:
        self._place = 0
        self._question: Message | None = None

    def place(self, history: History) -> int:
        """Return where the cut is, 0 where ``history`` has another turn there than when it was made."""
        turns = history.turns
        is_there = self._place < len(turns) and turns[self._place].messages[0] == self._question
        return self._place if is_there else 0

    def remember(self, history: History, fitted: Fitted) -> None:
        """Take note of the cut that was made of ``history``, to which the question is about to be added."""
        place = fitted.cut
        turns = history.turns
        self._place = place
        self._question = turns[place].messages[0] if place < len(turns) else fitted.parts[-1].messages[0]

    def find(self, selection: Selection, room_tokens: int, first: int = 0) -> int:
        """Return where the newest turns begin that are sent in ``room_tokens``, not before ``first``."""
        place = max(first, self.place(selection.history))
        usual = selection.newest_within(int(room_tokens * SHARE_AFTER_CUT), first)
        if usual < place:
            return usual  # turns were taken back since the cut
        fitting = selection.newest_within(room_tokens, place)
        if fitting == place:
            return place
        # One long turn that fits is better than none.
        newest = len(selection.history.turns) - 1
        return min(usual, max(fitting, newest))
