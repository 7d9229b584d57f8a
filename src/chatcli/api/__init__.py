"""The Python API: ask once, or hold a conversation.

Unless ``config=True`` is given, the person's own configuration is not read: the key is ``api_key``, else
``OPENAI_API_KEY``, the endpoint ``base_url``, else ``OPENAI_BASE_URL``; proxies and certificates come from
the usual variables. Nothing is saved unless ``session`` is given.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict
from weakref import WeakKeyDictionary

from chatcli.api import background_loop
from chatcli.app import wiring
from chatcli.app.run_context import ChatOptions, RunContext
from chatcli.client.pool import Pool
from chatcli.config.credentials import bind, parsed_key
from chatcli.config.endpoints import OPENAI_URL
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve, resolve_given
from chatcli.conversation.play import play
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.events import Notice, ReasoningDelta, TextReclassified, TurnFailed, TurnResult
from chatcli.core.messages import Message, question

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from typing import Unpack

    from chatcli.chat import Conversation
    from chatcli.config.settings import Settings
    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Event

_ENDPOINT_VARIABLES: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_NETWORK_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


_ROUNDS_TO_CLOSE: Final = 20
"""Rounds of the event loop in which a stream that was dropped is closed."""
_HINTS: Final = (
    ("--insecure-http", "use https, or pass insecure_http=True"),
    ("config login", "pass api_key=, or set OPENAI_API_KEY"),
    ("/continue", "ask again; partial is what had arrived"),
    ("-s name", "pass another session="),
    ("--max-tokens", "pass a smaller max_tokens=, or another model="),
    ("--max-cost", 'pass a larger settings={"max_cost": …}, or prices'),
    ("/save", "pass another session="),
)
"""Words of hints that name what only the program has, and what to say in a script."""


class AskOptions(TypedDict, total=False):
    """The options of ``ask`` and ``open_chat``. Other settings have their defaults (``chatcli config show``).

    ``settings`` are other settings by name, as in config.toml: ``{"retries": 0, "context": "recall"}``.
    ``config`` reads the person's own configuration, overridden by these options: config.toml, variables,
    stored keys.
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
    settings: Mapping[str, object]
    config: bool
    insecure_http: bool


@dataclass(frozen=True, slots=True)
class Answer(TurnResult):
    """A whole answer; ``str`` of it is its text.

    ``reasoning`` is the model's reasoning, if the endpoint shows it. ``usage`` counts tokens, ``cost_usd`` is
    ``None`` if the price is unknown, ``sources`` are its citations. ``finish_reason`` is ``"length"`` if the
    answer was cut off. ``notices`` say what went on beside it: a file that could not be written, a setting the
    endpoint does not know.
    """

    reasoning: str = ""
    data: Any = None
    notices: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        return self.text


