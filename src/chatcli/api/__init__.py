"""The Python API: ask once, or hold a conversation.

Unless ``config=True`` is given, the person's own configuration is not read: the key is ``api_key``, else
``OPENAI_API_KEY``, the endpoint ``base_url``, else ``OPENAI_BASE_URL`` or ``OPENAI_API_BASE``; proxies and
certificates come from the usual variables. Nothing is saved unless ``session`` is given.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Literal, Unpack, overload

from chatcli.api import background_loop
from chatcli.api.script_batch import ScriptBatch, checked_concurrency, output_choice, refuse_with_provider
from chatcli.api.script_chat import Answer as Answer
from chatcli.api.script_chat import Chat as Chat
from chatcli.api.script_chat import asked_with, format_of
from chatcli.api.script_rows import RowForScript, ScriptRows
from chatcli.api.script_settings import AskOptions as AskOptions
from chatcli.api.script_settings import (
    asks_for_cache,
    call_settings,
    checked_flag,
    config_folder,
    file_name,
    is_on,
)
from chatcli.api.script_templates import TemplateForScript, row_words, used_template
from chatcli.api.script_words import error_for_script, shown
from chatcli.app import wiring
from chatcli.app.run_context import ChatOptions, Shared
from chatcli.batching.results import BatchResult as BatchResult  # noqa: TC001 - ``chatcli.BatchResult`` is found here
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.messages import Message  # noqa: TC001 - found by whoever reads the annotations
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from types import TracebackType

    from chatcli.api.script_templates import UsedTemplate
    from chatcli.core.events import Notice


def ask(
    prompt: str | Message = "",
    *,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[AskOptions],
) -> Answer:
    """Ask one question and wait for the answer. For scripts: a program with an event loop has ``open_chat``.

    ``schema`` asks for a value: ``data`` of the answer is an instance of the dataclass, pydantic model or other type, or the
    value of JSON that fits a JSON Schema or the short form, ``"name, age int"``. Raise ``SchemaMismatch`` if the answer
    does not fit, also when it was asked for once more.

    ``template`` is the name or path of a prompt template, or a list of several, whose ``{{ input }}`` is the prompt and whose other
    places are ``variables``. Its settings and its schema count where the call has none. Templates of the person's own
    have names with ``config=True``.

    Options, explained in ``help(chatcli.AskOptions)``: ``model``, ``base_url``, ``api_key``, ``system``,
    ``temperature``, ``top_p``, ``max_tokens``, ``seed``, ``reasoning``, ``cache``, ``settings``, ``config``,
    ``insecure_http``.

    Calls share connections and rate limits, whichever thread they come from. Raise a ``ChatcliError`` if there is
    no answer, and ``RuntimeError`` inside a running event loop or once Python shuts down.
    """
    if _is_loop_running():
        raise RuntimeError(
            "chatcli.ask() cannot be called where an event loop runs; "
            "use: async with chatcli.open_chat() as chat: await chat.ask(...)"
        )
    return background_loop.run(_ask(prompt, options, schema, template, variables))


def compare(
    prompt: str | Message,
    models: Iterable[str],
    *,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[AskOptions],
) -> list[Answer | ChatcliError]:
    """Ask several models the same question at once, and wait for all: ``chatcli.compare("Why?", ["gpt-5-mini", "gpt-5-nano"])``.

    The result has for each model, in their order, its answer, or the error if there is none. ``schema``, ``template`` and the other
    options are those of ``ask``; limits of costs hold for all together. Raise a ``UsageError`` for a wrong call, and
    ``RuntimeError`` where ``ask`` does.
    """
    names = [*models] if isinstance(models, Iterable) and not isinstance(models, str) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"models must be names, not {shown(models)}", hint='as in models=["gpt-5-mini", "gpt-5-nano"]'
        )
    if "model" in options:
        raise UsageError("model is not among the options here", hint="name it among models")
    if _is_loop_running():
        raise RuntimeError(
            "chatcli.compare() cannot be called where an event loop runs; "
            "use: await asyncio.gather(*(chat.ask(...) for chat in chats)), with a chatcli.open_chat() for each model"
        )
    return background_loop.run(
        _compare(prompt, names, options, schema=schema, template=template, variables=variables)
    )


@overload
def batch(
    rows: Collection[RowForScript],
    *,
    out: str | os.PathLike[str],
    via: Literal["provider"],
    resume: bool = False,
    retry_failed: bool = False,
    ordered: bool = True,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[AskOptions],
) -> AsyncGenerator[BatchResult]: ...


@overload
def batch(
    rows: Iterable[RowForScript] | AsyncIterable[RowForScript],
    *,
    out: str | os.PathLike[str] | None = None,
    via: None = None,
    resume: bool = False,
    retry_failed: bool = False,
    concurrency: int | None = None,
    ordered: bool = True,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[AskOptions],
) -> AsyncGenerator[BatchResult]: ...


async def batch(
    rows: Iterable[RowForScript] | AsyncIterable[RowForScript],
    *,
    out: str | os.PathLike[str] | None = None,
    via: Literal["provider"] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    concurrency: int | None = None,
    ordered: bool = True,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
    **options: Unpack[AskOptions],
) -> AsyncGenerator[BatchResult]:
    """Ask a model every one of ``rows``, many at once: ``async for result in chatcli.batch(["Hi", "Bye"])``.

    A row is a prompt, a ``Message``, or a mapping with the keys of a JSON row of ``chatcli batch``: ``prompt`` or
    ``messages``, ``id``, ``model``, ``temperature`` and so on. ``rows`` may be asynchronous, and endless. ``concurrency`` is
    how many are asked at once, by default as many as the endpoint takes well. Results are in the order of the rows, unless
    ``ordered`` is ``False``. Other options are those of ``ask``, explained in ``help(chatcli.AskOptions)``.

    ``schema`` is that of ``ask``, and ``data`` of the results the value. So is ``template``: keys of a mapping are its variables
    but for those in ``variables``, and a prompt is its input. Values of rows are marked as text of others.

    ``out`` is a file that every result is in as soon as it is there, one JSON object a line as ``chatcli batch`` writes them, or a table
    if its name ends in ``.csv`` or ``.tsv``. ``resume=True`` goes on with one: rows that have a result there are neither asked nor
    yielded again. ``retry_failed=True`` does so too, and asks failed rows again. Without them a file that exists is refused.

    ``via="provider"`` has the provider's batch API answer, within a day at half the price. It needs ``out`` and rows that can be read
    several times, such as a list. Results are yielded as they are taken. You may leave; ``resume=True`` takes the results later.

    A row that fails has a result with an ``error``. Only what all rows have in common is raised, after the results of those in
    flight: a reached budget, a refused key. Whoever does not read to the end closes it:
    ``async with contextlib.aclosing(chatcli.batch(rows)) as results``.
    """
    ordered = checked_flag(ordered, "ordered")
    choice = output_choice(out, via, resume=resume, retry_failed=retry_failed, ordered=ordered)
    redactor = Redactor()
    redactor.add_variables(os.environ)
    config = config_folder(options)
    used = await used_template(template, variables, config)
    settings, context = call_settings(
        options, os.environ, redactor, is_kept=False, template=None if used is None else used.settings
    )
    form = format_of(used.schema if schema is None and used is not None else schema, config)
    asked = ScriptRows(rows, *row_words(used, settings.system, form))
    if choice is not None and choice.by_provider:
        refuse_with_provider(asked, concurrency, options)
    run = ScriptBatch(
        asked,
        settings,
        context,
        ChatOptions(
            insecure_http=is_on(options, "insecure_http"),
            becomes_last=False,
            caches_unsaved=asks_for_cache(options),
            response_format=None if form is None else form.response_format,
        ),
        choice=choice,
        concurrency=checked_concurrency(concurrency),
        ordered=ordered,
        form=form,
    )
    async with run:
        while (result := await run.next()) is not None:
            yield result


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _ask(
    prompt: str | Message,
    options: AskOptions,
    schema: object = None,
    template: TemplateForScript | None = None,
    variables: Mapping[str, str] | None = None,
) -> Answer:
    config = config_folder(options)
    used = await used_template(template, variables, config)
    async with _Opening(None, options, template=used) as chat:
        question, form = asked_with(used, prompt, schema, config)
        return await chat.ask(question, schema=form)


async def _compare(
    prompt: str | Message,
    models: list[str],
    options: AskOptions,
    *,
    schema: object,
    template: TemplateForScript | None,
    variables: Mapping[str, str] | None,
) -> list[Answer | ChatcliError]:
    shared, config = Shared(), config_folder(options)
    used = await used_template(template, variables, config)

    async def ask_one(model: str) -> Answer | ChatcliError:
        try:
            async with _Opening(None, {**options, "model": model}, shared, template=used) as chat:
                question, form = asked_with(used, prompt, schema, config)
                return await chat.ask(question, schema=form)
        except UsageError:
            raise
        except ChatcliError as error:
            return error

    asking = [asyncio.ensure_future(ask_one(model)) for model in models]
    try:
        return list(await asyncio.gather(*asking))
    finally:
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def open_chat(
    *, session: str | os.PathLike[str] | None = None, **options: Unpack[AskOptions]
) -> AbstractAsyncContextManager[Chat]:
    """Open a conversation: ``async with chatcli.open_chat() as chat``.

    ``session`` saves it, or resumes one: a path if it contains a separator or ends in ``.jsonl``, else a name
    among the person's own. Options, explained in ``help(chatcli.AskOptions)``: ``model``, ``base_url``,
    ``api_key``, ``system``, ``temperature``, ``top_p``, ``max_tokens``, ``seed``, ``reasoning``, ``cache``, ``settings``,
    ``config``, ``insecure_http``.

    Raise a ``ChatcliError`` if something is missing or invalid. Conversations of one event loop share
    connections and rate limits.
    """
    return _Opening(session, options)


class _Opening(AbstractAsyncContextManager[Chat]):
    # No generator: when a loop ends it closes all of them at once, the inner ones under the outer ones.
    def __init__(
        self,
        session: object,
        options: AskOptions,
        shared: Shared | None = None,
        template: UsedTemplate | None = None,
    ) -> None:
        self._session = session
        self._options = options
        self._shared = shared
        self._template = template
        self._stacks: list[AsyncExitStack] = []

    async def __aenter__(self) -> Chat:
        used = self._template
        notices: list[Notice] = [] if used is None else [*used.notices]
        redactor = Redactor()
        redactor.add_variables(os.environ)
        async with AsyncExitStack() as stack:
            try:
                session = file_name(self._session, "session", "trip.jsonl")
                settings, context = call_settings(
                    self._options,
                    os.environ,
                    redactor,
                    is_kept=session is not None,
                    shared=self._shared,
                    template=None if used is None else used.settings,
                )
                chosen = ChatOptions(
                    session=session,
                    insecure_http=is_on(self._options, "insecure_http"),
                    becomes_last=False,
                    may_have_schema=True,
                    caches_unsaved=asks_for_cache(self._options),
                )
                conversation = await stack.enter_async_context(
                    wiring.open_chat(settings, chosen, context, notices.append)
                )
            except ChatcliError as error:
                if (worded := error_for_script(error, redactor.redact)) is error:
                    raise
                # A traceback shows the cause as well.
                raise worded from error if error.redacted(redactor.redact) is error else None
            chat = Chat(conversation, notices, redactor.redact, config_folder(self._options))
            stack.push_async_callback(chat._close)  # noqa: SLF001 - nobody else closes it
            self._stacks.append(stack.pop_all())
        return chat

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        # Left before, there is nothing to close, as with other contexts.
        return await self._stacks.pop().__aexit__(kind, error, traceback) if self._stacks else None
