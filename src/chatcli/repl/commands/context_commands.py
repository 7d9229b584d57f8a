"""Slash commands for the model's context: strategy and summary, pinned and dropped turns, notes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.strategy_table import CONTEXT_STRATEGIES
from chatcli.repl.commands.command import (
    NO_QUESTION_YET,
    Choice,
    Command,
    has_question,
    say_rows,
    whole_number,
)
from chatcli.repl.commands.model_choice import models_to_choose, settle_model
from chatcli.repl.context_view import (
    comparison,
    comparison_sentences,
    context_sentences,
    context_view,
    differences,
    imported_lines,
    left_out_lines,
    suspicion_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.chat.context_report import ContextReport
    from chatcli.chat.memory import NumberedTurn
    from chatcli.repl.repl_session import ReplSession


_CONTEXT_ARGUMENT: Final = "[STRATEGY | use STRATEGY | -m MODEL]"
_EDIT: Final = "edit"
_NONE: Final = "none"
_NO_SUMMARY: Final = "no summary yet; /context use summarize turns it on"
_FEWEST_TURNS: Final = 2
_STRATEGY: Final = "summarize"
_SHOWN_CHARACTERS: Final = 60
_MOST_CHOICES: Final = 200
"""Only the newest turns of a long conversation are offered; every number can be typed."""
_REMOVED_NOTE: Final = re.compile(r"-\s*(\d{1,9})")


async def _context(repl: ReplSession, argument: str) -> None:
    match argument.split():
        case []:
            await _show_context(repl)
        case ["use", name]:
            await _use_strategy(repl, _strategy_named(name))
        case ["-m", model]:
            if (meant := await settle_model(repl, model)) is not None:
                await _compare_contexts(repl, model=meant)
        case [name]:
            await _compare_contexts(repl, context=_strategy_named(name))
        case _:
            raise UsageError(f"/context {argument} says nothing", hint=f"/context {_CONTEXT_ARGUMENT}")


async def _show_context(repl: ReplSession) -> None:
    chat = await repl.connected()
    report = chat.turns.report()
    _draw_context(repl, report)
    for line in (*left_out_lines(report), *imported_lines(report), *suspicion_lines(report)):
        repl.frontend.remark(line)
    repl.frontend.remark(f"strategy {report.context}: {CONTEXT_STRATEGIES[report.context].summary}")
    if beyond := chat.turns.counted_beyond():
        repl.frontend.remark(
            f"{chat.turns.connected.endpoint.name} counts up to {beyond:.0%} more than the vocabulary says: that is in these numbers"
        )
    prompts, cached = chat.opened.cached_tokens()
    if cached:
        repl.frontend.remark(f"the provider had {cached:,} of {prompts:,} prompt tokens in its cache so far")


async def _compare_contexts(repl: ReplSession, **changes: object) -> None:
    chat = await repl.connected()
    now = chat.turns.report()
    async with repl.beside(**changes) as resolved:
        then = chat.turns.report(resolved)
    if now.model_name == then.model_name and now.context == then.context:
        repl.frontend.remark("this strategy is already in use")
        return
    if "model" in changes:
        # Another model may have another strategy configured; compare with the current one.
        then = replace(then, context=now.context)
    if repl.settings.plain:
        repl.frontend.say(comparison_sentences(now, then))
    else:
        repl.frontend.say(comparison(now, then, repl.frontend.columns()))
    for line in differences(now, then):
        repl.frontend.remark(line)
    repl.frontend.pause()
    _draw_context(repl, then)


async def _use_strategy(repl: ReplSession, name: str) -> None:
    await repl.change(context=name)
    repl.frontend.remark(f"context: {name}, {CONTEXT_STRATEGIES[name].summary}")


def _draw_context(repl: ReplSession, report: ContextReport) -> None:
    columns = repl.frontend.columns()
    if repl.settings.plain:
        repl.frontend.say(context_sentences(report))
    else:
        repl.frontend.picture(context_view(report, columns))


def _strategy_named(name: str) -> str:
    if name not in CONTEXT_STRATEGIES:
        raise UsageError(
            f"there is no context strategy {name}", hint=f"strategies: {', '.join(CONTEXT_STRATEGIES)}"
        )
    return name


async def _strategies(repl: ReplSession) -> Iterable[Choice]:
    strategies = [Choice(name, row.summary) for name, row in CONTEXT_STRATEGIES.items()]
    used = [Choice(f"use {choice.text}", choice.meaning) for choice in strategies]
    try:
        models = [Choice(f"-m {choice.text}", choice.meaning) for choice in await models_to_choose(repl)]
    except ChatcliError:
        models = []  # the endpoint does not answer; strategies need no models
    return [*strategies, *used, *models]


async def _summary(repl: ReplSession, argument: str) -> None:
    chat = await repl.connected()
    summary = chat.summaries.current
    if argument == _NONE:
        chat.summaries.forget()
        repl.frontend.remark("summary removed; its turns are sent again as far as they fit")
    elif argument == _EDIT:
        if summary is None:
            raise UsageError("there is no summary to edit", hint=_NO_SUMMARY, code="no_summary")
        repl.frontend.draft(f"/summary {summary.text}")
    elif argument:
        chat.summaries.change(argument)
        repl.frontend.remark("summary changed")
    elif summary is None:
        repl.frontend.say(_NO_SUMMARY)
    else:
        turns = f"the first {summary.turns} turns" if summary.turns > 1 else "the first turn"
        repl.frontend.say(f"{summary.text}\n")
        repl.frontend.remark(f"summary of {turns}; /summary edit changes it, /summary none removes it")


async def _summary_changes(repl: ReplSession) -> Iterable[Choice]:
    chat = repl.chat
    if chat.resolved is None or chat.summaries.current is None:
        return []
    return [Choice(_EDIT, "edit it in the composer"), Choice(_NONE, "remove it")]


async def _compact(repl: ReplSession, _: str) -> None:
    chat = await repl.connected()
    await repl.between_turns.stop()
    if repl.settings.context != _STRATEGY:
        # No other strategy sends a summary.
        await repl.change(context=_STRATEGY)
        repl.frontend.remark(
            'context: summarize, for this run (context = "summarize" in config.toml keeps it)'
        )
    before = chat.turns.report().sent_tokens
    summed_up = await chat.summaries.compact(repl.frontend.doing)
    if not summed_up:
        repl.frontend.remark("nothing more to sum up: the newest turn stays as it is")
        return
    turns = "1 turn" if summed_up == 1 else f"{summed_up} turns"
    repl.frontend.remark(
        f"summed up {turns}: ~{before:,} tokens before, ~{chat.turns.report().sent_tokens:,} now; /summary shows it, /summary none undoes it"
    )


def _has_older_turns(repl: ReplSession) -> bool:
    return sum(record.role == "user" for record in repl.chat.session.context()) >= _FEWEST_TURNS


async def questions_to_choose(repl: ReplSession) -> Iterable[Choice]:
    session = repl.chat.session
    states = {"pinned: ": session.pinned, "refused: ": session.refused, "dropped: ": session.dropped}
    state = {message_id: name for name, ids in states.items() for message_id in ids}
    asked = list(enumerate(session.questions, start=1))
    return [
        Choice(str(number), state.get(record.id, "") + record.message.person_text[:_SHOWN_CHARACTERS])
        for number, record in asked[-_MOST_CHOICES:]
    ]


def _turn_choices(turns: Iterable[NumberedTurn], sign: str = "") -> list[Choice]:
    """Return some turns as choices, each number after ``sign``."""
    return [
        Choice(f"{sign}{turn.number}", turn.question.message.person_text[:_SHOWN_CHARACTERS])
        for turn in turns
    ]


async def _pin(repl: ReplSession, argument: str) -> None:
    number = repl.chat.memory.pin(whole_number(argument) if argument else None)
    repl.frontend.remark(f"turn {number} pinned; /unpin {number} undoes it")


async def _unpin(repl: ReplSession, argument: str) -> None:
    number = repl.chat.memory.unpin(whole_number(argument) if argument else None)
    repl.frontend.remark(f"turn {number} unpinned")


async def _pinned(repl: ReplSession) -> Iterable[Choice]:
    return _turn_choices(repl.chat.memory.pinned)


def _is_something_pinned(repl: ReplSession) -> bool:
    return bool(repl.chat.memory.pinned)


async def _drop(repl: ReplSession, argument: str) -> None:
    memory = repl.chat.memory
    if not argument:
        _list_dropped(repl)
    elif argument.startswith("-"):
        number = memory.bring_back(whole_number(argument[1:]))
        repl.frontend.remark(f"the model sees turn {number} again")
    else:
        number = whole_number(argument)
        memory.drop(number)
        repl.frontend.remark(
            f"turn {number} dropped: the model no longer sees it; /drop -{number} restores it"
        )


def _list_dropped(repl: ReplSession) -> None:
    dropped = repl.chat.memory.dropped
    if not dropped:
        repl.frontend.remark("no turn is dropped; /drop N hides turn N from the model")
        return
    rows = [(f"{turn.number}", turn.question.message.person_text[:_SHOWN_CHARACTERS]) for turn in dropped]
    say_rows(repl, rows, right={0})


async def _droppable(repl: ReplSession) -> Iterable[Choice]:
    return [*await questions_to_choose(repl), *_turn_choices(repl.chat.memory.dropped, sign="-")]


async def _note(repl: ReplSession, argument: str) -> None:
    memory = repl.chat.memory
    if not argument:
        _list_notes(repl)
    elif taken_away := _REMOVED_NOTE.fullmatch(argument):
        note = memory.take_note_away(int(taken_away[1]))
        repl.frontend.remark(f"removed note: {note}")
    else:
        number = memory.note(argument)
        repl.frontend.remark(f"note {number}: the model will always see it; /note -{number} removes it")


def _list_notes(repl: ReplSession) -> None:
    rows = [(f"{number}", note) for number, note in enumerate(repl.chat.memory.notes, start=1)]
    if not rows:
        repl.frontend.remark("there are no notes; /note TEXT adds one that the model always sees")
        return
    say_rows(repl, rows, right={0})


async def _notes(repl: ReplSession) -> Iterable[Choice]:
    return [Choice(f"-{number}", note) for number, note in enumerate(repl.chat.memory.notes, start=1)]


async def _system(repl: ReplSession, argument: str) -> None:
    if not argument:
        repl.frontend.say(repl.chat.opened.system or "there is no system prompt; /system TEXT sets one")
        return
    repl.chat.opened.set_system(None if argument == _NONE else argument)
    repl.frontend.remark("system prompt removed" if argument == _NONE else "system prompt set")


async def _system_choices(repl: ReplSession) -> Iterable[Choice]:
    return [Choice(_NONE, "remove it")] if repl.chat.opened.system else []


CONTEXT: Final = Command(
    "context",
    "show what the model sees, or change the strategy",
    _context,
    _CONTEXT_ARGUMENT,
    _strategies,
)

COMMANDS: Final = (
    CONTEXT,
    Command(
        "summary", "show or edit the summary of older turns", _summary, "[edit|TEXT|none]", _summary_changes
    ),
    Command(
        "compact",
        "sum up all turns but the newest now",
        _compact,
        applies=_has_older_turns,
        when="there are no older turns yet",
    ),
    Command(
        "pin",
        "always keep a turn in the context",
        _pin,
        "[N]",
        questions_to_choose,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command(
        "unpin",
        "unpin a turn",
        _unpin,
        "[N]",
        _pinned,
        applies=_is_something_pinned,
        when="no turn is pinned",
    ),
    Command(
        "drop",
        "hide a turn from the model; -N restores it",
        _drop,
        "[[-]N]",
        _droppable,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command("note", "add a note the model always sees; -N removes it", _note, "[TEXT|-N]", _notes),
    Command("system", "show or set the system prompt", _system, "[TEXT|none]", _system_choices),
)
