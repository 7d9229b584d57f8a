"""``chatcli doctor``: finds problems and says how to fix them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import textwrap
from argparse import Namespace, RawDescriptionHelpFormatter
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chatcli.cli.option_groups import add_model_options
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.core.errors import ChatcliError, ExitCode, UsageError
from chatcli.doctor.checks import examine
from chatcli.doctor.examination import Examination, Status, TerminalFacts
from chatcli.render.themes import ANY_BACKGROUND, theme
from chatcli.text.own_command import with_own_command
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.doctor.examination import Finding

_EXAMPLES = """\
examples:
  chatcli doctor                                    the configured endpoint
  chatcli doctor http://127.0.0.1:11434/v1          another one
  chatcli doctor -p work -o json                    a profile, for a program
  chatcli doctor > report.txt                       for a bug report: it holds no key

Exit code 0: no problem; 13: at least one (!!). Warnings ( !) are no problems; -- was not tried.
"""

_MARKS = {Status.OK: "ok", Status.WARNING: " !", Status.PROBLEM: "!!", Status.SKIPPED: "--"}
_TEXT_COLUMN = 14
_NARROW_COLUMNS = 60
_HINT_COLUMN = 4


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="the endpoint to look at, in place of the configured one"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="json: one object at the end"
    )
    parser.epilog = _EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter
    add_model_options(parser)


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    return asyncio.run(until_signalled(_examine(options, terminal), on_signal=terminal.give_up_on_readers))


async def _examine(options: Namespace, terminal: Terminal) -> ExitCode:
    findings: list[Finding] = []
    shown = _Lines(terminal, quiet=options.quiet)
    async with aclosing(examine(_examination(options, terminal))) as found:
        async for one in found:
            finding = _without_keys(one, terminal.redactor.redact)
            findings.append(finding)
            if options.output == "text":
                shown.write(finding)
    if options.output == "json":
        terminal.stdout.write(_as_json(findings))
    elif not options.quiet:
        terminal.stdout.write(f"{_summary(findings)}\n")
    return ExitCode.DOCTOR if _count(findings, Status.PROBLEM) else ExitCode.DONE


def _examination(options: Namespace, terminal: Terminal) -> Examination:
    if options.url and options.embedded:
        raise UsageError(
            f"--local and the endpoint {options.url} cannot be combined",
            hint="use --local=NAME for an embedded model: chatcli local models lists them",
        )
    context = run_context(terminal)
    examination = Examination(
        context, _facts(terminal), embedded=options.embedded, insecure_http=options.insecure_http
    )
    given = {**vars(options), "base_url": options.url or options.base_url, "quiet": True}
    try:
        examination.settings = settings_of(Namespace(**given), context, terminal)
    except ChatcliError as error:
        examination.error = error
    return examination


def _facts(terminal: Terminal) -> TerminalFacts:
    return TerminalFacts(
        stdin_is_terminal=terminal.stdin_is_terminal,
        stdout_is_terminal=terminal.stdout.is_terminal,
        term=terminal.environment.get("TERM", ""),
        colors=terminal.stdout_colors,
        encoding=getattr(sys.stdout, "encoding", None) or "an unknown encoding",
        columns=terminal.columns(),
    )


class _Lines:
    """Writes findings as lines, wrapped on a terminal and whole in a pipe."""

    def __init__(self, terminal: Terminal, *, quiet: bool) -> None:
        self._stdout = terminal.stdout
        self._environment = terminal.environment
        self._theme = theme(ANY_BACKGROUND, terminal.stdout_colors)
        self._columns = terminal.columns() if terminal.stdout.is_terminal else None
        self._hidden = {Status.OK, Status.SKIPPED} if quiet else set()

    def write(self, finding: Finding) -> None:
        if finding.status not in self._hidden:
            self._stdout.write("".join(f"{line}\n" for line in self._lines(finding)))

    def _lines(self, finding: Finding) -> Iterator[str]:
        mark = _MARKS[finding.status]
        first, *rest = self._wrapped(f"{mark}  {finding.name:<8}  {_safe(finding.text)}", self._text_column)
        yield self._theme.paint(mark, f"finding.{finding.status}") + first.removeprefix(mark)
        yield from rest
        if finding.hint:
            hint = with_own_command(_safe(finding.hint), self._environment)
            yield from self._wrapped(f"{'':{_HINT_COLUMN}}→ {hint}", _HINT_COLUMN + 2)

    @property
    def _text_column(self) -> int:
        return _HINT_COLUMN if self._columns is not None and self._columns < _NARROW_COLUMNS else _TEXT_COLUMN

    def _wrapped(self, line: str, indent: int) -> list[str]:
        if self._columns is None:
            return [line]
        # The last column stays free: some terminals wrap there by themselves.
        return textwrap.wrap(line, self._columns - 1, subsequent_indent=" " * indent, break_on_hyphens=False)


def _without_keys(finding: Finding, redact: Callable[[str], str]) -> Finding:
    """Return ``finding`` without keys that a server may have echoed, as reports get published."""
    return replace(finding, text=redact(finding.text), hint=finding.hint and redact(finding.hint))


def _as_json(findings: Iterable[Finding]) -> str:
    checks = [
        {
            "name": finding.name,
            "status": str(finding.status),
            "text": _without_home(finding.text),
            "hint": None if finding.hint is None else _without_home(finding.hint),
        }
        for finding in findings
    ]
    healthy = all(check["status"] != Status.PROBLEM for check in checks)
    return json.dumps({"ok": healthy, "checks": checks}, ensure_ascii=False, indent=2) + "\n"


def _summary(findings: list[Finding]) -> str:
    problems, warnings = (_count(findings, status) for status in (Status.PROBLEM, Status.WARNING))
    counts = [counted(problems, "problem") if problems else "no problem"]
    if warnings:
        counts.append(counted(warnings, "warning"))
    return ", ".join(counts)


def _count(findings: Iterable[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in findings)


def _safe(text: str) -> str:
    return sanitize_line(_without_home(text))


def _without_home(text: str) -> str:
    """Return ``text`` with ``~`` for the home folder, which often contains the person's name."""
    try:
        home = str(Path.home())
    except RuntimeError:
        return text
    return text if home in {"", "/"} else re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
