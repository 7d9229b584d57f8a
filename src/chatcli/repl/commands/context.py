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
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    match argument.split():
        case []:
            await _show(repl)
        case ["use", name]:
            await _use(repl, _known(name))
        case ["-m", model]:
            await _compare(repl, model=model)
        case [name]:
            await _compare(repl, context=_known(name))
        case _:
            raise UsageError(f"/context {argument} says nothing", hint=f"/context {_ARGUMENT}")


async def _show(repl: ReplSession) -> None:
    chat = await repl.connected()
    report = chat.turns.report()
    _draw(repl, report)
    for line in left_out_lines(report):
        repl.frontend.remark(line)
    repl.frontend.remark(f"strategy {report.context}: {CONTEXT_STRATEGIES[report.context]}")
    if beyond := chat.turns.counted_beyond():
        repl.frontend.remark(
            f"{chat.turns.connected.endpoint.name} counts up to {beyond:.0%} more than the vocabulary says: that is in these numbers"
        )
    prompts, cached = chat.opened.cached_tokens()
    if cached:
        repl.frontend.remark(f"the provider had {cached:,} of {prompts:,} prompt tokens in its cache so far")


async def _compare(repl: ReplSession, **changes: object) -> None:
    chat = await repl.connected()
    now = chat.turns.report()
    async with repl.beside(**changes) as target:
        then = chat.turns.report(target)
    if now.model_name == then.model_name and now.context == then.context:
        repl.frontend.remark("this strategy is already in use")
        return
    if "model" in changes:
        # Another strategy may be set for it; what is asked is what the model makes of this one.
        then = replace(then, context=now.context)
    if repl.settings.plain:
        repl.frontend.say(comparison_sentences(now, then))
    else:
        repl.frontend.say(comparison(now, then, repl.frontend.columns()))
    for line in differences(now, then):
        repl.frontend.remark(line)
    repl.frontend.pause()
    _draw(repl, then)


async def _use(repl: ReplSession, name: str) -> None:
    await repl.change(context=name)
    repl.frontend.remark(f"context: {name}, {CONTEXT_STRATEGIES[name]}")


def _draw(repl: ReplSession, report: ContextReport) -> None:
    columns = repl.frontend.columns()
    if repl.settings.plain:
        repl.frontend.say(context_sentences(report))
    else:
        repl.frontend.picture(lambda theme: context_view(report, theme, columns))


def _known(name: str) -> str:
    if name not in CONTEXT_STRATEGIES:
        raise UsageError(
            f"there is no context strategy {name}", hint=f"strategies: {', '.join(CONTEXT_STRATEGIES)}"
        )
    return name


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    strategies = [Choice(name, meaning) for name, meaning in CONTEXT_STRATEGIES.items()]
    used = [Choice(f"use {choice.text}", choice.meaning) for choice in strategies]
    try:
        models = [Choice(f"-m {choice.text}", choice.meaning) for choice in await models_to_choose(repl)]
    except ChatcliError:
        models = []  # nobody answers; strategies need nobody
    return [*strategies, *used, *models]


_ARGUMENT = "[STRATEGY | use STRATEGY | -m MODEL]"

COMMAND = Command("context", "show what the model sees, or change the strategy", _run, _ARGUMENT, _choices)
