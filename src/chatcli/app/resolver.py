"""Resolution of the model: endpoint, name, window, parameters and the client's pipeline."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chatcli.app.model_lists import FILE_NAME, ModelLists, list_offered, refuse_part
from chatcli.app.request_contents import Guards, guards_of, request_contents
from chatcli.app.run_context import BULK, DEFAULT_MODEL, cashier_of, own_limits_of
from chatcli.app.windows import WindowFinder
from chatcli.chat.resolved_model import ResolvedModel, usd_of
from chatcli.client.endpoint import Endpoint, proxy_for
from chatcli.config.endpoints import OPENAI_URL, is_loopback, refuse_key_in_clear, with_version
from chatcli.conversation.counting import EstimatingCounter, loaded_counter
from chatcli.conversation.long_input.how import LongInput
from chatcli.conversation.turn_vectors import TurnVectors
from chatcli.core.call_records import ANSWER
from chatcli.core.errors import ConfigurationError, RequestRefused
from chatcli.core.events import Notice, Usage
from chatcli.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.chat import Conversation
    from chatcli.client.cache_access import Caching
    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint_facts import EndpointFacts
    from chatcli.client.pool import PoolEntry
    from chatcli.client.retry import Fallback, InterruptibleSleep
    from chatcli.config.settings import Settings
    from chatcli.core.call_records import CallRecorder
    from chatcli.core.ports import ChatModel, Embedder
    from chatcli.cost.budget import Approve
    from chatcli.cost.charge import Cashier
    from chatcli.local.weights import Weights


_NOT_FOUND = 404


class _Terms(NamedTuple):
    """How the models of one endpoint are used for one conversation."""

    entry: PoolEntry
    facts: EndpointFacts
    pause: InterruptibleSleep
    cashier: Cashier
    guards: Guards


class ModelResolver:
    """Resolves the model and connects to it.

    ``stack`` closes the connections. ``approve`` asks the person about requests that would exceed a budget,
    ``None`` if nobody can be asked.
    """

    def __init__(
        self,
        settings: Settings,
        options: ChatOptions,
        context: RunContext,
        notify: Notify,
        stack: AsyncExitStack,
        *,
        approve: Approve | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._context = context
        self._notify = notify
        self._stack = stack
        self._approve = approve
        self._fallbacks: dict[str, tuple[ChatModel, str]] = {}

    async def resolve(self, chat: Conversation) -> ResolvedModel:
        """Return the model for ``chat``, whose budget pays; raise a ``ChatcliError`` if there is none."""
        settings = self._settings
        self._caching()  # its store is opened in a thread meanwhile
        entry = await self.connected(await self.endpoint())
        offered: tuple[OfferedModel, ...] = ()
        embedded = self._embedded_model() if entry.endpoint.embedded else None
        if embedded is not None:
            from chatcli.app.embedded_endpoint import embedded_window  # noqa: PLC0415 - it is rarely the one

            name, window_tokens = embedded.model, embedded_window(settings, embedded)
        else:
            entry, name, offered = await self._with_model(chat.session, entry)
            window_tokens = settings.window_for(name) or await WindowFinder(
                entry, self._facts(entry).windows, table=self._context.table, notify=self._notify
            ).window_tokens(name, offered)
        from chatcli.client.retry import InterruptibleSleep  # noqa: PLC0415 - as in ``_model``

        endpoint, terms = entry.endpoint, self._terms(chat, entry, InterruptibleSleep())
        pricing = terms.cashier.pricing
        # Where nobody can ask for the rest of an answer, the layer has nothing to do.
        asks_once = self._options.unwatched or self._options.is_one_shot
        auto_continue = None if asks_once and not settings.auto_continue else settings.auto_continue
        model = self._model(
            terms,
            # Each row of a batch may name its own.
            names=None if self._options.unwatched else {name, settings.summary_model or name},
            fallbacks=self._fallbacks_of(chat, terms),
            auto_continue=auto_continue,
            may_offer=True,
        )
        contents = request_contents(settings, self._context, self._notify, embedded=embedded)
        return ResolvedModel(
            model=model,
            model_name=name,
            window_tokens=window_tokens,
            parameters=contents.parameters,
            endpoint=endpoint,
            retry_now=terms.pause.cut_short,
            default_system=None if embedded is None else embedded.system,
            pricing=pricing,
            budget=terms.cashier.budget,
            context=settings.context,
            counts=terms.facts.counts,
            summary_model=None if endpoint.embedded else settings.summary_model,
            turn_vectors=self._turn_vectors(terms),
            long_input=LongInput(
                settings.long,
                settings.long_concurrency,
                self._context.paths.cache / "long-texts" if settings.save else None,
                lambda usage: usd_of(pricing, usage, name),
                terms.cashier.check_total if terms.cashier.budget.limits else None,
            ),
            separates_reasoning=settings.thoughts_in_text != "off",
            listed=tuple(model.id for model in offered),
            instructions=contents.instructions,
            as_sent=terms.guards.frames.message,
            screen=terms.guards.screen,
            early=entry,
            look_up_early=getattr(model, "look_up_early", None),
            open_ahead=partial(self._ahead_model, chat, entry),
            log=self._context.log,
        )

    async def _with_model(
        self, session: Session, entry: PoolEntry
    ) -> tuple[PoolEntry, str, tuple[OfferedModel, ...]]:
        """Return the result of ``model``; retry at ``/v1`` if the address lacks it and nothing is found there."""
        endpoint = entry.endpoint
        try:
            return entry, *(await self.model(session, entry))
        except RequestRefused as error:
            versioned = with_version(endpoint.base_url)
            if error.status != _NOT_FOUND or versioned is None:
                raise
            there = await self.connected(replace(endpoint, base_url=versioned))
            try:
                found = await self.model(session, there)
            except RequestRefused:
                raise error from None
            notice = f"{endpoint.host} answers at /v1; set base_url to {versioned}"
            self._notify(Notice("base_url_completed", notice))
            return there, *found

    def _terms(self, chat: Conversation, entry: PoolEntry, pause: InterruptibleSleep) -> _Terms:
        return _Terms(
            entry,
            self._facts(entry),
            pause,
            cashier_of(
                *(self._settings, self._context, chat, entry.endpoint, self._approve),
                is_ahead=self._options.asks_ahead,
            ),
            guards_of(self._settings, self._context, may_write=not self._options.dry),
        )

    def _model(
        self,
        terms: _Terms,
        *,
        names: Collection[str] | None = None,
        fallbacks: Sequence[Fallback] = (),
        auto_continue: int | None = None,
        may_offer: bool = False,
    ) -> ChatModel:
        """Return one model of one endpoint, with its complete pipeline; it is asked by ``names``, ``None`` for any."""
        # Importing openai takes half a second: only when a request is certain.
        from chatcli.client.pipeline import ModelOptions, build_model  # noqa: PLC0415
        from chatcli.cost.budgeted_model import BudgetedModel  # noqa: PLC0415

        settings, counter = self._settings, EstimatingCounter()
        return build_model(
            terms.entry,
            ModelOptions(
                api=settings.api,
                streamed=settings.stream,
                facts=terms.facts,
                counter=counter,
                sleep=terms.pause.sleep,
                own_limits=own_limits_of(settings, self._options, self._context, terms.entry.endpoint),
                retries=settings.retries,
                retry_budget_s=settings.retry_budget_s,
                separates_reasoning=settings.thoughts_in_text != "off",
                frames=terms.guards.frames,
                budget=partial(
                    BudgetedModel,
                    cashier=terms.cashier,
                    count=counter.count,
                    counter_of=loaded_counter,
                    share=terms.facts.counts.share,
                ),
                fallbacks=fallbacks,
                auto_continue=auto_continue,
                screen=terms.guards.screen,
                is_unwatched=self._options.unwatched,
                caching=self._caching(terms if may_offer else None),
                abilities=self._abilities(terms.entry.endpoint),
                marks_prompts=settings.prompt_caching
                and (names is None or any("claude" in name.lower() for name in names)),
                open_recorder=lambda: self._recorder,
                profile=settings.profile or "",
                operation=self._operation,
                log=self._context.log,
            ),
        )

    def _abilities(self, endpoint: Endpoint) -> Callable[[str], frozenset[str] | None] | None:
        """Return what the model table knows a model can do, ``None`` if no answer is to fit a schema."""
        options, context = self._options, self._context
        if options.response_format is None and not options.may_have_schema:
            return None
        return lambda model: context.table.abilities(endpoint.host, model)

    def _ahead_model(self, chat: Conversation, entry: PoolEntry) -> ChatModel:
        """Return the model for questions that nobody has asked yet; see ``ResolvedModel.open_ahead``."""
        from chatcli.client.retry import InterruptibleSleep  # noqa: PLC0415 - as in ``_model``

        settings = replace(self._settings, retries=0, fallback=())
        options = replace(self._options, priority=BULK, asks_ahead=True)
        resolver = ModelResolver(settings, options, self._context, lambda _: None, self._stack)
        return resolver._model(resolver._terms(chat, entry, InterruptibleSleep()))

    def _caching(self, terms: _Terms | None = None) -> Caching | None:
        """Return the cache of answers, ``None`` if it is off; with ``terms``, it is searched for similar questions."""
        if self._settings.cache == "off":
            return None
        from chatcli.app.answer_caching import caching  # noqa: PLC0415 - most runs have no cache

        embedder = None if terms is None or terms.entry.endpoint.embedded else partial(self._embedder, terms)
        given = self._settings, self._options, self._context, self._stack
        return caching(*given, embedder=embedder, offer=self._approve)

    def _turn_vectors(self, terms: _Terms) -> TurnVectors | None:
        model, endpoint = self._settings.embedding_model, terms.entry.endpoint
        if model is None or endpoint.embedded or self._settings.context != "recall":
            return None
        return TurnVectors(self._embedder(terms, model))

    def _embedder(self, terms: _Terms, model: str) -> Embedder:
        from chatcli.client.call_recording import Recording  # noqa: PLC0415 - as in ``_model``
        from chatcli.client.embeddings import EndpointEmbedder  # noqa: PLC0415
        from chatcli.cost.charge import EmbeddingCharges  # noqa: PLC0415

        pricing, profile = terms.cashier.pricing, self._settings.profile or ""
        return EndpointEmbedder(
            terms.entry,
            model,
            EmbeddingCharges(terms.cashier, model, EstimatingCounter().count, self._notify),
            Recording(terms.entry.endpoint, lambda: self._recorder, profile, log=self._context.log),
            cost_of=lambda tokens: usd_of(pricing, Usage(tokens, 0), model),
        )

    @cached_property
    def _recorder(self) -> CallRecorder | None:
        from chatcli.app.call_keeping import recorder_of  # noqa: PLC0415 - after the first call, not before it

        return recorder_of(self._settings, self._options, self._context, self._stack, self._notify)

    @property
    def _operation(self) -> str:
        """What answers are for, as records of calls name it."""
        return "batch" if self._options.unwatched else "ahead" if self._options.asks_ahead else ANSWER

    def _facts(self, entry: PoolEntry) -> EndpointFacts:
        return entry.facts(self._context.paths.cache, is_kept=self._settings.save)

    def _fallbacks_of(self, chat: Conversation, terms: _Terms) -> list[Fallback]:
        """Return the fallbacks of the model: other models of the endpoint, and profiles with their own endpoint."""
        if not self._settings.fallback:
            return []
        from chatcli.client.retry import Fallback  # noqa: PLC0415 - as in ``_model``

        profiles = self._settings.fallback_profiles

        def opening(name: str) -> Callable[[], Awaitable[tuple[ChatModel, str]]]:
            async def open_profile() -> tuple[ChatModel, str]:
                return await self._profile(name, chat, terms.pause)

            async def same_endpoint() -> tuple[ChatModel, str]:
                if name not in self._fallbacks:
                    self._fallbacks[name] = self._model(terms), name
                return self._fallbacks[name]

            return open_profile if name in profiles else same_endpoint

        return [Fallback(name, opening(name)) for name in self._settings.fallback]

    async def _profile(
        self, name: str, chat: Conversation, pause: InterruptibleSleep
    ) -> tuple[ChatModel, str]:
        """Return the model of a fallback profile and its name there. The profile is opened once."""
        if name not in self._fallbacks:
            settings = self._settings.fallback_profiles[name]
            options = replace(self._options, embedded=False)
            resolver = ModelResolver(
                settings, options, self._context, self._notify, self._stack, approve=self._approve
            )
            entry = await resolver.connected(await resolver.endpoint())
            if entry.endpoint.embedded:
                model = resolver._embedded_model().model
            else:
                model = (await resolver.model(Session(), entry))[0]
            self._fallbacks[name] = resolver._model(resolver._terms(chat, entry, pause)), model
        return self._fallbacks[name]

    def _embedded_model(self) -> Weights:
        from chatcli.app.embedded_endpoint import embedded_model  # noqa: PLC0415 - it is rarely the one

        return embedded_model(self._settings, self._context)

    async def connected(self, endpoint: Endpoint) -> PoolEntry:
        """Return the connected pool entry of ``endpoint``, or raise a ``ConfigurationError``."""
        return await self._context.shared.pool.connected(endpoint, self._context.environment, self._stack)

    async def endpoint(self) -> Endpoint:
        settings = self._settings
        if self._options.embedded or settings.uses_local or settings.base_url is None:
            from chatcli.app.embedded_endpoint import embedded_endpoint  # noqa: PLC0415 - it is rarely the one

            given = self._settings, self._options, self._context, self._stack
            return await embedded_endpoint(*given, notify=self._notify)
        credential = settings.credential
        if credential is not None:
            refuse_key_in_clear(settings.base_url, accepted=self._options.insecure_http)
        base_url = settings.base_url
        if runs_models_itself(base_url):
            # Their native interfaces are at the root, so the address is unambiguous.
            base_url = with_version(base_url) or base_url
        endpoint = endpoint_at(
            base_url,
            settings,
            self._context,
            key=None if credential is None else await self._context.key(credential),
            # Several stored keys have the same name.
            withheld=tuple(dict.fromkeys(credential.name for credential in settings.withheld)),
        )
        if endpoint.is_openai and credential is None:
            if settings.unreadable_keys is not None:
                raise settings.unreadable_keys
            from chatcli.app.embedded_endpoint import WAYS_OUT  # noqa: PLC0415 - as above

            raise ConfigurationError(f"no key is set for {endpoint.host}", hint=WAYS_OUT, code="no_key")
        return endpoint

    async def model(self, session: Session, entry: PoolEntry) -> tuple[str, tuple[OfferedModel, ...]]:
        """Return the model to ask, and the models the endpoint offers if it had to list them."""
        endpoint = entry.endpoint
        named = self._settings.model
        if named is None and endpoint.is_openai:
            named = DEFAULT_MODEL
        remembered = None if "model" in self._settings.asked_for else session.model
        if remembered is not None and session.model_endpoint in {None, endpoint.host}:
            if remembered != named:
                self._notify_once("model_remembered", f"model {remembered}, as before in this conversation")
            return remembered, ()
        # Another endpoint may not have the model, or have another one of that name.
        before = f"; before it was {remembered} at {session.model_endpoint}"
        if named is not None:
            await self._refuse_part(named, entry)
            if remembered not in {None, named}:
                self._notify_once("model_elsewhere", f"model {named} at {endpoint.host}{before}")
            return named, ()
        offered = await list_offered(entry, self._lists())
        if any(model.id == remembered for model in offered):
            self._notify_once("model_remembered", f"model {remembered}, as before in this conversation")
            return str(remembered), offered
        if not offered:
            raise ConfigurationError(
                f"{endpoint.host} offers no model", hint="name one with --model, or load one into the server"
            )
        first = offered[0].id
        rank = f"first of {len(offered)} " if len(offered) > 1 else ""
        self._notify(
            Notice(
                "model_chosen",
                f"using {first} ({rank}at {endpoint.host}; -m or /model changes it){before if remembered else ''}",
            )
        )
        return first, offered

    async def _refuse_part(self, named: str, entry: PoolEntry) -> None:
        """Raise ``UsageError`` if ``named`` is only a part of a name; what an alias leads to is a whole one."""
        is_whole = self._settings.model is None or named in self._settings.aliases.values()
        if not is_whole and (self._context.paths.cache / FILE_NAME).exists():
            await refuse_part(named, entry, self._lists())

    def _lists(self) -> ModelLists:
        return ModelLists(self._context.paths.cache, is_kept=self._settings.save)

    def _notify_once(self, code: str, message: str) -> None:
        if self._context.shared.spending.is_first_report(message):
            self._notify(Notice(code, f"{message} (-m or /model changes it)"))


def endpoint_at(
    base_url: str, settings: Settings, context: RunContext, *, key: str | None, withheld: tuple[str, ...] = ()
) -> Endpoint:
    """Return the endpoint at ``base_url``; raise a ``ConfigurationError`` for an invalid proxy."""
    loopback = is_loopback(base_url)
    # The API version is set for one endpoint: the configured one or, if there is none, the one about to be
    # configured.
    versioned = base_url == settings.base_url or (settings.base_url is None and base_url != OPENAI_URL)
    return Endpoint(
        base_url=base_url,
        key=key,
        loopback=loopback,
        withheld=withheld,
        timeout_s=settings.timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        largest_answer_mb=settings.largest_answer_mb,
        proxy=None if loopback else proxy_for(base_url, context.environment),
        ca_bundle=settings.ca_bundle,
        api_version=settings.api_version if versioned else None,
        runs_models=runs_models_itself(base_url),
    )


def runs_models_itself(base_url: str) -> bool:
    """Return whether a valid URL names a port that only a model server uses.

    Others may forward requests for money.
    """
    port = urlsplit(base_url).port
    if port is None:
        return False
    from chatcli.local.discovery import WELL_KNOWN  # noqa: PLC0415 - most endpoints name no port

    return any(server.runs_models and server.port == port for server in WELL_KNOWN) and is_loopback(base_url)
