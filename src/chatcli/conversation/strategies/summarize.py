"""``summarize``: a running summary of the older turns, and the newest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.history import Fold
from chatcli.conversation.strategies.strategy import SHARE_AFTER_CUT, Selection, Strategy
from chatcli.conversation.summarizing import SHARE_OF_FOLD, SHARE_OF_SUMMARY, foldable_end, summary_tokens

if TYPE_CHECKING:
    from chatcli.conversation.context import ContextPlan
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message

FULL_SHARE: Final = 0.8
"""The fill level at which older turns are summarized: early enough that none is left out before."""

SHARE_AFTER_FOLDING: Final = 0.5


class Summarize(Strategy):
    """Sends the mandatory parts, the summary, and the newest turns it does not cover.

    The summary is part of the history; ``fold`` says when to extend it. Until that is done, or if it fails,
    turns are left out as by ``truncate``.
    """

    def fit(
        self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens
    ) -> ContextPlan:
        if history.summary is None:
            return super().fit(history, question, budget_tokens, tokens)
        return self._choose(Selection(history, question, budget_tokens, tokens), budget_tokens)

    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:
        first = _summed_up(selection, budget_tokens)
        cut = self._next_cut(selection, selection.room_tokens, first)
        selection.keep_from(cut)
        return selection.plan(cut)

    def fold(
        self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens
    ) -> Fold | None:
        selection = Selection(history, question, budget_tokens, tokens)
        first = _summed_up(selection, budget_tokens)
        room = selection.room_tokens
        if selection.newest_within(int(room * FULL_SHARE), first) == first:
            return None
        # The next question is about the newest turn.
        end = min(selection.newest_within(int(room * SHARE_AFTER_FOLDING), first), len(history.turns) - 1)
        most_read_tokens = int(budget_tokens * SHARE_OF_FOLD)
        end = foldable_end(history, first, end, most_read_tokens, tokens)
        most_tokens = summary_tokens(budget_tokens, tokens)
        if end <= first or most_tokens <= 0:
            return None
        earlier = history.summary if first else None
        return Fold(earlier, history.turns[first:end], end, most_tokens, most_read_tokens)


def _summed_up(selection: Selection, budget_tokens: int) -> int:
    """Add the summary to ``selection`` and return where the turns it does not cover begin.

    Unless requested, it is not used if the whole conversation has ample room, as in a larger window, nor if
    it would take the room of the turns itself, as in a smaller one.
    """
    summary = selection.history.summary
    if summary is None:
        return 0
    if not summary.is_wanted and selection.newest_within(int(selection.room_tokens * SHARE_AFTER_CUT)) == 0:
        return 0
    most_tokens = min(int(budget_tokens * SHARE_OF_SUMMARY), selection.room_tokens // 2)
    return summary.turns if selection.sum_up(summary, most_tokens) else 0
