"""Settings for texts that are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.frozen import frozen
from chatcli.core.strategy_table import FAIL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.core.events import Usage

    CostOf: TypeAlias = Callable[[Usage], float | None]
    CheckCost: TypeAlias = Callable[[float | None, str], Awaitable[None]]
    """Raises ``BudgetReached`` if something may cost more than is left; the text names it."""


def unknown_cost(_: Usage) -> float | None:
    """Return that no price is known."""
    return None


@frozen
class LongInput:
    """Settings for a long text: ``strategy`` is a name of ``LONG_INPUT_STRATEGIES`` or ``FAIL``.

    ``kept_in`` is the folder where answers to parts are cached, ``None`` if they are not. ``check_cost`` is asked before a reading is begun, if
    a budget is set.
    """

    strategy: str = FAIL
    concurrency: int = 4
    kept_in: Path | None = None
    cost_of: CostOf = unknown_cost
    check_cost: CheckCost | None = None
