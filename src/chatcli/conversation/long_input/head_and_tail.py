"""``head``, ``tail`` and ``middle-out``: as much of the text as fits one request, with a mark where something is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input import prompts
from chatcli.conversation.long_input.splitting import MeasuredText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.conversation.long_input.work import Work
    from chatcli.core.events import Event
    from chatcli.core.messages import Message
    from chatcli.core.ports import TokenCounter

_PIECES: Final = 64
_MARK_TOKENS: Final = 32
"""More than the mark takes, whatever its numbers are."""

_HEAD_SHARES: Final = {"head": 1.0, "tail": 0.0, "middle-out": 0.5}
"""How much of what is sent is from the beginning; the rest is from the end."""


async def cut_to_fit(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield the question about what is left of the text."""
    share = _HEAD_SHARES[work.plan.way]
    text = cut(work.divided.text.text, work.counter, work.budgets.final_tokens, head_share=share)
    yield work.divided.about(work.name, text)


def cut(text: str, counter: TokenCounter, budget_tokens: int, *, head_share: float) -> str:
    """Return at most ``budget_tokens`` of ``text``, of which ``head_share`` are its beginning and the rest its end."""
    if counter.count(text) <= budget_tokens:
        return text
    measured = MeasuredText(text, counter, grain_tokens=max(1, budget_tokens // _PIECES))
    room = budget_tokens - _MARK_TOKENS
    while True:
        head, tail = _ends(measured, room, head_share)
        shown = _marked(measured, head, tail)
        # Counted piece by piece it may have been a little less.
        if counter.count(shown) <= budget_tokens or not (head or tail < len(measured)):
            return shown
        room -= max(1, room // _PIECES)


def _ends(measured: MeasuredText, room: int, head_share: float) -> tuple[int, int]:
    """Return where the beginning ends and where the end begins, in pieces."""
    head = 0
    while head < len(measured) and measured.tokens(0, head + 1) <= room * head_share:
        head += 1
    tail, left = len(measured), room - measured.tokens(0, head)
    if head_share < 1:
        while tail > head and measured.tokens(tail - 1, len(measured)) <= left:
            tail -= 1
    return head, tail


def _marked(measured: MeasuredText, head: int, tail: int) -> str:
    start, stop = measured.starts[head], measured.starts[tail]
    mark = prompts.left_out(stop - start, measured.tokens(head, tail))
    pieces = (measured.text[:start].rstrip(), mark, measured.text[stop:].lstrip("\n"))
    return "\n\n".join(piece for piece in pieces if piece)
