"""The running summary of a conversation, which stands for its older turns where the strategy is to sum up."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.conversation.history import Summary
from chatcli.conversation.summarizing import shortened
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.conversation.history import History, Turn
    from chatcli.conversation.manager import ConversationManager
    from chatcli.conversation.strategies.summarize import Fold
    from chatcli.conversation.summarizing import Summarizer
    from chatcli.core.messages import Message
    from chatcli.sessions.log import SessionLog
    from chatcli.sessions.session import Session

FOLDS_AT_ONCE: Final = 4
"""How often a model is asked at most to catch up with a long conversation, as nobody asked for that."""


class Summaries:
    """Has older turns summed up, and lets the person see and change what came of it. Only marks are added.

    ``manager`` is what asks, ``summarizer`` who sums up; both change with the model. ``load_vocabulary`` makes counts
    exact, and may take a while.
    """

    def __init__(
        self,
        log: SessionLog,
        *,
        manager: Callable[[], ConversationManager],
        summarizer: Callable[[], Summarizer],
        load_vocabulary: Callable[[], None],
    ) -> None:
        self._log = log
        self._manager = manager
        self._summarizer = summarizer
        self._load_vocabulary = load_vocabulary

    @property
    def current(self) -> Summary | None:
        """The summary there is, whether the strategy in force sends it or not."""
        return self._manager().history.summary

    async def catch_up(self, question: Message | None = None) -> int:
        """Sum up what should be before ``question``, or the next one, is asked; return how many turns were.

        Mostly there is nothing to do. Raise a ``ChatcliError`` where the model fails; nothing has changed then.
        """
        summed_up = 0
        for _ in range(FOLDS_AT_ONCE):
            turns = await self._go_on(question)
            summed_up += turns
            if not turns:
                break
        return summed_up

    def change(self, text: str) -> None:
        """Let ``text`` be the summary of what is summed up already.

        Raise ``UsageError`` where nothing is, or where it is longer than a summary may be.
        """
        current = self._existing()
        manager = self._manager()
        tokens, most_tokens = manager.tokens_of_text(text), manager.most_summary_tokens
        if tokens > most_tokens:
            raise UsageError(
                f"the summary has {tokens:,} tokens, {most_tokens:,} are its share of the window",
                hint="shorten it",
                code="summary_too_long",
            )
        self._keep(replace(current, text=text))

    def forget(self) -> None:
        """Take the summary away: its turns are sent again as far as they fit, and summed up anew."""
        self._keep(replace(self._existing(), text="", is_wanted=False))

    async def compact(self, tell: Callable[[str], object]) -> int:
        """Sum up all but the newest turn, as the person wants it; return how many turns were.

        ``tell`` is given what is going on. Raise a ``ChatcliError`` where the model fails; what is summed up until then stays.
        """
        await asyncio.to_thread(self._load_vocabulary)
        summed_up = 0
        while (fold := self._manager().whole_fold()) is not None:
            tell(
                f"summing up {fold.end - len(fold.turns) + 1}-{fold.end} of {len(self._manager().history.turns)}"
            )
            if not await self._sum_up(fold):
                break
            summed_up += len(fold.turns)
        return summed_up

    async def _go_on(self, question: Message | None) -> int:
        if self._manager().fold(question) is None:
            return 0
        # A summary by a rule of thumb could turn out too long for its share, and be of no use.
        await asyncio.to_thread(self._load_vocabulary)
        fold = self._manager().fold(question)
        return len(fold.turns) if fold is not None and await self._sum_up(fold) else 0

    async def _sum_up(self, fold: Fold) -> bool:
        """Ask for the summary and keep it, unless the conversation has changed meanwhile; return whether it is kept."""
        before = self._manager().history.summary
        written = await self._summarizer()(fold)
        manager = self._manager()
        text = shortened(written, fold.most_tokens, manager.tokens_of_text)
        if not text or manager.history.summary is not before or not _still_stands(fold, manager.history):
            return False
        self._keep(fold.summary(text))
        return True

    def _existing(self) -> Summary:
        current = self.current
        if current is None:
            raise UsageError(
                "there is no summary yet",
                hint="--context summarize turns it on",
                code="no_summary",
            )
        return current

    def _keep(self, summary: Summary) -> None:
        value: dict[str, object] = {"from": summary.first_id, "to": summary.last_id, "text": summary.text}
        if summary.is_wanted:
            value["wanted"] = True
        self._log.mark("summary", value, parent=self._log.session.head)
        self._manager().set_summary(summary if summary.text else None)


def summary_of(session: Session, turns: Sequence[Turn]) -> Summary | None:
    """Return the newest summary of what the model knows, ``None`` where there is none or it was taken away.

    One of another branch, or of what was cleared, is not of it.
    """
    if not session.summaries:
        return None
    place = {record.id: number for number, record in enumerate(session.context())}
    for first_id, last_id, text, is_wanted in reversed(session.summaries):
        if first_id in place and last_id in place:
            stands_for = bisect_right(turns, place[last_id], key=lambda turn: place[turn.ids[0]])
            if not text or not stands_for:
                return None
            return Summary(text, stands_for, first_id, last_id, is_wanted)
    return None


def _still_stands(fold: Fold, history: History) -> bool:
    """Whether the conversation was not gone back in meanwhile."""
    last = history.turns[fold.end - 1 : fold.end]
    return bool(last) and last[0].ids == fold.turns[-1].ids
