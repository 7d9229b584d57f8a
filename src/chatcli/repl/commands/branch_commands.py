"""Slash commands that retry, go back or branch off, and the question aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import NO_QUESTION_YET, Choice, Command, has_question, whole_number
from chatcli.repl.commands.context_commands import questions_to_choose
from chatcli.repl.commands.model_choice import models_to_choose, settle_model
from chatcli.repl.recap import show_exchange
from chatcli.repl.suspect_texts import settle_suspects
from chatcli.repl.tree_view import tree_rows, tree_sentences
from chatcli.sessions.titles import beginning_of
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatcli.chat.branches import Alternatives
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.core.messages import Message
    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.tree import Exchange


_SHOWN_CHARACTERS: Final = 60
_BACK: Final = "back"


async def _retry(repl: ReplSession, model: str) -> None:
    await repl.connected()
    if not model:
        await _ask_again(repl)
        return
    if (meant := await settle_model(repl, model)) is None:
        return
    async with repl.beside(model=meant) as resolved:
        await _ask_again(repl, resolved)


async def _ask_again(repl: ReplSession, resolved: ResolvedModel | None = None) -> None:
    chat = repl.chat
    last = chat.branches.latest(1)[0]
    question = await _allowed(repl, last.message, replaced=last, resolved=resolved)
    if question is not None:
        await repl.play(chat.turns.retry(resolved, question=question))


async def _continue(repl: ReplSession, _: str) -> None:
    chat = await repl.connected()
    chat.turns.partial_answer()
    last = chat.branches.latest(1)[0]
    question = await _allowed(repl, last.message, replaced=last)
    if question is not None:
        await repl.play(chat.turns.continue_answer(question=question))


async def _allowed(
    repl: ReplSession,
    question: Message,
    *,
    replaced: MessageRecord | None = None,
    resolved: ResolvedModel | None = None,
) -> Message | None:
    redact = repl.context.redactor.redact
    allowed = await settle_suspects(
        repl.chat, question, repl.frontend, redact=redact, replaced=replaced, resolved=resolved
    )
    repl.is_unsent = allowed is None
    return allowed


async def _edit(repl: ReplSession, argument: str) -> None:
    branches = repl.chat.branches
    edited = branches.edit(whole_number(argument) if argument else _one_further_back(repl))
    if not repl.frontend.draws:
        # On a screen the toolbar shows this as long as it lasts.
        repl.frontend.remark(
            f"your next message replaces question {branches.number(edited)}; the old branch is kept (/alt)"
        )
    _offer(repl, edited.message)


def _offer(repl: ReplSession, question: Message) -> None:
    # Line by line it is only shown: whoever sends it types it.
    repl.frontend.draft(repl.attachments.offer(question) if repl.frontend.draws else question.person_text)


def _one_further_back(repl: ReplSession) -> int | None:
    """Return the question before the one being edited, so that repeating the command goes further back."""
    branches = repl.chat.branches
    if branches.editing is None:
        return None
    number = branches.number(branches.editing)
    return number - 1 if number > branches.first_in_context else number


async def _undo(repl: ReplSession, argument: str) -> None:
    if repl.chat.memory.is_cleared:
        repl.chat.memory.undo_clear()
        repl.frontend.remark("took back /clear: the model sees the earlier turns again")
        return
    taken_back = repl.chat.branches.undo(whole_number(argument, otherwise=1))
    count = len(taken_back)
    repl.frontend.remark(f"took back {counted(count, 'turn')} (still in /tree)")
    _offer(repl, taken_back[0])


def _can_undo(repl: ReplSession) -> bool:
    return has_question(repl) or repl.chat.memory.is_cleared


async def _alternative(repl: ReplSession, argument: str) -> None:
    before = repl.chat.branches.alternatives()
    place = repl.chat.branches.flip(_choosing(argument))
    exchange = place.chosen
    parts = [f"answer {place.at + 1} of {len(place.exchanges)} to question {place.turn}", _model_of(exchange)]
    if place.later_turns:
        parts.append(f"{counted(place.later_turns, 'later turn')} with it")
    repl.frontend.remark(" · ".join(filter(None, parts)))
    is_reworded = before is not None and before.chosen.question.message != exchange.question.message
    show_exchange(repl.frontend, exchange, with_question=is_reworded)
    if place.later_turns:
        repl.frontend.say("")
        repl.frontend.remark("and last:")
        show_exchange(repl.frontend, repl.chat.branches.tree.path[-1])


def _choosing(argument: str) -> Callable[[Alternatives], int]:
    if argument == _BACK:
        return lambda place: (place.at - 1) % len(place.exchanges)
    if argument:
        number = whole_number(argument)
        return lambda _: number - 1
    return lambda place: (place.at + 1) % len(place.exchanges)


def _model_of(exchange: Exchange) -> str:
    reply = exchange.answer.reply if exchange.answer else None
    return (reply and reply.shown_model) or ""


async def _alternatives(repl: ReplSession) -> Iterable[Choice]:
    place = repl.chat.branches.alternatives()
    if place is None:
        return ()
    answers = [
        Choice(str(at), beginning_of((exchange.answer or exchange.question).message, _SHOWN_CHARACTERS))
        for at, exchange in enumerate(place.exchanges, start=1)
    ]
    return [*answers, Choice(_BACK, "the one before")]


def _has_alternatives(repl: ReplSession) -> bool:
    return repl.chat.branches.alternatives() is not None


async def _tree(repl: ReplSession, argument: str) -> None:
    branches = repl.chat.branches
    tree = branches.tree
    if not argument:
        is_spoken = repl.settings.plain
        repl.frontend.say(tree_sentences(tree) if is_spoken else tree_rows(tree, repl.frontend.columns()))
        repl.frontend.remark("/tree N continues after one of them; nothing is lost")
        return
    number = whole_number(argument)
    exchange = next((found for found in tree.exchanges if found.number == number), None)
    if exchange is None:
        raise UsageError(f"there is no number {number} in the tree", hint="/tree shows the numbers")
    branches.go_to(exchange)
    repl.frontend.remark(f"continuing after {number}")
    show_exchange(repl.frontend, exchange)


async def _exchanges(repl: ReplSession) -> Iterable[Choice]:
    return [
        Choice(str(exchange.number), beginning_of(exchange.question.message, _SHOWN_CHARACTERS))
        for exchange in repl.chat.branches.tree.exchanges
    ]


def _has_exchanges(repl: ReplSession) -> bool:
    return bool(repl.chat.branches.tree.exchanges)


async def _aside(repl: ReplSession, question: str) -> None:
    if not question:
        raise UsageError("/btw needs a question", hint="type /btw QUESTION")
    chat = await repl.connected()
    allowed = await _allowed(repl, messages.question(question))
    if allowed is None:
        return
    await repl.play(chat.turns.aside(allowed), is_aside=True)
    repl.frontend.remark("aside: not saved, and not part of the conversation")


COMMANDS: Final = (
    Command(
        "retry",
        "ask the last question again, optionally with another model, just once; the old answer is kept",
        _retry,
        "[MODEL]",
        models_to_choose,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command(
        "continue",
        "continue an answer that was cut off",
        _continue,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command(
        "edit",
        "edit and re-send an earlier question; the old branch is kept",
        _edit,
        "[N]",
        questions_to_choose,
        applies=has_question,
        when=NO_QUESTION_YET,
    ),
    Command(
        "undo",
        "take back the last questions (or a /clear)",
        _undo,
        "[N]",
        applies=_can_undo,
        when=NO_QUESTION_YET,
    ),
    Command(
        "alt",
        "switch to another answer to the same question",
        _alternative,
        "[N|back]",
        _alternatives,
        applies=_has_alternatives,
        when="no question has more than one answer yet; /retry or /edit N adds others",
    ),
    Command(
        "tree",
        "show all branches, or continue after a point in them",
        _tree,
        "[N]",
        _exchanges,
        applies=_has_exchanges,
        when="nothing has been asked yet",
        aliases=("history",),
    ),
    Command("btw", "ask a side question; nothing of it is saved", _aside, "QUESTION"),
)
