"""Continuation of cut answers: the layer that requests the remainder and joins it to the beginning.

Models asked to continue exactly where they stopped often repeat the last words, the last line, or everything.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from chatcli.core import messages
from chatcli.core.errors import AnswerTooLarge, BudgetReached, EndpointError, IncompleteAnswer, LocalIOError
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, TextReclassified, Usage
from chatcli.core.messages import ReasoningPart
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import CitedSource, ModelEvent
    from chatcli.core.messages import Message, Part
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request


_PREFIX: Final = {"prefix": True}
_PREFILLED_AT: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("api.mistral.ai", "", _PREFIX),  # https://docs.mistral.ai/capabilities/completion/prefix
    ("api.deepseek.com", "/beta", _PREFIX),  # https://api-docs.deepseek.com/guides/chat_prefix_completion
)

_Number = TypeVar("_Number", int, float)

CONTINUE: Final = (
    "Your answer was cut off. Go on with it exactly where it stopped, in the middle of a word or a line if need be: "
    "repeat nothing of it, begin nothing anew, add no remark."
)


class ContinuationModel:
    """A ``ChatModel`` that asks ``inner`` for the remainder of cut answers.

    For a request with a ``partial_answer``, only the remainder is requested. An answer that breaks off or
    reaches the token limit is continued up to ``times`` times, each announced. Text repeated at the join is
    removed.

    ``prefill`` are the fields the endpoint requires with a message that begins the answer; ``None`` if it
    supports none, and an instruction asks for the remainder instead.
    """

    def __init__(self, inner: ChatModel, *, times: int = 0, prefill: Mapping[str, Any] | None = None) -> None:
        self._inner = inner
        self._times = times
        self._prefill = prefill

    @classmethod
    def at(cls, endpoint: Endpoint, inner: ChatModel, *, times: int) -> Self:
        return cls(inner, times=times, prefill=_prefill_for(endpoint))

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        answer = _Answer(request.partial_answer)
        for time in range(1, self._times + 2):
            try:
                async with aclosing(self._part(request, answer)) as events:
                    async for event in events:
                        yield event
            except (BudgetReached, LocalIOError):
                # The part that the budget has cut, or whose cost could not be recorded, is complete as well.
                if answer.is_complete:
                    yield answer.completion()
                raise
            if answer.cut is None or time > self._times:
                break
            yield Notice("continuing", f"{answer.cut}; asking for the rest ({time} of {self._times})")
        yield answer.completion()

    async def _part(self, request: Request, answer: _Answer) -> AsyncGenerator[ModelEvent]:
        """Yield the next part of the answer from ``inner``, and add it to the answer."""
        overlap = OverlapRemover(answer.text)
        rest_request = self._rest_request(request, answer)
        answer.begin_part()
        reached: BudgetReached | LocalIOError | None = None
        try:
            async with aclosing(self._inner.stream(rest_request)) as events:
                async for event in events:
                    if isinstance(event, Completion):
                        answer.end(event)
                    elif isinstance(event, TextReclassified):
                        taken = answer.take_back_part()
                        overlap = OverlapRemover(answer.text)
                        yield TextReclassified(taken) if taken else ReasoningDelta(event.text)
                    elif not isinstance(event, TextDelta):
                        yield event
                    elif new := answer.grow(overlap.join(event.text)):
                        yield TextDelta(new)
        except EndpointError as error:
            answer.fail(error)
        except (BudgetReached, LocalIOError) as error:
            reached = error
        if new := answer.grow(overlap.rest()):
            yield TextDelta(new)
        if reached is not None:
            raise reached

    def _rest_request(self, request: Request, answer: _Answer) -> Request:
        if not (so_far := answer.text):
            return request
        beginning = replace(messages.answer(so_far), provider_data=self._prefill or None)
        instruction = () if self._prefill is not None else (messages.question(CONTINUE),)
        return replace(
            request,
            messages=(*request.messages, beginning, *instruction),
            partial_answer="",
            is_continuation=True,
            follows=answer.last_call,
        )


class _Answer:
    """An answer that arrives in parts, each with its own end."""

    def __init__(self, so_far: str) -> None:
        self._given_length = len(so_far)
        self.cut: str | None = None
        """Why the last part was incomplete, ``None`` if it completed the answer or cannot be continued."""
        self._before = so_far
        """The text before the last part."""
        self._part = TextBuffer()
        self._usage: Usage | None = None
        self._cost_usd: float | None = 0.0
        self._sources: tuple[CitedSource, ...] = ()
        self._reasoning: tuple[Part, ...] = ()
        self._end: Completion | EndpointError | None = None

    @property
    def text(self) -> str:
        return self._before + self._part.text

    @property
    def _has_grown(self) -> bool:
        return bool(self._part) or len(self._before) > self._given_length

    @property
    def last_call(self) -> str:
        """The id of the call that the last part came from, empty for none."""
        return "" if self._end is None else self._end.call_id

    @property
    def is_complete(self) -> bool:
        return isinstance(self._end, Completion)

    def begin_part(self) -> None:
        self._before, self._part = self.text, TextBuffer()
        self.cut = self._end = None

    def grow(self, text: str) -> str:
        self._part.append(text)
        return text

    def take_back_part(self) -> str:
        """Remove the text of the last part, and return it."""
        taken, self._part = self._part.text, TextBuffer()
        return taken

    def end(self, completion: Completion) -> None:
        self._end = completion
        self._usage = summed_usage(self._usage, completion.usage)
        self._cost_usd = total(self._cost_usd, completion.cost_usd)
        self._sources = _united(self._sources, completion.sources)
        self._reasoning += tuple(part for part in completion.message.parts if isinstance(part, ReasoningPart))
        if completion.finish_reason == "length" and self._has_grown:
            self.cut = "the answer was cut at the token limit"

    def fail(self, error: EndpointError) -> None:
        self._end = error
        self._cost_usd = None  # the cost of the part received is unknown
        # An answer that is too large already is not continued.
        if isinstance(error, IncompleteAnswer) and not isinstance(error, AnswerTooLarge):
            self.cut = error.message

    def completion(self) -> Completion:
        """Return the end of the whole answer, or raise its failure."""
        match self._end:
            case Completion():
                return replace(
                    self._end,
                    usage=self._usage,
                    cost_usd=self._cost_usd,
                    sources=self._sources,
                    message=self._message(self._end.message),
                )
            case IncompleteAnswer():
                raise self._end
            case EndpointError() if self._has_grown:
                raise _incomplete(self._end)
            case EndpointError():
                raise self._end
        raise RuntimeError("a model ended without its completion")

    def _message(self, last: Message) -> Message:
        others = tuple(part for part in last.parts if not isinstance(part, ReasoningPart))
        return replace(last, parts=self._reasoning + others).with_answer(self.text)


def _incomplete(error: EndpointError) -> IncompleteAnswer:
    return IncompleteAnswer(
        f"{error.clause}; the rest of the answer could not be fetched",
        hint="/continue tries again",
        status=error.status,
        request_id=error.request_id,
        provider_code=error.provider_code,
    ).of_call(error.call_id)


def _united(first: tuple[CitedSource, ...], second: tuple[CitedSource, ...]) -> tuple[CitedSource, ...]:
    """Return the sources of both, each once; those of the second part get the following numbers."""
    places = {(source.url, source.path) for source in first}
    highest = max((source.n for source in first), default=0)
    return first + tuple(
        replace(source, n=highest + source.n) for source in second if (source.url, source.path) not in places
    )


def summed_usage(first: Usage | None, second: Usage | None) -> Usage | None:
    """Add the usage of the parts; one part without usage makes the sum unknown."""
    if first is None or second is None:
        return second
    return Usage(
        total(first.input_tokens, second.input_tokens),
        total(first.output_tokens, second.output_tokens),
        total(first.cached_tokens, second.cached_tokens),
        total(first.reasoning_tokens, second.reasoning_tokens),
        estimated=first.estimated or second.estimated,
        cache_write_tokens=_total_of_known(first.cache_write_tokens, second.cache_write_tokens),
        searches=_total_of_known(first.searches, second.searches),
    )


def _total_of_known(first: int | None, second: int | None) -> int | None:
    return second if first is None else first + (second or 0)


def total(first: _Number | None, second: _Number | None) -> _Number | None:
    return None if first is None or second is None else first + second


_LONGEST_LOOK_BACK: Final = 20_000
_TELLING_COLUMNS: Final = 10
"""An overlap this wide is a repetition; measured in columns, five Chinese characters count like ten Latin letters."""

_TELLING_OF_A_LINE: Final = 3
_FENCE: Final = lazy_pattern(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n?", re.MULTILINE)


class OverlapRemover:
    """Removes text from a continuation that repeats the end of ``so_far``, while it streams.

    Text that may still turn out to be a repetition is held back.
    """

    def __init__(self, so_far: str) -> None:
        self._tail = so_far[-_LONGEST_LOOK_BACK:]
        self._is_all = len(so_far) <= _LONGEST_LOOK_BACK
        fence = open_fence(so_far) or ""
        # Without a language, a line that opens a block could also close one.
        self._fence_again = fence if fence.strip().strip("`~") else ""
        self._held: str | None = ""

    def join(self, text: str) -> str:
        """Return the text that is certain to be new."""
        if self._held is None:
            return text
        self._held += text
        if self._may_still_repeat(self._held):
            return ""
        return self.rest()

    def rest(self) -> str:
        """Return the held text that is new after all."""
        held, self._held = self._held or "", None
        return held[self._repeated(held) :]

    def _may_still_repeat(self, held: str) -> bool:
        """Return whether some end of the tail begins with ``held`` and continues."""
        return self._fence_again.startswith(held) or held in self._tail[:-1]

    def _repeated(self, held: str) -> int:
        """Return how many characters at the start of ``held`` are a repetition."""
        if self._fence_again and held.startswith(self._fence_again):
            return len(self._fence_again)
        longest = min(len(held), len(self._tail))
        for length in range(longest, 0, -1):
            if self._tail.endswith(held[:length]) and self._is_significant(held, length):
                return length
        return 0

    def _is_significant(self, held: str, length: int) -> bool:
        """Return whether an overlap of ``length`` characters is a repetition and not an accident."""
        overlap = held[:length]
        before = self._tail[: len(self._tail) - length]
        if _columns(overlap.strip()) >= _TELLING_COLUMNS or (self._is_all and not before):
            return True
        starts_line = not before or before.endswith("\n")
        if starts_line and "\n" not in overlap and len(overlap.strip()) >= _TELLING_OF_A_LINE:
            return True
        return _is_whole_word(before, overlap)


def open_fence(text: str) -> str | None:
    """Return the opening line of the code block in which ``text`` ends, ``None`` outside of code."""
    opened: str | None = None
    for match in _FENCE.finditer(text):
        mark = match[1]
        if opened is None:
            opened = match[0].lstrip(" ")
        elif opened.startswith(mark[0] * 3) and not match[0].strip().strip(mark[0]):
            opened = None
    return opened


def _is_whole_word(before: str, overlap: str) -> bool:
    """Return whether ``overlap`` is a whole word, or the whole text so far."""
    if len(overlap) < 2 or not overlap.isalpha() or not overlap.isascii():  # noqa: PLR2004 - one letter tells nothing
        return False
    return not before or not before[-1].isalnum()


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _prefill_for(endpoint: Endpoint) -> Mapping[str, Any] | None:
    """Return the fields such an endpoint requires with a final assistant message; ``None`` if it starts over."""
    if endpoint.embedded:
        # llama.cpp continues a conversation that ends in an assistant message.
        return {}
    parts = urlsplit(endpoint.base_url)
    for host, path, fields in _PREFILLED_AT:
        if parts.hostname == host and parts.path.startswith(path):
            return fields
    return None
