"""``chatcli logs``: the log of calls, readable, as a whole, for one request, or as it grows."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from wcwidth import wrap

from chatcli.app.written_periods import period
from chatcli.cli.actions import add_examples
from chatcli.cli.setup import log_path, run_context, settings_of
from chatcli.core.errors import ExitCode, LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.telemetry.log_file import log_files
from chatcli.telemetry.log_reading import LogFilter, LogReader
from chatcli.text.sanitizer import json_line, sanitize_line
from chatcli.text.times import local_now, timestamp
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.telemetry.log_reading import LogLine

_LOOK_AGAIN_S: Final = 0.25
_LEVELS: Final = ("error", "warning", "info", "debug")
_WRITTEN_CHARACTERS: Final = 1 << 16
"""So many are redacted and written together."""
_INDENT: Final = "    "
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
_NOT_SHOWN: Final = frozenset({"pid"})
"""Facts for programs."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--follow", action="store_true", help="go on with new lines as they come")
    parser.add_argument(
        "--request", metavar="ID", help="only this call, by its id or the provider's request id"
    )
    parser.add_argument(
        "--level", choices=_LEVELS, default="debug", help="only lines this important, or more"
    )
    parser.add_argument("--since", metavar="TIME", help="15m, 24h, 7d, 2w, a date, or a date and time")
    parser.add_argument(
        "--log-file", dest="file", metavar="FILE", help="another file than the log of the settings"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="json: one object a line"
    )
    parser.add_argument("-p", "--profile", metavar="NAME", help="a [profiles.NAME] of config.toml")
    parser.add_argument("--env-file", metavar="PATH", help="read settings from this file")
    add_examples(
        parser,
        ("chatcli logs --since 1h", "what went wrong in the last hour"),
        ("chatcli logs --request c-7f3a2b11", "one call through all its attempts"),
        ("chatcli logs --follow --level info", "watch what other chatclis do"),
        ("chatcli logs -o json | jq -r .event", "for programs"),
    )


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    settings = settings_of(options, context, terminal)
    path = log_path(settings, context) if options.file is None else typed_path(options.file)
    since = None if options.since is None else period(options.since, None, local_now()).since
    if options.request is not None and not options.request.strip():
        raise UsageError("--request needs an id", hint="as in --request c-7f3a2b11; -v shows it")
    wanted = LogFilter(least=options.level, since=since, request=options.request)
    view = _View(path, wanted, terminal, as_json=options.output == "json")
    try:
        if options.request is not None:
            for line in LogReader(path).new_lines():
                wanted.learn(line)
        view.show()
        if not options.quiet:
            view.remark(is_followed=options.follow)
        while options.follow:
            time.sleep(_LOOK_AGAIN_S)
            view.show()
    except OSError as error:
        raise LocalIOError(
            f"{path} cannot be read: {error.strerror or error}", hint="check the path and its permissions"
        ) from error
    return ExitCode.DONE


class _View:
    """Writes the lines of the log at ``path`` that ``wanted`` takes."""

    def __init__(self, path: Path, wanted: LogFilter, terminal: Terminal, *, as_json: bool) -> None:
        self._path = path
        self._wanted = wanted
        self._terminal = terminal
        self._as_json = as_json
        self._reader = LogReader(path)
        self._shown = 0

    def show(self) -> None:
        """Write the lines that are new."""
        columns = self._terminal.listing_columns()
        texts: list[str] = []
        characters = 0
        for line in self._reader.new_lines():
            self._wanted.learn(line)
            if self._wanted.takes(line):
                self._shown += 1
                texts.append(json_line(_as_json(line)) if self._as_json else "\n".join(_rows(line, columns)))
                characters += len(texts[-1])
                if characters > _WRITTEN_CHARACTERS:
                    self._write(texts)
                    texts, characters = [], 0
        self._write(texts)

    def _write(self, texts: Sequence[str]) -> None:
        redacted = self._terminal.redactor.redact_all(texts)
        self._terminal.stdout.write("".join(f"{text}\n" for text in redacted))

    def remark(self, *, is_followed: bool) -> None:
        """Say why there is nothing, and what could not be read."""
        warn, shown_path = self._terminal.warn, sanitize_line(str(self._path))
        if not is_followed:
            self._reader.end()
        if damaged := self._reader.damaged:
            warn(f"passed over {counted(damaged, 'damaged line')} in {shown_path}")
        if self._shown:
            return
        if is_followed:
            warn(f"waiting for lines in {shown_path}; Ctrl-C ends it")
            return
        if log_files(self._path):
            warn(f"no such line in {shown_path}")
            if self._wanted.is_of_request:
                warn("→ give the whole id; a call that went well is only logged with --log-level info")
            return
        warn(f"there is no log yet: {shown_path}")
        warn("→ warnings and errors are logged; with --log-level info, every call is")


def _as_json(line: LogLine) -> dict[str, Any]:
    call = {"call": line.call} if line.call else {}
    return {"at": timestamp(line.at), "level": line.level, "event": line.event, **call, **line.facts}


def _rows(line: LogLine, columns: int) -> Iterator[str]:
    """Yield the rows of a line: what is short beside its event, texts and lists below it."""
    below: dict[str, Any] = {}
    beside: list[str] = []
    for name, value in line.facts.items():
        if isinstance(value, list) or (isinstance(value, str) and "\n" in value):
            below[name] = value
        elif name not in _NOT_SHOWN:
            beside.append(f"{name}={_shown(value)}")
    at = line.at.replace(tzinfo=None).isoformat(" ", "milliseconds")
    row = "  ".join([at, f"{line.level:<7}", line.call or "-", line.event, *beside])
    row = sanitize_line(row)
    wrapped = (
        wrap(row, columns, subsequent_indent=_INDENT, break_on_hyphens=False) if len(row) > columns else []
    )
    yield from wrapped or [row]
    for name, value in below.items():
        yield sanitize_line(f"{_INDENT}{name}:")
        rows = map(_shown, value) if isinstance(value, list) else str(value).split("\n")
        yield from (f"{_INDENT * 2}{sanitize_line(each)}" for each in rows if each)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else _encode(value)
