"""Charts as SVG that fill the width they get: positions across are shares of it, while texts, lines and markers keep their size."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.frozen import frozen
from chatcli.render.html_export.page_frame import shown_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.render.html_export.chart_axes import Scale, Tick

_HEIGHT: Final = 200
_LABEL_BELOW: Final = 20
_MOST_MARKED, _MOST_MARKED_NARROW = 62, 20
"""The points of a line that get markers each; more would hide it. One without neighbours always has its marker."""
_MOST_CLEAR: Final = 100
"""The columns up to which lines are as broad as they should be."""
_MOST_EXPLAINED: Final = 400
"""The columns that say their figures under the mouse; more would be too narrow to point at, and fill the file."""
_GAP: Final = 1.5
_THINNEST: Final = 2.0
_WIDEST: Final = 0.12
"""The share of the width that one of a few bars has."""
_NEAR_THE_END: Final = 0.94
_ROW_HEIGHT: Final = 40
_NAME_COLUMNS: Final = 32

_CHART_HEIGHT: Final = _HEIGHT + _LABEL_BELOW + 4

# The shapes of markers, and what fills the bar of failures: no figure is told by its colour alone.
SHARED_SHAPES: Final = """\
<svg class="shapes" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<circle id="marker-one" r="3.5"/>
<rect id="marker-two" x="-3.2" y="-3.2" width="6.4" height="6.4"/>
<path id="marker-three" d="M0-4.4 4.2 3.2H-4.2Z"/>
<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect class="hatched" width="5" height="5"/><rect class="hatch" width="2" height="5"/></pattern>
</defs></svg>"""


@frozen
class Chart:
    """The frame of a chart with columns side by side.

    ``name`` is its id in the page. ``title`` and ``description`` are what a screen reader says. ``columns`` say the figures of each
    column, ``ticks`` are the labels below.
    """

    name: str
    title: str
    description: str
    scale: Scale
    columns: Sequence[str]
    ticks: Sequence[Tick]


class Series(NamedTuple):
    """A line, or the bars of one kind; ``style`` is its class: ``one``, ``two``, ``three``, or that of an outcome."""

    style: str
    values: Sequence[float | None]


class Bar(NamedTuple):
    """A bar from left to right below its name."""

    name: str
    value: float
    label: str


def line_chart(chart: Chart, lines: Sequence[Series]) -> Iterator[str]:
    """Yield a chart with lines, broken where a value is missing."""
    yield from _opening(chart)
    count = len(chart.columns)
    for line in reversed(lines):
        heights = [None if value is None else _y(chart.scale, value) for value in line.values]
        dense = " dense" if count > _MOST_CLEAR else ""
        points = len([y for y in heights if y is not None])
        runs = list(_runs(heights))
        paths = [
            "M" + " ".join(f"{_number((start + at + 0.5) / count * 1000)},{y:g}" for at, y in enumerate(run))
            for start, run in runs
            if len(run) > 1
        ]
        # Stretched to the width; the line itself keeps its breadth.
        yield (
            f'<svg width="100%" height="{_HEIGHT}" viewBox="0 0 1000 {_HEIGHT}" preserveAspectRatio="none">'
            f'<path class="line {line.style}{dense}" d="{" ".join(paths)}"/></svg>'
        )
        for start, run in runs:
            if points <= _MOST_MARKED or len(run) == 1:
                extra = " extra" if len(run) > 1 and points > _MOST_MARKED_NARROW else ""
                for at, y in enumerate(run):
                    x = _percent((start + at + 0.5) / count)
                    yield f'<use class="mark {line.style}{extra}" href="#marker-{line.style}" x="{x}" y="{y:g}"/>'
    yield from _closing(chart)


def bar_chart(chart: Chart, kinds: Sequence[Series], *, are_adjacent: bool = False) -> Iterator[str]:
    """Yield a chart with bars, those of several kinds on top of each other."""
    yield from _opening(chart)
    count = len(chart.columns)
    width = 0.96 / count if are_adjacent else min(_WIDEST, 0.8 / count)
    for index in range(count):
        stack = [(kind.style, value) for kind in kinds if (value := kind.values[index])]
        ground = float(_HEIGHT)
        x = _percent((index + 0.5) / count - width / 2)
        for (style, _), height in zip(
            stack, _heights(chart.scale, [value for _, value in stack]), strict=True
        ):
            yield (
                f'<rect class="bar {style}" x="{x}" y="{_number(ground - height)}" width="{_percent(width)}"'
                f' height="{_number(height)}"/>'
            )
            ground -= height + _GAP
    yield from _closing(chart)


def row_chart(name: str, title: str, description: str, bars: Sequence[Bar]) -> Iterator[str]:
    """Yield bars from left to right, one below the other, each under its name and label."""
    largest = max((bar.value for bar in bars), default=0) or 1
    yield _svg(name, title, description, _ROW_HEIGHT * len(bars), "rows")
    for row, bar in enumerate(bars):
        y = _ROW_HEIGHT * row
        # Letters may be broader than those of a terminal.
        yield f'<svg class="clipped" y="{y}" width="70%" height="20">'
        yield f'<text class="name" y="14">{shown_line(bar.name, _NAME_COLUMNS)}</text></svg>'
        yield f'<text class="value" x="100%" y="{y + 14}">{escape(bar.label)}</text>'
        yield f'<rect class="ground" y="{y + 21}" width="100%" height="9" rx="2"/>'
        yield f'<rect class="bar ok" y="{y + 21}" width="{_percent(bar.value / largest)}" height="9" rx="2"/>'
    yield "</svg>"


def swatch(style: str, *, is_line: bool) -> str:
    """Return the sample of a line or bar for a legend."""
    if is_line:
        shapes = f'<path class="line {style}" d="M0 7H34"/><use class="mark {style}" href="#marker-{style}" x="17" y="7"/>'
    else:
        shapes = f'<rect class="bar {style}" x="1" y="1" width="32" height="12"/>'
    return f'<svg class="swatch" width="34" height="14" aria-hidden="true" focusable="false">{shapes}</svg>'


def _opening(chart: Chart) -> Iterator[str]:
    yield _svg(chart.name, chart.title, chart.description, _CHART_HEIGHT, "columns")
    for tick in chart.scale.ticks:
        y = _y(chart.scale, tick.at)
        ground = " ground" if tick is chart.scale.ticks[0] else ""
        yield f'<line class="grid{ground}" x2="100%" y1="{y:g}" y2="{y:g}"/>'
        yield f'<text class="value" x="-8" y="{_number(y + 4)}">{escape(tick.label)}</text>'
    for tick in chart.ticks:
        extra = " extra" if tick.is_extra else ""
        end = " end" if tick.at > _NEAR_THE_END else ""
        yield (
            f'<text class="moment{extra}{end}" x="{_percent(tick.at)}" y="{_HEIGHT + _LABEL_BELOW}">'
            f"{escape(tick.label)}</text>"
        )


def _closing(chart: Chart) -> Iterator[str]:
    count = len(chart.columns)
    if count <= _MOST_EXPLAINED:
        for index, text in enumerate(chart.columns):
            yield (
                f'<rect class="column" x="{_percent(index / count)}" width="{_percent(1 / count)}" height="{_HEIGHT}">'
                f"<title>{escape(text)}</title></rect>"
            )
    yield "</svg>"


def _svg(name: str, title: str, description: str, height: int, style: str) -> str:
    return (
        f'<svg class="chart {style}" width="100%" height="{height}" role="img"'
        f' aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )


def _heights(scale: Scale, values: Sequence[float]) -> list[float]:
    """Return the heights of bars on top of each other. However small one is, it shows; the largest makes room for that."""
    heights = [max(_THINNEST, scale.share(value) * _HEIGHT) for value in values]
    if heights:
        excess = sum(heights) + _GAP * (len(heights) - 1) - scale.share(sum(values)) * _HEIGHT
        largest = heights.index(max(heights))
        heights[largest] = max(_THINNEST, heights[largest] - max(0.0, excess))
    return heights


def _runs(heights: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """Yield the stretches without a missing value, each with its first column."""
    run: list[float] = []
    for index, y in enumerate([*heights, None]):
        if y is not None:
            run.append(y)
        elif run:
            yield index - len(run), run
            run = []


def _y(scale: Scale, value: float) -> float:
    return round((1 - scale.share(value)) * _HEIGHT, 1)


def _percent(share: float) -> str:
    return f"{_number(share * 100)}%"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
