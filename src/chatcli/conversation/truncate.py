"""The context strategy ``truncate``: system prompt and pinned turns, then the newest whole turns that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.context import Fitted, too_long
from chatcli.conversation.counting import BYTES_A_TOKEN, TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History, Turn
    from chatcli.core.messages import Message


def truncate(history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
    """Keep the system prompt, every pinned turn and the newest whole turns; see ``context.Strategy``."""
    if not tokens.exact_at_once:
        fitted = _fit_without_vocabulary(history, question, budget_tokens, tokens)
        if fitted is not None:
            return fitted
    return _fit(history, question, budget_tokens, tokens)


def _fit(history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
    pinned = {number for number, turn in enumerate(history.turns) if turn.pinned and turn.has_question}
    needed = TOKENS_TO_OPEN_REPLY + tokens(question)
    needed += sum(tokens(message) for message in _system(history))
    needed += sum(_turn_tokens(history.turns[number], tokens) for number in pinned)
    if needed > budget_tokens:
        raise too_long(needed, tokens(question), budget_tokens)
    kept = set(pinned)
    for number in range(len(history.turns) - 1, -1, -1):
        turn = history.turns[number]
        if number in pinned or not turn.has_question:
            continue
        turn_tokens = _turn_tokens(turn, tokens)
        if needed + turn_tokens > budget_tokens:
            break
        needed += turn_tokens
        kept.add(number)
    turns = [history.turns[number] for number in sorted(kept)]
    return Fitted(_messages(history, turns, question), needed, len(history.turns) - len(turns))


def _fit_without_vocabulary(
    history: History, question: Message, budget_tokens: int, tokens: MessageTokens
) -> Fitted | None:
    """Return the whole conversation when it fits however it is counted, else ``None``.

    Most one-shot questions are answered here, without the quarter of a second a vocabulary takes to load.
    """
    turns = [turn for turn in history.turns if turn.has_question]
    bound = TOKENS_TO_OPEN_REPLY
    # Newest first: a long conversation is found too long after its last few turns.
    for message in reversed(_messages(history, turns, question)):
        bound += tokens.upper_bound(message)
        if bound > budget_tokens:
            return None
    messages = _messages(history, turns, question)
    around = TOKENS_TO_OPEN_REPLY + TOKENS_AROUND_MESSAGE * len(messages)
    estimate = around + -(-(bound - around) // BYTES_A_TOKEN)
    return Fitted(messages, estimate, len(history.turns) - len(turns), estimated=True)


def _turn_tokens(turn: Turn, tokens: MessageTokens) -> int:
    return sum(tokens(message) for message in turn.messages)


def _system(history: History) -> tuple[Message, ...]:
    return () if history.system is None else (history.system,)


def _messages(history: History, turns: Iterable[Turn], question: Message) -> tuple[Message, ...]:
    return (*_system(history), *(message for turn in turns for message in turn.messages), question)
