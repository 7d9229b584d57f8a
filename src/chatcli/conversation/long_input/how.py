"""What is done with a text that is too long, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.core.long_ways import FAIL
from chatcli.storage.cache import FolderCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.core.usage import Usage
    from chatcli.storage.cache import Cache

    CostOf: TypeAlias = Callable[[Usage], float | None]


_DAY_S: Final = 86_400
KEPT_FOR_S: Final = 7 * _DAY_S
_MOST_BYTES: Final = 50_000_000
_MOST_ANSWERS: Final = 20_000


def kept_answers(folder: Path) -> Cache[object]:
    """Return the answers to parts, kept in ``folder`` so that interrupted work goes on where it was."""
    return FolderCache(folder, most_entries=_MOST_ANSWERS, most_age_s=KEPT_FOR_S, most_bytes=_MOST_BYTES)


def unknown_cost(_: Usage) -> float | None:
    """Return that no price is known."""
    return None


@dataclass(frozen=True, slots=True)
class LongInput:
    """What is done with a text that is too long: ``way`` is a name of ``WAYS`` or ``FAIL``.

    Without ``kept`` no answer to a part is kept.
    """

    way: str = FAIL
    concurrency: int = 4
    kept: Cache[object] | None = None
    cost_of: CostOf = unknown_cost