class Chat:
    """An open conversation, made by ``open_chat``. It answers one question at a time, even if several tasks ask."""

    def __init__(self, conversation: Conversation, notices: list[Notice]) -> None:
        self._conversation = conversation
        self._notices = notices
        self._turn = asyncio.Lock()
        self._stream: Callable[[], AsyncGenerator[Event] | None] = lambda: None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, without the system prompt, oldest first."""
        return tuple(
            record.message for record in self._conversation.session.path() if record.role != "system"
        )

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._conversation.turns.connected.model_name

    @property
    def session(self) -> Path | None:
        """The file of the conversation, ``None`` if it is not saved, or could not be."""
        opened = self._conversation.opened
        return opened.file.path if opened.file and opened.name is not None else None

    async def ask(self, prompt: str | Message) -> Answer:
        """Ask, and wait for the whole answer.

        Raise a ``ChatcliError`` if there is none; its ``partial`` is what had arrived. An answer that was cut
        off by a limit of tokens, or filtered, is returned: see ``finish_reason``.
        """
        reasoning: list[str] = []
        notices: list[Notice] = []

        async def gather(event: Event) -> None:
            if isinstance(event, ReasoningDelta | TextReclassified):
                reasoning.append(event.text)
            elif isinstance(event, Notice):
                notices.append(event)

        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
        try:
            end = await play(self.stream(prompt), gather)
        finally:
            self._tasks -= {task}
        if isinstance(end, TurnFailed) and end.result.error is not None:
            raise _worded(end.result.error).with_partial(end.result.text)
        gathered = {each.name: getattr(end.result, each.name) for each in fields(TurnResult)}
        return Answer(**gathered, reasoning="".join(reasoning), notices=tuple(notices))

    async def stream(self, prompt: str | Message) -> AsyncGenerator[Event]:
        """Ask, and yield events as they happen. A question waits until the one before is answered.

        The last event is ``TurnFinished`` or ``TurnFailed``; only a wrong call raises, ``UsageError``. Breaking
        off the loop stops the answer. Whoever keeps the stream closes it:
        ``async with contextlib.aclosing(chat.stream("…")) as events``.
        """
        asked = _question(prompt)
        await self._wait_for_turn()
        async with self._turn:
            self._refuse_closed()
            events = self._conversation.turns.send(asked)
            self._stream = weakref.ref(events)
            async with aclosing(events):
                async for event in events:
                    yield event
                    while self._notices:
                        yield self._notices.pop(0)
                    self._refuse_closed()

    async def _wait_for_turn(self) -> None:
        """Let a stream that was dropped be closed. Raise ``UsageError`` if one is kept that nobody reads."""
        for _ in range(_ROUNDS_TO_CLOSE):
            if not self._turn.locked():
                break
            await asyncio.sleep(0)
        stream = self._stream()
        if self._turn.locked() and stream is not None and not getattr(stream, "ag_running", False):
            raise UsageError(
                "an earlier answer has not been read to its end",
                hint="read all of chat.stream(), or close it with contextlib.aclosing",
                code="busy",
            )

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise UsageError("this conversation is closed", hint="ask inside of async with", code="closed")

    async def _close(self) -> None:
        """Stop what is still being asked."""
        self._is_closed = True
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def ask(prompt: str | Message, **options: Unpack[AskOptions]) -> Answer:
    """Ask one question and wait for the answer. For scripts: a program with an event loop has ``open_chat``.

    Calls share connections and rate limits, whichever thread they come from. Raise a ``ChatcliError`` if there is
    no answer, and ``RuntimeError`` inside a running event loop.
    """
    if _is_loop_running():
        raise RuntimeError(
            "chatcli.ask() cannot be called where an event loop runs; "
            "use: async with chatcli.open_chat() as chat: await chat.ask(...)"
        )
    return background_loop.run(_ask(prompt, options))


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _ask(prompt: str | Message, options: AskOptions) -> Answer:
    async with open_chat(**options) as chat:
        return await chat.ask(prompt)


@asynccontextmanager
async def open_chat(
    *, session: str | Path | None = None, **options: Unpack[AskOptions]
) -> AsyncIterator[Chat]:
    """Open a conversation.

    ``session`` saves it, or resumes one: a path if it contains a separator or ends in ``.jsonl``, else a name
    among the person's own. Raise a ``ChatcliError`` if something is missing or invalid. Conversations of one
    event loop share connections and rate limits.
    """
    insecure_http = bool(options.get("insecure_http", False))
    chosen = ChatOptions(session=None if session is None else str(session), insecure_http=insecure_http)
    notices: list[Notice] = []
    try:
        settings, context = _settled(options, os.environ, is_kept=session is not None)
        async with wiring.open_chat(settings, chosen, context, notices.append) as conversation:
            chat = Chat(conversation, notices)
            try:
                yield chat
            finally:
                await chat._close()  # noqa: SLF001 - nobody else closes it
    except ConfigurationError as error:
        raise _worded(error) from error


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()
"""Connections belong to an event loop, and with them the limits of their endpoints."""


def _question(prompt: str | Message) -> Message:
    """Return the message of a prompt. Raise ``UsageError`` if it is not a question."""
    if isinstance(prompt, str):
        if prompt.strip():
            return question(prompt)
        raise UsageError("the prompt is empty", hint="pass a question", code="no_prompt")
    if isinstance(prompt, Message) and prompt.role == "user" and prompt.parts:
        return prompt
    raise UsageError(
        f"a prompt is a str or a Message of the user, not {prompt!r:.80}",
        hint='pass a str, or chatcli.Message("user", (chatcli.TextPart("…"),))',
        code="no_prompt",
    )


def _worded(error: ChatcliError) -> ChatcliError:
    """Return the error with a hint for a script in place of one for the program."""
    hint = next((hint for words, hint in _HINTS if words in (error.hint or "")), None)
    return error if hint is None else error.reworded(hint=hint)


def _settled(
    options: AskOptions, environment: Mapping[str, str], *, is_kept: bool
) -> tuple[Settings, RunContext]:
    others = options.get("settings", {})
    if not isinstance(others, Mapping) or not all(isinstance(name, str) for name in others):
        raise UsageError("settings are a mapping of names to values", hint='as in settings={"retries": 0}')
    given: dict[str, Any] = {**others, **options, "save": is_kept}
    given.pop("settings", None)
    given.pop("insecure_http", None)
    api_key = given.pop("api_key", None)
    paths = find_paths(environment)
    pool = _pools.setdefault(asyncio.get_running_loop(), Pool())
    if given.pop("config", False):
        settings = resolve({}, environment, paths, Path.cwd(), changes=given)
        context = RunContext(environment, paths, Path.cwd(), pool=pool)
    else:
        settings = resolve_given(given, _only(environment, _ENDPOINT_VARIABLES))
        context = RunContext(_only(environment, _NETWORK_VARIABLES), paths, pool=pool)
    if api_key is not None:
        settings = _with_key(settings, api_key)
    if settings.base_url is None:
        raise ConfigurationError(
            "neither a key nor an endpoint is given",
            hint="pass api_key= or base_url=, or set OPENAI_API_KEY",
            code="no_key",
        )
    for credential in settings.every_credential:
        context.redactor.add_source(credential.secret.revealed)
    return settings, context


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
