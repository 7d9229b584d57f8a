"""The context window, and how it is filled."""

from __future__ import annotations

from dataclasses import dataclass

from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY
from chatcli.core.errors import InputTooLong

DEFAULT_WINDOW_TOKENS = 32_768
"""The context window of a model nobody knows."""

UNTOLD_WINDOW_TOKENS = 8192
"""That of a model which a server runs itself and says nothing of: it has as much as there was memory for."""

_ROOM_FOR_ANSWER_TOKENS = 4096
_ROOM_FOR_ANSWER_SHARE = 4


@dataclass(frozen=True, slots=True)
class Window:
    """A context window of ``tokens``, of which ``answer_tokens`` stay free and ``budget_tokens`` may be sent."""

    tokens: int
    answer_tokens: int
    budget_tokens: int

    @classmethod
    def of(cls, tokens: int, max_tokens: int | None) -> Window:
        """Return the window with room for an answer of ``max_tokens``, or a usual one: a quarter, at most 4,096."""
        usual = min(_ROOM_FOR_ANSWER_TOKENS, tokens // _ROOM_FOR_ANSWER_SHARE)
        answer_tokens = usual if max_tokens is None else max_tokens
        return cls(tokens, answer_tokens, max(0, tokens - answer_tokens))


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How much of the window the conversation takes before the next question, in tokens.

    ``system_tokens``, with the notes, and ``turns_tokens``, with a summary of turns, are what would be sent of it,
    ``left_out_turns`` what would not.
    ``estimated`` marks counts from before the vocabulary was loaded.
    """

    window_tokens: int
    budget_tokens: int
    system_tokens: int
    turns_tokens: int
    kept_turns: int
    left_out_turns: int
    estimated: bool = False

    @property
    def free_tokens(self) -> int:
        """How long the next question may be before more turns are left out."""
        taken = self.system_tokens + self.turns_tokens + TOKENS_AROUND_MESSAGE + TOKENS_TO_OPEN_REPLY
        return max(0, self.budget_tokens - taken)


def too_long(needed_tokens: int, question_tokens: int, budget_tokens: int) -> InputTooLong:
    return InputTooLong(
        f"the question is too long: {needed_tokens:,} tokens with the system prompt and pinned messages "
        f"({question_tokens:,} of them the question), room for {budget_tokens:,}",
        hint="shorten it, lower --max-tokens, or use a model with a larger context window (-m, context_window)",
    )
