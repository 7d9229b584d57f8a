"""The running summary of a conversation, which replaces its older turns under the strategy ``summarize``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.conversation.summarizing import ModelSummarizer, shortened
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.chat.open_session import OpenSession
    from chatcli.chat.turns import Turns
    from chatcli.conversation.history import Fold, History, Summary
    from chatcli.core.messages import Message

FOLDS_AT_ONCE: Final = 4
"""The maximum number of requests to catch up with a long conversation, as the person did not ask for it."""


class Summaries:
    """Summarizes older turns, and lets the person see and change the summary. Only marks are added."""

    def __init__(self, opened: OpenSession, turns: Turns) -> None:
        self._opened = opened
        self._turns = turns

    @property
    def current(self) -> Summary | None:
        """The summary, whether the strategy in force sends it or not."""
        return self._turns.manager.history.summary

    async def catch_up(self, question: Message | None = None) -> int:
        """Summarize the turns due before ``question``, or the next one; return their number.

        Usually there is nothing to do. Raise a ``ChatcliError`` if the model fails; nothing has changed then.
        """
        summed_up = 0
        for _ in range(FOLDS_AT_ONCE):
            turns = await self._go_on(question)
            summed_up += turns
            if not turns:
                break
        return summed_up

    def change(self, text: str) -> None:
        """Replace the text of the summary.

        Raise ``UsageError`` if there is none, or if the text is too long for a summary.
        """
        current = self._existing()
        manager = self._turns.manager
        tokens, most_tokens = manager.tokens_of_text(text), manager.most_summary_tokens
        if tokens > most_tokens:
            raise UsageError(
                f"the summary has {tokens:,} tokens, {most_tokens:,} are its share of the window",
                hint="shorten it",
                code="summary_too_long",
            )
        self._keep(replace(current, text=text))

    def forget(self) -> None:
        """Remove the summary: its turns are sent again as far as they fit, and summarized anew."""
        self._keep(replace(self._existing(), text="", is_wanted=False))

    async def compact(self, notify: Callable[[str], object]) -> int:
        """Summarize all but the newest turn, at the person's request; return the number of turns.

        ``notify`` receives progress messages. Raise a ``ChatcliError`` if the model fails; summaries made until
        then stay.
        """
        await asyncio.to_thread(self._turns.load_vocabulary)
        summed_up = 0
        while (fold := self._turns.manager.whole_fold()) is not None:
            notify(
                f"summing up {fold.end - len(fold.turns) + 1}-{fold.end} of {len(self._turns.manager.history.turns)}"
            )
            if not await self._sum_up(fold):
                break
            summed_up += len(fold.turns)
        return summed_up

    async def _go_on(self, question: Message | None) -> int:
        if self._turns.manager.fold(question) is None:
            return 0
        # Estimated tokens could make a summary too long for its share, and useless.
        await asyncio.to_thread(self._turns.load_vocabulary)
        fold = self._turns.manager.fold(question)
        return len(fold.turns) if fold is not None and await self._sum_up(fold) else 0

    async def _sum_up(self, fold: Fold) -> bool:
        """Request a summary and store it unless the conversation has changed meanwhile.

        Return whether it is stored.
        """
        before = self._turns.manager.history.summary
        resolved = self._turns.connected
        summarizer = ModelSummarizer(
            resolved.model, resolved.summary_model or resolved.model_name, resolved.parameters
        )
        written = await summarizer(fold)
        manager = self._turns.manager
        text = shortened(written, fold.most_tokens, manager.tokens_of_text)
        if not text or manager.history.summary is not before or not _is_current(fold, manager.history):
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
        self._opened.mark("summary", value)
        self._turns.manager.set_summary(summary if summary.text else None)


def _is_current(fold: Fold, history: History) -> bool:
    """Return whether the summarized turns are still on the path."""
    last = history.turns[fold.end - 1 : fold.end]
    return bool(last) and last[0].ids == fold.turns[-1].ids
