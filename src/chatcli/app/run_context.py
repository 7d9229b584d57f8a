"""State shared by one run of the program, the options of one call, and who pays for its requests at which prices."""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import nullcontext
from dataclasses import field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chatcli.app.threads import in_thread
from chatcli.config.endpoints import OPENAI_URL
from chatcli.config.key_commands import KeyCommands
from chatcli.config.parsers import THIS_MACHINE
from chatcli.core.event_log import EventLog
from chatcli.core.frozen import frozen
from chatcli.text.own_command import own_command
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.app.run_alerts import RunAlerts
    from chatcli.chat import Conversation
    from chatcli.client.address_guard import Resolve
    from chatcli.client.cache_access import AnswerCache
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.pool import Pool
    from chatcli.client.rate_limit import OwnLimits
    from chatcli.client.shared_limits import SharedLimits
    from chatcli.config.credentials import Credential
    from chatcli.config.paths import Paths
    from chatcli.config.settings import Settings
    from chatcli.core.call_records import CallRecorder
    from chatcli.core.events import Notice
    from chatcli.core.request import ResponseFormat
    from chatcli.cost.budget import Approve, Budget, Spending
    from chatcli.cost.charge import Cashier
    from chatcli.cost.model_table import ModelTable
    from chatcli.cost.pricing import Pricing
    from chatcli.safety.screening import Scanner, Screened
    from chatcli.sessions.session import Session
    from chatcli.telemetry.call_writer import CallWriter
    from chatcli.telemetry.otel import OtelWriter

    Notify: TypeAlias = Callable[[Notice], None]


class Shared:
    """What all conversations of a run share; each is made when it is first used: the prompt is drawn without."""

    @cached_property
    def spending(self) -> Spending:
        """What the run has spent."""
        from chatcli.cost.budget import Spending  # noqa: PLC0415

        return Spending()

    @cached_property
    def pool(self) -> Pool:
        """The endpoints in use."""
        from chatcli.client.pool import Pool  # noqa: PLC0415

        return Pool()

    @cached_property
    def call_writers(self) -> dict[tuple[object, ...], CallWriter]:
        """What writes the records of calls, by its settings."""
        return {}

    @cached_property
    def alerts(self) -> RunAlerts:
        """The alerts of the run."""
        from chatcli.app.run_alerts import RunAlerts  # noqa: PLC0415

        return RunAlerts()

    @property
    def has_alerts(self) -> bool:
        """Whether anybody watches or shows alerts."""
        return "alerts" in vars(self)

    @cached_property
    def call_exporters(self) -> dict[bool, OtelWriter | None]:
        """What exports calls, by whether they may have their texts; ``None`` where it cannot."""
        return {}

    @cached_property
    def call_observers(self) -> list[CallRecorder]:
        """What else takes the records of all calls, while this run lasts."""
        return []

    @cached_property
    def told(self) -> set[str]:
        """The warnings about settings that the person has been given: settings are read again at every change."""
        return set()

    @cached_property
    def screened(self) -> Screened:
        """What was scanned in the run."""
        from chatcli.safety.screening import Screened  # noqa: PLC0415

        return Screened()


