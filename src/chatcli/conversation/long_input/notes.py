"""Notes on parts of a text, as the model made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.splitting import FEWEST_TOKENS, MeasuredText

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.core.ports import TokenCounter


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
    """Return the beginning of ``text`` that has at most ``most_tokens``, which are some more than a mark takes."""
    if counter.count(text) <= most_tokens:
        return text
    measured = MeasuredText(text, counter, grain_tokens=max(1, most_tokens // FEWEST_TOKENS))
    end = len(measured)
    while end and (measured.tokens(0, end) > most_tokens or measured.count(0, end) > most_tokens):
        end -= 1
    return text[: measured.starts[end]]
