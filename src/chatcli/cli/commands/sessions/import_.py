"""``chatcli sessions import``."""

from __future__ import annotations

import argparse
import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.cli.actions import Action
from chatcli.cli.progress_bar import can_be_redrawn, progress_bar
from chatcli.core.errors import ExitCode, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.core.version import __version__
from chatcli.sessions.importing.import_sources import SOURCES, SOURCES_BY_NAME, recognize
from chatcli.sessions.importing.importer import Importer, Progress
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.importing.import_sources import Source
    from chatcli.sessions.importing.importer import ImportSummary
    from chatcli.sessions.library import Library

    Show: TypeAlias = Callable[[ImportSummary], None]
_AUTO: Final = "auto"
_SHOWN_NAMES: Final = 3
_SHOWN_KINDS: Final = 12
_REDRAW_AFTER_ITEMS: Final = 20
_EXAMPLES = """\
examples:
  chatcli sessions import ~/Downloads/chatgpt-export.zip
  chatcli sessions import conversations-*.json          the same, unpacked
  chatcli sessions import "$(llm logs path)"
  chatcli sessions import backup.json                   what sessions export --format json wrote
  chatcli sessions import export.zip --dry-run          only show what would happen

What was imported before is left as it is: importing again only adds what is new. Ctrl-C stops between
two conversations, and the same command goes on from there.
"""


def _import_arguments(parser: Parser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="what to import")
    parser.add_argument(
        "--from",
        dest="source",
        choices=[_AUTO, *SOURCES_BY_NAME],
        default=_AUTO,
        help="; ".join(f"{source.name}: {source.title}" for source in SOURCES),
    )
    parser.add_argument("--dry-run", action="store_true", help="import nothing")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES


def _import(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    if not options.files:
        raise UsageError("import what?", hint="chatcli sessions import FILE; --help shows examples")
    # All files are checked before the first is imported: a mistyped name must not leave half an import.
    files = [(path, _source(options.source, path)) for path in map(typed_path, options.files)]
    importer, progress = Importer(library.store, dry_run=options.dry_run), Progress()
    with noting_interrupts() as is_stopped:
        try:
            with _shown(progress, terminal, is_quiet=options.quiet) as show:
                _take_all(files, importer, progress, is_stopped, show)
        finally:
            for line in () if options.quiet else _closing_lines(importer.summary, options, is_stopped()):
                terminal.warn(sanitize_line(line))
    return ExitCode.INTERRUPTED if is_stopped() else ExitCode.DONE


def _source(name: str, path: Path) -> Source:
    return recognize(path) if name == _AUTO else SOURCES_BY_NAME[name]


def _take_all(
    files: Sequence[tuple[Path, Source]],
    importer: Importer,
    progress: Progress,
    is_stopped: Callable[[], bool],
    show: Show,
) -> None:
    app = f"chatcli {__version__}"
    for path, source in files:
        with closing(source.read(path, progress, app)) as items:
            for number, item in enumerate(items):
                importer.take(item)
                if number % _REDRAW_AFTER_ITEMS == 0:
                    show(importer.summary)
                if is_stopped():
                    return
    show(importer.summary)


@contextmanager
def _shown(progress: Progress, terminal: Terminal, *, is_quiet: bool) -> Iterator[Show]:
    if is_quiet or not can_be_redrawn(terminal):
        yield lambda _summary: None
        return
    with progress_bar(terminal) as show:
        yield lambda summary: show(
            counted(summary.imported + summary.here, "conversation"), progress.done, progress.total
        )


def _closing_lines(summary: ImportSummary, options: Namespace, is_stopped: bool) -> Iterator[str]:
    done = "would import" if options.dry_run else "imported"
    parts = [f"{done} {counted(summary.imported, 'conversation')}"]
    if summary.here:
        parts.append(f"{summary.here:,} {'was' if summary.here == 1 else 'were'} here already")
    if summary.empty:
        parts.append(f"{summary.empty:,} had no messages")
    yield ", ".join(parts)
    if summary.grown:
        names = ", ".join(summary.grown[:_SHOWN_NAMES]) + (", …" if len(summary.grown) > _SHOWN_NAMES else "")
        yield f"not updated, although there are newer messages for them: {names}"
        yield "→ to update one, remove it (chatcli sessions rm) and import again"
    if summary.left_out:
        kinds = ", ".join(f"{what} ({count:,})" for what, count in summary.left_out.most_common(_SHOWN_KINDS))
        kinds += ", …" if len(summary.left_out) > _SHOWN_KINDS else ""
        yield f"left out, not supported in a session: {kinds}"
    if summary.first_damage is not None:
        damage = f"{summary.first_damage.where}: {summary.first_damage.reason}"
        yield f"could not be read: {counted(summary.damaged, 'entry', 'entries')}; the first is {damage}"
    if is_stopped:
        yield "stopped; run the same command to continue"


@contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the person asked to stop. A second request interrupts at once.

    If Ctrl-C is ignored on purpose, as shells do for background jobs, it stays ignored.
    """
    is_asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked:
            signal.default_int_handler(number, frame)
        is_asked = True

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: is_asked
    finally:
        signal.signal(signal.SIGINT, before)


IMPORT: Final = Action(
    "import", "import conversations from ChatGPT, llm or another chatcli", _import, _import_arguments
)
