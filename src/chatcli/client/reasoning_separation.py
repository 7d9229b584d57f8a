"""The layer that separates reasoning sent in the text of an answer, and remembers which models send it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from chatcli.client.inline_reasoning import InlineReasoning
from chatcli.client.reasoning_marks import MARK
from chatcli.client.trailing_parts import MOST_CALLS, tools_called
from chatcli.core.errors import EndpointError, IncompleteAnswer
from chatcli.core.events import Completion, ReasoningDelta, TextDelta, TextReclassified
from chatcli.core.messages import ReasoningPart, ToolCallPart
from chatcli.core.whole_answers import asker
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.client.endpoint_facts import Facts
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit

_NATIVE: Final = "native"
_STYLES: Final = {"opened", "unopened", _NATIVE}
_CUT: Final = "length"


class ReasoningSeparatingModel:
    """A ``ChatModel`` that yields reasoning in the text of ``inner`` as ``ReasoningDelta``s; see ``InlineReasoning``.

    ``styles`` stores how each model of the endpoint marks its reasoning. Text of a model known to omit the
    opening tag is held as reasoning until the closing tag. The continuation of an answer begins with
    reasoning only if the model is known to send some in its text and begins a new message.
    """

    def __init__(self, inner: ChatModel, styles: Facts) -> None:
        self._inner = inner
        self._styles = styles

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        style = self._recalled(request.model)
        is_looked_at = not _continues_answer(request, style)
        reasoning: _Separated | None = None
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if reasoning is None and is_looked_at:
                        reasoning = _Separated(request, style)
                    if reasoning is None or reasoning.passes(event):
                        yield event
                        continue
                    for separated in reasoning.separated(event):
                        yield separated
                    self._learn(request.model, reasoning.style)
        except EndpointError as error:
            if reasoning is not None:
                for separated in reasoning.rest():
                    yield separated
                reasoning.check_shown(error)
            raise

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        style = self._recalled(request.model)
        if _continues_answer(request, style):
            await asker(self._inner)(request, emit)
            return
        reasoning = _Separated(request, style)

        def separate(event: ModelEvent) -> None:
            if reasoning.passes(event):
                emit(event)
                return
            for separated in reasoning.separated(event):
                emit(separated)
            self._learn(request.model, reasoning.style)

        try:
            await asker(self._inner)(request, separate)
        except EndpointError as error:
            for separated in reasoning.rest():
                emit(separated)
            reasoning.check_shown(error)
            raise

    def _recalled(self, model: str) -> str | None:
        _, value = self._styles.recall(model)
        return value if isinstance(value, str) and value in _STYLES else None

    def _learn(self, model: str, style: str | None) -> None:
        if style is None or (style == "opened" and self._recalled(model) == "unopened"):
            return  # a model may open its reasoning sometimes
        self._styles.remember(model, style)


class _Separated:
    """An answer to ``request`` by a model that marks its reasoning in ``known_style``, ``None`` if unknown."""

    def __init__(self, request: Request, known_style: str | None) -> None:
        self._request = request
        self._known_style = known_style
        self._holds_text = known_style == "unopened"
        self._plain = None if self._holds_text else TextBuffer()
        """The text so far while it has no mark at all, as most whole answers."""
        self._is_native = False

    @cached_property
    def _reasoning(self) -> InlineReasoning:
        reasoning = InlineReasoning(holds_text=self._holds_text)
        plain, self._plain = self._plain, None
        if plain:
            reasoning.feed(plain.text)
        return reasoning

    @property
    def style(self) -> str | None:
        if self._reasoning.style is None and self._is_native and self._known_style is not None:
            return _NATIVE  # the server now separates it
        return self._reasoning.style

    def passes(self, event: ModelEvent) -> bool:
        """Return whether ``event`` passes unchanged, as nearly every one does."""
        if isinstance(event, TextDelta):
            if self._plain is not None and MARK not in event.text and event.text.strip():
                self._plain.append(event.text)
                return True
            return self._reasoning.passes(event.text)
        if isinstance(event, ReasoningDelta):
            return self._is_native
        return not isinstance(event, Completion) or self._plain is not None

    def separated(self, event: ModelEvent) -> list[ModelEvent]:
        match event:
            case TextDelta(text):
                return list(self._reasoning.feed(text))
            case ReasoningDelta():
                self._is_native = True
                self._reasoning.note_native_reasoning()
                return [event]
            case Completion(finish_reason):
                rest = self._reasoning.finish(is_complete=finish_reason != _CUT)
                return [*rest, *self._with_calls(self._separated_reply(event))]
            case _:
                return [event]

    def _separated_reply(self, completion: Completion) -> Completion:
        """Return the completion with the reasoning separated from its text, as in the deltas."""
        if self._reasoning.style is None:
            return completion
        again = InlineReasoning(holds_text=self._holds_text)
        answer, reasoning = TextBuffer(), TextBuffer()
        is_complete = completion.finish_reason != _CUT
        for event in (*again.feed(completion.message.answer), *again.finish(is_complete=is_complete)):
            if isinstance(event, TextDelta):
                answer.append(event.text)
            elif isinstance(event, ReasoningDelta):
                reasoning.append(event.text)
            elif isinstance(event, TextReclassified):
                answer.drop_last(len(event.text))
                reasoning.append(event.text)
        message = completion.message.with_answer(answer.text)
        if reasoning:
            message = replace(message, parts=(ReasoningPart(reasoning.text), *message.parts))
        return replace(completion, message=message)

    def _with_calls(self, completion: Completion) -> list[ModelEvent]:
        """Return the completion with the tool calls found in its text."""
        found = self._reasoning.tool_calls[:MOST_CALLS]
        if not found:
            return [completion]
        calls = tuple(ToolCallPart("", name, arguments) for name, arguments in found)
        notice = tools_called([call.name for call in calls], self._request)
        message = completion.message
        return [notice, replace(completion, message=replace(message, parts=message.parts + calls))]

    def rest(self) -> list[ModelEvent]:
        """Return the remaining events of an interrupted answer."""
        return [] if self._plain is not None else list(self._reasoning.finish(is_complete=False))

    def check_shown(self, error: EndpointError) -> None:
        """Raise ``error`` with other words if the answer broke off during the reasoning: there is none to continue."""
        is_cut = isinstance(error, IncompleteAnswer) and self._plain is None
        if is_cut and self._reasoning.has_reasoning and not self._reasoning.has_text:
            raise error.reworded(
                f"{error.clause}, all of them reasoning", hint="/retry asks again"
            ) from error


def _continues_answer(request: Request, style: str | None) -> bool:
    """Return whether ``request`` continues an answer, which cannot begin with reasoning."""
    return request.is_continuation and (style in {None, _NATIVE} or request.messages[-1].role == "assistant")
