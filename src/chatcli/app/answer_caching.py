"""The cache of answers that the settings name, and the store behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

from chatcli.config.endpoints import is_loopback
from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import LocalIOError
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.client.cache_access import AnswerCache, Caching
    from chatcli.config.settings import Settings
    from chatcli.core.ports import Embedder
    from chatcli.cost.budget import Approve
    from chatcli.storage.answer_store import AnswerStore, StoreLimits, StoreStatistics, StoreUnavailable

_OFF: Final = "off"
_MEMORY: Final = "memory"
_SQLITE: Final = "sqlite"
_MEGABYTE: Final = 1_000_000


def caching(
    settings: Settings,
    options: ChatOptions,
    context: RunContext,
    stack: AsyncExitStack,
    *,
    embedder: Callable[[str], Embedder] | None = None,
    offer: Approve | None = None,
) -> Caching | None:
    """Return the cache for a conversation, ``None`` if it has none; ``stack`` closes its store.

    What is not saved has none, unless the caller wants it. ``embedder`` returns an embedding model by its name, for the
    search of similar questions, and ``offer`` asks the person.
    """
    if settings.cache == _OFF or options.dry or not (settings.save or options.caches_unsaved):
        return None
    from chatcli.client.cache_access import Caching  # noqa: PLC0415 - nothing of it is imported while it is off

    cache = cache_in_use(settings, context)
    cache.open_until(stack)
    if options.asks_ahead:
        return Caching(cache, None, is_ahead=True)
    least, model = settings.similar, settings.embedding_model
    if embedder is None or least is None or model is None:
        return Caching(cache, None)
    from chatcli.client.similar_answers import SimilarAnswers  # noqa: PLC0415 - as above

    may_offer = offer if options.offers_similar else None
    return Caching(cache, SimilarAnswers(embedder(model), model, least=least, offer=may_offer))


def cache_in_use(settings: Settings, context: RunContext) -> AnswerCache:
    """Return the cache of a run with these settings, in which it is on."""
    # Nothing of it is imported while it is off.
    from chatcli.client.cache_access import AnswerCache  # noqa: PLC0415

    chosen = (
        *(settings.cache, settings.cache_ttl, settings.cache_size_mb, settings.cache_patience_ms),
        context.paths.cache,
    )
    cache = context.answer_caches.get(chosen)
    if cache is None:
        cache = AnswerCache(
            store_opener(settings, context),
            is_local=settings.cache in {_MEMORY, _SQLITE} or is_loopback(f"http://{_server(settings.cache)}"),
            patience_s=settings.cache_patience_ms / 1000,
        )
        context.answer_caches[chosen] = cache
    return cache


def store_opener(settings: Settings, context: RunContext) -> Callable[[], AnswerStore]:
    """Return a function that opens the store; it imports what that needs, and raises ``StoreUnavailable``."""
    from chatcli.storage.answer_store import MemoryAnswers, StoreLimits  # noqa: PLC0415

    limits = StoreLimits(settings.cache_ttl, settings.cache_size_mb * _MEGABYTE)
    if settings.cache == _MEMORY:
        memory = MemoryAnswers(limits)
        return lambda: memory
    if settings.cache == _SQLITE:
        return partial(_sqlite, context, limits)
    return partial(_redis, settings.cache, limits)


def unavailable(error: StoreUnavailable) -> LocalIOError:
    """Return the error for a command that needs the store."""
    from chatcli.storage.answer_store import StoreBusy  # noqa: PLC0415 - as above

    is_busy = isinstance(error, StoreBusy)
    return LocalIOError(
        f"the cache of answers cannot be used: {error}",
        hint="try again in a moment" if is_busy else "chatcli config show tells which one is set",
    )


def _sqlite(context: RunContext, limits: StoreLimits) -> AnswerStore:
    from chatcli.storage.answer_store import StoreUnavailable  # noqa: PLC0415
    from chatcli.storage.sqlite_answers import FILE_NAME, SqliteAnswers  # noqa: PLC0415

    try:
        folder = ensure_private_folder(context.paths.cache)
    except OSError as error:
        raise StoreUnavailable(f"{context.paths.cache}: {error.strerror or error}") from error
    return SqliteAnswers(folder / FILE_NAME, limits)


def _redis(url: str, limits: StoreLimits) -> AnswerStore:
    from chatcli.storage.redis_answers import RedisAnswers  # noqa: PLC0415

    return RedisAnswers(url, limits)


def place_of(settings: Settings, context: RunContext) -> str:
    """Return in words where the answers are, without a password."""
    if settings.cache == _MEMORY:
        return "in memory, until this run ends"
    if settings.cache != _SQLITE:
        parts = urlsplit(settings.cache)
        return f"{parts.scheme}://{_server(settings.cache)}{parts.path}"
    from chatcli.storage.sqlite_answers import FILE_NAME  # noqa: PLC0415

    return str(context.paths.cache / FILE_NAME)


class AheadCounters(NamedTuple):
    """What a cache has counted of the questions that nobody had asked yet.

    ``requests`` are those for proposals and answers, ``hits`` and ``misses`` questions that were or were not answered
    ahead when others were.
    """

    requests: int
    failed: int
    answers: int
    hits: int
    misses: int
    input_tokens: int
    output_tokens: int
    cost_usd: float

    @classmethod
    def of(cls, counters: Mapping[str, float]) -> Self:
        amounts = {name: counters.get(f"ahead_{name}", 0) for name in cls._fields}
        return cls(
            **{name: int(amount) for name, amount in amounts.items() if name != "cost_usd"},
            cost_usd=amounts["cost_usd"],
        )

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Rows for the table of statistics."""
        asked = counted(self.hits + self.misses, "question")
        rows = [
            ("ahead", f"{counted(self.answers, 'answer')}, ${self.cost_usd:,.4f}"),
            ("", f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out"),
            ("", f"used for {self.hits:,} of {asked}"),
        ]
        failed = f"{self.failed:,} of {counted(self.requests, 'request')} failed"
        return [*rows, ("", failed)] if self.failed else rows


def _server(url: str) -> str:
    """Return host and port of a URL, without a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def statistics_rows(statistics: StoreStatistics, place: str, settings: Settings) -> list[tuple[str, str]]:
    """Return what a cache holds and has saved, as rows of a table."""
    counters = statistics.counters
    hits, misses = int(counters.get("hits", 0)), int(counters.get("misses", 0))
    sent, answered = (int(counters.get(f"saved_{kind}_tokens", 0)) for kind in ("input", "output"))
    looked_up = hits + misses
    share = f" ({hits / looked_up:.0%})" if looked_up else ""
    rows = [
        ("cache", place),
        ("answers", f"{statistics.answers:,}"),
        ("size", f"{statistics.size_bytes / _MEGABYTE:,.1f} of {settings.cache_size_mb:,} MB"),
        ("hits", f"{hits:,} of {counted(looked_up, 'question')}{share}"),
        ("saved", f"${counters.get('saved_usd', 0.0):,.4f}"),
        ("", f"{sent:,} tokens in, {answered:,} out"),
    ]
    ahead = AheadCounters.of(counters)
    return [*rows, *ahead.rows] if any(ahead) else rows
