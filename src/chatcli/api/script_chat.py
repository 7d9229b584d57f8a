"""A conversation as scripts have it, and its answers."""

from __future__ import annotations

import asyncio
import weakref
from asyncio import FIRST_COMPLETED, Queue, Task
from collections.abc import AsyncGenerator, Callable, Mapping  # noqa: TC003 - found by whoever reads the annotations
from contextlib import aclosing, suppress
from dataclasses import fields, replace
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Any

from chatcli.api.script_templates import (
    NO_FOLDER,
    TemplateForScript,
    TemplateSchema,
    UsedTemplate,
    used_template,
)
from chatcli.api.script_words import event_for_script, shown
from chatcli.chat import Conversation  # noqa: TC001 - as above
from chatcli.conversation.play import SoFar, play
from chatcli.core.errors import ChatcliError, LocalIOError, UsageError  # noqa: F401 - as the next
from chatcli.core.events import (
    CitedSource,  # noqa: F401 - ``Answer`` has fields of these types, inherited
    Event,
    Notice,
    ReasoningDelta,
    TextReclassified,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Usage,  # noqa: F401 - as above
)
from chatcli.core.frozen import frozen
from chatcli.core.messages import (
    Message,
    TextPart,
    ToolCallPart,  # noqa: F401 - as above
    answer,
    question,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.schemas.python_types import TypedFormat


@frozen
class Answer(TurnResult):
    """A whole answer; ``str`` of it is its text.

    ``reasoning`` is the model's reasoning, if the endpoint shows it. ``usage`` counts tokens, ``cost_usd`` is
    ``None`` if the price is unknown, ``sources`` are its citations. ``finish_reason`` is ``"length"`` if the
    answer was cut off. ``data`` is the value asked for with a ``schema``. ``notices`` say what went on beside it: a file that could not be written, a setting the
    endpoint does not know.
    """

    reasoning: str = ""
    data: Any = None
    notices: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        return self.text

    def __format__(self, specification: str) -> str:
        return format(self.text, specification)


class Chat:
    """An open conversation, made by ``open_chat``. It answers one question at a time, even if several tasks ask.

    A question that got no answer at all, because it failed or was cancelled, is taken back: it is in no later
    request.
    """

    def __init__(
        self,
        conversation: Conversation,
        notices: list[Notice],
        redact: Callable[[str], str],
        config: Path | None = None,
    ) -> None:
        self._redact = redact
        self._config = config
        self._conversation = conversation
        self._notices = notices
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._stream: _Stream | None = None
        self._asking: set[Task[Any]] = set()
        self._answering: set[Task[None]] = set()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, without the system prompt, oldest first; an answer as far as it has arrived."""
        path = [record.message for record in self._conversation.session.path() if record.role != "system"]
        if self._stream is not None and (text := self._stream.so_far.text):
            if path and path[-1].role == "assistant":
                path.pop()
            path.append(answer(text))
        return tuple(path)

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._conversation.turns.connected.model_name

    @property
    def session(self) -> Path | None:
        """The file of the conversation, ``None`` if it is not saved, or could not be."""
        opened = self._conversation.opened
        return opened.file.path if opened.file and opened.name is not None else None

    async def ask(
        self,
        prompt: str | Message = "",
        *,
        schema: object = None,
        template: TemplateForScript | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and wait for the whole answer. With a ``schema``, ``data`` is the value in it: see ``chatcli.ask``.

        ``template`` and ``variables`` make the question, as there, and its schema counts. The conversation keeps its own
        settings: the system prompt of a template stands above the question, and the rest is left out.

        Raise a ``ChatcliError`` if there is none; its ``partial`` is what had arrived. An answer that was cut
        off by a limit of tokens, or filtered, is returned: see ``finish_reason``.
        """
        reasoning: list[str] = []
        notices: list[Notice] = []

        async def gather(event: Event) -> None:
            if isinstance(event, ReasoningDelta) or (
                isinstance(event, TextReclassified) and event.is_reasoning
            ):
                reasoning.append(event.text)
            elif isinstance(event, Notice):
                notices.append(event)

        task = asyncio.current_task()
        if task is not None:
            self._asking.add(task)
        try:
            events = self.stream(prompt, schema=schema, template=template, variables=variables)
            end = await play(events, gather)
        finally:
            self._asking -= {task}
        if isinstance(end, TurnFailed) and end.result.error is not None:
            raise end.result.error.with_partial(end.result.text)
        gathered = {each.name: getattr(end.result, each.name) for each in fields(TurnResult)}
        return Answer(**gathered, reasoning="".join(reasoning), notices=tuple(notices))

    def stream(
        self,
        prompt: str | Message = "",
        *,
        schema: object = None,
        template: TemplateForScript | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event]:
        """Ask as ``ask`` does, and yield events as they happen. A question waits until the one before is answered.

        With a ``schema``, ``PartialData`` has the value as far as it came, and the ``data`` of the result all of it.

        The last event is ``TurnFinished`` or ``TurnFailed``. A wrong call raises ``UsageError``, and so does
        a conversation that is closed meanwhile. Breaking off the loop stops the answer. Whoever keeps the
        stream closes it: ``async with contextlib.aclosing(chat.stream("…")) as events``.
        """
        stream = _Stream()
        events = self._events(prompt, stream, schema, (template, variables))
        stream.reference = weakref.ref(events)
        return events

    async def undo(self) -> None:
        """Take the last question and its answer back. Raise ``UsageError`` if there is none."""
        await self._take_turn()
        try:
            self._conversation.turns.branches.undo()
        finally:
            self._turn.release()

    async def _events(
        self,
        prompt: str | Message,
        stream: _Stream,
        schema: object,
        named: tuple[TemplateForScript | None, Mapping[str, str] | None],
    ) -> AsyncGenerator[Event]:
        stream.resume()
        used = await used_template(*named, self._config, in_conversation=True)
        asked, form = asked_with(used, prompt, schema, self._config)
        await self._take_turn()
        try:
            self._stream = stream
            self._notices += () if used is None else used.notices
            # In a task of its own, which is cancelled as a whole: from here, by closing, or as the loop ends.
            events: Queue[Event | None] = Queue()
            answering = asyncio.create_task(self._answer(asked, form, stream.so_far, events))
            self._answering.add(answering)
            try:
                while (event := await events.get()) is not None:
                    events.task_done()
                    stream.pause()
                    yield event
                    stream.resume()
                    self._refuse_closed()
            finally:
                answering.cancel()
                await asyncio.wait({answering})
                self._answering.discard(answering)
            if answering.cancelled():
                raise _closed()
            answering.result()
        finally:
            self._stream = None
            self._turn.release()

    async def _answer(
        self, asked: Message, form: TypedFormat | None, so_far: SoFar, events: Queue[Event | None]
    ) -> None:
        """Put the events of a turn into ``events``, then ``None``; stay one event ahead of the reader."""
        stood = self._conversation.session.head
        self._conversation.turns.response_format = None if form is None else form.response_format
        try:
            async with aclosing(self._conversation.turns.send(asked)) as turn:
                async for event in turn:
                    so_far.see(event)
                    if isinstance(event, TurnFinished | TurnFailed):
                        self._take_back_unanswered(stood)
                    for each in (*self._pending_notices(event), event):
                        await events.join()
                        events.put_nowait(_with_instance(event_for_script(each, self._redact), form))
        finally:
            self._take_back_unanswered(stood)
            events.put_nowait(None)

    def _pending_notices(self, event: Event) -> Iterator[Notice]:
        while self._notices and not isinstance(event, TurnStarted):
            yield self._notices.pop(0)

    def _take_back_unanswered(self, stood: str | None) -> None:
        """Continue before a question that got no answer; otherwise it would be sent beside the next one."""
        session = self._conversation.session
        newest = None if session.head in {None, stood} else session.message(str(session.head))
        if newest is not None and newest.role == "user":
            with suppress(LocalIOError):
                self._conversation.turns.branches.go_before(newest)

    async def _take_turn(self) -> None:
        """Wait for the turn. Raise ``UsageError`` if nobody will read the stream that has it to its end."""
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                "this conversation belongs to another event loop",
                hint="open one with open_chat in each event loop",
                code="other_loop",
            )
        self._refuse_closed()
        taking = asyncio.ensure_future(self._turn.acquire())
        try:
            await asyncio.sleep(0)
            while not taking.done():
                waited: set[asyncio.Future[Any]] = {taking, self._closed}
                if self._stream is not None:
                    self._stream.refuse_left(asyncio.current_task())
                    waited |= self._stream.readers
                await asyncio.wait(waited, return_when=FIRST_COMPLETED)
                self._refuse_closed()
        except BaseException:
            taking.cancel()
            await asyncio.wait({taking})
            if not taking.cancelled():
                self._turn.release()
            raise

    def _refuse_closed(self) -> None:
        if self._closed.done():
            raise _closed()

    async def _close(self) -> None:
        """Stop what is still being asked."""
        self._closed.set_result(None)
        asking = self._asking - {asyncio.current_task()}
        for task in (*asking, *self._answering):
            task.cancel()
        await asyncio.gather(*asking, *self._answering, return_exceptions=True)


