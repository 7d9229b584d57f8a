"""What reading a long text takes, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input.splitting import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.context import Window
    from chatcli.conversation.long_input.budgets import Budgets
    from chatcli.conversation.long_input.dividing import Divided
    from chatcli.conversation.long_input.splitting import TextSlice
    from chatcli.core.ports import TokenCounter

HEADING_TOKENS: Final = 48
"""What the heading of one part's notes takes at most, where names are no longer than usual."""

_OVERLAP_SHARE: Final = 25
_LONGEST_OVERLAP_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """The ``parts`` of a text in the way ``way``, and what they take at most.

    ``requests`` counts the last one too, whose answer is the person's; ``sent_tokens`` and ``answer_tokens`` are of
    all of them together. Models mostly say less than they may, and then fewer notes are merged.
    """

    way: str
    text_tokens: int
    parts: tuple[TextSlice, ...]
    requests: int
    sent_tokens: int
    answer_tokens: int


def plan(
    way: str, divided: Divided, budgets: Budgets, counter: TokenCounter, *, window: Window, text_tokens: int
) -> Plan:
    """Return what ``way`` takes for a text of ``text_tokens``."""
    # What is sent beside the text: instructions with a part, what the conversation always sends with the last request.
    around_tokens = window.budget_tokens - budgets.part_tokens
    around_last_tokens = window.budget_tokens - budgets.final_tokens
    merges: list[int] = []
    parts: Sequence[TextSlice] = ()
    if way == "map-reduce":
        parts = _parts(divided, counter, budgets.part_tokens)
        merges, last_tokens = _merges(len(parts), budgets)
        asked = len(parts) + len(merges)
        sent = sum(part.tokens for part in parts) + sum(merges) + last_tokens
    elif way == "refine":
        parts = _parts(divided, counter, budgets.refine_tokens)
        asked = len(parts) - 1
        sent = sum(part.tokens for part in parts) + asked * (budgets.notes_tokens + HEADING_TOKENS)
    else:
        asked, sent = 0, min(text_tokens, budgets.final_tokens)
    return Plan(
        way,
        text_tokens,
        tuple(parts),
        asked + 1,
        sent + asked * around_tokens + around_last_tokens,
        asked * budgets.notes_tokens + window.answer_tokens,
    )


def _parts(divided: Divided, counter: TokenCounter, budget_tokens: int) -> Sequence[TextSlice]:
    overlap_tokens = min(_LONGEST_OVERLAP_TOKENS, budget_tokens // _OVERLAP_SHARE)
    return split(divided.text.text, counter, budget_tokens=budget_tokens, overlap_tokens=overlap_tokens)


def _merges(notes: int, budgets: Budgets) -> tuple[list[int], int]:
    """Return how long each merge is and how long the last notes are, in tokens, if all are as long as they may be."""
    each = budgets.notes_tokens + HEADING_TOKENS
    at_once = max(2, budgets.merge_tokens // each)
    merges: list[int] = []
    while notes * each > budgets.final_tokens and notes > 1:
        groups = [min(at_once, notes - at) for at in range(0, notes, at_once)]
        merges += [size * each for size in groups if size > 1]
        notes = len(groups)
    return merges, notes * each
