"""Statistics on standard output or in a file."""

from __future__ import annotations

from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.app.statistics_report import lines_without_calls, read_counters, read_statistics
from chatcli.cli.output_file import OutputFile
from chatcli.core.frozen import frozen
from chatcli.render.themes import ANY_BACKGROUND, theme
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import local_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from chatcli.app.statistics_report import Statistics, StatisticsQuery
    from chatcli.cli.standard_streams import Terminal
    from chatcli.render.themes import StyledRow

_FAINT: Final = "remark"


@frozen
class StatisticsDisplay:
    """Reads the statistics of ``query`` from the folder ``data`` and writes them in one of ``FORMS``.

    ``is_plain`` makes sentences of tables and pictures. ``is_measured`` is whether calls are measured at all now, ``is_saved``
    whether conversations are kept, without which calls are not. ``out`` names the file to write to, in place of standard output.
    """

    query: StatisticsQuery
    data: Path
    terminal: Terminal
    form: str = "text"
    is_plain: bool = False
    is_quiet: bool = False
    is_measured: bool = True
    is_saved: bool = True
    out: Path | None = None
    now: Callable[[], datetime] = local_now

    def print(self) -> None:
        self.write(self.read())

    def print_counters(self) -> None:
        """Write the calls since midnight for Prometheus."""
        text = read_counters(self.data, self.now(), on_damage=self._warn)
        self._write(self.terminal.redactor.redact(text))

    def write(self, found: Statistics, *, is_repeated: bool = False) -> None:
        """Write what was found; if more is to follow, so that both can be told apart."""
        form = FORMS[self.form]
        if form.is_for_programs or found.has_calls:
            self._write(self.terminal.redactor.redact(form.written(self, found, is_repeated)))
        elif not self.is_quiet:
            for line in self.lines_without_calls(found):
                self.terminal.warn(sanitize_line(line))

    def _write(self, text: str) -> None:
        if self.out is None:
            self.terminal.stdout.write(text)
            return
        with closing(OutputFile(str(self.out))) as file:
            file.write(text)
        if not self.is_quiet:
            self.terminal.warn(f"wrote the statistics to {sanitize_line(str(self.out))}")

    def read(self) -> Statistics:
        return read_statistics(self.query, self.data, self.now(), on_damage=self._warn)

    def _warn(self, message: str) -> None:
        self.terminal.warn(sanitize_line(message))

    def lines_without_calls(self, found: Statistics) -> tuple[str, str]:
        return lines_without_calls(self.query, found, is_measured=self.is_measured, is_saved=self.is_saved)

    def rows(self, found: Statistics, columns: int, *, most: int | None = None) -> list[StyledRow]:
        """Return them in rows of at most ``columns``, the most important ones if there may be only so many."""
        from chatcli.render.statistics_view import brief_view, statistics_view  # noqa: PLC0415 - programs get no tables
        from chatcli.render.text_columns import hanging  # noqa: PLC0415 - as above

        if found.has_calls and most is not None:
            return brief_view(found.report, found.period, columns, most)
        if found.has_calls:
            return statistics_view(found.report, found.period, columns)
        message, hint = self.lines_without_calls(found)
        return [
            *([(row, "")] for row in hanging("", message, columns)),
            *([(row, _FAINT)] for row in hanging("", hint, columns)),
        ]


class OutputForm(NamedTuple):
    """A form of the output; ``is_for_programs``, which get it without calls, too."""

    written: Callable[[StatisticsDisplay, Statistics, bool], str]
    is_for_programs: bool = True


def _as_text(display: StatisticsDisplay, found: Statistics, is_repeated: bool) -> str:
    from chatcli.render.statistics_view import statistics_view  # noqa: PLC0415 - as above

    terminal = display.terminal
    if display.is_plain:
        from chatcli.render.spoken_statistics import statistics_sentences  # noqa: PLC0415 - only for a voice

        text = statistics_sentences(found.report, found.period)
    else:
        columns = terminal.columns()
        table_columns = max(columns, terminal.listing_columns())
        rows = statistics_view(found.report, found.period, columns, table_columns=table_columns)
        colors = terminal.stdout_colors if display.out is None else None
        text = theme(ANY_BACKGROUND, colors).painted(rows)
    return f"{text}\n\n" if is_repeated else f"{text}\n"


def _as_json(_: StatisticsDisplay, found: Statistics, is_repeated: bool) -> str:
    from chatcli.render.statistics_output import statistics_json  # noqa: PLC0415 - as above

    return f"{statistics_json(found.report, as_line=is_repeated)}\n"


def _as_csv(_: StatisticsDisplay, found: Statistics, _is_repeated: bool) -> str:
    from chatcli.render.statistics_output import statistics_csv  # noqa: PLC0415 - as above

    return statistics_csv(found.report)


def _as_html(display: StatisticsDisplay, found: Statistics, _is_repeated: bool) -> str:
    from chatcli.render.html_export.statistics_page import statistics_to_html  # noqa: PLC0415 - as above

    wanted = (("Model", display.query.model), ("Endpoint", display.query.endpoint))
    return statistics_to_html(found.report, about=[(label, name) for label, name in wanted if name])


FORMS: Final[Mapping[str, OutputForm]] = MappingProxyType(
    {
        "text": OutputForm(_as_text, is_for_programs=False),
        "json": OutputForm(_as_json),
        "csv": OutputForm(_as_csv),
        "html": OutputForm(_as_html),
    }
)
"""The forms of the output, by their names for ``-o``."""