def asked_with(
    used: UsedTemplate | None, prompt: str | Message, schema: object, config: Path | None
) -> tuple[Message, TypedFormat | None]:
    """Return the question of a call and the form of its answer, ``None`` for any. Raise ``UsageError``."""
    if used is None:
        return question_of(prompt), format_of(schema, config)
    is_blank = isinstance(prompt, str) and not prompt.strip()
    asked = question_of(used.question(None if is_blank else question_of(prompt)))
    return asked, format_of(used.schema if schema is None else schema, config)


def format_of(schema: object, config: Path | None) -> TypedFormat | None:
    """Return the form of answers for ``schema``, ``None`` for any; ``config`` is the configuration folder, ``None`` if it is not read."""
    if schema is None:
        return None
    # Imported on first use: most questions name no schema.
    from chatcli.schemas.python_types import TypedFormat, typed_format  # noqa: PLC0415
    from chatcli.schemas.schema_source import FOLDER, SchemaFolder  # noqa: PLC0415

    if isinstance(schema, TypedFormat):
        return schema
    folder = SchemaFolder((config or NO_FOLDER) / FOLDER)
    given, is_list = schema if isinstance(schema, TemplateSchema) else (schema, False)
    try:
        return typed_format(given, folder, is_list=is_list)
    except UsageError as error:
        if config is not None or error.code != "no_such_schema":
            raise
        hint = f"schemas have names with config=True; a single field is written with its type: {given} str"
        raise error.reworded(error.message, hint=hint) from None


