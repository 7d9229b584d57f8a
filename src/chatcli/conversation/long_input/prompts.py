"""Prompts for reading a long text in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.text.frames import INSTRUCTION

if TYPE_CHECKING:
    from chatcli.conversation.long_input.splitting import LongText, TextSlice

NOTHING: Final = "NOTHING"
"""The answer for a part that is irrelevant to the question."""

NOTES_SO_FAR: Final = "Notes on what comes before"
THIS_PART: Final = "The part"

_WORDS_A_TOKEN: Final = 0.6

_RULES: Final = (
    f"{INSTRUCTION} "
    "Write in the language of the question, in at most {words} words, and only what is asked for here."
)

_PART: Final = (
    "A question is asked about a text that is too long to be read at once. You are given one part of it. Note "
    "everything in this part that helps to answer the question: facts, names, figures, dates, and the wording where it "
    f"matters. If nothing in it helps, write only the word {NOTHING}. "
) + _RULES

_MERGE: Final = (
    "A question is asked about a text that is too long to be read at once. You are given notes on parts of it that "
    "follow each other. Make one set of notes of them, in their order. Keep every fact, name, figure and date that "
    "helps to answer the question; leave out only what is said twice. "
) + _RULES

_REFINE: Final = (
    "A question is asked about a text that is too long to be read at once, so you read it part by part. You are given "
    "your notes so far and the next part. Write the notes anew: keep everything that helps to answer the question, "
    "and add what this part has. "
) + _RULES


def part_instructions(answer_tokens: int) -> str:
    return _PART.format(words=_words(answer_tokens))


def merge_instructions(answer_tokens: int) -> str:
    return _MERGE.format(words=_words(answer_tokens))


def refine_instructions(answer_tokens: int) -> str:
    return _REFINE.format(words=_words(answer_tokens))


def label(text: LongText, part: TextSlice, number: int, count: int) -> str:
    """Return the label of a part, with its place in the text."""
    name = text.named(part.start, part.end)
    return f"{name}, part {number:,} of {count:,}: {span(part.start, part.end, len(text.text))}"


def span(start: int, end: int, length: int) -> str:
    return f"characters {start + 1:,} to {end:,} of {length:,}"


def notes_preface(characters: int, parts: int) -> str:
    return (
        f"[The text has {characters:,} characters, too many to be sent at once. It was read in {parts:,} parts; "
        "these are the notes on them, in their order.]"
    )


def left_out(characters: int, tokens: int) -> str:
    """Return the mark in place of a part of the text that is not sent."""
    return f"[… {characters:,} characters, about {tokens:,} tokens, are left out here …]"


def is_nothing(notes: str) -> bool:
    return notes.strip().strip(".。!*\"'`").upper() == NOTHING


def _words(answer_tokens: int) -> int:
    return max(10, int(answer_tokens * _WORDS_A_TOKEN) // 10 * 10)
