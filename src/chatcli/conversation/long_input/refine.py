"""``refine``: one part after the other is read, each with the notes on all before it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.asking import Answered, Ask
from chatcli.conversation.long_input.budgets import asked
from chatcli.conversation.long_input.notes import shortened
from chatcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.conversation.long_input.splitting import TextSlice
    from chatcli.conversation.long_input.work import Work
    from chatcli.core.events import Event
    from chatcli.core.messages import Message


async def refine(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question about the last part with the notes on all before it, which fits."""
    instructions = prompts.refine_instructions(work.budgets.notes_tokens)
    notes, told_cut = "", False
    *before, last = work.plan.parts
    for number, part in enumerate(before, start=1):
        text = _with_notes(notes, part)
        messages = asked(instructions, work.divided, _label(work, part, number), text)
        ask = Ask(number, messages, (instructions, work.divided.words, text))
        async with aclosing(work.reader.ask_all([ask])) as events:
            async for event in events:
                if isinstance(event, Answered):
                    notes = shortened(event.text, work.counter, work.budgets.notes_tokens)
                    is_cut = notes != event.text
                else:
                    yield event
        if is_cut and not told_cut:
            told_cut = True
            yield Notice(
                "notes_cut",
                f"notes were longer than the {work.budgets.notes_tokens:,} tokens allowed and were cut",
            )
    yield work.divided.about(_label(work, last, len(work.plan.parts)), _with_notes(notes, last))


def _label(work: Work, part: TextSlice, number: int) -> str:
    return prompts.label(work.divided.text, part, number, len(work.plan.parts))


def _with_notes(notes: str, part: TextSlice) -> str:
    return (
        f"[{prompts.NOTES_SO_FAR}]\n{notes.strip()}\n\n[{prompts.THIS_PART}]\n{part.text}"
        if notes
        else part.text
    )
