"""How a turn with a long text is kept: the question whole, as it was asked, and what all requests took together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.conversation.long_input.asking import LongInputUsage
    from chatcli.core.events import TurnResult
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal, Reply


class WholeQuestionJournal:
    """A ``Journal`` that keeps ``question`` in place of the one that was sent."""

    def __init__(self, inner: Journal, question: Message, spending: LongInputUsage) -> None:
        self._inner = inner
        self._question = question
        self._spending = spending

    @property
    def name(self) -> str | None:
        return self._inner.name

    def message(self, message: Message, *, parent: str | None) -> str:  # noqa: ARG002 - it was only sent
        return self._inner.message(self._question, parent=parent)

    def begin_reply(self, *, parent: str | None) -> Reply:
        return _WholeReply(self._inner.begin_reply(parent=parent), self._spending)

    def refused(self, message_id: str, reason: str) -> None:
        self._inner.refused(message_id, reason)


class _WholeReply:
    def __init__(self, inner: Reply, spending: LongInputUsage) -> None:
        self._inner = inner
        self._spending = spending

    @property
    def id(self) -> str:
        return self._inner.id

    def extend(self, text: str) -> None:
        self._inner.extend(text)

    def begin_again(self, text: str) -> None:
        self._inner.begin_again(text)

    def finish(self, message: Message, result: TurnResult) -> None:
        self._inner.finish(message, self._spending.added_to(result))
