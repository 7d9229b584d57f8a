"""Finding the model to ask: endpoint, name, window, parameters and the client's layers."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chatcli.app.endpoints import (
    DEFAULT_MODEL,
    endpoint_at,
    pricing_at,
    refuse_key_in_clear,
    runs_models_itself,
)
from chatcli.app.layers import WINDOWS_FILE, answering, layers
from chatcli.app.windows import WindowFinder
from chatcli.chat.resolved_model import ResolvedModel, usd_of
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_memory import EndpointMemory
from chatcli.client.fallback import Candidate
from chatcli.client.learned_counts import LearnedCounts
from chatcli.client.pause import Pause
from chatcli.config.endpoints import OPENAI_URL, with_version
from chatcli.config.paths import ensure_private_folder
from chatcli.conversation.long_input.how import LongInput
from chatcli.conversation.long_input.kept_parts import KeptParts
from chatcli.conversation.turn_vectors import TurnVectors
from chatcli.core.errors import ConfigurationError, RequestRefused
from chatcli.core.events import Notice
from chatcli.core.request import Parameters
from chatcli.cost.budget import RUN, Budget
from chatcli.cost.ledger import FILE_NAME, Ledger
from chatcli.local.discovery import find_servers
from chatcli.local.engine import engine_state
from chatcli.local.server import LocalServer
from chatcli.local.weights import SMOLLM2, status
from chatcli.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from openai import AsyncOpenAI

    from chatcli.app.run_context import ChatOptions, RunContext, Tell
    from chatcli.client.catalog import OfferedModel
    from chatcli.config.settings import Settings
    from chatcli.core.ports import ChatModel
    from chatcli.cost.spending import Spending

EMBEDDED_SYSTEM_PROMPT = "You are a helpful assistant."
EMBEDDED_MAX_TOKENS = 512

_CATALOG_TIMEOUT_S = 5.0
_NOT_FOUND = 404


def expected_model(session: Session, settings: Settings, wish: ChatOptions) -> str | None:
    """Return the name of the model a conversation is going to ask, as far as it is known before it is looked for."""
    if wish.embedded:
        return SMOLLM2.model
    if settings.base_url is None:
        return None
    host = urlsplit(settings.base_url).netloc
    if session.model and not settings.is_for_this_run("model") and session.model_endpoint in {None, host}:
        return session.model
    return settings.model or (DEFAULT_MODEL if settings.base_url == OPENAI_URL else None)


class ModelResolver:
    """Finds the model to ask, and the way to it. ``stack`` closes what is opened on the way."""

    def __init__(
        self, settings: Settings, wish: ChatOptions, world: RunContext, tell: Tell, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._wish = wish
        self._world = world
        self._tell = tell
        self._stack = stack
        self._opened: dict[str, tuple[ChatModel, str]] = {}
        self._counts: dict[str, LearnedCounts] = {}
        self._budget = budget_of(settings, world.spending, world.paths.data)

    async def target(self, session: Session) -> ResolvedModel:
        endpoint = await self.endpoint()
        client = await self.connected(endpoint)
        if endpoint.embedded:
            offered: tuple[OfferedModel, ...] = ()
            name, window_tokens = SMOLLM2.model, self._settings.context_window or SMOLLM2.context_tokens
        else:
            client, endpoint, name, offered = await self._with_model(session, client, endpoint)
            window_tokens = self._settings.window_for(name) or await WindowFinder(
                client,
                endpoint,
                table=self._world.table,
                memory=self._memory(WINDOWS_FILE),
                is_kept=self._settings.save,
                tell=self._tell,
            ).window_tokens(name, offered)
        pause = Pause()
        pricing = pricing_at(endpoint, self._settings, self._world.table)
        return ResolvedModel(
            model=layers(
                self._answering(client, endpoint, pause),
                endpoint,
                self._settings,
                stand_ins=self._stand_ins(client, endpoint, pause),
            ),
            model_name=name,
            window_tokens=window_tokens,
            parameters=_parameters(self._settings, embedded=endpoint.embedded),
            endpoint=endpoint,
            pause=pause,
            default_system=EMBEDDED_SYSTEM_PROMPT if endpoint.embedded else None,
            pricing=pricing,
            budget=self._budget,
            context=self._settings.context,
            counts=self._counts_of(endpoint),
            summary_model=None if endpoint.embedded else self._settings.summary_model,
            turn_vectors=self._turn_vectors(client, endpoint),
            long_input=LongInput(
                self._settings.long,
                self._settings.long_concurrency,
                KeptParts(self._world.paths.cache / "long-texts" if self._settings.save else None),
                lambda usage: usd_of(pricing, usage, name),
            ),
            separates_reasoning=self._settings.thoughts_in_text != "off",
            listed=tuple(model.id for model in offered),
        )

    async def _with_model(
        self, session: Session, client: AsyncOpenAI, endpoint: Endpoint
    ) -> tuple[AsyncOpenAI, Endpoint, str, tuple[OfferedModel, ...]]:
        """Return what ``model`` does, at ``/v1`` where the address lacks it and nothing is found there."""
        try:
            return client, endpoint, *(await self.model(session, client, endpoint))
        except RequestRefused as error:
            versioned = with_version(endpoint.base_url)
            if error.status != _NOT_FOUND or versioned is None:
                raise
            there = replace(endpoint, base_url=versioned)
            client = await self.connected(there)
            try:
                found = await self.model(session, client, there)
            except RequestRefused:
                raise error from None
            notice = f"{endpoint.host} answers at /v1; set base_url to {versioned}"
            self._tell(Notice("base_url_completed", notice))
            return client, there, *found

    def _answering(self, client: AsyncOpenAI, endpoint: Endpoint, pause: Pause) -> ChatModel:
        return answering(
            client,
            endpoint,
            self._settings,
            pause=pause,
            cache=self._world.paths.cache,
            budget=self._budget,
            counts=self._counts_of(endpoint),
            table=self._world.table,
        )

    def _turn_vectors(self, client: AsyncOpenAI, endpoint: Endpoint) -> TurnVectors | None:
        model = self._settings.embedding_model
        if model is None or endpoint.embedded or self._settings.context != "recall":
            return None
        if self._budget.is_set:
            # Nobody knows what an embedding costs, and a budget is kept.
            told = "searching older turns by words only: embedding_model is not used while a budget is set"
            self._tell(Notice("embeddings_not_asked", told))
            return None
        from chatcli.client.embeddings import EndpointEmbedder  # noqa: PLC0415

        return TurnVectors(EndpointEmbedder(client, endpoint, model))

    def _counts_of(self, endpoint: Endpoint) -> LearnedCounts:
        if endpoint.base_url not in self._counts:
            memory = self._memory("counts.json") if self._settings.save and not endpoint.embedded else None
            self._counts[endpoint.base_url] = LearnedCounts(endpoint.base_url, memory)
        return self._counts[endpoint.base_url]

    def _memory(self, file: str) -> EndpointMemory:
        return EndpointMemory(self._world.paths.cache / file, now_s=time.time())

    def _stand_ins(self, client: AsyncOpenAI, endpoint: Endpoint, pause: Pause) -> list[Candidate]:
        """Return what is asked when the model fails: other models of the endpoint, and profiles with their own."""
        profiles = self._settings.fallback_profiles

        def opening(name: str) -> Callable[[], Awaitable[tuple[ChatModel, str]]]:
            async def open_profile() -> tuple[ChatModel, str]:
                return await self._profile(name, pause)

            async def same_endpoint() -> tuple[ChatModel, str]:
                # Kept, as its rate limits and what it refuses are to be known the next time.
                if name not in self._opened:
                    self._opened[name] = self._answering(client, endpoint, pause), name
                return self._opened[name]

            return open_profile if name in profiles else same_endpoint

        return [Candidate(name, opening(name)) for name in self._settings.fallback]

    async def _profile(self, name: str, pause: Pause) -> tuple[ChatModel, str]:
        """Return the model of a profile that stands in, and its name there. It is opened once."""
        if name not in self._opened:
            settings = self._settings.fallback_profiles[name]
            finder = ModelResolver(
                settings, replace(self._wish, embedded=False), self._world, self._tell, self._stack
            )
            endpoint = await finder.endpoint()
            client = await finder.connected(endpoint)
            model = (
                SMOLLM2.model if endpoint.embedded else (await finder.model(Session(), client, endpoint))[0]
            )
            self._opened[name] = finder._answering(client, endpoint, pause), model
        return self._opened[name]

    async def connected(self, endpoint: Endpoint) -> AsyncOpenAI:
        # openai takes half a second to import: only once a connection is needed.
        from chatcli.client.connection import connect  # noqa: PLC0415

        # In a thread: the certificates take tens of milliseconds to load, in which no key would be read.
        client = await asyncio.to_thread(connect, endpoint, self._world.environment)
        return await self._stack.enter_async_context(client)

    async def endpoint(self) -> Endpoint:
        settings = self._settings
        if self._wish.embedded or settings.base_url is None:
            return await self._embedded_endpoint()
        credential = settings.credential
        if credential is not None:
            refuse_key_in_clear(settings.base_url, accepted=self._wish.insecure_http)
        base_url = settings.base_url
        if runs_models_itself(base_url):
            # Their own interfaces are at the root: nothing else can be meant.
            base_url = with_version(base_url) or base_url
        endpoint = endpoint_at(
            base_url,
            settings,
            self._world,
            key=credential.secret.reveal() if credential else None,
            # Several stored keys have one name.
            withheld=tuple(dict.fromkeys(credential.name for credential in settings.withheld)),
        )
        if endpoint.is_openai and credential is None:
            if settings.unreadable_keys is not None:
                raise settings.unreadable_keys
            raise ConfigurationError(f"no key is set for {endpoint.host}", hint=_WAYS_OUT, code="no_key")
        return endpoint

    async def _embedded_endpoint(self) -> Endpoint:
        folder = self._world.paths.local
        if not self._wish.embedded and self._settings.unreadable_keys is not None:
            # One of them would have said who is asked: the embedded model must not answer in its place.
            raise self._settings.unreadable_keys
        if not self._wish.embedded and not (status(folder).ready and engine_state().installed):
            raise await _nothing_configured()
        self._tell(
            Notice(
                "embedded_model",
                f"using the built-in demo model {SMOLLM2.model} (others: chatcli --help)",
            )
        )
        server = LocalServer(
            folder,
            log_folder=ensure_private_folder(self._world.paths.cache),
            executable=sys.executable,
            environment=self._world.environment,
        )
        local = await (await self._stack.enter_async_context(server)).start()
        return Endpoint(
            base_url=local.base_url,
            key=local.api_key,
            loopback=True,
            embedded=True,
            timeout_s=self._settings.timeout_s,
            idle_timeout_s=self._settings.idle_timeout_s,
            connect_timeout_s=self._settings.connect_timeout_s,
            largest_answer_mb=self._settings.largest_answer_mb,
        )

    async def model(
        self, session: Session, client: AsyncOpenAI, endpoint: Endpoint
    ) -> tuple[str, tuple[OfferedModel, ...]]:
        """Return the model to ask, and what the endpoint offers where it had to be asked for that."""
        named = self._settings.model
        if named is None and endpoint.is_openai:
            named = DEFAULT_MODEL
        remembered = None if self._settings.is_for_this_run("model") else session.model
        if remembered is not None and session.model_endpoint in {None, endpoint.host}:
            if remembered != named:
                self._tell_once("model_remembered", f"model {remembered}, as before in this conversation")
            return remembered, ()
        # Another endpoint may know no such model, or another one by that name.
        before = f"; before it was {remembered} at {session.model_endpoint}"
        if named is not None:
            if remembered not in {None, named}:
                self._tell_once("model_elsewhere", f"model {named} at {endpoint.host}{before}")
            return named, ()
        offered = await list_offered(client, endpoint)
        if any(model.id == remembered for model in offered):
            self._tell_once("model_remembered", f"model {remembered}, as before in this conversation")
            return str(remembered), offered
        if not offered:
            raise ConfigurationError(
                f"{endpoint.host} offers no model", hint="name one with --model, or load one into the server"
            )
        first = offered[0].id
        rank = f"first of {len(offered)} " if len(offered) > 1 else ""
        self._tell(
            Notice(
                "model_chosen",
                f"using {first} ({rank}at {endpoint.host}; -m or /model changes it){before if remembered else ''}",
            )
        )
        return first, offered

    def _tell_once(self, code: str, message: str) -> None:
        if self._world.spending.is_news(message):
            self._tell(Notice(code, f"{message} (-m or /model changes it)"))


def _parameters(settings: Settings, *, embedded: bool) -> Parameters:
    temperature, max_tokens = settings.temperature, settings.max_tokens
    if embedded:
        # Warmer or longer, this small model repeats itself for thousands of tokens.
        temperature = 0.0 if temperature is None else temperature
        max_tokens = EMBEDDED_MAX_TOKENS if max_tokens is None else max_tokens
    return Parameters(
        temperature=temperature,
        top_p=settings.top_p,
        max_tokens=max_tokens,
        seed=settings.seed,
        reasoning=settings.reasoning,
        extra=settings.options,
    )


async def list_offered(client: AsyncOpenAI, endpoint: Endpoint) -> tuple[OfferedModel, ...]:
    from chatcli.client.catalog import offered_models  # noqa: PLC0415

    return await offered_models(client, endpoint, timeout_s=_CATALOG_TIMEOUT_S)


_WAYS_OUT = (
    "set a key (chatcli config login, or OPENAI_API_KEY), name a server (--base-url http://127.0.0.1:11434/v1), "
    "or use the built-in model (chatcli local setup)"
)


async def _nothing_configured() -> ConfigurationError:
    found = await find_servers()
    running = f"{found[0].name} is running here (--base-url {found[0].base_url}); or " if found else ""
    return ConfigurationError("no model is set up", hint=running + _WAYS_OUT, code="nothing_configured")


def budget_of(settings: Settings, spending: Spending, data: Path) -> Budget:
    """Return how much may be spent. ``data`` is the folder that has the ledger."""
    run = {} if settings.max_cost is None else {RUN: settings.max_cost}
    return Budget({**settings.budget, **run}, spending, Ledger(data / FILE_NAME, is_kept=settings.save))
