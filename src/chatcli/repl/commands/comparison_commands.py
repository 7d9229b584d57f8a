"""Slash commands that ask several models the same question, and compare two answers word by word."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, has_question, whole_number
from chatcli.repl.commands.model_choice import models_to_choose, settle_model
from chatcli.repl.suspect_texts import settle_suspects
from chatcli.sessions.titles import beginning_of
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chatcli.app.compared_models import ComparedModel
    from chatcli.chat import Conversation
    from chatcli.chat.branches import Alternatives
    from chatcli.core.events import TurnEnd
    from chatcli.core.messages import Message
    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.tree import Exchange

_NAMES: Final = lazy_pattern(r"(?P<names>[^\s,]+(?:\s*,\s*[^\s,]+)*),?(?:\s+(?P<question>.*))?", re.DOTALL)
_SHOWN_CHARACTERS: Final = 60


async def _compare(repl: ReplSession, argument: str) -> None:
    match = _NAMES.fullmatch(argument)
    if match is None:
        raise UsageError("/compare needs models", hint="type /compare MODEL,MODEL QUESTION")
    from chatcli.app.compared_models import names_in  # noqa: PLC0415 - most conversations compare nothing

    chat = await repl.connected()
    names = await _settled(repl, names_in(match["names"]))
    if not names:
        return
    asked: MessageRecord | None = None
    if question := match["question"]:
        files = repl.attachments.of(question)
        frontend = repl.frontend
        documents = await repl.attachments.read(files, frontend.remark, say=frontend.say, ask=frontend.ask)
        message = messages.question(question, *documents)
    elif not has_question(repl):
        raise UsageError("there is no question to ask again", hint="type /compare MODEL,MODEL QUESTION")
    else:
        asked = chat.branches.latest(1)[0]
        message = asked.message
    async with AsyncExitStack() as stack:
        models = await _models(repl, chat, names, stack)
        allowed = await settle_suspects(
            chat,
            message,
            repl.frontend,
            redact=repl.context.redactor.redact,
            replaced=asked,
            resolved=next((model.resolved for model in models if model.resolved is not None), None),
        )
        if allowed is None:
            repl.is_unsent = True
            return
        if asked is None:
            repl.attachments.take()
        await _ask(repl, chat, models, allowed, asked)


async def _settled(repl: ReplSession, written: list[str]) -> list[str]:
    """Return the names of the models that are meant, none if the person chooses none."""
    from chatcli.config.config_file import read_profiles  # noqa: PLC0415 - as above

    profiles, names = read_profiles(repl.context.paths), list[str]()
    for each in written:
        name = each if each in profiles else await settle_model(repl, each)
        if name is None:
            return []
        names.append(name)
    return names


async def _models(
    repl: ReplSession, chat: Conversation, names: list[str], stack: AsyncExitStack
) -> list[ComparedModel]:
    from chatcli.app.compared_models import ComparedModel, ModelsToCompare  # noqa: PLC0415 - as above
    from chatcli.config.config_file import read_profiles  # noqa: PLC0415

    found = ModelsToCompare(
        repl.settings_with,
        repl.options,
        repl.context,
        profiles=read_profiles(repl.context.paths),
        notify=repl.frontend.notify,
        approve=repl.approves if repl.frontend.can_ask else None,
    )
    named = await found.named(names, chat, stack)
    in_use = chat.turns.connected
    return named if len(names) > 1 else [ComparedModel(in_use.model_name, in_use), *named]


async def _ask(
    repl: ReplSession,
    chat: Conversation,
    models: list[ComparedModel],
    question: Message,
    asked: MessageRecord | None,
) -> None:
    from chatcli.chat.comparison import Comparison  # noqa: PLC0415 - as above
    from chatcli.conversation.play import play_together  # noqa: PLC0415

    await repl.between_turns.settle()
    repl.frontend.doing("comparing")
    observers = repl.frontend.compared(models, verbose=repl.verbose)
    comparison = Comparison(chat, question, asked=asked)
    ends: list[TurnEnd] = []
    try:
        turns = [repl.displayed(model.asked_in(comparison)) for model in models]
        ends = await play_together(list(zip(turns, observers, strict=True)))
    finally:
        comparison.settle(ends)
        asked_now = [model.name for model in models if model.resolved is not None]
        _say_what_goes_on(repl, dict(zip(comparison.reply_ids, asked_now, strict=False)))
    repl.between_turns.begin(chat, lambda: None)
    errors = [end.result.error for end in ends if end.result.error is not None]
    if errors:
        repl.failure = repl.failure or errors[0]
        repl.frontend.hold()


def _say_what_goes_on(repl: ReplSession, asked: Mapping[str | None, str]) -> None:
    """List the answers; those to the models ``asked`` just now by the names above them: two may answer as the same one."""
    place = repl.chat.branches.alternatives()
    if place is None or place.later_turns:
        return
    names = [
        f"{number} {asked.get(exchange.id) or _model_of(exchange)}"
        for number, exchange in enumerate(place.exchanges, start=1)
    ]
    names[place.at] += " (goes on)"
    repl.frontend.remark(f"{' · '.join(names)}; /alt N chooses another, /diff compares")


def _model_of(exchange: Exchange) -> str:
    reply = exchange.answer.reply if exchange.answer else None
    return (reply and reply.shown_model) or "unanswered"


async def _diff(repl: ReplSession, argument: str) -> None:
    place = repl.chat.branches.alternatives()
    if place is None:
        raise UsageError(
            "there is only one answer to each question so far", hint="/compare or /retry adds others"
        )
    count = len(place.exchanges)
    numbers = [whole_number(word) for word in argument.split()]
    if len(numbers) == 1:
        numbers = [place.at + 1, *numbers]
    first, second = numbers if len(numbers) == 2 else (count - 1, count)  # noqa: PLR2004
    if len(numbers) > 2 or not {first, second} <= set(range(1, count + 1)):  # noqa: PLR2004
        raise UsageError(f"there are {count} answers", hint="give two of their numbers, like /diff 1 2")
    from chatcli.render.word_diff import diff_of_lines, diff_of_words  # noqa: PLC0415 - rarely needed

    before, after = (_text_of(place, number) for number in (first, second))
    if before == after:
        repl.frontend.remark(f"answers {first} and {second} are the same")
        return
    has_colors = repl.frontend.draws and repl.theme().color_system is not None
    columns = repl.frontend.columns()
    heads = [
        (f"{sign} {number} {_model_of(place.exchanges[number - 1])}", role)
        for sign, number, role in (("-", first, "diff.removed"), ("+", second, "diff.added"))
    ]
    draw = diff_of_words if has_colors else diff_of_lines
    repl.frontend.picture(draw(heads, before, after, columns))


def _text_of(place: Alternatives, number: int) -> str:
    answer = place.exchanges[number - 1].answer
    if answer is None:
        raise UsageError(f"number {number} has no answer", hint="/alt shows the answers")
    return answer.message.answer


async def _models_to_compare(repl: ReplSession) -> Iterable[Choice]:
    return await models_to_choose(repl)


async def _answers(repl: ReplSession) -> Iterable[Choice]:
    place = repl.chat.branches.alternatives()
    exchanges = () if place is None else place.exchanges
    return [
        Choice(str(at), beginning_of((exchange.answer or exchange.question).message, _SHOWN_CHARACTERS))
        for at, exchange in enumerate(exchanges, start=1)
    ]


def _has_answers(repl: ReplSession) -> bool:
    return repl.chat.branches.alternatives() is not None


COMMANDS: Final = (
    Command(
        "compare",
        "ask several models at once: this question, or the last one again; with one, the model in use as well",
        _compare,
        "MODEL[,MODEL...] [QUESTION]",
        _models_to_compare,
    ),
    Command(
        "diff",
        "show word by word what differs between two answers: the last two, or by their numbers in /alt",
        _diff,
        "[N [M]]",
        _answers,
        applies=_has_answers,
        when="no question has more than one answer yet; /compare or /retry adds others",
    ),
)
