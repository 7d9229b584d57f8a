"""``summarize``: a running summary of the older turns, and the newest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.conversation.history import Summary
from chatcli.conversation.strategies.cut import SHARE_AFTER_CUT, Cut
from chatcli.conversation.strategies.selection import Selection, surely_whole
from chatcli.conversation.strategies.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History, Turn
    from chatcli.core.messages import Message

SHARE_OF_SUMMARY: Final = 0.15
"""How much of the budget a summary may take."""

FULL_SHARE: Final = 0.8
"""How full the room is when older turns are folded into the summary: early enough that none falls out before."""

SHARE_AFTER_FOLDING: Final = 0.5
SHARE_OF_FOLD: Final = 0.5
"""How much of the budget is folded at once, as the model that sums up has to read it."""


class Fold(NamedTuple):
    """What is to be summed up next: ``turns``, which follow what ``earlier`` stands for, to the place ``end``.

    The summary may have ``most_tokens``. A single turn may be longer than ``most_read_tokens``. ``is_wanted`` as of a
    ``Summary``.
    """

    earlier: Summary | None
    turns: Sequence[Turn]
    end: int
    most_tokens: int
    most_read_tokens: int
    is_wanted: bool = False

    def summary(self, text: str) -> Summary:
        """Return what stands for all of it from now on."""
        first_id = self.turns[0].ids[0] if self.earlier is None else self.earlier.first_id
        is_wanted = self.is_wanted or (self.earlier is not None and self.earlier.is_wanted)
        return Summary(text, self.end, first_id, self.turns[-1].ids[-1], is_wanted)


class Summarize(Strategy):
    """Sends what must be sent, the summary, and the newest turns it does not stand for; see ``Strategy``.

    The summary is the history's; ``fold`` says when it should go on. As long as nobody did that, or it failed, what
    does not fit is left out as by ``truncate``.
    """

    def __init__(self) -> None:
        self._cut = Cut()

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        if history.summary is None:
            whole = surely_whole(history, question, budget_tokens, tokens)
            if whole is not None:
                return whole
        selection = Selection(history, question, budget_tokens, tokens)
        first = _summed_up(selection, budget_tokens)
        cut = self._cut.find(selection, selection.room_tokens, first)
        selection.keep_from(cut)
        return selection.fitted(cut)

    def sent(self, history: History, fitted: Fitted) -> None:
        self._cut.remember(history, fitted)

    def fold(
        self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens
    ) -> Fold | None:
        """Return what should be summed up before ``question`` is asked, ``None`` as long as there is room.

        Raise ``InputTooLong`` where no summary would help.
        """
        selection = Selection(history, question, budget_tokens, tokens)
        first = _summed_up(selection, budget_tokens)
        room = selection.room_tokens
        if selection.newest_within(int(room * FULL_SHARE), first) == first:
            return None
        # The newest turn is what the next question is about.
        end = min(selection.newest_within(int(room * SHARE_AFTER_FOLDING), first), len(history.turns) - 1)
        most_read_tokens = int(budget_tokens * SHARE_OF_FOLD)
        end = _read_at_once(history, first, end, most_read_tokens, tokens)
        most_tokens = summary_tokens(budget_tokens, tokens)
        if end <= first or most_tokens <= 0:
            return None
        earlier = history.summary if first else None
        return Fold(earlier, history.turns[first:end], end, most_tokens, most_read_tokens)


def whole_fold(history: History, budget_tokens: int, tokens: MessageTokens) -> Fold | None:
    """Return what is summed up next where all but the newest turn is to be, however much room there is."""
    earlier = history.summary
    first = earlier.turns if earlier is not None else 0
    most_read_tokens = int(budget_tokens * SHARE_OF_FOLD)
    end = _read_at_once(history, first, len(history.turns) - 1, most_read_tokens, tokens)
    most_tokens = summary_tokens(budget_tokens, tokens)
    if end <= first or most_tokens <= 0:
        return None
    return Fold(earlier, history.turns[first:end], end, most_tokens, most_read_tokens, is_wanted=True)


def summary_tokens(budget_tokens: int, tokens: MessageTokens) -> int:
    """Return how many tokens the text of a summary may have."""
    around = sum(map(tokens, Summary("", 0, "", "").messages))
    return int(budget_tokens * SHARE_OF_SUMMARY) - around


def _summed_up(selection: Selection, budget_tokens: int) -> int:
    """Take the summary into ``selection`` and return where the turns begin that it does not stand for.

    Unless it was asked for, it is not needed where all of the conversation has ample room, as in a larger window. It is of
    no use where it would take the room of the turns itself, as in a smaller one.
    """
    summary = selection.history.summary
    if summary is None:
        return 0
    if not summary.is_wanted and selection.newest_within(int(selection.room_tokens * SHARE_AFTER_CUT)) == 0:
        return 0
    most_tokens = min(int(budget_tokens * SHARE_OF_SUMMARY), selection.room_tokens // 2)
    return summary.turns if selection.sum_up(summary, most_tokens) else 0


def _read_at_once(history: History, first: int, end: int, most_tokens: int, tokens: MessageTokens) -> int:
    """Return to which place turns can be summed up in one go: at least one."""
    for number in range(first, end):
        most_tokens -= sum(map(tokens, history.turns[number].messages))
        if most_tokens < 0:
            return max(number, first + 1)
    return end
