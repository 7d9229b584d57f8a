"""Choosing a model in a conversation: by its name, an alias, or a part of either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.app.model_lists import ModelLists, part_of_a_name
from chatcli.app.run_context import pricing_at
from chatcli.config.aliases import aliases_of, is_name_of, matching
from chatcli.core.errors import ChatcliError
from chatcli.repl.commands.command import Choice, say_rows
from chatcli.text.wording import number_meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chatcli.client.catalog import OfferedModel
    from chatcli.repl.repl_session import ReplSession

_MOST_SHOWN: Final = 20


async def settle_model(repl: ReplSession, written: str) -> str | None:
    """Return the model that ``written`` means, ``None`` if the person chooses none.

    A whole name and an alias mean themselves. A part of one model's name or alias means that model; if it is part of several,
    the person chooses. A name that nothing is known of is taken as it is. Raise ``UsageError`` for a part of a name where nobody
    can be asked: a script names its model itself.
    """
    aliases = repl.settings.aliases
    found = models_meant(written, () if written in aliases else await _listed(repl, written), aliases)
    if not repl.frontend.can_ask and (*found,) != (written,):
        host = (await repl.connected()).turns.connected.endpoint.host
        raise part_of_a_name(written, list(map(repl.context.redactor.redact, found)), host)
    return found[0] if len(found) == 1 else await _chosen(repl, written, found)


def models_meant(written: str, listed: Sequence[str], aliases: Mapping[str, str]) -> Sequence[str]:
    """Return the models or the alias that ``written`` may mean, at an endpoint that lists ``listed``; never none."""
    if written in aliases or any(is_name_of(written, name) for name in listed):
        return (written,)
    # An alias wins over a model of its name, which nobody can choose then.
    names = [name for name in dict.fromkeys((*listed, *aliases.values())) if aliases.get(name, name) == name]
    same = [name for name in names if name.casefold() == written.casefold()]
    return same if len(same) == 1 else matching(written, names, aliases) or (written,)


async def split_question(repl: ReplSession, argument: str) -> tuple[str, str]:
    """Return the name of a model and the question behind it, which may be empty."""
    first, *rest = argument.split(None, 1)
    if not rest or first in repl.settings.aliases:
        return first, "".join(rest)
    # A few servers have names with blanks.
    known = (name for name in await _listed(repl, first) if f"{argument} ".startswith(f"{name} "))
    name = max(known, key=len, default=first)
    return name, argument[len(name) :].strip()


async def models_to_choose(repl: ReplSession) -> Iterable[Choice]:
    """Return the aliases with their models, then the models of the endpoint with what is known of each."""
    aliases, redact = repl.settings.aliases, repl.context.redactor.redact
    try:
        offered = await repl.connection.offered(repl.chat, repl.settings)
    except ChatcliError:
        if not aliases:
            raise
        offered = ()
    named = [Choice(alias, redact(model)) for alias, model in aliases.items() if alias != model]
    return [*named, *(Choice(redact(model.id), model_facts(repl, model)) for model in offered)]


def model_facts(repl: ReplSession, model: OfferedModel) -> str:
    """Return the aliases, the window and the price of a model."""
    pricing = pricing_at(repl.chat.turns.connected.endpoint, repl.settings, repl.context)
    known = pricing.facts_of(model.id, model.window_tokens)
    window = f"{known.window_tokens:,} tokens" if known.window_tokens else ""
    price = known.price.per_million() if known.price else ""
    return ", ".join(filter(None, (*aliases_of(model.id, repl.settings.aliases), window, price)))


async def _listed(repl: ReplSession, written: str) -> Sequence[str]:
    """Return the models the endpoint lists. It is asked unless an earlier list has a model of that name."""
    known = _known(repl)
    if any(is_name_of(written, name) for name in known):
        return known
    try:
        return [model.id for model in await repl.connection.offered(repl.chat, repl.settings)]
    except ChatcliError:
        # Not every endpoint has a list, and without a connection the change itself reports the error.
        return known


def _known(repl: ReplSession) -> Sequence[str]:
    """Return the models the endpoint listed last, in this run or an earlier one; send no request."""
    resolved, settings = repl.chat.resolved, repl.settings
    base_url = (resolved.endpoint.base_url if resolved is not None else settings.base_url) or ""
    return repl.connection.listed(base_url) or ModelLists(repl.context.paths.cache).names(base_url)


async def _chosen(repl: ReplSession, written: str, found: Sequence[str]) -> str | None:
    """Let the person choose one of several models by its number."""
    frontend, redact, aliases = repl.frontend, repl.context.redactor.redact, repl.settings.aliases
    shown = found[:_MOST_SHOWN]
    frontend.say(f"{written} is a part of {len(found):,} names:")
    say_rows(
        repl,
        [
            (f"{number}", redact(name), ", ".join(aliases_of(name, aliases)))
            for number, name in enumerate(shown, start=1)
        ],
        right={0},
    )
    if len(found) > len(shown):
        frontend.remark(f"and {len(found) - len(shown):,} more: write more of the name")
    label = f"Which? [1-{len(shown)}, Enter = none] "
    while (answer := await frontend.ask(label)) is not None and answer.strip():
        if (number := number_meant(answer, len(shown))) is not None:
            return shown[number - 1]
        if answer.strip() in found:
            return answer.strip()
        frontend.say(f"type a number from 1 to {len(shown)}")
    repl.is_unsent = True
    return None
