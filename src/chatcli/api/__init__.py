"""The Python API: ask once, or hold a conversation.

Unless ``config=True`` is given, the person's own configuration is not read: the key is ``api_key``, else
``OPENAI_API_KEY``, the endpoint ``base_url``, else ``OPENAI_BASE_URL`` or ``OPENAI_API_BASE``; proxies and
certificates come from the usual variables. Nothing is saved unless ``session`` is given.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack
from weakref import WeakKeyDictionary

from chatcli.api import background_loop
from chatcli.api.script_batch import RowForScript, answered_rows, checked_concurrency
from chatcli.api.script_chat import Answer as Answer
from chatcli.api.script_chat import Chat as Chat
from chatcli.api.script_chat import format_of
from chatcli.api.script_words import error_for_script
from chatcli.app import wiring
from chatcli.app.run_context import ChatOptions, RunContext, Shared
from chatcli.batching.results import BatchResult as BatchResult  # noqa: TC001 - ``chatcli.BatchResult`` is found here
from chatcli.client.pool import Pool
from chatcli.config.credentials import bind, parsed_key
from chatcli.config.endpoints import OPENAI_URL, password_of
from chatcli.config.key_commands import KeyCommands
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve, resolve_given
from chatcli.core.errors import ChatcliError, ConfigurationError, UsageError
from chatcli.core.messages import Message  # noqa: TC001 - found by whoever reads the annotations
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from types import TracebackType

    from chatcli.client.cache_access import AnswerCache
    from chatcli.config.settings import Settings
    from chatcli.core.events import Notice

_ENDPOINT_VARIABLES: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE")
_NETWORK_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_NO_SETTINGS_HERE: Final = {
    "api_key_env": 'pass the key itself: api_key=os.environ["…"]',
    "save": "pass session= to save the conversation",
}
"""Settings of config.toml that a call of the API says otherwise."""


class AskOptions(TypedDict, total=False):
    """The options of ``ask`` and ``open_chat``, all by name. Other settings have their defaults.

    ``model``, ``base_url``, ``api_key``: which model, where, and the key of that endpoint.
    ``system``: the system prompt.
    ``temperature``, ``top_p``, ``max_tokens``, ``seed``, ``reasoning``: parameters of the request.
    ``cache``: where answers to equal questions are kept: ``"memory"``, ``"sqlite"``, ``"redis://…"`` or ``"off"``. Without
    it, the cache of a configuration counts only in a conversation with a ``session``.
    ``settings``: other settings by name, as in config.toml: ``{"retries": 0, "context": "recall"}``;
    ``chatcli config show`` lists them.
    ``config``: ``True`` reads the person's own configuration, overridden by these options: config.toml,
    variables, stored keys.
    ``insecure_http``: ``True`` sends a key over plain ``http://`` to another machine.
    """

    model: str
    base_url: str
    api_key: str
    system: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    reasoning: str
    cache: str
    settings: Mapping[str, object]
    config: bool
    insecure_http: bool


def ask(prompt: str | Message, *, schema: object = None, **options: Unpack[AskOptions]) -> Answer:
    """Ask one question and wait for the answer. For scripts: a program with an event loop has ``open_chat``.

    ``schema`` asks for a value: ``data`` of the answer is an instance of the dataclass, pydantic model or other type, or the
    value of JSON that fits a JSON Schema or the short form, ``"name, age int"``. Raise ``SchemaMismatch`` if the answer
    does not fit, also when it was asked for once more.

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
    return background_loop.run(_ask(prompt, options, schema))


def compare(
    prompt: str | Message, models: Sequence[str], *, schema: object = None, **options: Unpack[AskOptions]
) -> list[Answer | ChatcliError]:
    """Ask several models the same question at once, and wait for all: ``chatcli.compare("Why?", ["gpt-5-mini", "gpt-5-nano"])``.

    The result has for each model, in their order, its answer, or the error if there is none. ``schema`` and the other
    options are those of ``ask``; limits of costs hold for all together. Raise a ``UsageError`` for a wrong call, and
    ``RuntimeError`` where ``ask`` does.
    """
    if isinstance(models, str) or not models or not all(isinstance(name, str) for name in models):
        raise UsageError(
            f"models must be names, not {models!r:.80}", hint='as in models=["gpt-5-mini", "gpt-5-nano"]'
        )
    if "model" in options:
        raise UsageError("model is not among the options here", hint="name it among models")
    if _is_loop_running():
        raise RuntimeError(
            "chatcli.compare() cannot be called where an event loop runs; "
            "use: await asyncio.gather(*(chat.ask(...) for chat in chats)), with a chatcli.open_chat() for each model"
        )
    return background_loop.run(_compare(prompt, models, options, schema))


