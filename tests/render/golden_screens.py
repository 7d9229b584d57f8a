"""Answers on a terminal, cell by cell, compared with golden files that describe them in words.

``==`` precedes the name of an answer, ``--`` the widths of the terminals that show the rows below it. A row
of the terminal follows ``|``, or ``+`` if it is full and the terminal wraps it; ``‹2068›`` is an invisible
character. The line below a row lists the styles of its columns, counted from one, and the targets of its
links; the style of a blank is omitted if it does not show. Styles have the names they have on a dark
background; the file begins with their definitions in the other modes. Without colours there are no styles,
and only rows with another text are listed.
"""

from __future__ import annotations

import difflib
import io
import os
import unicodedata
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.cli.live_screen import LiveScreen
from chatcli.core.events import ReasoningDelta, TextDelta, TurnFinished, TurnResult
from chatcli.render.live_answer import LiveAnswer
from chatcli.render.reasoning import Reasoning
from chatcli.render.themes import theme
from cli.sized_terminal import SizedTerminal
from conversation.fakes import ManualClock
from render.cell_screen import BLANK, Cell, CellScreen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from chatcli.render.themes import Theme
    from render.cell_screen import Look, Row

WIDTHS: Final = (30, 60, 80, 140)
COLORED: Final = {
    "dark": theme("dark", "truecolor"),
    "light": theme("light", "truecolor"),
    "sixteen": theme("dark", "standard"),
}
EVERY_COLORED: Final = {
    **COLORED,
    "light sixteen": theme("light", "standard"),
    "dark 256": theme("dark", "256"),
    "light 256": theme("light", "256"),
}
UNCOLORED: Final = theme("dark", None)

_RECORDS: Final = "WRITE_SCREENS"
_LINES: Final = 24
_MOST_SHOWN: Final = 6
_LONGEST_DIFF: Final = 60


async def drawn(
    chunks: Iterable[str],
    look: Theme,
    columns: int,
    *,
    thoughts: str = "",
    shows_thoughts: bool = True,
    frames: bool = False,
) -> list[Row]:
    """Return the rows that a one-shot question leaves on a terminal, drawn by the program's own renderers.

    With ``frames``, the tail of the answer is drawn after each chunk, and later overwritten.
    """
    file, clock = io.BytesIO(), ManualClock()
    clock.now_s = -1.0  # before the first frame is due
    answer = LiveAnswer(
        LiveScreen(SizedTerminal(file, columns, _LINES), clock=clock),
        look,
        reasoning=Reasoning(look),
        shows_reasoning=shows_thoughts,
        clock=clock,
        cpu_clock=clock,
    )
    if thoughts:
        await answer(ReasoningDelta(thoughts))
    for chunk in chunks:
        clock.now_s += 2 * frames
        await answer(TextDelta(chunk))
    await answer(TurnFinished(TurnResult("", "m")))
    return shown(file.getvalue().decode(), columns)


