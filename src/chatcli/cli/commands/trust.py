"""``chatcli trust``: let the ``.env`` of a folder set everything, and its ``AGENTS.md`` instruct the model, until they change."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.cli.setup import run_context
from chatcli.cli.typed_lines import agrees
from chatcli.config.env_files import TrustedFolders, odd_lines, read_env_file
from chatcli.config.instructions import FOLDER_FILE, read_instructions
from chatcli.config.paths import DOT_ENV, env_file_of
from chatcli.config.report import changes
from chatcli.config.resolve import resolve
from chatcli.core.errors import ChatcliError, ConfigurationError, ExitCode, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.render.text_columns import table
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.instructions import Instructions

_EXAMPLES: Final = """\
examples:
  chatcli trust                   shows what .env would set, and asks
  chatcli trust --yes ~/project   for scripts: trusts what the file holds now
  chatcli trust --list            the folders that are trusted
  chatcli trust --remove          trusts this folder no longer

Without it, the .env of a folder may only set the model, how it answers and the theme, and bring an
OpenAI key to one who has none. With the setting agents_md, the folder's AGENTS.md is trusted here as
well, and then sent as instructions. A changed file has to be trusted again.
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="the folder, or its .env; else the one you are in"
    )
    parser.add_argument("--yes", action="store_true", help="trust it without asking")
    parser.add_argument("--list", action="store_true", help="list the folders that are trusted")
    parser.add_argument("--remove", action="store_true", help="stop trusting the folder")
    parser.add_argument("--json", action="store_true", help="--list: as JSON")
    parser.epilog = _EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    trusted = TrustedFolders.of(context.paths)
    if options.list:
        _list(trusted, options, terminal)
        return ExitCode.DONE
    folder = _folder(options.path, context.folder)
    if options.remove:
        was_trusted = any([trusted.remove(folder), trusted.remove(folder / FOLDER_FILE)])
        _say(f"{folder} is {'no longer' if was_trusted else 'not'} trusted", options, terminal)
        return ExitCode.DONE
    _trust(folder, trusted, options, terminal)
    return ExitCode.DONE


class _Pending(NamedTuple):
    """A file that waits for trust: ``place`` is what it is kept under, ``shown`` are the lines the person sees."""

    name: str
    place: Path
    sha256: str
    shown: Sequence[str]


def _trust(folder: Path, trusted: TrustedFolders, options: Namespace, terminal: Terminal) -> None:
    context = run_context(terminal)
    env_path, agents = env_file_of(folder), None
    if resolve({}, terminal.environment, context.paths, folder).agents_md:
        agents = read_instructions(folder / FOLDER_FILE)
    if env_path is None and agents is None:
        raise ConfigurationError(
            f"there is no {DOT_ENV} in {folder}", hint="name the folder: chatcli trust PATH"
        )
    files = [] if env_path is None else [_pending_env(env_path)]
    files += [] if agents is None else [_pending_instructions(agents)]
    pending = [file for file in files if file.shown and not trusted.trusts(file.place, file.sha256)]
    if not pending:
        is_trusted = any(file.shown for file in files)
        _say(
            f"{folder} is trusted already" if is_trusted else f"{env_path} sets nothing that needs trust",
            options,
            terminal,
        )
        return
    if not (options.yes or terminal.is_attended):
        raise UsageError(
            "trust asks first, and there is no terminal to ask on",
            hint="--yes trusts it without asking; --env-file .env uses it for one run",
        )
    if not options.yes:
        for line in (line for file in pending for line in file.shown):
            terminal.warn(line)
        if not agrees(f"Trust {_FILES[len(pending)]}?", terminal):
            terminal.warn(_NOT_TRUSTED[len(pending)])
            return
    for file in pending:
        trusted.trust(file.place, file.sha256)
    names = " or ".join(file.name for file in pending)
    _say(f"{folder} is trusted until its {names} changes", options, terminal)


_FILES: Final = {1: "this file until it changes", 2: "these files until they change"}
_NOT_TRUSTED: Final = {1: "it is not trusted", 2: "they are not trusted"}


def _pending_env(path: Path) -> _Pending:
    file = read_env_file(path)
    waiting = changes(file)
    shown: list[str] = []
    if waiting:
        # Never shortened: the end of a host name is what identifies it.
        rows = table([("  " + change.name, change.value) for change in waiting], sys.maxsize)
        shown = [sanitize_line(f"{path} would set:"), rows, *odd_lines(DOT_ENV, file)]
    return _Pending(DOT_ENV, path.parent, file.sha256, shown)


def _pending_instructions(found: Instructions) -> _Pending:
    lines = [f"  {sanitize_line(line)}" for line in found.text.splitlines()]
    title = sanitize_line(f"{found.path} would tell the model, in every conversation here:")
    return _Pending(FOLDER_FILE, found.path, found.sha256, [title, *lines])


def _list(trusted: TrustedFolders, options: Namespace, terminal: Terminal) -> None:
    states = {folder: _state(Path(folder), sha256) for folder, sha256 in trusted.all().items()}
    if options.json:
        listed = [{"folder": folder, "state": state} for folder, state in states.items()]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return
    if not states:
        terminal.warn("no folder is trusted")
    for folder, state in states.items():
        note = "" if state == "trusted" else f"  ({state})"
        terminal.stdout.write(f"{sanitize_line(folder)}{note}\n")


def _state(place: Path, sha256: str) -> str:
    """Return the state of a trusted file: ``trusted``, ``changed``, or ``gone``."""
    try:
        now = _sum_now(place)
    except ChatcliError:
        return "changed"
    return "gone" if now is None else "trusted" if now == sha256 else "changed"


def _sum_now(place: Path) -> str | None:
    if place.name == FOLDER_FILE and not place.is_dir():
        found = read_instructions(place)
        return None if found is None else found.sha256
    path = env_file_of(place)
    return None if path is None else read_env_file(path).sha256


def _folder(named: str | None, working_folder: Path | None) -> Path:
    """Return the real path of the folder. Raise ``UsageError`` for a file other than a ``.env``."""
    if named is None:
        if working_folder is None:
            raise ConfigurationError("the current folder no longer exists", hint="chatcli trust PATH")
        return working_folder.resolve()
    path = typed_path(named)
    if path.name == DOT_ENV and not path.is_dir():
        return path.parent.resolve()
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"only a file named {DOT_ENV} is read from a folder",
            hint=f"name the file explicitly, for one run: chatcli --env-file {named}",
        )
    return path.resolve()


def _say(text: str, options: Namespace, terminal: Terminal) -> None:
    if not options.quiet:
        terminal.warn(sanitize_line(text))
