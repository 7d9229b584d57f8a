"""``map-reduce``: every part is asked about by itself, and what is found is merged until it fits one request."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.asking import Answered, Ask
from chatcli.conversation.long_input.budgets import asked
from chatcli.conversation.long_input.notes import Notes, shortened, together
from chatcli.conversation.long_input.splitting import halves
from chatcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from chatcli.conversation.long_input.splitting import TextSlice
    from chatcli.conversation.long_input.work import Work
    from chatcli.core.events import Event
    from chatcli.core.messages import Message

_NONE_FOUND = "(None of the parts has anything on the question.)"
_BETWEEN_NOTES_TOKENS = 4


async def map_reduce(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question about the notes, which fits."""
    notes: list[Notes] = []
    async with aclosing(work.reader.ask_all(_part_asks(work))) as events:
        async for event in events:
            if isinstance(event, Answered):
                part = work.plan.parts[event.ask.number - 1]
                notes.append(Notes(event.ask.number, event.ask.number, part.start, part.end, event.text))
            else:
                yield event
    notes = sorted((each for each in notes if not each.is_nothing), key=lambda each: each.first)
    told_cut = False
    while not _fits(work, notes):
        # Merging ends only where notes are as short as was asked; a model may not keep to that.
        short = [_as_short_as_asked(work, each) for each in notes]
        if short != notes and not told_cut:
            told_cut = True
            yield Notice(
                "notes_cut",
                f"notes on a part were longer than the {work.budgets.notes_tokens:,} tokens allowed and were cut",
            )
        if _fits(work, short):
            notes = short
            break
        groups = _groups(work, short)
        notes = [group[0] for group in groups if len(group) == 1]
        merging = [group for group in groups if len(group) > 1]
        work.reader.spending.at_least(len(merging) + 1)
        async with aclosing(work.reader.ask_all(_merge_asks(work, merging))) as events:
            async for event in events:
                if isinstance(event, Answered):
                    notes.append(_merged(merging[event.ask.number - 1], event.text))
                else:
                    yield event
        notes.sort(key=lambda each: each.first)
    yield _final(work, notes)


def _part_asks(work: Work) -> list[Ask]:
    instructions = prompts.part_instructions(work.budgets.notes_tokens)
    text, parts = work.divided.text, work.plan.parts
    return [
        _part_ask(work, number, instructions, prompts.label(text, part, number, len(parts)), part)
        for number, part in enumerate(parts, start=1)
    ]


def _part_ask(work: Work, number: int, instructions: str, label: str, part: TextSlice) -> Ask:
    return Ask(
        number,
        asked(instructions, work.divided, label, part.text),
        (instructions, work.divided.words, part.text),
        smaller=lambda: [
            _part_ask(work, number, instructions, label, half) for half in halves(part, work.counter)
        ],
    )


def _merge_asks(work: Work, groups: Sequence[Sequence[Notes]]) -> list[Ask]:
    instructions = prompts.merge_instructions(work.budgets.notes_tokens)
    texts = [together(group, len(work.plan.parts)) for group in groups]
    return [
        Ask(
            number,
            asked(instructions, work.divided, f"notes on {work.name}", text),
            (instructions, work.divided.words, text),
        )
        for number, text in enumerate(texts, start=1)
    ]


def _merged(group: Sequence[Notes], text: str) -> Notes:
    first, last = group[0], group[-1]
    return Notes(first.first, last.last, first.start, last.end, text)


def _fits(work: Work, notes: Sequence[Notes]) -> bool:
    text = together(notes, len(work.plan.parts))
    return work.counter.count(text) <= work.budgets.final_tokens


def _as_short_as_asked(work: Work, notes: Notes) -> Notes:
    text = shortened(notes.text, work.counter, work.budgets.notes_tokens)
    return notes if text == notes.text else Notes(notes.first, notes.last, notes.start, notes.end, text)


def _groups(work: Work, notes: Sequence[Notes]) -> list[list[Notes]]:
    """Return the notes in groups of neighbours, each small enough for one request."""
    groups: list[list[Notes]] = []
    room = 0
    for each in notes:
        tokens = work.counter.count(each.under_heading(len(work.plan.parts))) + _BETWEEN_NOTES_TOKENS
        if not groups or tokens > room:
            groups.append([])
            room = work.budgets.merge_tokens
        groups[-1].append(each)
        room -= tokens
    return groups


def _final(work: Work, notes: Sequence[Notes]) -> Message:
    count = len(work.plan.parts)
    preface = prompts.notes_preface(len(work.divided.text.text), count)
    text = together(notes, count) or _NONE_FOUND
    return work.divided.about(f"notes on {work.name}", f"{preface}\n\n{text}")
