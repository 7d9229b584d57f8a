"""The Python API: ask once, or hold a conversation.

Unless ``config=True`` is given, the person's own configuration is not read: the key is ``api_key``, else
``OPENAI_API_KEY``, the endpoint ``base_url``, else ``OPENAI_BASE_URL``; proxies and certificates come from
the usual variables. Nothing is saved unless ``session`` is given.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

from chatcli.app import wiring
from chatcli.app.run_context import ChatOptions, RunContext
from chatcli.config.credentials import bind, parsed_key
from chatcli.config.endpoints import OPENAI_URL
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve, resolve_given
from chatcli.conversation.play import play
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.events import ReasoningDelta, TextReclassified, TurnFailed, TurnResult
from chatcli.core.messages import question

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from typing import Unpack

    from chatcli.chat import Conversation
    from chatcli.config.settings import Settings
    from chatcli.core.events import Event, Notice
    from chatcli.core.messages import Message

_ENDPOINT_VARIABLES: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_NETWORK_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


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


@dataclass(frozen=True, slots=True)
class Answer(TurnResult):
    """A whole answer; ``str`` of it is its text.

    ``reasoning`` is the model's reasoning, if the endpoint shows it. ``usage`` counts tokens, ``cost_usd`` is
    ``None`` if the price is unknown, ``sources`` are its citations. ``finish_reason`` is ``"length"`` if the
    answer was cut off. The ``messages`` of the chat contain everything else.
    """

    reasoning: str = ""
    data: Any = None

    def __str__(self) -> str:
        return self.text


class Chat:
    """An open conversation, made by ``open_chat``."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

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
        """The file of the conversation, ``None`` if it is not saved."""
        file = self._conversation.opened.file
        return file.path if file else None

    async def ask(self, prompt: str | Message) -> Answer:
        """Ask, and wait for the whole answer.

        Raise a ``ChatcliError`` if there is none; its ``partial`` is what had arrived. An answer that was cut
        off by a limit of tokens, or filtered, is returned: see ``finish_reason``.
        """
        reasoning: list[str] = []

        async def gather(event: Event) -> None:
            if isinstance(event, ReasoningDelta | TextReclassified):
                reasoning.append(event.text)

        end = await play(self.stream(prompt), gather)
        if isinstance(end, TurnFailed) and end.result.error is not None:
            raise end.result.error.with_partial(end.result.text)
        gathered = {each.name: getattr(end.result, each.name) for each in fields(TurnResult)}
        return Answer(**gathered, reasoning="".join(reasoning))

    async def stream(self, prompt: str | Message) -> AsyncGenerator[Event]:
        """Ask, and yield events as they happen.

        The last one is ``TurnFinished`` or ``TurnFailed``: nothing is raised.

        To stop early, close it: ``async with contextlib.aclosing(chat.stream("…")) as events``.
        """
        asked = question(prompt) if isinstance(prompt, str) else prompt
        async with aclosing(self._conversation.turns.send(asked)) as events:
            async for event in events:
                yield event


def ask(prompt: str | Message, **options: Unpack[AskOptions]) -> Answer:
    """Ask one question and wait for the answer. For scripts: a program with an event loop has ``open_chat``.

    Raise a ``ChatcliError`` if there is no answer, and ``RuntimeError`` inside a running event loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_ask(prompt, options))
    raise RuntimeError(
        "chatcli.ask() cannot be called where an event loop runs; "
        "use: async with chatcli.open_chat() as chat: await chat.ask(...)"
    )


async def _ask(prompt: str | Message, options: AskOptions) -> Answer:
    async with open_chat(**options) as chat:
        return await chat.ask(prompt)


@asynccontextmanager
async def open_chat(
    *, session: str | Path | None = None, **options: Unpack[AskOptions]
) -> AsyncIterator[Chat]:
    """Open a conversation.

    ``session`` saves it, or resumes one: a path if it contains a separator or ends in ``.jsonl``, else a name
    among the person's own. Raise a ``ChatcliError`` if something is missing or invalid.
    """
    settings, context = _settled(options, os.environ, is_kept=session is not None)
    chosen = ChatOptions(session=None if session is None else str(session))
    async with wiring.open_chat(settings, chosen, context, _log) as conversation:
        yield Chat(conversation)


def _settled(
    options: AskOptions, environment: Mapping[str, str], *, is_kept: bool
) -> tuple[Settings, RunContext]:
    given: dict[str, Any] = {**options.get("settings", {}), **options, "save": is_kept}
    given.pop("settings", None)
    api_key = given.pop("api_key", None)
    paths = find_paths(environment)
    if given.pop("config", False):
        settings = resolve({}, environment, paths, Path.cwd(), changes=given)
        context = RunContext(environment, paths, Path.cwd())
    else:
        settings = resolve_given(given, _only(environment, _ENDPOINT_VARIABLES))
        context = RunContext(_only(environment, _NETWORK_VARIABLES), paths)
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


def _log(notice: Notice) -> None:
    logging.getLogger("chatcli").info("%s", notice.message)