def shown(written: str, columns: int) -> list[Row]:
    """Return the rows of a terminal that is tall enough for all of them."""
    screen = CellScreen(columns, _LINES + written.count("\n") + len(written) // columns)
    screen.feed(written)
    return screen.rows()


class Described(NamedTuple):
    """An answer on terminals of one width: its rows in each coloured mode, and those without colours."""

    text: Sequence[str]
    runs: Sequence[Sequence[Run]]
    uncolored: Sequence[str]


class Run(NamedTuple):
    """The style of columns ``first`` to ``last``, one for each mode, and their ``link``."""

    first: int
    last: int
    styles: tuple[str, ...]
    link: str


def described(colored: Mapping[str, Sequence[Row]], uncolored: Sequence[Row]) -> Described:
    """Overlay the rows of all modes."""
    (mode, rows), *others = colored.items()
    text = [_text(row) for row in rows]
    for other, other_rows in others:
        assert [_text(row) for row in other_rows] == text, f"{other} shows another text than {mode}"
    runs = [_runs(stacked) for stacked in zip(*colored.values(), strict=True)]
    assert not any(cell.style or cell.link for row in uncolored for cell in row.cells), (
        "something has a style without colours"
    )
    return Described(text, runs, [_text(row) for row in uncolored])


def _text(row: Row) -> str:
    """Return the text with invisible characters made visible."""
    visible = (
        char
        if char == " " or unicodedata.category(char)[0] not in "CZ" or char == "\u200d"
        else f"‹{ord(char):04x}›"
        for char in row.text.rstrip(" ")
    )
    return ("+" if row.wraps else "|") + "".join(visible)


def _runs(stacked: Sequence[Row]) -> list[Run]:
    columns = list(zip_longest(*(row.cells for row in stacked), fillvalue=BLANK))
    runs: list[Run] = []
    first = 1
    for looks, group in groupby(_appearance(columns)):
        end = first + len(list(group))
        styles, links = zip(*((Cell("", *look).style, look[-1]) for look in looks), strict=True)
        assert len(set(links)) == 1, f"the modes have other links: {links}"
        if any(styles) or links[0]:
            runs.append(Run(first, end - 1, styles, links[0]))
        first = end
    return runs


def _appearance(columns: Sequence[tuple[Cell, ...]]) -> list[tuple[Look, ...]]:
    """Return the look of each column in every mode; an invisible blank takes that of equal neighbours."""
    nothing = (BLANK[1:],) * len(columns[0]) if columns else ()
    looks = [tuple(cell[1:] for cell in cells) for cells in columns]
    seen: list[tuple[Look, ...]] = []
    for shows_nothing, group in groupby(columns, key=_shows_nothing):
        before, end = len(seen), len(seen) + len(list(group))
        if not shows_nothing:
            seen += looks[before:end]
        elif (
            before > 0 and end < len(looks) and looks[before - 1] == looks[end] and not _is_marked(looks[end])
        ):
            seen += [looks[end]] * (end - before)
        else:
            seen += [nothing] * (end - before)
    return seen


def _shows_nothing(cells: tuple[Cell, ...]) -> bool:
    return all(cell.data == " " for cell in cells) and not _is_marked(cell[1:] for cell in cells)


def _is_marked(looks: Iterable[Look]) -> bool:
    """Whether a blank with this style looks different from a plain one."""
    return any(
        cell.underscore or cell.strikethrough or cell.reverse or cell.bg != BLANK.bg or cell.link
        for cell in (Cell(" ", *look) for look in looks)
    )


class Golden:
    """One file of screens, by the names of the answers."""

    def __init__(self, path: Path, modes: Iterable[str] = COLORED) -> None:
        self._path = path
        self._modes = tuple(modes)
        self._names: dict[tuple[str, ...], str] = {}
        self._sections: dict[str, list[str]] = {}

    def add(self, name: str, widths: Mapping[int, Described]) -> None:
        assert name not in self._sections, f"two answers are called {name}"
        self._sections[name] = [line for lines in _by_width(self._lines(widths)) for line in lines]

    def _lines(self, widths: Mapping[int, Described]) -> dict[tuple[str, int], list[str]]:
        lines: dict[tuple[str, int], list[str]] = {}
        for columns, screen in widths.items():
            lines["", columns] = [
                line
                for row, runs in zip(screen.text, screen.runs, strict=True)
                for line in (row, self._described(runs))
                if line
            ]
            if screen.uncolored != screen.text:
                lines["without colours ", columns] = list(screen.uncolored)
        return dict(sorted(lines.items(), key=lambda item: item[0][0] != ""))

    def _described(self, runs: Sequence[Run]) -> str:
        return "".join(f"  {self._run(run)}" for run in runs)

    def _run(self, run: Run) -> str:
        columns = f"{run.first}-{run.last}" if run.last > run.first else f"{run.first}"
        return " ".join(filter(None, [columns, self._name(run.styles), run.link and f"<{run.link}>"]))

    def _name(self, styles: tuple[str, ...]) -> str:
        if styles not in self._names:
            name, taken = styles[0] or "plain", set(self._names.values())
            number = 1
            while (numbered := name if number == 1 else f"{name} ({number})") in taken:
                number += 1
            self._names[styles] = numbered
        return self._names[styles] if any(styles) else ""

    def check(self) -> None:
        """Compare the screens with the file, or write the file if that is requested."""
        styles = sorted(
            f"{name} = {' / '.join(style or 'plain' for style in styles)}"
            for styles, name in self._names.items()
        )
        sections = {f"styles: {' / '.join(self._modes)}": styles, **self._sections}
        if os.environ.get(_RECORDS):
            content = "\n".join("\n".join([f"== {name}", *lines, ""]) for name, lines in sections.items())
            self._path.write_text(content, "utf-8", newline="\n")
            return
        assert not (differences := _differences(_read(self._path), sections)), self._complaint(differences)

    def _complaint(self, differences: Sequence[str]) -> str:
        more = len(differences) - _MOST_SHOWN
        return "\n".join(
            [
                f"not as recorded in {self._path.name} (-: recorded, +: drawn now); sections that differ: {len(differences)}",
                *differences[:_MOST_SHOWN],
                *([f"and {more} more"] if more > 0 else []),
                f"if that is right, record them anew: {_RECORDS}=1 scripts/test, with the file of this test",
            ]
        )


def _by_width(lines: Mapping[tuple[str, int], list[str]]) -> Iterable[list[str]]:
    """Yield the description for each width, once for widths with equal screens."""
    for (mode, rows), keys in _grouped(lines).items():
        yield [f"-- {mode}{' '.join(str(columns) for columns in keys)}", *rows]


def _grouped(lines: Mapping[tuple[str, int], list[str]]) -> dict[tuple[str, tuple[str, ...]], list[int]]:
    grouped: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for (mode, columns), rows in lines.items():
        grouped.setdefault((mode, tuple(rows)), []).append(columns)
    return grouped


def _read(path: Path) -> dict[str, list[str]]:
    content = path.read_text("utf-8") if path.exists() else ""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in content.split("\n"):
        if line.startswith("== "):
            lines = sections[line.removeprefix("== ")] = []
        elif line:
            lines.append(line)
    return sections


def _differences(recorded: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> list[str]:
    """Return the differences in each answer, with some rows around them."""
    return [
        _difference(name, recorded.get(name, []), now.get(name, []))
        for name in dict.fromkeys([*recorded, *now])
        if recorded.get(name) != now.get(name)
    ]


def _difference(name: str, recorded: list[str], now: list[str]) -> str:
    lines = list(difflib.unified_diff(recorded, now, lineterm="", n=3))[2:]
    left_out = [f"and {len(lines) - _LONGEST_DIFF} more lines"] if len(lines) > _LONGEST_DIFF else []
    return "\n".join([f"== {name}", *lines[:_LONGEST_DIFF], *left_out])
