"""The axes of charts: values at round numbers, and moments at midnights and whole hours."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.render.statistics_words import round_time
from chatcli.text.times import calendar_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

_MOST_STEPS: Final = 4
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_SPREAD: Final = 60
"""How many times the least the largest time is, for an axis that is logarithmic: on a plain one, the least would lie on the ground."""
_LEAST_S: Final = 0.001
_LEAST_USD: Final = 0.0001

_ROUND_TIMES_S: Final = (
    *(digit * 10.0**power for power in range(-3, 1) for digit in (1, 2, 5)),
    *(10, 20, 30, _MINUTE_S, 2 * _MINUTE_S, 5 * _MINUTE_S, 10 * _MINUTE_S, 20 * _MINUTE_S, 30 * _MINUTE_S),
    *(_HOUR_S, 2 * _HOUR_S, 6 * _HOUR_S, 12 * _HOUR_S),
)
_PERCENTS: Final = ((80, 5), (50, 10), (0, 25))
_MILLISECONDS, _SECONDS = (0.001, "ms"), (1, "s")
_HOURS: Final = (1, 2, 3, 6, 12)
_DAYS: Final = (1, 2, 3, 4, 7, 14, 30, 60, 90, 180, 365)
_MOST_TICKS: Final = 7
_YEAR: Final = timedelta(days=360)
"""From this on, a month with its year says more than a day."""


class Tick(NamedTuple):
    """A label on an axis; ``at`` is a value on an axis of values, else a share of the axis. ``is_extra`` if a narrow screen has no room for it."""

    at: float
    label: str
    is_extra: bool = False


class Scale(NamedTuple):
    """An axis of values, from its first tick to its last."""

    ticks: tuple[Tick, ...]
    is_logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return the height of ``value``: 0 at the ground, 1 at the top."""
        lower, upper = self.ticks[0].at, self.ticks[-1].at
        if self.is_logarithmic:
            lower, upper, value = math.log(lower), math.log(upper), math.log(max(value, lower))
        return min(1.0, max(0.0, (value - lower) / (upper - lower)))


def scale_of_counts(largest: int) -> Scale:
    return _even(largest, max(1.0, _round_step(largest)), lambda value: f"{value:,.0f}")


def scale_of_dollars(largest: float) -> Scale:
    step = _round_step(max(largest, _LEAST_USD))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    # One decimal would be half a cent's notation.
    return _even(largest, step, lambda value: f"${value:,.{2 if decimals == 1 else decimals}f}")


def scale_of_shares(least: float) -> Scale:
    """Return an axis up to 100%; it begins at 0%, or above if all shares are large, so that small differences show."""
    first, step = next((first, step) for first, step in _PERCENTS if least * 100 >= first)
    return Scale(tuple(Tick(percent / 100, f"{percent}%") for percent in range(first, 101, step)))


def scale_of_times(times_s: Iterable[float]) -> Scale:
    """Return an axis for times, of which there is one at least; where they differ much, a logarithmic one."""
    times = [max(_LEAST_S, time_s) for time_s in times_s]
    least, largest = min(times), max(times)
    if largest / least >= _SPREAD:
        powers = range(math.floor(math.log10(least)), math.ceil(math.log10(largest)) + 1)
        # Minutes would have other round numbers.
        units = ((10.0**power, _MILLISECONDS if power < 0 else _SECONDS) for power in powers)
        return Scale(
            tuple(Tick(time_s, _in_unit(time_s, unit)) for time_s, unit in units), is_logarithmic=True
        )
    step = next(
        (step for step in _ROUND_TIMES_S if step * _MOST_STEPS >= largest),
        _DAY_S * math.ceil(largest / _MOST_STEPS / _DAY_S),
    )
    unit = _unit_of(math.ceil(largest / step) * step)
    return _even(largest, step, lambda value: _in_unit(value, unit))


def moment_ticks(starts: Sequence[datetime], *, is_hourly: bool) -> list[Tick]:
    """Return the labels below slots that begin at ``starts``, at most seven: the days, and hours where there is room."""
    days = [index for index, start in enumerate(starts) if not (is_hourly and start.hour)]
    if is_hourly:
        for hours in _HOURS:
            chosen = [index for index, start in enumerate(starts) if start.hour % hours == 0]
            if len(chosen) <= _MOST_TICKS:
                return [
                    _moment(
                        starts, index, is_time=index not in days, is_extra=bool(days) and index not in days
                    )
                    for index in chosen
                ]
    step = next((step for step in _DAYS if len(days) <= step * _MOST_TICKS), len(days) or 1)
    return [
        _moment(starts, index, is_time=False, is_extra=place % 2 == 1)
        for place, index in enumerate(days[::step])
    ]


def edge_ticks(edges_s: Sequence[float], last_s: float | None) -> list[Tick]:
    """Return labels below the edges of a histogram's bars, at most seven; ``last_s`` is where the last bar ends, if it does."""
    edges = [*edges_s, *([] if last_s is None else [last_s])]
    every = -(-len(edges) // _MOST_TICKS)
    return [
        Tick(index / len(edges_s), round_time(edges[index]), place % 2 == 1)
        for place, index in enumerate(range(0, len(edges), every))
    ]


def _moment(starts: Sequence[datetime], index: int, *, is_time: bool, is_extra: bool) -> Tick:
    start = starts[index]
    if is_time:
        label = f"{start:%H:%M}"
    elif starts[-1] - starts[0] < _YEAR:
        label = calendar_day(start, start)
    else:
        _, _, label = calendar_day(start).partition(" ")
    return Tick((index + 0.5) / len(starts), label, is_extra)


def _round_step(largest: float) -> float:
    """Return the least of 1, 2, 5, 10, … and 0.5, 0.2, … that is at least a quarter of ``largest``."""
    wanted = max(largest, 1e-9) / _MOST_STEPS
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= wanted * (1 - 1e-9))


def _even(largest: float, step: float, label: Callable[[float], str]) -> Scale:
    steps = max(1, math.ceil(largest / step - 1e-9))
    return Scale(tuple(Tick(step * index, label(step * index)) for index in range(steps + 1)))


def _unit_of(time_s: float) -> tuple[float, str]:
    if time_s < 1:
        return _MILLISECONDS
    if time_s <= 2 * _MINUTE_S:
        return _SECONDS
    return (_MINUTE_S, "min") if time_s <= 2 * _HOUR_S else (_HOUR_S, "h")


def _in_unit(time_s: float, unit: tuple[float, str]) -> str:
    return f"{float(f'{time_s / unit[0]:.6g}'):,g} {unit[1]}"