@frozen
class RunContext:
    """The environment of a run. ``folder`` is the working directory, ``None`` if there is none.

    ``redactor`` knows every key of the run, ``key_commands`` runs the programs that print some of them.
    ``log`` takes the events of the run.
    ``resolve`` finds the addresses of web pages, ``None`` asks the system.
    ``has_configuration``: the person's own files count, as their instructions. ``scanner`` scans texts of others,
    ``None`` with the rules of chatcli itself. ``answer_caches`` are the caches of answers in use, by their settings.
    """

    environment: Mapping[str, str]
    paths: Paths
    folder: Path | None = None
    redactor: Redactor = field(default_factory=Redactor, compare=False)
    log: EventLog = field(default_factory=EventLog, compare=False)
    resolve: Resolve | None = field(default=None, compare=False)
    has_configuration: bool = True
    scanner: Scanner | None = None
    shared: Shared = field(default_factory=Shared, compare=False)
    key_commands: KeyCommands = field(default_factory=lambda: KeyCommands({}), compare=False)
    answer_caches: dict[tuple[object, ...], AnswerCache] = field(default_factory=dict, compare=False)

    @property
    def command(self) -> str:
        """What the person types to start chatcli."""
        return own_command(self.environment)

    async def key(self, credential: Credential) -> str:
        """Return the key. A command that prints it has the terminal meanwhile. Raise ``ConfigurationError``."""
        secret = credential.secret
        if (known := secret.revealed()) is not None:
            return known
        # In a thread: a keyring is slow, and both may wait for the person.
        with self.key_commands.lent() if secret.command else nullcontext():
            try:
                return await in_thread(secret.reveal)
            except CancelledError:
                self.key_commands.stop()
                raise

    @property
    def table(self) -> ModelTable:
        """The model table; read on first use."""
        return _table_in(self.paths.data)


INTERACTIVE: Final = 0
SINGLE: Final = 1
BULK: Final = 2
"""Whose requests go first where several running chatclis wait for one rate limit; the lowest does."""


@frozen
class ChatOptions:
    """Options of one call beyond the settings.

    ``session`` is a name or a path, ``resume_last`` selects the session used last. ``count_exactly`` loads
    the vocabulary even where a rough count would do; ``dry`` opens a conversation that sends and stores
    nothing. ``becomes_last`` makes it the session used last once it is asked. ``priority`` is that of its requests.
    ``unwatched``: nobody watches answers arrive. ``is_one_shot``: there is one question, and no other after it.
    ``response_format`` is the form of the answers, ``None`` for any; with ``may_have_schema`` one may be set later.
    ``caches_unsaved``: the cache of answers is used although the conversation is not saved. ``offers_similar``: the
    person can be asked whether an answer to a similar question will do. ``asks_ahead``: nobody has asked the questions yet.
    """

    session: str | None = None
    resume_last: bool = False
    embedded: bool = False
    insecure_http: bool = False
    count_exactly: bool = False
    dry: bool = False
    becomes_last: bool = True
    priority: int = SINGLE
    unwatched: bool = False
    is_one_shot: bool = False
    caches_unsaved: bool = False
    offers_similar: bool = False
    response_format: ResponseFormat | None = field(default=None, compare=False)
    may_have_schema: bool = False
    asks_ahead: bool = False


PREFETCH_USD: Final = 0.05
"""What a run may spend on questions that nobody has asked yet, unless the person says otherwise."""


DEFAULT_MODEL: Final = "gpt-5-mini"
"""The model for OpenAI's own endpoint if none is named."""


def expected_model(settings: Settings, options: ChatOptions, session: Session | None = None) -> str | None:
    """Return the name of the model a conversation will probably ask, as far as it is known without a request."""
    if is_embedded(settings, options):
        from chatcli.local.own_models import expected_model_id  # noqa: PLC0415 - it is rarely the one

        return expected_model_id(settings.local)
    if settings.base_url is None:
        return None
    if session is not None and session.model and "model" not in settings.asked_for:
        host = urlsplit(settings.base_url).netloc
        if session.model_endpoint in {None, host}:
            return session.model
    return settings.model or (DEFAULT_MODEL if settings.base_url == OPENAI_URL else None)


def is_embedded(settings: Settings, options: ChatOptions) -> bool:
    """Return whether the embedded model is asked for, by an option or by the settings."""
    return options.embedded or settings.uses_local


def is_model_set_up(settings: Settings, options: ChatOptions, context: RunContext) -> bool:
    """Whether a model is configured, or installed already."""
    if is_embedded(settings, options) or settings.credential is not None or settings.base_url is not None:
        return True
    from chatcli.local.discovery import is_embedded_ready  # noqa: PLC0415 - it is rarely the one

    return settings.unreadable_keys is None and is_embedded_ready(context.paths.local)


