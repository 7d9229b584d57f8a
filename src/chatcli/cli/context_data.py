"""What a model sees of a conversation, as data: the keys ``--dry-run`` tells it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatcli.chat.seen import stretches

if TYPE_CHECKING:
    from chatcli.chat.seen import Seen


def context_data(seen: Seen) -> dict[str, Any]:
    """Return the strategy, the parts that are sent in their order, and what is left out.

    A ``turn`` is a number in the conversation, the first being 1; ``turns`` are pairs of the first and the last of
    those that follow each other.
    """
    return {
        "context": seen.context,
        "parts": [
            {"kind": part.kind, "tokens": part.tokens, "turn": part.turn, "cost_usd": part.cost_usd}
            for part in seen.parts
        ],
        "left_out": [
            {
                "turns": [list(stretch) for stretch in stretches(gap.turns)],
                "reason": gap.reason,
                "tokens": gap.tokens,
            }
            for gap in seen.left_out
        ],
    }
