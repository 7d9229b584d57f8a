"""Questions that are expected, asked ahead of time so that the cache has their answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.conversation.history import Entry, History
from chatcli.core import messages
from chatcli.core.errors import (
    BudgetReached,
    ChatcliError,
    ConfigurationError,
    KeyRefused,
    QuotaExceeded,
    UsageError,
)
from chatcli.core.events import Notice, TurnFailed, TurnFinished
from chatcli.core.messages import Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatcli.chat.turns import Turns
    from chatcli.core.events import TurnResult
    from chatcli.core.messages import Role

_FATAL: Final = (BudgetReached, ConfigurationError, KeyRefused, QuotaExceeded)
"""Errors that every other question would meet as well."""

_ROLES: Final = ("system", "user", "assistant")
_FIELDS: Final = ("prompt", "messages", "id")
_HINT: Final = 'write a question a line, or JSON objects: {"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}]}'


class ExpectedQuestion(NamedTuple):
    """A question from line number ``line``, and the messages before it."""

    line: int
    question: Message
    earlier: tuple[Message, ...] = ()


def read_questions(text: str) -> list[ExpectedQuestion]:
    """Return the questions in a text: one a line, or JSON lines if the first line is a JSON object.

    Blank lines are skipped. Raise ``UsageError`` for a line that is no question.
    """
    # Not splitlines(): a question may contain U+2028 or a form feed.
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [(number, line) for number, line in enumerate(ended, start=1) if line.strip()]
    if not lines or _object(lines[0][1]) is None:
        return [ExpectedQuestion(number, messages.question(line.strip())) for number, line in lines]
    return [_expected(number, line) for number, line in lines]


def _expected(number: int, line: str) -> ExpectedQuestion:
    fields = _object(line)
    if fields is None:
        raise _wrong(number, "is no JSON object")
    if unknown := [name for name in fields if name not in _FIELDS]:
        raise _wrong(number, f"has the unknown field {unknown[0]!r}")
    if "prompt" in fields and "messages" not in fields:
        if not isinstance(fields["prompt"], str) or not fields["prompt"].strip():
            raise _wrong(number, "has no text as its prompt")
        return ExpectedQuestion(number, messages.question(fields["prompt"]))
    if "prompt" in fields or not isinstance(fields.get("messages"), list):
        raise _wrong(number, "needs either a prompt or messages")
    conversation = tuple(_messages(number, fields["messages"]))
    if not conversation or conversation[-1].role != "user":
        raise _wrong(number, "must end in a message of the user")
    return ExpectedQuestion(number, conversation[-1], conversation[:-1])


def _messages(number: int, listed: Iterable[Any]) -> Iterator[Message]:
    for each in listed:
        fields = each if isinstance(each, dict) else {}
        role, content = fields.get("role"), fields.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise _wrong(
                number, "has a message without a role (system, user, assistant) or text as its content"
            )
        known: Role = role
        yield Message(known, (TextPart(content, "model" if role == "assistant" else "person"),))


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _wrong(number: int, what: str) -> UsageError:
    return UsageError(f"line {number} {what}", hint=_HINT)


def _history(before: History, earlier: Sequence[Message]) -> History:
    """Return what is sent ``before`` a first question, followed by ``earlier`` messages."""
    history = History()
    history.instructions, history.system = before.instructions, before.system
    for number, message in enumerate(earlier):
        history.append(Entry(str(number), message))
    return history


class FailedQuestion(NamedTuple):
    line: int
    error: ChatcliError


@dataclass
class Warming:
    """The questions of one run and what became of them.

    ``unstored`` answers are not complete, such as those cut at the token limit. ``stopped_by`` is the error that ended
    the run early. ``cost_usd`` is ``None`` if a cost is unknown.
    """

    questions: Sequence[ExpectedQuestion]
    asked: int = 0
    cached: int = 0
    unstored: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    failed: list[FailedQuestion] = field(default_factory=list)
    stopped_by: ChatcliError | None = None

    @property
    def done(self) -> int:
        return self.asked + self.cached + self.unstored + len(self.failed)

    async def run(
        self,
        turns: Turns,
        *,
        concurrency: int,
        report: Callable[[], object],
        notify: Callable[[Notice], object],
    ) -> None:
        """Ask ``concurrency`` questions at a time; ``report`` is called after each.

        A cancellation ends all at once; what has been counted stays.
        """
        waiting = iter(self.questions)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(self.questions))):
                group.create_task(self._work(turns, waiting, report, notify))

    async def _work(
        self,
        turns: Turns,
        waiting: Iterator[ExpectedQuestion],
        report: Callable[[], object],
        notify: Callable[[Notice], object],
    ) -> None:
        for expected in waiting:
            if self.stopped_by is not None:
                return
            manager = turns.beside(_history(turns.manager.history, expected.earlier))
            async with aclosing(manager.send(expected.question, is_cacheable=True)) as events:
                async for event in events:
                    if isinstance(event, Notice):
                        notify(event)
                    elif isinstance(event, TurnFinished | TurnFailed):
                        self._count(expected, event.result)
            report()

    def _count(self, expected: ExpectedQuestion, result: TurnResult) -> None:
        if result.error is not None:
            self.failed.append(FailedQuestion(expected.line, result.error))
            if isinstance(result.error, _FATAL):
                self.stopped_by = self.stopped_by or result.error
        elif result.cached:
            self.cached += 1
        elif result.finish_reason == "stop" and result.text.strip() and result.refusal is None:
            self.asked += 1
        else:
            self.unstored += 1
        self.input_tokens += result.usage.input_tokens or 0
        self.output_tokens += result.usage.output_tokens or 0
        if result.cost_usd is not None and self.cost_usd is not None:
            self.cost_usd += result.cost_usd
        elif result.error is None:
            self.cost_usd = None
