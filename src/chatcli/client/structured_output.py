"""The layer of structured output: an answer fits its schema, or the model is asked once more, or it is an error.

It is inside the answer cache, so that only answers that fit are stored, and outside of everything that makes an answer whole.
Both answers go through the layers inside: limits, retries and budgets count each.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jiter import from_json

from chatcli.client.answer_forms import forms_not_taken
from chatcli.client.continuation import summed_usage, total
from chatcli.core import messages
from chatcli.core.errors import ChatcliError, EndpointError
from chatcli.core.events import Completion, Notice, PartialData, Retrying, TextDelta, TextReclassified
from chatcli.core.request import mismatch
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import CheckedAnswer, Request, ResponseFormat

_LARGE_CHARACTERS: Final = 100_000
"""The check of a longer answer takes long enough to be noticed: it runs beside the event loop."""
_SHARE: Final = 1 / 8
"""The growth of an answer from one partial value to the next: the values of a whole answer are as long as 9 answers."""
_LONGEST_PARTIAL: Final = 2_000_000
_UNFINISHED_NUMBER: Final = lazy_pattern(r"(?<=[\s:,\[])[-+.\deE]{1,400}\Z")
_NOTHING: Final = object()
_LONGEST_PROBLEM: Final = 1_000
_LONGEST_NOTICE: Final = 200


class StructuredOutputModel:
    """A ``ChatModel`` that asks ``inner`` for answers of the form a request names.

    ``abilities`` returns what the model table knows a model can do, ``None`` if nothing. With ``shows_partial`` the value is
    emitted while it grows.
    """

    def __init__(
        self,
        inner: ChatModel,
        endpoint: Endpoint,
        *,
        api: str,
        abilities: Callable[[str], frozenset[str] | None],
        shows_partial: bool = True,
    ) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._api = api
        self._abilities = abilities
        self._shows_partial = shows_partial

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        wanted = request.response_format
        return self._inner.stream(request) if wanted is None else self._asking(request, wanted)

    async def _asking(self, request: Request, wanted: ResponseFormat) -> AsyncGenerator[ModelEvent]:
        not_taken = forms_not_taken(self._endpoint, self._api, request.model, self._abilities(request.model))
        request = replace(request, without=request.without | not_taken)
        first = _ReceivedAnswer(request.partial_answer, growing=self._growing(wanted))
        async with aclosing(first.received(self._inner.stream(request))) as events:
            async for event in events:
                yield event
        completion = first.completion
        checked = None if completion is None else await _checked(first, wanted)
        if completion is None or checked is None or not checked.problem:
            if completion is not None:
                yield completion
            return
        if request.partial_answer or request.is_continuation:
            yield completion
            raise mismatch(checked.problem)
        yield Notice(
            "schema_repair",
            f"the answer does not fit the schema ({checked.problem[:_LONGEST_NOTICE]}); asking once more",
        )
        async with aclosing(self._repairing(request, wanted, first, checked.problem)) as events:
            async for event in events:
                yield event

    def _growing(self, wanted: ResponseFormat) -> _GrowingValue | None:
        return _GrowingValue(wanted.wrapped_in) if self._shows_partial else None

    async def _repairing(
        self, request: Request, wanted: ResponseFormat, first: _ReceivedAnswer, problem: str
    ) -> AsyncGenerator[ModelEvent]:
        """Ask for another answer in place of the ``first``, which stays if none begins."""
        before = first.completion
        assert before is not None  # noqa: S101 - only a whole answer is repaired
        again = replace(
            request,
            messages=(
                *request.messages,
                *((messages.answer(first.text),) if first.text.strip() else ()),
                messages.question(_repair(wanted, problem)),
            ),
            counted_tokens=None,
            follows=before.call_id,
            # Only the form is wrong: what a search found is in the answer.
            parameters=replace(request.parameters, web_search=""),
        )
        second = _ReceivedAnswer(replaced=first.text, attempts=first.attempts, growing=self._growing(wanted))
        try:
            async with aclosing(second.received(self._inner.stream(again))) as events:
                async for event in events:
                    yield event
        except ChatcliError as error:
            if second.has_begun:
                raise
            # What never left, as for want of money, was no attempt.
            yield replace(before, answers=before.answers + isinstance(error, EndpointError))
            raise mismatch(problem, f"asking once more failed: {error.clause}") from error
        if second.completion is None:
            return
        completion = replace(
            second.completion,
            usage=summed_usage(before.usage, second.completion.usage),
            cost_usd=total(before.cost_usd, second.completion.cost_usd),
            answers=before.answers + second.completion.answers,
            sources=second.completion.sources or before.sources,
        )
        checked = await _checked(second, wanted)
        yield completion
        if checked is not None and checked.problem:
            raise mismatch(checked.problem)


class _ReceivedAnswer:
    """An answer as far as received; ``partial`` is its beginning, from before. It replaces the text ``replaced``, once it begins."""

    def __init__(
        self,
        partial: str = "",
        *,
        replaced: str = "",
        attempts: int = 1,
        growing: _GrowingValue | None = None,
    ) -> None:
        self.completion: Completion | None = None
        self.attempts = attempts
        self.has_begun = False
        self._earlier_attempts = attempts - 1
        self._replaced = replaced
        self._buffer = TextBuffer()
        if partial:
            self._buffer.append(partial)
        self._growing = growing

    @property
    def text(self) -> str:
        return self._buffer.text

    async def received(self, events: AsyncGenerator[ModelEvent]) -> AsyncGenerator[ModelEvent]:
        """Pass on ``events`` except the completion, which is kept."""
        async with aclosing(events):
            async for event in events:
                match event:
                    case Completion():
                        self.completion = event
                        continue
                    case TextDelta(text):
                        if not self.has_begun and self._replaced:
                            yield TextReclassified(self._replaced, is_reasoning=False)
                        self.has_begun = True
                        self._buffer.append(text)
                        yield event
                        if self._growing is not None:
                            self._growing.length += len(text)
                            if self._growing.is_due and (partial := self._growing.partial(self.text)):
                                yield partial
                        continue
                    case TextReclassified(text):
                        self._buffer.drop_last(len(text))
                    case Retrying(attempt):
                        self.attempts = attempt + self._earlier_attempts
                        event = replace(event, attempt=self.attempts)  # noqa: PLW2901 - counted over both answers
                    case _:
                        pass
                yield event


class _GrowingValue:
    """The value in a growing text, each time the text has grown by a share; parsing all of them takes linear time.

    It is the property ``wrapped_in`` of an object, if that is named.
    """

    def __init__(self, wrapped_in: str) -> None:
        self.length = 0
        self._wrapped_in = wrapped_in
        self._due_at = 1
        self._last: object = _NOTHING

    @property
    def is_due(self) -> bool:
        return self._due_at <= self.length <= _LONGEST_PARTIAL

    def partial(self, text: str) -> PartialData | None:
        """Return the value of ``text`` so far, ``None`` if there is none, or no new one."""
        self._due_at = self.length + max(1, int(self.length * _SHARE))
        stripped = text.lstrip()
        # Words before it may hold brackets: [1].
        begins = 0 if stripped.startswith(("{", "[")) else stripped.find("{")
        if begins < 0:
            return None
        written = _UNFINISHED_NUMBER.sub("", stripped[begins:])
        try:
            value = from_json(
                written.encode("utf-8", "replace"), allow_inf_nan=False, partial_mode="trailing-strings"
            )
            json.dumps(value, allow_nan=False)  # 1e400 has become infinite
        except ValueError:
            return None
        if self._wrapped_in and isinstance(value, dict):
            value = value.get(self._wrapped_in, _NOTHING)
        if value is _NOTHING or value == self._last:
            return None
        self._last = value
        return PartialData(value)


async def _checked(answer: _ReceivedAnswer, wanted: ResponseFormat) -> CheckedAnswer | None:
    """Return the check of a whole answer, ``None`` for one that was cut, filtered or refused, or calls a tool."""
    completion, check = answer.completion, wanted.check
    if completion is None or check is None or completion.finish_reason != "stop":
        return None
    if completion.message.refusal is not None or completion.message.tool_calls:
        return None
    text = answer.text
    return await asyncio.to_thread(check, text) if len(text) > _LARGE_CHARACTERS else check(text)


def _repair(wanted: ResponseFormat, problem: str) -> str:
    return (
        f"This answer cannot be used: {problem[:_LONGEST_PROBLEM]}\n\n"
        f"Answer once more, with the corrected value. {wanted.words}"
    )
