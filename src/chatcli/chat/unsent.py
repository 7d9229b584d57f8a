"""A question that the budget kept from being sent."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.core.errors import BudgetReached, LocalIOError, UsageError

if TYPE_CHECKING:
    from chatcli.chat.chat import Chat
    from chatcli.core.events import TurnEnd


def take_back_unsent(chat: Chat, end: TurnEnd) -> bool:
    """Go back to before the question of a turn that ended so, and return whether it did.

    It was stored before the request was to go out. Left where it is, the next question would follow one that nobody
    was asked.
    """
    if not isinstance(end.result.error, BudgetReached) or end.result.text:
        return False
    with suppress(LocalIOError, UsageError):
        chat.branches.undo()
    return True
