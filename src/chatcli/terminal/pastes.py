"""Folding of long pastes: each is one character in the composer, drawn as ``[pasted 214 lines]``.

The characters are high surrogates, which no text can contain and no keyboard sends. So a placeholder is
moved, deleted and restored as a whole, cannot be confused with the same words typed by hand, and the folded
text costs nothing while more is typed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from prompt_toolkit.layout.processors import Processor, Transformation

from chatcli.conversation.counting import likely_tokens
from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.layout.processors import TransformationInput

MOST_LINES: Final = 10
"""A paste of more lines is folded."""
MOST_CHARACTERS: Final = 2_000
"""A paste of more characters is folded."""

_FIRST_MARK: Final = 0xD800
_MARKS: Final = 0x400
_MARK: Final = lazy_pattern("[\ud800-\udbff]")


@frozen
class _Paste:
    text: str
    number: int
    tokens: int

    @property
    def label(self) -> str:
        lines = self.text.rstrip("\n").count("\n") + 1
        size = f"{lines:,} lines" if lines > 1 else f"{len(self.text):,} characters"
        return f"[pasted {size}]" if self.number == 1 else f"[pasted {size} #{self.number}]"


class Pastes:
    """The pastes of this run by their placeholder characters.

    They are kept after sending: undo and yank may restore a placeholder.
    """

    def __init__(self) -> None:
        self._pastes: dict[str, _Paste] = {}
        self._count = 0

    def folded(self, text: str, *, beside: str) -> str:
        """Return a placeholder for ``text``, or ``text`` itself if it is short.

        Placeholders in ``beside``, the text it is inserted into, get other numbers.
        """
        if not _is_long(text):
            return text
        mark = chr(_FIRST_MARK + self._count % _MARKS)
        self._count += 1
        taken = {self._pastes[other].number for other in self.marks(beside)}
        number = next(number for number in range(1, len(taken) + 2) if number not in taken)
        self._pastes[mark] = _Paste(text, number, likely_tokens(text))
        return mark

    def folded_again(self, text: str) -> str:
        """Fold the known pastes in a text from the history; fold a long text without known pastes as a whole.

        A draft with folded pastes is returned unchanged.
        """
        if self.marks(text) or not _is_long(text):
            return text
        known = sorted(self._pastes.items(), key=lambda item: len(item[1].text), reverse=True)
        draft = text
        for mark, paste in known:
            if paste.text in draft:
                draft = draft.replace(paste.text, mark, 1)
        return self.folded(draft, beside="") if _is_long(draft) and not self.marks(draft) else draft

    def marks(self, draft: str) -> list[str]:
        """Return the placeholder characters in ``draft``, in order."""
        return [mark for mark in _MARK.findall(draft) if mark in self._pastes]

    def whole(self, draft: str) -> str:
        """Return ``draft`` with every paste unfolded."""
        return _MARK.sub(
            lambda mark: self._pastes[mark[0]].text if mark[0] in self._pastes else mark[0], draft
        )

    def shown(self, draft: str) -> str:
        """Return ``draft`` as it is drawn."""
        return _MARK.sub(
            lambda mark: self._pastes[mark[0]].label if mark[0] in self._pastes else mark[0], draft
        )

    def likely_tokens(self, draft: str) -> int:
        """Return about how many tokens ``draft`` has, unfolded.

        Called with each key, so pastes are cached.
        """
        folded = ((draft.count(mark), paste.tokens) for mark, paste in self._pastes.items())
        return likely_tokens(draft) + sum(times * tokens for times, tokens in folded if times)

    def refolded(self, text: str, *, before: str) -> str:
        """Return ``text`` with the pastes of ``before`` folded again that it contains unchanged."""
        for mark in self.marks(before):
            text = text.replace(self._pastes[mark].text, mark, 1)
        return text


def _is_long(text: str) -> bool:
    return len(text) > MOST_CHARACTERS or text.rstrip("\n").count("\n") >= MOST_LINES


class PasteLabels(Processor):
    """A processor that draws labels for placeholder characters."""

    def __init__(self, pastes: Pastes) -> None:
        self._pastes = pastes

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        line = "".join(fragment[1] for fragment in fragments)
        marks = self._pastes.marks(line)
        if not marks:
            return Transformation(fragments)
        widths = [len(self._pastes.shown(character)) for character in line]
        starts = [0]
        for width in widths:
            starts.append(starts[-1] + width)
        sources = [at for at, width in enumerate(widths) for _ in range(width)]
        return Transformation(
            self._labelled(fragments),
            source_to_display=lambda at: starts[min(at, len(line))] + max(0, at - len(line)),
            display_to_source=lambda at: sources[at] if at < len(sources) else len(line) + at - len(sources),
        )

    def _labelled(self, fragments: StyleAndTextTuples) -> StyleAndTextTuples:
        drawn: StyleAndTextTuples = []
        for style, text, *_ in fragments:
            for part in re.split("([\ud800-\udbff])", text):
                if self._pastes.marks(part):
                    drawn.append((f"{style} class:paste", self._pastes.shown(part)))
                elif part:
                    drawn.append((style, part))
        return drawn
