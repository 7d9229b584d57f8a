"""Statistics of calls on a terminal: a summary, a table of groups, errors, and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wcwidth import width

from chatcli.render.charts import TextBar, bars, headed
from chatcli.render.statistics_pictures import pictures
from chatcli.render.statistics_words import (
    brief_cost,
    errors_by_count,
    facts,
    group_name,
    rate_in_words,
    time_in_words,
)
from chatcli.render.text_columns import hanging, labelled, table
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened, shortened_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from chatcli.core.statistics import Figures, Group, StatisticsReport
    from chatcli.render.themes import StyledRow

    Words: TypeAlias = Callable[[Figures], str]

_HEADING: Final = "strong"
_FAINT: Final = "remark"
_PROBLEM: Final = "finding.problem"

_BRIEF: Final = frozenset({"calls", "success rate", "latency", "first token", "cost"})
_BY_IMPORTANCE: Final = (1, 3, 2, 5, 4, 6)
"""The parts of a brief view behind the summary, by their places."""
_FEW_GROUPS: Final = 4
_TALL_ROWS: Final = 30
MOST_GROUPS: Final = 30
"""More are left to CSV and JSON."""
_GAP: Final = 2
_LEAST_OF_NAME: Final = 4
"""A name has at least one in so many columns, as far as it needs them."""
_ESSENTIAL: Final = 4


class _TableColumn(NamedTuple):
    """A column of the table of groups; in little room those of the lowest ``rank`` stay, by their ``short`` headings."""

    heading: str
    short: str
    words: Words
    rank: int


def _rate(figures: Figures) -> str:
    rate = figures.success_rate
    return "" if rate is None else rate_in_words(rate)


def _latency(at: int) -> Words:
    return lambda figures: "" if figures.latency is None else time_in_words(figures.latency[at])


def _first_token(figures: Figures) -> str:
    return "" if figures.ttft is None else time_in_words(figures.ttft.p50_s)


def _speed(figures: Figures) -> str:
    return "" if figures.tokens_per_s is None else f"{figures.tokens_per_s:,.1f}"


def _number(of: Callable[[Figures], int]) -> Words:
    return lambda figures: f"{of(figures):,}" if of(figures) else ""


def _cost(figures: Figures) -> str:
    return brief_cost(figures) if figures.calls else ""


_COLUMNS: Final = (
    _TableColumn("calls", "calls", lambda figures: f"{figures.calls:,}", 0),
    _TableColumn("success", "ok", _rate, 1),
    _TableColumn("p50", "p50", _latency(0), 2),
    _TableColumn("p95", "p95", _latency(1), 4),
    _TableColumn("p99", "p99", _latency(2), 9),
    _TableColumn("1st token", "1st", _first_token, 5),
    _TableColumn("tokens/s", "tok/s", _speed, 6),
    _TableColumn("tokens in", "in", _number(lambda figures: figures.input_tokens), 8),
    _TableColumn("out", "out", _number(lambda figures: figures.output_tokens), 7),
    _TableColumn("cached", "cached", _number(lambda figures: figures.cache_hits), 11),
    _TableColumn("retries", "retries", _number(lambda figures: figures.retries), 10),
    _TableColumn("cost", "cost", _cost, 3),
)


def is_empty(report: StatisticsReport) -> bool:
    return not (report.total.calls or report.total.cache_hits)


def statistics_view(
    report: StatisticsReport, period: str, columns: int, *, table_columns: int | None = None
) -> list[StyledRow]:
    """Return the statistics of ``period``, such as ``in the last 7 days``, in rows of at most ``columns``.

    The table may be wider, up to ``table_columns``.
    """
    drawn = pictures(report, columns)
    return _below_each_other(
        _summary(report, period, columns),
        _groups(report, table_columns or columns),
        _errors(report.total, columns),
        drawn.latency,
        drawn.spread,
        drawn.success,
        drawn.cost,
    )


def brief_view(report: StatisticsReport, period: str, columns: int, rows: int) -> list[StyledRow]:
    """Return what is most important for somebody who watches, in at most ``rows``: parts that do not fit are left out."""
    summary = [*headed(f"Calls {period}", columns)]
    chosen = [(label, value) for label, value in facts(report.total) if label in _BRIEF]
    summary += [[(line, "")] for line in table(chosen, columns).split("\n")]
    room = rows - len(summary) - 1
    groups = _groups(
        report, columns, most=max(1, min(_FEW_GROUPS if rows < _TALL_ROWS else MOST_GROUPS, room - 1))
    )
    parts = [summary, groups, _errors(report.total, columns), *pictures(report, columns)]
    shown = {0}
    for at in _BY_IMPORTANCE:
        tried = [part for place, part in enumerate(parts) if place in {*shown, at}]
        if len(_below_each_other(*tried)) <= rows:
            shown.add(at)
    return _below_each_other(*(part for place, part in enumerate(parts) if place in shown))[:rows]


def _below_each_other(*parts: Sequence[StyledRow]) -> list[StyledRow]:
    """Return the parts that are not empty, a blank row between them."""
    rows: list[StyledRow] = []
    for part in filter(None, parts):
        rows += [[("", "")], *part] if rows else part
    return rows


def _summary(report: StatisticsReport, period: str, columns: int) -> list[StyledRow]:
    rows: list[StyledRow] = [*headed(f"Calls {period}", columns)]
    rows += [[(line, "")] for line in labelled(list(facts(report.total)), columns).split("\n")]
    if report.unreadable is not None:
        rows += [[(line, _PROBLEM)] for line in hanging("", incomplete(report.unreadable), columns)]
    return rows


def incomplete(reason: str) -> str:
    return f"incomplete: {reason}"


def shown_groups(report: StatisticsReport, most: int = MOST_GROUPS) -> Sequence[Group]:
    """Return the first groups, of days and hours the last; at most so many rows, one of which counts those left out."""
    is_over_time = report.grouped_by in {"day", "hour"}
    count = most if len(report.groups) <= most else max(1, most - 1)
    return report.groups[-count:] if is_over_time else report.groups[:count]


def shown_name(group: Group, grouped_by: str) -> str:
    return sanitize_line(group_name(group.name, grouped_by)) or "none"


def _groups(report: StatisticsReport, columns: int, *, most: int = MOST_GROUPS) -> list[StyledRow]:
    groups = shown_groups(report, most)
    if not groups:
        return []
    cells = {column: [column.words(group.figures) for group in groups] for column in _COLUMNS}
    names = [shown_name(group, report.grouped_by) for group in groups]
    name_columns = max(width(report.grouped_by), *map(width, names))
    chosen = _chosen(cells, columns - min(name_columns, max(1, columns // _LEAST_OF_NAME)))
    widths = [_width(heading, cells[column]) + _GAP for column, heading in chosen.items()]
    room = max(1, columns - sum(widths))
    rows = [
        (shortened(report.grouped_by, room), *chosen.values()),
        *(
            # The end of a long name tells models apart.
            (shortened_before(name, room), *(cells[column][at] for column in chosen))
            for at, name in enumerate(names)
        ),
    ]
    head, *lines = table(rows, columns, right=range(1, len(chosen) + 1)).split("\n")
    drawn: list[StyledRow] = [[(head, _HEADING)], *([(line, "")] for line in lines)]
    if left := len(report.groups) - len(groups):
        drawn.append([(shortened(f"{left:,} more: chatcli stats -o csv lists all", columns), _FAINT)])
    return drawn


def _chosen(cells: Mapping[_TableColumn, Sequence[str]], room: int) -> dict[_TableColumn, str]:
    """Return the headings of the columns that fit into ``room`` and show something, the most important served first."""
    filled = [column for column in cells if any(cells[column])]
    by_rank = sorted(filled, key=lambda column: column.rank)
    essential = sum(_width(column.heading, cells[column]) + _GAP for column in by_rank[:_ESSENTIAL])
    chosen: dict[_TableColumn, str] = {}
    for column in by_rank:
        heading = column.heading if essential <= room else column.short
        needed = _width(heading, cells[column]) + _GAP
        if needed > room and chosen:
            break
        chosen[column] = heading
        room -= needed
        essential -= needed
    return {column: chosen[column] for column in filled if column in chosen}


def _width(heading: str, texts: Sequence[str]) -> int:
    return max(len(heading), *map(len, texts))


def _errors(total: Figures, columns: int) -> list[StyledRow]:
    if not total.errors:
        return []
    rows = [TextBar(code, count, f"{count:,}") for code, count in errors_by_count(total)]
    return [*headed("Errors", columns), *bars(rows, columns, _PROBLEM)]