async def batch(
    rows: Iterable[RowForScript] | AsyncIterable[RowForScript],
    *,
    concurrency: int | None = None,
    ordered: bool = True,
    schema: object = None,
    **options: Unpack[AskOptions],
) -> AsyncGenerator[BatchResult]:
    """Ask a model every one of ``rows``, many at once: ``async for result in chatcli.batch(["Hi", "Bye"])``.

    A row is a prompt, a ``Message``, or a mapping with the keys of a JSON row of ``chatcli batch``: ``prompt`` or
    ``messages``, ``id``, ``model``, ``temperature`` and so on. ``rows`` may be asynchronous, and endless. ``concurrency`` is
    how many are asked at once, by default as many as the endpoint takes well. Results are in the order of the rows, unless
    ``ordered`` is ``False``. Other options are those of ``ask``, explained in ``help(chatcli.AskOptions)``.

    ``schema`` is that of ``ask``, and ``data`` of the results the value.

    A row that fails has a result with an ``error``. Only what all rows have in common is raised, after the results of those in
    flight: a reached budget, a refused key. Whoever does not read to the end closes it:
    ``async with contextlib.aclosing(chatcli.batch(rows)) as results``.
    """
    redactor = Redactor()
    redactor.add_variables(os.environ)
    settings, context = _settled(options, os.environ, redactor, is_kept=False)
    results = answered_rows(
        rows,
        settings,
        context,
        concurrency=checked_concurrency(concurrency),
        ordered=ordered,
        insecure_http=_switch(options, "insecure_http"),
        form=None if schema is None else format_of(schema, _schemas(options, context)),
    )
    async with aclosing(results):
        async for result in results:
            yield result


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _ask(prompt: str | Message, options: AskOptions, schema: object = None) -> Answer:
    async with open_chat(**options) as chat:
        return await chat.ask(prompt, schema=schema)


async def _compare(
    prompt: str | Message, models: Sequence[str], options: AskOptions, schema: object
) -> list[Answer | ChatcliError]:
    shared = Shared()

    async def ask_one(model: str) -> Answer | ChatcliError:
        try:
            async with _Opening(None, {**options, "model": model}, shared) as chat:
                return await chat.ask(prompt, schema=schema)
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
    def __init__(self, session: object, options: AskOptions, shared: Shared | None = None) -> None:
        self._session = session
        self._options = options
        self._shared = shared
        self._stacks: list[AsyncExitStack] = []

    async def __aenter__(self) -> Chat:
        notices: list[Notice] = []
        redactor = Redactor()
        redactor.add_variables(os.environ)
        async with AsyncExitStack() as stack:
            try:
                session = _session_name(self._session)
                settings, context = _settled(
                    self._options, os.environ, redactor, is_kept=session is not None, shared=self._shared
                )
                chosen = ChatOptions(
                    session=session,
                    insecure_http=_switch(self._options, "insecure_http"),
                    becomes_last=False,
                    may_have_schema=True,
                    caches_unsaved="cache" in {**(self._options.get("settings") or {}), **self._options},
                )
                conversation = await stack.enter_async_context(
                    wiring.open_chat(settings, chosen, context, notices.append)
                )
            except ChatcliError as error:
                if (worded := error_for_script(error, redactor.redact)) is error:
                    raise
                # A traceback shows the cause as well.
                raise worded from error if error.redacted(redactor.redact) is error else None
            chat = Chat(conversation, notices, redactor.redact, _schemas(self._options, context))
            stack.push_async_callback(chat._close)  # noqa: SLF001 - nobody else closes it
            self._stacks.append(stack.pop_all())
        return chat

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stacks.pop().__aexit__(kind, error, traceback)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()
"""Connections belong to an event loop, and with them the limits of their endpoints."""

_answer_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], AnswerCache]] = (
    WeakKeyDictionary()
)
"""Caches in memory outlive a conversation."""

