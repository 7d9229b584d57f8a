"""A question that does not fit: the budgets, the possible strategies, and their costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY
from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.splitting import FEWEST_TOKENS, divide, split
from chatcli.conversation.strategies.strategy import mandatory_only
from chatcli.core import messages
from chatcli.core.errors import InputTooLong
from chatcli.core.events import Usage
from chatcli.core.messages import Message, TextPart
from chatcli.core.strategy_table import LONG_INPUT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.splitting import Divided, TextSlice
    from chatcli.core.ports import TokenCounter

_NOTES_SHARE: Final = 4
"""The largest share of a request that notes may take, so that at least two are merged at once, and merging ends."""

_SEAMS_TOKENS: Final = 12
"""Tokens that the same characters may have more of inside a frame than alone."""

_FEWEST_TOKENS: Final = 256
"""With less room, headings would take most of it, and notes would hardly be a sentence."""

_WIDEST: Final = 999_999_999


@dataclass(frozen=True, slots=True)
class Budgets:
    """Token budgets: for a part, for notes to merge, for the text of the last request, and for one set of notes."""

    part_tokens: int
    merge_tokens: int
    final_tokens: int
    notes_tokens: int

    @property
    def refine_tokens(self) -> int:
        """The budget of a part beside the notes so far, also in the last request."""
        return min(self.part_tokens, self.final_tokens) - self.notes_tokens - _SEAMS_TOKENS


def required_tokens(history: History, tokens: MessageTokens) -> int:
    """Return the tokens sent with every question about a text.

    These are the system prompt, the notes, the instruction about text of others, pinned turns, and the opening of the reply.
    """
    nothing = messages.question("", "")
    return mandatory_only(history, nothing, tokens).sent_tokens - tokens(nothing)


def budgets_for(
    divided: Divided,
    window: Window,
    tokens: MessageTokens,
    *,
    required_tokens: int,
    answer_so_far_tokens: int = 0,
) -> Budgets | None:
    """Return the budgets, ``None`` if the question leaves no room."""
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


def part_messages(instructions: str, divided: Divided, name: str, text: str) -> tuple[Message, ...]:
    """Return the messages that ask about a part, or about notes."""
    # Pictures and other attachments go only with the last request, which produces the answer.
    texts = tuple(part for part in divided.about(name, text).parts if isinstance(part, TextPart))
    return messages.system(instructions), Message("user", texts)


def _widest_label(divided: Divided) -> str:
    longest = max(divided.text.names, key=len)
    count = f"{_WIDEST:,}"
    two = f"{longest} to {longest}" if len(divided.text.names) > 1 else longest
    return f"{two}, part {count} of {count}: {prompts.span(_WIDEST, _WIDEST, _WIDEST)}"


HEADING_TOKENS: Final = 48
"""The maximum length of a heading for one part's notes, for names of usual length."""

_OVERLAP_SHARE: Final = 25
_LONGEST_OVERLAP_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """The ``parts`` of a text for ``strategy``, and upper bounds of its cost.

    ``requests`` includes the last one, which produces the answer; ``sent_tokens`` and ``answer_tokens`` are
    totals. Models usually answer shorter than allowed, and then fewer notes are merged.
    """

    strategy: str
    text_tokens: int
    parts: tuple[TextSlice, ...]
    requests: int
    sent_tokens: int
    answer_tokens: int

    @property
    def usage(self) -> Usage:
        """The most tokens, as of one answer."""
        return Usage(self.sent_tokens, self.answer_tokens, estimated=True)


def plan(
    strategy: str,
    divided: Divided,
    budgets: Budgets,
    counter: TokenCounter,
    *,
    window: Window,
    text_tokens: int,
) -> Plan:
    """Return the plan of ``strategy`` for a text of ``text_tokens``."""
    # Tokens beside the text: instructions with a part, and the conversation's fixed messages with the last
    # request.
    around_tokens = window.budget_tokens - budgets.part_tokens
    around_last_tokens = window.budget_tokens - budgets.final_tokens
    merges: list[int] = []
    parts: Sequence[TextSlice] = ()
    if strategy == "map-reduce":
        parts = _parts(divided, counter, budgets.part_tokens)
        merges, last_tokens = _merges(len(parts), budgets)
        request_count = len(parts) + len(merges)
        sent = sum(part.tokens for part in parts) + sum(merges) + last_tokens
    elif strategy == "refine":
        parts = _parts(divided, counter, budgets.refine_tokens)
        request_count = len(parts) - 1
        sent = sum(part.tokens for part in parts) + request_count * (budgets.notes_tokens + HEADING_TOKENS)
    else:
        request_count, sent = 0, min(text_tokens, budgets.final_tokens)
    return Plan(
        strategy,
        text_tokens,
        tuple(parts),
        request_count + 1,
        sent + request_count * around_tokens + around_last_tokens,
        request_count * budgets.notes_tokens + window.answer_tokens,
    )


