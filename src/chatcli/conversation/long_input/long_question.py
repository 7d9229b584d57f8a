"""A question that does not fit: what can be done about it, and what that takes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from chatcli.conversation.long_input.budgets import budgets_for, required_tokens
from chatcli.conversation.long_input.dividing import divide
from chatcli.conversation.long_input.planning import Plan, plan
from chatcli.core.errors import InputTooLong
from chatcli.core.long_ways import WAYS, WAYS_BY_NAME

if TYPE_CHECKING:
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.budgets import Budgets
    from chatcli.core.messages import Message
    from chatcli.core.ports import TokenCounter


class LongQuestion:
    """A question that does not fit ``window`` beside what must be sent of ``history``."""

    def __init__(
        self,
        question: Message,
        *,
        history: History,
        window: Window,
        tokens: MessageTokens,
        counter: TokenCounter,
        answer_so_far: str = "",
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
            answer_so_far_tokens=tokens.estimate_text(answer_so_far) if answer_so_far else 0,
        )

    @property
    def numbers(self) -> str:
        return f"{self._needed_tokens:,} tokens, room for {self._window.budget_tokens:,}"

    def refusal(self) -> InputTooLong:
        """Return the error that says what does not fit, and what can be done."""
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
        """The room there is; ``InputTooLong`` where there is none."""
        if self._budgets is None:
            raise self.refusal()
        return self._budgets

    def plans(self) -> list[Plan]:
        """Return what each way takes. Raise ``InputTooLong`` where there is room for none."""
        return [self.plan(way.name) for way in WAYS]

    def plan(self, way: str) -> Plan:
        """Return what ``way`` takes: seconds of work for millions of characters."""
        if way not in WAYS_BY_NAME:
            raise self.refusal()
        if way not in self._plans:
            self._plans[way] = plan(
                way,
                self.divided,
                self.budgets,
                self.counter,
                window=self._window,
                text_tokens=self._text_tokens,
            )
        return self._plans[way]

    @cached_property
    def _text_tokens(self) -> int:
        return self.counter.count(self.divided.text.text)
