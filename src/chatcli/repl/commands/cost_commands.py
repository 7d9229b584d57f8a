"""Slash commands for tokens and cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from wcwidth import width

from chatcli.app.run_context import PREFETCH_USD, budget_of
from chatcli.core.errors import UsageError
from chatcli.cost.budget import DAY, MONTH, PREFETCH, RUN, SESSION
from chatcli.cost.ledger import Total, total
from chatcli.cost.price import limit_of
from chatcli.render.text_columns import hanging, sentences, table
from chatcli.repl.commands.command import Choice, Command, say_rows
from chatcli.repl.commands.context_commands import CONTEXT
from chatcli.text.wording import counted, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.cost.budget import Budget
    from chatcli.cost.ledger import Expense
    from chatcli.cost.price import Price
    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.records import ReplyMetadata

    _Row: TypeAlias = tuple[str, str, str]
    """Label, amount, and note."""

_ON_OFF: Final = {"on": True, "off": False}
_CACHE_PATIENCE_S: Final = 5.0
_GAP: Final = 2
_PRIVATE: Final = "not saved"
"""The label of what runs with ``--no-save`` have spent: the ledger has no model of theirs."""
_WHOLE: Final = 10_000


async def _cost(repl: ReplSession, _: str) -> None:
    budget = budget_of(repl.settings, repl.context, repl.chat)
    try:
        prefetch_usd = Decimal(str(repl.settings.budget.get(PREFETCH, PREFETCH_USD)))
        rows = [
            *_periods(repl.chat, budget, prefetch_usd),
            *_prompt_cache(repl.chat),
            *_models(budget.month()),
        ]
    except OSError as error:
        repl.frontend.remark(f"cannot read {budget.ledger.path}: {error.strerror or error}")
        rows = list(_conversation(repl.chat, {}))
    if repl.settings.plain:
        repl.frontend.say(sentences(map(_spoken, rows)))
    else:
        repl.frontend.say(_fitted(rows, repl.frontend.columns()))
    if repl.chat.resolved is not None:
        repl.frontend.remark(_price(repl.chat.resolved))


def _spoken(row: _Row) -> tuple[str, ...]:
    what, amount, note = row
    return (what, f"{amount} {note}") if note.startswith("of ") else row


def _fitted(rows: Sequence[_Row], columns: int) -> str:
    """Return the rows as a table; if they do not fit, notes on an amount go below it."""
    whole = table(rows, max(columns, _WHOLE), right={1})
    if all(width(line) <= columns for line in whole.split("\n")):
        return whole
    # The end of a long name distinguishes models.
    room = columns - max(width(amount) for _, amount, _ in rows) - _GAP
    names = [what if width(what) <= room else f"…{what[-max(1, room - 1) :]}" for what, _, _ in rows]
    heads = table([(name, row[1]) for name, row in zip(names, rows, strict=True)], columns, right={1})
    lines = []
    for head, (_, _, note) in zip(heads.split("\n"), rows, strict=True):
        lines += [head, *(hanging("  ", note, columns) if note else ())]
    return "\n".join(lines)


def _periods(chat: Conversation, budget: Budget, prefetch_usd: Decimal) -> Iterator[_Row]:
    limits = budget.limits_usd
    session_usd = budget.spent_in_session() if SESSION in limits else Decimal(0)
    yield from _conversation(chat, limits, session_usd)
    if RUN in limits:
        run_usd = budget.spending.run_usd
        yield "this run", dollars(run_usd) if run_usd else "nothing", _of(limits.get(RUN))
    if ahead_usd := budget.spending.ahead_usd:
        yield "asked ahead", dollars(ahead_usd), _of(prefetch_usd)
    for what, period, spent in (
        ("today", DAY, _spent(budget.spent_today())),
        ("this month", MONTH, _spent(budget.spent_this_month())),
    ):
        yield what, _amount(spent), _notes(_of(limits.get(period)), _unknown(spent, "request"))


def _conversation(
    chat: Conversation, limits: Mapping[str, Decimal], session_usd: Decimal = Decimal(0)
) -> Iterator[_Row]:
    """Yield what the conversation cost; ``session_usd`` is what its limit counts, more than its answers show."""
    context = chat.session.context()
    if context and (last := context[-1].reply) is not None:
        yield "this answer", _amount(_of_replies([last])), ""
    spent = _of_replies([record.reply for record in chat.session.messages() if record.reply is not None])
    if session_usd > (spent.usd if spent else 0):
        spent = Total(session_usd, spent.unknown if spent else 0)
    yield "this session", _amount(spent), _notes(_of(limits.get(SESSION)), _unknown(spent, "answer"))


def _prompt_cache(chat: Conversation) -> Iterator[_Row]:
    """Yield what the provider's cache of prompts saved in this conversation, if it says that it has one."""
    replies = [record.reply for record in chat.session.messages() if record.reply is not None]
    usages = [
        (reply.model, reply.usage)
        for reply in replies
        if reply.usage is not None and reply.usage.is_cache_possible and reply.cost_usd != 0
    ]
    read = sum(usage.cached_tokens or 0 for _, usage in usages)
    written = sum(usage.cache_write_tokens or 0 for _, usage in usages)
    if not read and not written:
        return
    pricing = chat.resolved and chat.resolved.pricing
    saved, amount = Decimal(0), "unknown"
    if pricing:
        for model, usage in usages:
            uncached = replace(usage, cached_tokens=None, cache_write_tokens=None)
            costs = [pricing.cost_of(each, model or "") for each in (uncached, usage)]
            if None in costs:
                break
            saved += (costs[0] or 0) - (costs[1] or 0)
        else:
            amount = f"{'-' if saved < 0 else ''}{dollars(abs(saved)) if saved else 'nothing'}"
    notes = ((read, "tokens read" if read else ""), (written, "written" if read else "tokens written"))
    yield "prompt cache saved", amount, ", ".join(f"{tokens:,} {what}" for tokens, what in notes if tokens)


