"""``chatcli sessions export``."""

from __future__ import annotations

import argparse
import os
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.cli.actions import Action
from chatcli.cli.commands.sessions.listing import warn_of_damage, warn_of_unreadable
from chatcli.cli.options import file_of_out
from chatcli.cli.output_file import OutputFile, refuse_existing
from chatcli.cli.setup import learn_keys
from chatcli.core.errors import ExitCode, LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.sessions.exporting import to_document, to_json, to_markdown, transcript
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile

    Load: TypeAlias = Callable[[SessionFile], Session]
    Redact: TypeAlias = Callable[[str], str]

_EXAMPLES = """\
examples:
  chatcli sessions export work                          Markdown on standard output
  chatcli sessions export work --out work.html          one page for a browser or a printer
  chatcli sessions export --all --out backup.json       everything, for chatcli sessions import
  chatcli sessions export --all --format html --out pages/

Markdown and HTML show the conversation as it stands, with --whole-tree every branch of it. JSON always
has everything. The format follows from the end of the file's name, where --format does not say.
"""


@dataclass(frozen=True, slots=True)
class _Format:
    """A row of the table.

    ``written`` yields one session as the chunks of a document, with all branches if requested, and without keys
    in what the program adds to the conversation.
    """

    name: str
    suffixes: tuple[str, ...]
    written: Callable[[Session, str, bool, Redact], Iterable[str]]


def _as_markdown(session: Session, _name: str, whole_tree: bool, redact: Redact) -> Iterable[str]:
    from chatcli.render.markdown_ending import ended  # noqa: PLC0415 - the parser behind it is slow to load

    return [to_markdown(transcript(session, whole_tree=whole_tree, redact=redact), ended=ended)]


def _as_html(session: Session, _name: str, whole_tree: bool, redact: Redact) -> Iterable[str]:
    from chatcli.render.html_export import to_html  # noqa: PLC0415 - as above

    return [to_html(transcript(session, whole_tree=whole_tree, redact=redact))]


def _as_json(session: Session, name: str, _whole_tree: bool, redact: Redact) -> Iterable[str]:
    return to_json([to_document(session, name, redact)], as_list=False)


_JSON: Final = _Format("json", (".json",), _as_json)
_FORMATS: Final = (
    _Format("markdown", (".md", ".markdown"), _as_markdown),
    _Format("html", (".html", ".htm"), _as_html),
    _JSON,
)
_FORMATS_BY_NAME: Final = {row.name: row for row in _FORMATS}
_FORMATS_BY_SUFFIX: Final = {suffix: row for row in _FORMATS for suffix in row.suffixes}


def _export_arguments(parser: Parser) -> None:
    parser.add_argument("sessions", nargs="*", metavar="NAME|PATH", help="which sessions")
    parser.add_argument("--all", action="store_true", help="every session")
    parser.add_argument("--format", choices=list(_FORMATS_BY_NAME), help="by default markdown")
    parser.add_argument(
        "--out",
        metavar="FILE|FOLDER",
        type=file_of_out,
        help="where to; several sessions need a folder, or a .json",
    )
    parser.add_argument("--whole-tree", action="store_true", help="all branches, not only the current one")
    parser.add_argument("--force", action="store_true", help="overwrite files")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES


