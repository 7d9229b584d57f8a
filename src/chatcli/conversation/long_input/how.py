"""What is done with a text that is too long, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatcli.core.strategy_table import FAIL

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from chatcli.core.usage import Usage
    from chatcli.storage.cache import Cache

    CostOf: TypeAlias = Callable[[Usage], float | None]


def unknown_cost(_: Usage) -> float | None:
    """Return that no price is known."""
    return None


@dataclass(frozen=True, slots=True)
class LongInput:
    """What is done with a text that is too long: ``strategy`` is a name of ``LONG_INPUT_STRATEGIES`` or ``FAIL``.

    Without ``kept`` no answer to a part is kept.
    """

    strategy: str = FAIL
    concurrency: int = 4
    kept: Cache[object] | None = None
    cost_of: CostOf = unknown_cost