def _models(expenses: Iterable[Expense]) -> Iterator[_Row]:
    """Yield the cost of each model this month, the dearest first."""
    by_model: dict[str, list[Expense]] = {}
    for expense in expenses:
        by_model.setdefault(expense.model, []).append(expense)
    totals = sorted(((total(some), model) for model, some in by_model.items()), reverse=True)
    for spent, model in totals:
        yield model or _PRIVATE, _amount(spent), _notes("this month", _unknown(spent, "request"))


def _spent(total: Total) -> Total | None:
    """Return the sum, ``None`` if nothing was spent: free requests are not in the ledger."""
    return total if total.usd or total.unknown else None


def _of_replies(replies: Sequence[ReplyMetadata]) -> Total | None:
    """Return the total cost of the answers, ``None`` if there are none."""
    costs = [reply.cost_usd for reply in replies]
    known = [Decimal(str(cost_usd)) for cost_usd in costs if cost_usd is not None]
    return Total(sum(known, Decimal(0)), len(costs) - len(known)) if costs else None


def _amount(spent: Total | None) -> str:
    if spent is None:
        return "nothing"
    return "unknown" if spent.unknown and not spent.usd else dollars(spent.usd)


def _of(limit: Decimal | None) -> str:
    return "" if limit is None else f"of {limit_of(limit)}"


def _unknown(spent: Total | None, what: str) -> str:
    if spent is None or not spent.unknown:
        return ""
    return f"{counted(spent.unknown, what)} at an unknown price"


def _notes(*notes: str) -> str:
    return ", ".join(filter(None, notes))


def _price(resolved: ResolvedModel) -> str:
    model = resolved.model_name
    in_force = resolved.pricing.price_of(model) if resolved.pricing else None
    if in_force is None:
        return f'price of {model} at {resolved.endpoint.host}: unknown; set [prices."{model}"] in config.toml'
    if in_force.price.is_free:
        return f"{model} is free: {in_force.source}"
    return f"price of {model}: {_per_million(in_force.price)} per million tokens ({in_force.source})"


def _per_million(price: Price) -> str:
    kinds = (("in", price.input), ("cached", price.cached), ("out", price.output))
    parts = [f"{'unknown' if usd is None else dollars(usd)} {kind}" for kind, usd in kinds]
    longer = f", up to {price.up_to_tokens:,} tokens" if price.up_to_tokens else ""
    return ", ".join(parts) + longer


async def _cache(repl: ReplSession, argument: str) -> None:
    settings = repl.settings
    if argument not in {"", "stats", "clear"}:
        raise UsageError(f"/cache does not know {argument}", hint="use /cache stats or /cache clear")
    if settings.cache == "off":
        repl.frontend.remark("the cache of answers is off; /config cache on turns it on for this run")
        return
    # Imported on first use: most conversations have no cache.
    from chatcli.app.answer_caching import cache_in_use, place_of, statistics_rows, unavailable  # noqa: PLC0415
    from chatcli.storage.answer_store import StoreUnavailable  # noqa: PLC0415

    cache = cache_in_use(settings, repl.context)
    try:
        if argument == "clear":
            cleared = await cache.run(lambda store: store.clear(), patience_s=_CACHE_PATIENCE_S)
            repl.frontend.remark(f"cleared {counted(cleared, 'cached answer')}")
            return
        statistics = await cache.run(lambda store: store.statistics(), patience_s=_CACHE_PATIENCE_S)
    except StoreUnavailable as error:
        raise unavailable(error) from error
    say_rows(repl, statistics_rows(statistics, place_of(settings, repl.context), settings))
    if not settings.save:
        repl.frontend.remark("this conversation is not saved, so nothing of it is cached")


async def _cache_choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice("stats"), Choice("clear", "delete every answer")]


async def _verbose(repl: ReplSession, argument: str) -> None:
    if argument and argument not in _ON_OFF:
        raise UsageError(f"/verbose cannot be {argument}", hint="use on or off, or nothing to toggle it")
    repl.verbose = _ON_OFF.get(argument, not repl.verbose)
    repl.frontend.remark(f"tokens and times after each answer: {'on' if repl.verbose else 'off'}")


async def _verbose_choices(repl: ReplSession) -> Iterable[Choice]:
    return [Choice("off" if repl.verbose else "on")]


COMMANDS: Final = (
    replace(CONTEXT, name="tokens", summary="same as /context"),
    Command("cost", "show what was spent, and the prices", _cost),
    Command(
        "cache",
        "show what the cache of answers holds and saved, or clear it",
        _cache,
        "[stats|clear]",
        _cache_choices,
    ),
    Command(
        "verbose", "show tokens and times after each answer (on/off)", _verbose, "[on|off]", _verbose_choices
    ),
)