@cache
def _table_in(data: Path) -> ModelTable:
    # Imported on first use: the prompt needs no table.
    from chatcli.cost.model_table import FILE_NAME, ModelTable  # noqa: PLC0415

    return ModelTable(data / FILE_NAME)


def budget_of(
    settings: Settings,
    context: RunContext,
    chat: Conversation,
    approve: Approve | None = None,
    *,
    is_ahead: bool = False,
) -> Budget:
    """Return the budget of ``chat``, which pays; ``is_ahead``: for questions that nobody has asked yet."""
    # The prompt needs no budget.
    from chatcli.cost.budget import PREFETCH, RUN, Account, Budget, Payer  # noqa: PLC0415
    from chatcli.cost.ledger import FILE_NAME, Ledger  # noqa: PLC0415

    limits = {PREFETCH: PREFETCH_USD, **settings.budget}
    if not is_ahead:
        del limits[PREFETCH]
    if settings.max_cost is not None:
        limits[RUN] = settings.max_cost
    ledger = Ledger(context.paths.data / FILE_NAME, is_private=not settings.save)
    account = Account(
        context.shared.spending,
        lambda: Payer(chat.opened.name, chat.session.cost_usd, chat.session.began_at),
        approve,
        is_ahead,
    )
    return Budget(limits, account, ledger)


def pricing_at(endpoint: Endpoint, settings: Settings, context: RunContext) -> Pricing:
    """Return the prices of an endpoint's models."""
    # Imported with the first request, like the cashier.
    from chatcli.cost.pricing import Pricing  # noqa: PLC0415

    return Pricing(
        endpoint.host,
        is_free=endpoint.embedded or endpoint.runs_models,
        own=settings.prices,
        open_table=lambda: context.table,
    )


def cashier_of(
    settings: Settings,
    context: RunContext,
    chat: Conversation,
    endpoint: Endpoint,
    approve: Approve | None,
    *,
    is_ahead: bool = False,
) -> Cashier:
    """Return the cashier for the requests of ``chat`` at one endpoint."""
    from chatcli.cost.charge import Cashier  # noqa: PLC0415

    return Cashier(
        pricing_at(endpoint, settings, context),
        budget_of(settings, context, chat, approve, is_ahead=is_ahead),
        # Only a limit given for this call must hold for models of unknown price, and that of questions nobody has asked.
        requires_price=is_ahead or (settings.max_cost is not None and "max_cost" in settings.asked_for),
    )


def own_limits_of(
    settings: Settings, options: ChatOptions, context: RunContext, endpoint: Endpoint
) -> OwnLimits:
    """Return the person's rate limits for ``endpoint``, shared with other processes.

    Questions that nobody has asked yet wait until all requests of a minute take less than half of a limit.
    """
    # Imported with the first request, like the cashier.
    from chatcli.client.rate_limit import OwnLimits, Sharing  # noqa: PLC0415

    is_here = settings.limits == THIS_MACHINE
    place = str(context.paths.cache / "rate-limits.db") if is_here else settings.limits
    opened = partial(_shared_limits, place, endpoint)
    share = 2 if options.asks_ahead else 1
    requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
    return OwnLimits(
        None if requests is None else max(1, requests // share),
        None if tokens is None else max(1, tokens // share),
        settings.retry_budget_s,
        # Every process has an embedded model of its own.
        None if endpoint.embedded else Sharing(place, opened),
        options.priority,
    )


def _shared_limits(place: str, endpoint: Endpoint) -> SharedLimits:
    from chatcli.client.shared_limits import shared_limits  # noqa: PLC0415 - most runs share nothing
    from chatcli.storage.cache import key_of  # noqa: PLC0415

    return shared_limits(place, key_of(endpoint.base_url, endpoint.key or ""))
