"""Slash commands for the last answer: to the clipboard, a file or a pager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.chat.branches import number_hint
from chatcli.core.errors import UsageError
from chatcli.render.extract import code_blocks
from chatcli.repl.clipboard import TERMINAL_TAKES_BYTES, copy
from chatcli.repl.commands.command import Choice, Command, whole_number
from chatcli.text.sanitizer import sanitize
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession


NO_ANSWER: Final = "there is no answer yet"
_SHOWN_CHARACTERS: Final = 60
_INSTALL: Final = "install wl-copy, xclip or xsel"
_ASK_TERMINAL: Final = f"{_INSTALL}, or use a terminal that supports OSC 52"


async def _copy(repl: ReplSession, argument: str) -> None:
    text = code_block(repl, whole_number(argument)) if argument else last_answer(repl)
    hint = _INSTALL if repl.settings.plain else _ASK_TERMINAL
    hint += "; /save N PATH writes a code block" if blocks_to_choose(repl) else ""
    where = await copy(text, repl.context.environment, repl.frontend.to_terminal, hint=hint)
    what = f"code block {argument}" if argument else "the answer"
    lines = text.count("\n") + (not text.endswith("\n"))
    repl.frontend.remark(f"copied {what} ({counted(lines, 'line')}) to {where}")
    size = len(text.encode("utf-8", "replace"))
    if where.startswith("the terminal") and size > TERMINAL_TAKES_BYTES:
        repl.frontend.remark("some terminals ignore more than 75 kB")


def last_answer(repl: ReplSession) -> str:
    """Return the Markdown of the last answer, safe to paste into a terminal."""
    answers = (record for record in reversed(repl.chat.session.path()) if record.role == "assistant")
    last = next(answers, None)
    if last is None:
        raise UsageError(NO_ANSWER, hint="ask something first", code="no_answer")
    answer, refusal = last.message.answer, last.message.refusal
    if refusal is not None and not answer:
        raise UsageError("the model refused, so there is no answer", hint="/retry asks again", code="refused")
    return sanitize(answer)


def code_block(
    repl: ReplSession, number: int, *, otherwise: str = "/copy alone copies the whole answer"
) -> str:
    """Return a code block of the last answer by the number shown above it.

    ``otherwise`` is the hint for a missing one.
    """
    blocks = code_blocks(last_answer(repl))
    if not 1 <= number <= len(blocks):
        there = number_hint(1, len(blocks)) if blocks else otherwise
        raise UsageError(f"the last answer has no code block {number}", hint=there, code="no_such_block")
    return blocks[number - 1]


def blocks_to_choose(repl: ReplSession) -> list[Choice]:
    """Return the numbers of the blocks with each one's first line."""
    try:
        blocks = code_blocks(last_answer(repl))
    except UsageError:
        return []
    return [
        Choice(str(number), code.strip().partition("\n")[0][:_SHOWN_CHARACTERS])
        for number, code in enumerate(blocks, start=1)
    ]


def something_was_answered(repl: ReplSession) -> bool:
    return any(record.role == "assistant" for record in repl.chat.session.path())


async def _code_blocks(repl: ReplSession) -> Iterable[Choice]:
    return blocks_to_choose(repl)


async def _last(repl: ReplSession, _: str) -> None:
    await repl.frontend.page_through(last_answer(repl))


COMMANDS: Final = (
    Command(
        "copy",
        "copy the last answer as Markdown, or its code block N",
        _copy,
        "[N]",
        _code_blocks,
        applies=something_was_answered,
        when=NO_ANSWER,
    ),
    Command(
        "last",
        "read the last answer in a pager",
        _last,
        applies=something_was_answered,
        when=NO_ANSWER,
    ),
)
