"""The figures of calls as HTML tables, and as words in their cells."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.statistics import Figures
from chatcli.render.html_export.page_frame import shown_line
from chatcli.render.statistics_words import (
    cost_in_words,
    errors_by_count,
    group_name,
    rate_in_words,
    time_in_words,
)
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatcli.core.statistics import Group, Percentiles

MISSING: Final = "–"
TIME_GROUPINGS: Final = frozenset({"day", "hour"})
_MOST_SHOWN: Final = 10
"""The groups shown one by one; the others are summed up, and stand in a folded table."""
_LONGEST_NAME: Final = 120
_FEW_COLUMNS: Final = 3
_TALL: Final = 20
"""The rows of a table that scrolls in itself, so that it does not push the rest of the page away."""


class Cell(NamedTuple):
    """A column of a table of figures: its heading, and the words of a figure."""

    heading: str
    words: Callable[[Figures], str]


def failed(figures: Figures) -> int:
    return sum(figures.errors.values())


def rate_words(figures: Figures) -> str:
    return MISSING if figures.success_rate is None else rate_in_words(figures.success_rate)


def cost_words(figures: Figures) -> str:
    return cost_in_words(figures) if figures.calls or figures.cost_usd else MISSING


def time_words(percentiles: Percentiles | None, which: int) -> str:
    """Return the p50, p95 or p99 in words: 0, 1 or 2 of them."""
    return MISSING if percentiles is None else time_in_words(percentiles[which])


def speed_words(figures: Figures) -> str:
    return MISSING if figures.tokens_per_s is None else f"{figures.tokens_per_s:,.1f}"


def _amount(count: int) -> str:
    return f"{count:,}"


CALLS: Final = Cell("Calls", lambda figures: _amount(figures.calls))
SUCCEEDED: Final = Cell("Succeeded", lambda figures: _amount(figures.succeeded))
FAILED: Final = Cell("Failed", lambda figures: _amount(failed(figures)))
STOPPED: Final = Cell("Stopped", lambda figures: _amount(figures.cancelled))
RATE: Final = Cell("Success", rate_words)
COST: Final = Cell("Cost", cost_words)
LATENCIES: Final = (
    Cell("p50", lambda figures: time_words(figures.latency, 0)),
    Cell("p95", lambda figures: time_words(figures.latency, 1)),
    Cell("p99", lambda figures: time_words(figures.latency, 2)),
)
_GROUP_CELLS: Final = (
    CALLS,
    RATE,
    FAILED,
    *LATENCIES,
    Cell("First token p50", lambda figures: time_words(figures.ttft, 0)),
    Cell("First token p95", lambda figures: time_words(figures.ttft, 1)),
    Cell("Tokens a second", speed_words),
    Cell("Tokens in", lambda figures: _amount(figures.input_tokens)),
    Cell("Cached", lambda figures: _amount(figures.cached_tokens)),
    Cell("Tokens out", lambda figures: _amount(figures.output_tokens)),
    COST,
    Cell("Cache hits", lambda figures: _amount(figures.cache_hits)),
    Cell("Retries", lambda figures: _amount(figures.retries)),
)


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    names: bool = False,
    is_headed: bool = False,
) -> Iterator[str]:
    """Yield a table of plain texts, the first of each row its heading; with ``names``, these are of anybody and any length.

    Where the table ``is_headed``, its caption is for screen readers only.
    """
    body = list(rows)
    tall = " tall" if len(body) > _TALL else ""
    yield f'<div class="scroll{tall}" role="region" aria-label="{escape(caption)}" tabindex="0">'
    hidden = ' class="hidden"' if is_headed else ""
    short = ' class="short"' if len(headings) <= _FEW_COLUMNS else ""
    yield f"<table{short}><caption><span{hidden}>{escape(caption)}</span></caption>"
    columns = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    yield f"<thead><tr>{columns}</tr></thead><tbody>"
    for heading, *cells in body:
        first = (
            f'<th scope="row" class="name"><bdi>{shown_line(heading, _LONGEST_NAME)}</bdi></th>'
            if names
            else f'<th scope="row">{escape(heading)}</th>'
        )
        yield f"<tr>{first}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
    yield "</tbody></table></div>"


def folded_table(
    summary: str, caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, names: bool = False
) -> Iterator[str]:
    """Yield a table that opens by a click."""
    yield f"<details><summary>{escape(summary)}</summary>"
    yield from table(caption, headings, rows, names=names, is_headed=caption in summary)
    yield "</details>"


def figures_rows(named: Iterable[tuple[str, Figures]], cells: Sequence[Cell]) -> Iterator[Sequence[str]]:
    for name, figures in named:
        yield (name, *(cell.words(figures) for cell in cells))


def named_groups(
    groups: Sequence[Group], noun: str
) -> tuple[list[tuple[str, Figures]], list[tuple[str, Figures]]]:
    """Return the groups to show one by one, the last of them a sum of the others if there are many; and these others."""
    rows = [(group_name(group.name, noun) or f"no {noun}", group.figures) for group in groups]
    if noun in TIME_GROUPINGS or len(rows) <= _MOST_SHOWN + 1:
        return rows, []
    others = rows[_MOST_SHOWN:]
    sums = summed(figures for _, figures in others)
    return [*rows[:_MOST_SHOWN], (f"{len(others):,} others", sums)], others


def group_tables(groups: Sequence[Group], noun: str) -> Iterator[str]:
    """Yield the table of the groups, and a folded one of those summed up in it."""
    headings = (noun.capitalize(), *(cell.heading for cell in _GROUP_CELLS))
    rows, others = named_groups(groups, noun)
    caption = f"Figures by {noun}"
    yield from table(caption, headings, figures_rows(rows, _GROUP_CELLS), names=True, is_headed=True)
    if others:
        words = f"the {len(others):,} others"
        others_rows = figures_rows(others, _GROUP_CELLS)
        yield from folded_table(
            f"{caption}: {words}", f"{caption}: {words}", headings, others_rows, names=True
        )


def error_table(figures: Figures) -> Iterator[str]:
    rows = (
        (code, _amount(count), rate_in_words(count / figures.calls))
        for code, count in errors_by_count(figures)
    )
    yield from table(
        "Errors by code", ("Code", "Calls", "Share of all calls"), rows, names=True, is_headed=True
    )


def summed(all_figures: Iterable[Figures]) -> Figures:
    """Return the sums of figures. Percentiles and rates of several groups are not known from those of each."""
    calls = succeeded = cancelled = retries = input_tokens = cached = output = unpriced = hits = 0
    cost_usd = 0.0
    errors: dict[str, int] = {}
    for figures in all_figures:
        calls += figures.calls
        succeeded += figures.succeeded
        cancelled += figures.cancelled
        retries += figures.retries
        input_tokens += figures.input_tokens
        cached += figures.cached_tokens
        output += figures.output_tokens
        cost_usd += figures.cost_usd
        unpriced += figures.unpriced
        hits += figures.cache_hits
        for code, count in figures.errors.items():
            errors[code] = errors.get(code, 0) + count
    return Figures(
        calls=calls,
        succeeded=succeeded,
        cancelled=cancelled,
        errors=errors,
        retries=retries,
        input_tokens=input_tokens,
        cached_tokens=cached,
        output_tokens=output,
        cost_usd=cost_usd,
        unpriced=unpriced,
        cache_hits=hits,
    )


def unpriced_words(figures: Figures) -> str:
    """Return the number of calls whose price is unknown, empty if there are none."""
    return f"{counted(figures.unpriced, 'call')} at an unknown price" if figures.unpriced else ""