def _parts(divided: Divided, counter: TokenCounter, budget_tokens: int) -> Sequence[TextSlice]:
    overlap_tokens = min(_LONGEST_OVERLAP_TOKENS, budget_tokens // _OVERLAP_SHARE)
    return split(divided.text.text, counter, budget_tokens=budget_tokens, overlap_tokens=overlap_tokens)


def _merges(notes: int, budgets: Budgets) -> tuple[list[int], int]:
    """Return the lengths of all merges and of the final notes in tokens, if all notes have maximum length."""
    each = budgets.notes_tokens + HEADING_TOKENS
    at_once = max(2, budgets.merge_tokens // each)
    merges: list[int] = []
    while notes * each > budgets.final_tokens and notes > 1:
        groups = [min(at_once, notes - at) for at in range(0, notes, at_once)]
        merges += [size * each for size in groups if size > 1]
        notes = len(groups)
    return merges, notes * each


class LongQuestion:
    """A question that does not fit ``window`` beside the mandatory messages of ``history``."""

    def __init__(
        self,
        question: Message,
        *,
        history: History,
        window: Window,
        tokens: MessageTokens,
        counter: TokenCounter,
        partial_answer: str = "",
    ) -> None:
        self.divided = divide(question)
        self.tokens = tokens
        self._window = window
        self.counter = counter
        self._required_tokens = required_tokens(history, tokens)
        self._needed_tokens = self._required_tokens + tokens(question)
        self._question_tokens = tokens(question)
        self._plans: dict[str, Plan] = {}
        self._budgets = budgets_for(
            self.divided,
            window,
            tokens,
            required_tokens=self._required_tokens,
            answer_so_far_tokens=tokens.estimate_text(partial_answer) if partial_answer else 0,
        )

    @property
    def numbers(self) -> str:
        return f"{self._needed_tokens:,} tokens, room for {self._window.budget_tokens:,}"

    def refusal(self) -> InputTooLong:
        """Return the error that names the excess and the remedies."""
        message = (
            f"the question is too long: {self._needed_tokens:,} tokens with the system prompt and pinned messages "
            f"({self._question_tokens:,} of them the question), room for {self._window.budget_tokens:,}"
        )
        shorter = (
            "shorten it, lower --max-tokens, or use a model with a larger context window (-m, context_window)"
        )
        budgets = self._budgets
        if budgets is None:
            return InputTooLong(message, hint=shorter)
        parts = -(-self._question_tokens // budgets.part_tokens)
        return InputTooLong(
            message,
            hint=f"--long map-reduce or refine read all of it, in about {parts:,} parts; --long head, tail or "
            f"middle-out send {budgets.final_tokens:,} tokens of it; or {shorter}",
        )

    @property
    def budgets(self) -> Budgets:
        """The budgets; raises ``InputTooLong`` if there is no room."""
        if self._budgets is None:
            raise self.refusal()
        return self._budgets

    def plans(self) -> list[Plan]:
        """Return the plan of each strategy. Raise ``InputTooLong`` if there is no room for any."""
        return [self.plan(strategy) for strategy in LONG_INPUT_STRATEGIES]

    def plan(self, strategy: str) -> Plan:
        """Return the plan of ``strategy``; takes seconds for millions of characters."""
        if strategy not in LONG_INPUT_STRATEGIES:
            raise self.refusal()
        if strategy not in self._plans:
            self._plans[strategy] = plan(
                strategy,
                self.divided,
                self.budgets,
                self.counter,
                window=self._window,
                text_tokens=self._text_tokens,
            )
        return self._plans[strategy]

    @cached_property
    def _text_tokens(self) -> int:
        return self.counter.count(self.divided.text.text)
