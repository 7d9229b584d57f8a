"""The costs of processes, side by side."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a process in seconds; ``cpu_s`` is user and system time, ``None`` if unknown."""

    wall_s: float
    cpu_s: float | None


def show(costs: Mapping[str, Sequence[Cost]]) -> None:
    """Print medians, and the ratio of each to the first."""
    names = list(costs)
    base_wall_s, base_cpu_s = medians(costs[names[0]])
    print(f"  {'':<22}{'wall s':>8}{'ratio':>7}{'cpu s':>9}{'ratio':>7}")
    for name in names:
        wall_s, cpu_s = medians(costs[name])
        line = f"  {name:<22}{wall_s:>8.3f}{wall_s / base_wall_s:>7.2f}"
        if cpu_s is not None and base_cpu_s:
            line += f"{cpu_s:>9.3f}{cpu_s / base_cpu_s:>7.2f}"
        print(line)


def medians(costs: Sequence[Cost]) -> tuple[float, float | None]:
    cpu = [cost.cpu_s for cost in costs if cost.cpu_s is not None]
    return statistics.median(cost.wall_s for cost in costs), statistics.median(cpu) if cpu else None


def children_cpu_s() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
