"""How many more tokens an endpoint counts than its model's vocabulary says, learned from what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.client.endpoint_memory import EndpointMemory

SHORTEST_TOKENS: Final = 200
"""Of a shorter prompt a chat template and its own system prompt are the better part."""

LARGEST_SHARE: Final = 1.0
"""Who tells of more than twice the tokens counts something else."""

_EASED: Final = 0.25
"""How much of the way to a smaller share one answer goes: what was too little once may be again."""


class LearnedCounts:
    """What to add to a count for the models at ``base_url``, as a share of it: from nothing to ``LARGEST_SHARE``.

    A larger share counts at once, as a prompt that is too long is refused; a smaller one is come to in steps. It is
    never negative: nothing is sent in the hope that an endpoint counts little. ``memory`` keeps it for later runs.
    """

    def __init__(self, base_url: str, memory: EndpointMemory | None = None) -> None:
        self._base_url = base_url
        self._memory = memory
        self._shares: dict[str, float] = {}

    def share(self, model: str) -> float:
        if model not in self._shares:
            _, value = self._memory.recall(self._base_url, model) if self._memory else (False, None)
            known = value if isinstance(value, float) else 0.0
            self._shares[model] = known if 0 <= known <= LARGEST_SHARE else 0.0
        return self._shares[model]

    def learn(self, model: str, counted_tokens: int, told_tokens: int) -> None:
        """Take note that the endpoint told of ``told_tokens`` where the vocabulary said ``counted_tokens``."""
        if counted_tokens < SHORTEST_TOKENS:
            return
        seen = max(0.0, told_tokens / counted_tokens - 1)
        if seen > LARGEST_SHARE:
            return
        before = self.share(model)
        share = round(seen if seen > before else before + (seen - before) * _EASED, 4)
        if share != before:
            self._shares[model] = share
            if self._memory is not None:
                self._memory.remember(self._base_url, model, share)
