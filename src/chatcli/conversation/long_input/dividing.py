"""Division of a long question into the question itself and the text it is about.

Attachments are the text, and the person's own words are the question. Own words that are too long themselves,
as when a text was piped in without a prompt, are text as well, and the question is a short paragraph at one
of their ends: the last if it asks something, else the first if that asks or announces something, else the
first, else the last. Without a short one there is no question, and the model is asked for the content of the
text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from chatcli.core.messages import Message, TextPart
from chatcli.text.documents import document, read_document

if TYPE_CHECKING:
    from chatcli.core.messages import Part

LONGEST_QUESTION_CHARACTERS: Final = 1_000
SUMMARIZE: Final = "Say what the text says."
"""The question for a text without one."""

_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*\n\s*")
_ASKS: Final = ("?", "？", "؟")
_ANNOUNCES: Final = (*_ASKS, ":", "：")


@dataclass(frozen=True, slots=True)
class LongText:
    """The text to read: ``text`` consists of the ``names``, each beginning at its place in ``starts``."""

    text: str
    names: tuple[str, ...]
    starts: tuple[int, ...]

    def named(self, start: int, end: int) -> str:
        """Return the names of the texts in ``text[start:end]``."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, max(start, end - 1)) - 1
        return self.names[first] if first == last else f"{self.names[first]} to {self.names[last]}"


@dataclass(frozen=True, slots=True)
class Divided:
    """A question in ``words``, the ``text`` it is about, and ``others``: attachments that are not text."""

    words: str
    text: LongText
    others: tuple[Part, ...] = ()

    def about(self, name: str, text: str) -> Message:
        """Return the question about ``text`` in place of the whole."""
        return Message(
            "user", (TextPart(self.words), TextPart(document(name, text), "document"), *self.others)
        )


def divide(question: Message, *, longest_words: int = LONGEST_QUESTION_CHARACTERS) -> Divided:
    """Return the question and the text it is about; own words longer than ``longest_words`` are text too."""
    texts = [part for part in question.parts if isinstance(part, TextPart)]
    own = "\n\n".join(part.text for part in texts if part.origin == "person")
    sources = [_source(part.text) for part in texts if part.origin != "person"]
    words = own
    if not sources or len(own) > longest_words:
        words, rest = _question_in(own)
        if rest:
            sources.insert(0, ("the text", rest))
    others = tuple(part for part in question.parts if not isinstance(part, TextPart))
    return Divided(words or SUMMARIZE, _joined(sources), others)


def _source(framed: str) -> tuple[str, str]:
    return read_document(framed) or ("the text", framed)


def _joined(sources: list[tuple[str, str]]) -> LongText:
    # A single text needs no frame; with several, each part must show where one ends and another begins.
    texts = [text for _, text in sources]
    if len(sources) > 1:
        texts = [document(name, text) + "\n\n" for name, text in sources]
    starts = tuple(accumulate(map(len, texts[:-1]), initial=0))
    return LongText("".join(texts), tuple(name for name, _ in sources), starts)


def _question_in(own: str) -> tuple[str, str]:
    """Return the question inside the person's long text, and the remaining text."""
    text = own.strip()
    ends = list(_PARAGRAPH_END.finditer(text, max(0, len(text) - 2 * LONGEST_QUESTION_CHARACTERS)))
    first_end = _PARAGRAPH_END.search(text)
    if first_end is None:
        return "", own
    first = text[: first_end.start()], text[first_end.end() :]
    last = (text[ends[-1].end() :], text[: ends[-1].start()]) if ends else ("", text)
    for (words, rest), endings in ((last, _ASKS), (first, _ANNOUNCES), (first, ""), (last, "")):
        if 0 < len(words) <= LONGEST_QUESTION_CHARACTERS and words.rstrip().endswith(endings):
            return words, rest
    return "", own