def _export(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    learn_keys(terminal)
    files = _chosen(options, library)
    damaged: dict[str, int] = {}

    def load(file: SessionFile) -> Session:
        session = library.store.load(file)
        damaged[file.name] = session.damaged_records
        return session

    out = None if options.out is None else typed_path(options.out)
    row, redact = _format(options, out), terminal.redactor.redact
    if out is not None and _is_folder(options.out, out, row, len(files)):
        folder = _Folder(out, row, redact, force=options.force)
        written = folder.write(files, load, whole_tree=options.whole_tree)
    elif row is not _JSON and len(files) > 1:
        raise UsageError(
            f"{len(files)} sessions do not fit into one {row.name} document",
            hint=f"--out FOLDER/ writes one file each; --format {_JSON.name} takes them all",
        )
    else:
        written = [] if out is None else [out]
        refuse_existing(written, force=options.force)
        chunks: Iterable[str]
        if row is _JSON and _is_list(options):
            documents = (to_document(load(file), _name(file), redact) for file in files)
            chunks = to_json(documents, as_list=True)
        else:
            chunks = row.written(load(files[0]), _name(files[0]), options.whole_tree, redact)
        if out is None:
            for chunk in chunks:
                terminal.stdout.write(chunk)
        else:
            _write(out, chunks)
    warn_of_damage(damaged, terminal)
    if options.all:
        warn_of_unreadable(library, terminal)
    if written and not options.quiet:
        count = f"{counted(len(files), 'session')}"
        terminal.warn(f"exported {count} to {sanitize_line(str(out))}")
    return ExitCode.DONE


def _chosen(options: Namespace, library: Library) -> list[SessionFile]:
    if options.all:
        if options.sessions:
            raise UsageError("--all and the names of sessions", hint="give one or the other")
        library.refresh()
        return [library.store.existing(summary.name) for summary in library.sessions()]
    if not options.sessions:
        raise UsageError(
            "which session? chatcli sessions export NAME",
            hint="chatcli sessions list shows the names; --all exports every session",
        )
    return [library.store.existing(name) for name in options.sessions]


def _is_list(options: Namespace) -> bool:
    # A program that exports all gets a list, even of a single session.
    return options.all or len(options.sessions) > 1


def _format(options: Namespace, out: Path | None) -> _Format:
    if options.format is not None:
        return _FORMATS_BY_NAME[options.format]
    return _FORMATS_BY_SUFFIX.get(out.suffix.lower() if out else "", _FORMATS[0])


def _is_folder(given: str, out: Path, row: _Format, sessions: int) -> bool:
    """Whether ``--out`` names a folder: it exists, ends in a separator, or has to be one."""
    separators = tuple(separator for separator in (os.sep, os.altsep) if separator)
    if out.is_dir() or given.endswith(separators):
        return True
    return (
        sessions > 1
        and row is not _JSON
        and not out.exists()
        and out.suffix.lower() not in _FORMATS_BY_SUFFIX
    )


class _Folder:
    """A folder with a file for each session."""

    def __init__(self, folder: Path, row: _Format, redact: Redact, *, force: bool) -> None:
        self._folder = folder
        self._format = row
        self._redact = redact
        self._force = force

    def write(self, files: Sequence[SessionFile], load: Load, *, whole_tree: bool) -> list[Path]:
        targets = list(self._targets(files))
        refuse_existing(targets, force=self._force)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalIOError(
                f"cannot make the folder {self._folder}: {error.strerror or error}",
                hint="check the path and its permissions",
            ) from error
        for file, target in zip(files, targets, strict=True):
            _write(target, self._format.written(load(file), _name(file), whole_tree, self._redact))
        return targets

    def _targets(self, files: Sequence[SessionFile]) -> Iterator[Path]:
        # Sessions in different folders can share a name, and a file system may ignore case.
        taken: set[str] = set()
        for file in files:
            name, number = _name(file), 2
            while name.casefold() in taken:
                name, number = f"{_name(file)}-{number}", number + 1
            taken.add(name.casefold())
            yield self._folder / f"{name}{self._format.suffixes[0]}"


def _name(file: SessionFile) -> str:
    return file.path.stem


def _write(path: Path, chunks: Iterable[str]) -> None:
    """Write a file that gets its name only once it is complete; write to devices and pipes directly."""
    meant = path.resolve()
    if meant.exists() and not meant.is_file():
        _write_to(meant, chunks)
        return
    unfinished = meant.with_name(f".{meant.name}.{os.getpid()}")
    try:
        _write_to(unfinished, chunks)
        unfinished.replace(meant)
    except (LocalIOError, OSError) as error:
        reason = str(error).removeprefix(f"cannot write {unfinished}: ")
        raise LocalIOError(
            f"cannot write {path}: {reason}", hint="check the path, its permissions and the disk"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _write_to(path: Path, chunks: Iterable[str]) -> None:
    with closing(OutputFile(str(path))) as target:
        for chunk in chunks:
            target.write(chunk)


EXPORT: Final = Action("export", "write conversations as Markdown, HTML or JSON", _export, _export_arguments)
