"""``chatcli stats``: how the calls to models went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from chatcli.app.statistics_report import StatisticsQuery
from chatcli.cli.actions import add_examples
from chatcli.cli.output_file import refuse_existing
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.cli.statistics_display import FORMS, StatisticsDisplay
from chatcli.config.parsers import duration
from chatcli.core.errors import ExitCode, UsageError
from chatcli.core.statistics import GROUPINGS
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal

_USUAL_PAUSE: Final = "2"
_PROMETHEUS: Final = "prometheus"
_pause_s: Final = duration(0.2, 86_400)


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--since", metavar="TIME", help="15m, 24h, 7d, 2w, a date, or a date and time; by default 7d"
    )
    parser.add_argument("--until", metavar="TIME", help="its end in the same words, by default now")
    parser.add_argument("--by", choices=GROUPINGS, help="what calls are grouped by, by default model")
    parser.add_argument("-m", "--model", dest="of_model", metavar="NAME", help="only calls of this model")
    parser.add_argument("--endpoint", dest="of_endpoint", metavar="HOST", help="only calls of this endpoint")
    parser.add_argument(
        "-o", "--output", choices=[*FORMS], help="tables and pictures, or for programs; by default text"
    )
    parser.add_argument(
        "--html",
        dest="output",
        action="store_const",
        const="html",
        help="one page with charts, for a browser",
    )
    parser.add_argument(
        "--prometheus",
        dest="output",
        action="store_const",
        const=_PROMETHEUS,
        help="the calls since midnight, in the text format of Prometheus",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="where to; the end of its name says the form, where -o does not"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument(
        "--watch",
        nargs="?",
        const=_USUAL_PAUSE,
        metavar="S",
        help="show them again every S seconds, by default 2, until Ctrl-C",
    )
    parser.add_argument("--plain", action="store_true", default=None, help="sentences, for a screen reader")
    parser.add_argument("--env-file", metavar="PATH", help="read settings from this file")
    add_examples(
        parser,
        ("chatcli stats", "the last 7 days, by model"),
        ("chatcli stats --since 24h --by hour", "hour by hour"),
        ("chatcli stats --since 2026-11-01 --by day -o csv", "for a spreadsheet"),
        ("chatcli stats --since 15m -o json | jq .total", "for a script"),
        ("chatcli stats --since 1h --watch", "as it happens"),
        ("chatcli stats --since 30d --html --out month.html", "a page for a browser"),
        ("chatcli stats --prometheus", "counters for Prometheus"),
    )


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    out = None if options.out in {None, "-"} else typed_path(options.out)
    form = options.output or _form_of(out)
    if form == "html" and options.out is None and terminal.stdout.is_terminal:
        raise UsageError("a page needs a file", hint="name one: --out statistics.html")
    if out is not None:
        refuse_existing([out], force=options.force)
    context = run_context(terminal)
    settings = settings_of(options, context, terminal, mentions_untrusted=False)
    model = settings.aliases.get(options.of_model or "", options.of_model)
    display = StatisticsDisplay(
        StatisticsQuery(options.since, options.until, options.by or "model", model, options.of_endpoint),
        context.paths.data,
        terminal,
        form,
        is_plain=bool(settings.plain),
        is_quiet=options.quiet,
        is_measured=settings.telemetry,
        is_saved=settings.save,
        out=out,
    )
    if form == _PROMETHEUS:
        _refuse_choices(options)
        display.print_counters()
        return ExitCode.DONE
    if options.watch is None:
        display.print()
        return ExitCode.DONE
    if form in {"csv", "html"}:
        raise UsageError(f"--watch and -o {form} cannot be combined", hint="use -o json: one object a line")
    if out is not None:
        raise UsageError("--watch and --out cannot be combined", hint="leave one of them out")
    return _watch(display, _pause(options.watch))


def _watch(display: StatisticsDisplay, every_s: float) -> ExitCode:
    import asyncio  # noqa: PLC0415 - statistics that are shown once need no loop

    from chatcli.cli.statistics_watch import watch  # noqa: PLC0415 - as above

    is_ended = asyncio.Event()
    watching = watch(display, every_s, is_ended)
    give_up = display.terminal.give_up_on_readers
    return asyncio.run(until_signalled(watching, interrupt=is_ended.set, on_signal=give_up))


def _refuse_choices(options: Namespace) -> None:
    names = {
        "since": "--since",
        "until": "--until",
        "by": "--by",
        "of_model": "-m",
        "of_endpoint": "--endpoint",
        "watch": "--watch",
    }
    for name, option in names.items():
        if getattr(options, name) is not None:
            raise UsageError(
                f"--prometheus and {option} cannot be combined",
                hint="it has all calls since midnight; Prometheus chooses among them",
            )


def _form_of(out: Path | None) -> str:
    """Return the form that the end of the file's name says, else that for people."""
    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMS else "text"


def _pause(written: str) -> float:
    try:
        return cast("float", _pause_s(written))
    except ValueError as error:
        raise UsageError(f"--watch {error}", hint="leave the number out for every 2 s") from error
