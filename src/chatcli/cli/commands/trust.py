"""``chatcli trust``: let the ``.env`` of a folder set everything, until its content changes."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.cli.setup import run_context
from chatcli.cli.typed_lines import agrees
from chatcli.config.env_files import TrustedFolders, odd_lines, read_env_file
from chatcli.config.paths import DOT_ENV, env_file_of
from chatcli.config.report import changes
from chatcli.core.errors import ChatcliError, ConfigurationError, ExitCode, UsageError
from chatcli.render.text_columns import table
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.env_files import EnvFile
    from chatcli.config.report import Change

_EXAMPLES: Final = """\
examples:
  chatcli trust                   shows what .env would set, and asks
  chatcli trust --yes ~/project   for scripts: trusts what the file holds now
  chatcli trust --list            the folders that are trusted
  chatcli trust --remove          trusts this folder no longer

Without it, the .env of a folder may only set the model, how it answers and the theme, and bring an
OpenAI key to one who has none. A changed file has to be trusted again.
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
        was_trusted = trusted.remove(folder)
        _say(f"{folder} is {'no longer' if was_trusted else 'not'} trusted", options, terminal)
        return ExitCode.DONE
    _trust(folder, trusted, options, terminal)
    return ExitCode.DONE


def _trust(folder: Path, trusted: TrustedFolders, options: Namespace, terminal: Terminal) -> None:
    path = env_file_of(folder)
    if path is None:
        raise ConfigurationError(
            f"there is no {DOT_ENV} in {folder}", hint="name the folder: chatcli trust PATH"
        )
    file = read_env_file(path)
    waiting = changes(file)
    if not waiting:
        _say(f"{path} sets nothing that needs trust", options, terminal)
        return
    if trusted.trusts(folder, file.sha256):
        _say(f"{folder} is trusted already", options, terminal)
        return
    if not (options.yes or terminal.is_attended):
        raise UsageError(
            "trust asks first, and there is no terminal to ask on",
            hint="--yes trusts it without asking; --env-file .env uses it for one run",
        )
    if not options.yes:
        _show(path, file, waiting, terminal)
        if not agrees("Trust this file until it changes?", terminal):
            terminal.warn("it is not trusted")
            return
    trusted.trust(folder, file.sha256)
    _say(f"{folder} is trusted until its {DOT_ENV} changes", options, terminal)


def _show(path: Path, file: EnvFile, waiting: tuple[Change, ...], terminal: Terminal) -> None:
    terminal.warn(sanitize_line(f"{path} would set:"))
    # Never shortened: the end of a host name is what identifies it.
    terminal.warn(table([("  " + change.name, change.value) for change in waiting], sys.maxsize))
    for line in odd_lines(DOT_ENV, file):
        terminal.warn(line)


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


def _state(folder: Path, sha256: str) -> str:
    """Return the state of a trusted file: ``trusted``, ``changed``, or ``gone``."""
    path = env_file_of(folder)
    if path is None:
        return "gone"
    try:
        return "trusted" if read_env_file(path).sha256 == sha256 else "changed"
    except ChatcliError:
        return "changed"


def _folder(named: str | None, working_folder: Path | None) -> Path:
    """Return the real path of the folder. Raise ``UsageError`` for a file other than a ``.env``."""
    if named is None:
        if working_folder is None:
            raise ConfigurationError("the current folder no longer exists", hint="chatcli trust PATH")
        return working_folder.resolve()
    path = Path(named).expanduser()
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