def _with_instance(event: Event, form: TypedFormat | None) -> Event:
    """Return the end of a turn with an instance of the type asked for in its data."""
    if form is None or not isinstance(event, TurnFinished) or event.result.finish_reason != "stop":
        return event
    if event.result.refusal is not None or event.result.tool_calls:
        return event
    return TurnFinished(replace(event.result, data=form.build(event.result.data)))


class _Stream:
    """The stream of one answer: the task that opened it, and the one that read it last."""

    def __init__(self) -> None:
        self.so_far = SoFar()
        self.reference: Callable[[], object] = lambda: None
        """Return the stream, ``None`` once it is dropped; the event loop closes it then."""
        self._opener = self._reader = _current_task()
        self._is_being_read = False

    @property
    def readers(self) -> set[Task[Any]]:
        """The task that will probably read on, if there is one."""
        tasks = (task for task in (self._reader, self._opener) if task is not None and not task.done())
        return set([*tasks][:1])

    def resume(self) -> None:
        self._reader = _current_task()
        self._is_being_read = True

    def pause(self) -> None:
        self._is_being_read = False

    def refuse_left(self, task: Task[Any] | None) -> None:
        """Raise ``UsageError`` if ``task`` itself, or nobody, would have to read on."""
        if not self._is_being_read and self.reference() is not None and self.readers <= {task}:
            raise UsageError(
                "an earlier answer has not been read to its end",
                hint="read all of chat.stream(), or close it with contextlib.aclosing",
                code="busy",
            )


def _current_task() -> Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _closed() -> UsageError:
    return UsageError("this conversation is closed", hint="ask inside of async with", code="closed")


_ORIGINS = ("person", "document")


def question_of(prompt: object) -> Message:
    """Return the message of a prompt. Raise ``UsageError`` if it is not a question that can be sent."""
    if isinstance(prompt, str):
        prompt = question(prompt)
    elif not isinstance(prompt, Message) or prompt.role != "user":
        raise _no_question(f"a prompt is a str or a Message of the user, not {shown(prompt)}")
    if not isinstance(prompt.parts, tuple):
        raise _no_question(f"the parts of a message are a tuple, not {shown(prompt.parts)}")
    for part in prompt.parts:
        if not isinstance(part, TextPart):
            raise _no_question(f"a question has text parts only, not {shown(part)}")
        if not isinstance(part.text, str) or part.origin not in _ORIGINS:
            raise _no_question(f"a text part is a str of the person or of a document, not {shown(part)}")
        if any("\ud800" <= character <= "\udfff" for character in part.text):
            raise UsageError(
                "the prompt must be valid Unicode",
                hint='replace lone surrogates: text.encode("utf-8", "replace").decode()',
                code="no_prompt",
            )
    if prompt.provider_data is not None:
        raise _no_question("a question has no provider_data")
    if not prompt.text.strip():
        raise UsageError("the prompt is empty", hint="pass a question", code="no_prompt")
    return prompt


def _no_question(message: str) -> UsageError:
    hint = 'pass a str, or chatcli.Message("user", (chatcli.TextPart("…"),))'
    return UsageError(message, hint=hint, code="no_prompt")
