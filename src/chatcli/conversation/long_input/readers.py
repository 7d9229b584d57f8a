"""Readers of long texts: parts merged, parts one after another, or a cut text."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.asking import Answered, Ask
from chatcli.conversation.long_input.long_question import part_messages
from chatcli.conversation.long_input.splitting import FEWEST_TOKENS, MeasuredText, halves
from chatcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from chatcli.conversation.long_input.asking import PartReader
    from chatcli.conversation.long_input.long_question import Budgets, Plan
    from chatcli.conversation.long_input.splitting import Divided, TextSlice
    from chatcli.core.events import Event
    from chatcli.core.messages import Message
    from chatcli.core.ports import TokenCounter


@dataclass(frozen=True, slots=True)
class Work:
    """A question about a text with its budgets, plan, counter and client."""

    divided: Divided
    budgets: Budgets
    plan: Plan
    counter: TokenCounter
    reader: PartReader

    @property
    def name(self) -> str:
        """The name of the whole text."""
        text = self.divided.text
        return text.named(0, len(text.text))


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes on the parts ``first`` to ``last``, counted from 1, which are ``text[start:end]``."""

    first: int
    last: int
    start: int
    end: int
    text: str

    @property
    def is_nothing(self) -> bool:
        return prompts.is_nothing(self.text)

    def under_heading(self, count: int) -> str:
        which = (
            f"Part {self.first:,}" if self.first == self.last else f"Parts {self.first:,} to {self.last:,}"
        )
        return (
            f"## {which} of {count:,}, characters {self.start + 1:,} to {self.end:,}\n\n{self.text.strip()}"
        )


def together(notes: Iterable[Notes], count: int) -> str:
    """Return notes on a text of ``count`` parts as one text."""
    return "\n\n".join(each.under_heading(count) for each in notes)


def shortened(text: str, counter: TokenCounter, most_tokens: int) -> str:
    """Return the beginning of ``text`` within ``most_tokens``, which leave room for a mark."""
    if counter.count(text) <= most_tokens:
        return text
    measured = MeasuredText(text, counter, grain_tokens=max(1, most_tokens // FEWEST_TOKENS))
    end = len(measured)
    while end and (measured.tokens(0, end) > most_tokens or measured.count(0, end) > most_tokens):
        end -= 1
    return text[: measured.starts[end]]


_NONE_FOUND = "(None of the parts has anything on the question.)"
_BETWEEN_NOTES_TOKENS = 4


async def map_reduce(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question with the merged notes, which fits."""
    notes: list[Notes] = []
    async with aclosing(work.reader.ask_all(_part_asks(work))) as events:
        async for event in events:
            if isinstance(event, Answered):
                part = work.plan.parts[event.ask.number - 1]
                notes.append(Notes(event.ask.number, event.ask.number, part.start, part.end, event.text))
            else:
                yield event
    notes = sorted((each for each in notes if not each.is_nothing), key=lambda each: each.first)
    notified_cut = False
    while not _fits(work, notes):
        # Merging ends only if notes are as short as requested; a model may not comply.
        short = [_within_limit(work, each) for each in notes]
        if short != notes and not notified_cut:
            notified_cut = True
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


def is_begun(work: Work) -> bool:
    """Return whether an answer about a part is kept from before, from where reading goes on."""
    is_first_alone = work.plan.strategy == "refine"
    asks = [_refine_ask(work, 1, work.plan.parts[0], "")] if is_first_alone else _part_asks(work)
    return any(map(work.reader.has_kept, asks))


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
        part_messages(instructions, work.divided, label, part.text),
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
            part_messages(instructions, work.divided, f"notes on {work.name}", text),
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


def _within_limit(work: Work, notes: Notes) -> Notes:
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


async def refine(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question that fits: the last part with the notes on all before it."""
    notes, notified_cut = "", False
    *before, last = work.plan.parts
    for number, part in enumerate(before, start=1):
        async with aclosing(work.reader.ask_all([_refine_ask(work, number, part, notes)])) as events:
            async for event in events:
                if isinstance(event, Answered):
                    notes = shortened(event.text, work.counter, work.budgets.notes_tokens)
                    is_cut = notes != event.text
                else:
                    yield event
        if is_cut and not notified_cut:
            notified_cut = True
            yield Notice(
                "notes_cut",
                f"notes were longer than the {work.budgets.notes_tokens:,} tokens allowed and were cut",
            )
    yield work.divided.about(_label(work, last, len(work.plan.parts)), _with_notes(notes, last))


def _refine_ask(work: Work, number: int, part: TextSlice, notes: str) -> Ask:
    instructions, text = prompts.refine_instructions(work.budgets.notes_tokens), _with_notes(notes, part)
    messages = part_messages(instructions, work.divided, _label(work, part, number), text)
    return Ask(number, messages, (instructions, work.divided.words, text))


def _label(work: Work, part: TextSlice, number: int) -> str:
    return prompts.label(work.divided.text, part, number, len(work.plan.parts))


def _with_notes(notes: str, part: TextSlice) -> str:
    return (
        f"[{prompts.NOTES_SO_FAR}]\n{notes.strip()}\n\n[{prompts.THIS_PART}]\n{part.text}"
        if notes
        else part.text
    )


_SEGMENTS_IN_BUDGET: Final = 64
_MARK_TOKENS: Final = 32
"""More than the mark has, whatever its numbers."""

_HEAD_SHARES: Final = {"head": 1.0, "tail": 0.0, "middle-out": 0.5}
"""The share of the sent text taken from the beginning; the remainder is from the end."""


async def cut_to_fit(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield the question with the cut text."""
    share = _HEAD_SHARES[work.plan.strategy]
    text = cut(work.divided.text.text, work.counter, work.budgets.final_tokens, head_share=share)
    yield work.divided.about(work.name, text)


def cut(text: str, counter: TokenCounter, budget_tokens: int, *, head_share: float) -> str:
    """Return the beginning and the end of ``text`` within ``budget_tokens``, ``head_share`` for the first."""
    if counter.count(text) <= budget_tokens:
        return text
    measured = MeasuredText(text, counter, grain_tokens=max(1, budget_tokens // _SEGMENTS_IN_BUDGET))
    room = budget_tokens - _MARK_TOKENS
    while True:
        head, tail = _ends(measured, room, head_share)
        shown = _marked(measured, head, tail)
        # The sum of the segments may have been slightly less.
        if counter.count(shown) <= budget_tokens or not (head or tail < len(measured)):
            return shown
        room -= max(1, room // _SEGMENTS_IN_BUDGET)


def _ends(measured: MeasuredText, room: int, head_share: float) -> tuple[int, int]:
    """Return the end of the beginning and the start of the end, as segment indexes."""
    head = 0
    while head < len(measured) and measured.tokens(0, head + 1) <= room * head_share:
        head += 1
    tail, left = len(measured), room - measured.tokens(0, head)
    if head_share < 1:
        while tail > head and measured.tokens(tail - 1, len(measured)) <= left:
            tail -= 1
    return head, tail


def _marked(measured: MeasuredText, head: int, tail: int) -> str:
    start, stop = measured.starts[head], measured.starts[tail]
    mark = prompts.left_out(stop - start, measured.tokens(head, tail))
    parts = (measured.text[:start].rstrip(), mark, measured.text[stop:].lstrip("\n"))
    return "\n\n".join(part for part in parts if part)
