"""``/context``: what the model sees of the conversation, and how its window is filled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.core.context_strategies import CONTEXT_STRATEGIES
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.repl.commands.command import Choice, Command
from chatcli.repl.commands.model import models_to_choose
from chatcli.repl.context_view import (
    comparison,
    comparison_sentences,
    context_sentences,
    context_view,
    differences,
    left_out_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.chat.context_report import ContextReport
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    match argument.split():
        case []:
            await _show(talk)
        case ["use", name]:
            await _use(talk, _known(name))
        case ["-m", model]:
            await _compare(talk, model=model)
        case [name]:
            await _compare(talk, context=_known(name))
        case _:
            raise UsageError(f"/context {argument} says nothing", hint=f"/context {_ARGUMENT}")


async def _show(talk: Talk) -> None:
    chat = await talk.connected()
    report = chat.turns.report()
    _draw(talk, report)
    for line in left_out_lines(report):
        talk.surface.remark(line)
    talk.surface.remark(f"strategy {report.context}: {CONTEXT_STRATEGIES[report.context]}")
    if beyond := chat.turns.counted_beyond():
        talk.surface.remark(
            f"{chat.turns.connected.endpoint.name} counts up to {beyond:.0%} more than the vocabulary says: that is in these numbers"
        )
    prompts, cached = chat.opened.cached_tokens()
    if cached:
        talk.surface.remark(f"the provider had {cached:,} of {prompts:,} prompt tokens in its cache so far")


async def _compare(talk: Talk, **changes: object) -> None:
    chat = await talk.connected()
    now = chat.turns.report()
    async with talk.beside(**changes) as target:
        then = chat.turns.report(target)
    if now.model_name == then.model_name and now.context == then.context:
        talk.surface.remark("this strategy is already in use")
        return
    if "model" in changes:
        # Another strategy may be set for it; what is asked is what the model makes of this one.
        then = replace(then, context=now.context)
    if talk.settings.plain:
        talk.surface.say(comparison_sentences(now, then))
    else:
        talk.surface.say(comparison(now, then, talk.surface.columns()))
    for line in differences(now, then):
        talk.surface.remark(line)
    talk.surface.pause()
    _draw(talk, then)


async def _use(talk: Talk, name: str) -> None:
    await talk.change(context=name)
    talk.surface.remark(f"context: {name}, {CONTEXT_STRATEGIES[name]}")


def _draw(talk: Talk, report: ContextReport) -> None:
    columns = talk.surface.columns()
    if talk.settings.plain:
        talk.surface.say(context_sentences(report))
    else:
        talk.surface.picture(lambda theme: context_view(report, theme, columns))


def _known(name: str) -> str:
    if name not in CONTEXT_STRATEGIES:
        raise UsageError(
            f"there is no context strategy {name}", hint=f"strategies: {', '.join(CONTEXT_STRATEGIES)}"
        )
    return name


async def _choices(talk: Talk) -> Iterable[Choice]:
    strategies = [Choice(name, meaning) for name, meaning in CONTEXT_STRATEGIES.items()]
    used = [Choice(f"use {choice.text}", choice.meaning) for choice in strategies]
    try:
        models = [Choice(f"-m {choice.text}", choice.meaning) for choice in await models_to_choose(talk)]
    except ChatcliError:
        models = []  # nobody answers; strategies need nobody
    return [*strategies, *used, *models]


_ARGUMENT = "[STRATEGY | use STRATEGY | -m MODEL]"

COMMAND = Command("context", "show what the model sees, or change the strategy", _run, _ARGUMENT, _choices)
