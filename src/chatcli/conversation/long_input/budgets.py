"""How much of a long text one request has room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY
from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.splitting import FEWEST_TOKENS
from chatcli.conversation.strategies.strategy import only_what_must_be_sent
from chatcli.core import messages
from chatcli.core.messages import Message, TextPart

if TYPE_CHECKING:
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.dividing import Divided

_NOTES_SHARE: Final = 4
"""Notes take at most this share of a request, so that at least as many are merged into one, and merging ends."""

_SEAMS_TOKENS: Final = 12
"""Tokens that the same characters may have more of in a frame than by themselves."""

_FEWEST_TOKENS: Final = 256
"""With less room, headings would take most of it, and one set of notes would hardly be a sentence."""

_WIDEST: Final = 999_999_999


@dataclass(frozen=True, slots=True)
class Budgets:
    """Room in tokens: for a part, for notes that are merged, for the text of the last request; and for one set of notes."""

    part_tokens: int
    merge_tokens: int
    final_tokens: int
    notes_tokens: int

    @property
    def refine_tokens(self) -> int:
        """Room for a part beside the notes so far, also in the last request."""
        return min(self.part_tokens, self.final_tokens) - self.notes_tokens - _SEAMS_TOKENS


def required_tokens(history: History, tokens: MessageTokens) -> int:
    """Return what goes with every question: the system prompt, notes, pinned turns, and the opening of the reply."""
    nothing = messages.question("")
    return only_what_must_be_sent(history, nothing, tokens).sent_tokens - tokens(nothing)


def budgets_for(
    divided: Divided,
    window: Window,
    tokens: MessageTokens,
    *,
    required_tokens: int,
    answer_so_far_tokens: int = 0,
) -> Budgets | None:
    """Return the room there is, ``None`` where the question leaves none."""
    around = divided.about(_widest_label(divided), prompts.notes_preface(_WIDEST, _WIDEST))
    free = window.budget_tokens - tokens(around) - _SEAMS_TOKENS
    instructions = max(
        tokens(messages.system(make(window.answer_tokens)))
        for make in (prompts.part_instructions, prompts.merge_instructions, prompts.refine_instructions)
    )
    asking = free - TOKENS_TO_OPEN_REPLY - instructions
    final = free - required_tokens - answer_so_far_tokens
    least = min(asking, final)
    notes = min(window.answer_tokens, least // _NOTES_SHARE)
    if least < _FEWEST_TOKENS or notes < FEWEST_TOKENS:
        return None
    return Budgets(asking, asking, final, notes)


def asked(instructions: str, divided: Divided, name: str, text: str) -> tuple[Message, ...]:
    """Return the messages that ask about a part, or about notes."""
    # Pictures and other attachments go with the last request only, which is the one that is answered.
    texts = tuple(part for part in divided.about(name, text).parts if isinstance(part, TextPart))
    return messages.system(instructions), Message("user", texts)


def _widest_label(divided: Divided) -> str:
    longest = max(divided.text.names, key=len)
    count = f"{_WIDEST:,}"
    two = f"{longest} to {longest}" if len(divided.text.names) > 1 else longest
    return f"{two}, part {count} of {count}: {prompts.span(_WIDEST, _WIDEST, _WIDEST)}"