_key_commands: Final = KeyCommands(os.environ)
"""A command that prints a key is run once, however many conversations there are."""


def _session_name(session: object) -> str | None:
    """Return the name or path of a session as text. Raise ``UsageError`` if it is none."""
    if session is None:
        return None
    name = os.fspath(session) if isinstance(session, str | os.PathLike) else None
    if not isinstance(name, str):
        raise UsageError(
            f"session must be a path or a name, not {session!r:.80}", hint='as in session="trip.jsonl"'
        )
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise UsageError(
            f"session must be a name a file can have, not {name!r:.80}", hint="leave out lone surrogates"
        ) from error
    if name.endswith(("/", os.sep)):
        raise UsageError(
            f"session must be a file, not the folder {name}", hint=f'as in session="{name}trip.jsonl"'
        )
    return name


def _settled(
    options: AskOptions,
    environment: Mapping[str, str],
    redactor: Redactor,
    *,
    is_kept: bool,
    shared: Shared | None = None,
) -> tuple[Settings, RunContext]:
    """Return the settings of a call and its context; calls that are ``shared`` spend together."""
    reads_config = _switch(options, "config")
    given = {**_given(options, reads_config=reads_config), "save": is_kept}
    paths = find_paths(environment)
    loop = asyncio.get_running_loop()
    shared, caches = shared or Shared(), _answer_caches.setdefault(loop, {})
    shared.pool = _pools.setdefault(loop, Pool())
    if reads_config:
        settings = resolve({}, environment, paths, Path.cwd(), changes=given, key_commands=_key_commands)
        context = RunContext(
            environment,
            paths,
            Path.cwd(),
            shared=shared,
            redactor=redactor,
            key_commands=_key_commands,
            answer_caches=caches,
        )
    else:
        settings = resolve_given(given, _only(environment, _ENDPOINT_VARIABLES))
        network = _only(environment, _NETWORK_VARIABLES)
        context = RunContext(
            network,
            paths,
            shared=shared,
            redactor=redactor,
            has_configuration=False,
            answer_caches=caches,
        )
    if (api_key := options.get("api_key")) is not None:
        settings = _with_key(settings, api_key)
    if settings.base_url is None and not settings.uses_local:
        raise ConfigurationError(
            "neither a key nor an endpoint is given",
            hint="pass api_key= or base_url=, or set OPENAI_API_KEY",
            code="no_key",
        )
    if "@" in settings.cache:
        redactor.add_key(password_of(settings.cache) or "")
    for credential in settings.every_credential:
        redactor.add_source(credential.secret.revealed)
    return settings, context


def _schemas(options: AskOptions, context: RunContext) -> Path | None:
    """Return the folder of the person's schemas, ``None`` if their configuration is not read."""
    return context.paths.config / "schemas" if _switch(options, "config") else None


def _given(options: AskOptions, *, reads_config: bool) -> dict[str, Any]:
    """Return the values by setting, without those that are no settings. Raise ``UsageError`` for a wrong name."""
    others = options.get("settings")
    if others is None:
        others = {}
    if not isinstance(others, Mapping) or not all(isinstance(name, str) for name in others):
        raise UsageError("settings are a mapping of names to values", hint='as in settings={"retries": 0}')
    if "api_key" in others:
        raise UsageError("api_key is not among the settings here", hint="pass api_key=")
    own = {"settings", "config", "insecure_http", "api_key"}
    given = {**others, **{name: value for name, value in options.items() if name not in own}}
    for name in given:
        if name in _NO_SETTINGS_HERE:
            raise UsageError(f"{name} is not among the settings here", hint=_NO_SETTINGS_HERE[name])
    if "profile" in given and not reads_config:
        raise UsageError("a profile is part of the configuration", hint="pass config=True")
    return given


def _switch(options: AskOptions, name: str) -> bool:
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {value!r:.80}", hint=f"as in {name}=True")
    return value is True


def _only(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.upper() in names}


def _with_key(settings: Settings, api_key: str) -> Settings:
    try:
        credential = bind(parsed_key(api_key), settings.base_url, "api_key")
    except ValueError as error:
        raise UsageError(f"api_key {error}", hint="pass the key alone") from error
    return replace(
        settings,
        base_url=settings.base_url or OPENAI_URL,
        credential=credential,
        every_credential=(credential, *settings.every_credential),
    )
