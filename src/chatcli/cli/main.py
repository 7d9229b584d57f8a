"""The entry point: arguments in, exit code out, every error handled in one place."""

from __future__ import annotations

import argparse
import errno
import itertools
import os
import sys
import traceback
import warnings
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from chatcli.cli.commands import COMMANDS_BY_NAME, actions_of, summary
from chatcli.cli.option_groups import LOCAL, join_local_names
from chatcli.cli.options import (
    Parser,
    add_general_options,
    file_of_out,
    first_word,
    given_value,
    main_parser,
    parse,
)
from chatcli.cli.signals import Signalled, raising_signals
from chatcli.cli.standard_streams import ClosedPipe, Terminal, redacted_reports
from chatcli.core.errors import ChatcliError, ExitCode, LocalIOError, UsageError
from chatcli.core.version import __version__
from chatcli.text.sanitizer import json_line, sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from chatcli.cli.commands import CommandModule, Subcommand

_BUG: Final = ("a bug", "run it again with --debug and report what it prints")
_CROWDED: Final = ("the system lets it open no more files", "raise the limit with ulimit -n, then try again")
_BROKEN: Final = (
    "the installation is damaged",
    "install chatcli again (in a checkout: remove .venv, then start scripts/chat), or see more with --debug",
)


def main(arguments: Sequence[str] | None = None, terminal: Terminal | None = None) -> int:
    """Run chatcli and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    terminal = terminal or Terminal.of_this_process()
    if LOCAL in arguments:
        is_quiet = not {"-q", "--quiet"}.isdisjoint(arguments)
        arguments = join_local_names(arguments, lambda word: _names_model(word, terminal, is_quiet=is_quiet))
    try:
        with raising_signals(), redacted_reports(terminal):
            return _run(arguments, terminal)
    except ChatcliError as error:
        show_error(error, terminal, verbose=not {"-v", "--verbose"}.isdisjoint(_options_in(arguments)))
        _write_failure(error, arguments, terminal)
        return _after_traceback(error.exit_code, arguments, terminal)
    except ClosedPipe:
        return ExitCode.CLOSED_PIPE
    except (KeyboardInterrupt, Signalled) as error:
        # Work that had not begun is dropped with the error, and Python would warn of it.
        warnings.simplefilter("ignore", RuntimeWarning)
        return error.code if isinstance(error, Signalled) else ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can say something
        what, hint = _verdict(error)
        terminal.warn(f"chatcli: {what}: {type(error).__name__}: {sanitize_line(str(error))}")
        terminal.warn(f"→ {hint}")
        with suppress(Exception):
            from chatcli.cli.setup import log_bug  # noqa: PLC0415 - --help and --version need none of it

            log_bug(error, arguments, terminal)
        return _after_traceback(ExitCode.BUG, arguments, terminal)
    finally:
        terminal.log.close()


def _names_model(word: str, terminal: Terminal, *, is_quiet: bool) -> bool:
    """Return whether the word behind ``--local`` is the name or path of an embedded model, and not a question."""
    # Neither has white space, except in the path of a file that is there.
    if len(word.split()) != 1 and not (word.endswith(".gguf") and os.path.isfile(word)):  # noqa: PTH113 - pathlib is slow to import
        return False
    from chatcli.config.paths import find_paths  # noqa: PLC0415 - most starts have no --local
    from chatcli.local.own_models import is_model, resembles_model  # noqa: PLC0415 - as above

    try:
        if is_model(word, find_paths(terminal.environment).local):
            return True
    except ChatcliError:
        return False  # it is reported where the model is looked for
    if resembles_model(word) and not is_quiet:
        terminal.warn(f'chatcli: "{sanitize_line(word)}" is part of the question; for a model, --local=NAME')
    return False


def _verdict(error: Exception) -> tuple[str, str]:
    """Return what an error that nobody expected is, and what to do."""
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return _CROWDED
    return _BROKEN if _is_broken_installation(error) else _BUG


def _is_broken_installation(error: Exception) -> bool:
    """Whether a module, or a file of the package, is missing or damaged: an update that broke off, a full disk."""
    if isinstance(error, (ImportError, SyntaxError)):
        return True
    if isinstance(error, FileNotFoundError):
        package = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib is slow to import
        return str(error.filename).startswith(os.path.join(package, ""))  # noqa: PTH118 - as above
    frames = traceback.extract_tb(error.__traceback__)
    # Python reads a damaged .pyc file: ValueError, EOFError, TypeError.
    return bool(frames) and frames[-1].filename.startswith("<frozen importlib")


def show_error(error: ChatcliError, terminal: Terminal, *, verbose: bool = False) -> None:
    from chatcli.render.status import error_lines  # noqa: PLC0415 - --help and --version show no error

    for line in error_lines(error, verbose=verbose):
        terminal.warn(line)


def _write_failure(error: ChatcliError, arguments: Sequence[str], terminal: Terminal) -> None:
    """Write the object of ``-o json`` for an error from before a turn, where that format was asked for."""
    if isinstance(error, LocalIOError):
        return  # it may be the output that cannot be written
    parser = main_parser("")
    kind = given_value(parser, arguments, ("-o", "--output"))
    at = first_word(parser, arguments)
    if kind not in {"json", "jsonl"} or (at is not None and arguments[at] in COMMANDS_BY_NAME):
        return
    from chatcli.cli.output_file import OutputFile  # noqa: PLC0415 - --help needs none of it
    from chatcli.render.json_output import failure_object  # noqa: PLC0415 - as above

    line = json_line(failure_object(error, kind, terminal.redactor.redact)) + "\n"
    out = given_value(parser, arguments, ("--out",))
    with suppress(ChatcliError, ClosedPipe):
        if out is None or file_of_out(out) is None:
            terminal.stdout.write(line)
            return
        with closing(OutputFile(out)) as file:
            file.write(line)


def _run(arguments: Sequence[str], terminal: Terminal) -> ExitCode:
    if list(arguments) == ["--version"]:
        terminal.stdout.write(f"chatcli {__version__}\n")
        return ExitCode.DONE
    parser = main_parser(summary())
    at = first_word(parser, arguments)
    command = COMMANDS_BY_NAME.get(arguments[at]) if at is not None else None
    if command is not None and at is not None:
        return _run_command(command, [*arguments[:at], *arguments[at + 1 :]], terminal)
    options = parse(parser, arguments)
    if options.help:
        terminal.stdout.write(parser.format_help())
        return ExitCode.DONE
    if options.version:
        terminal.stdout.write(f"chatcli {__version__}\n")
        return ExitCode.DONE
    from chatcli.cli.run_chat import chat  # noqa: PLC0415 - --help and --version need none of it

    return chat(options, terminal)


def _run_command(command: Subcommand, arguments: Sequence[str], terminal: Terminal) -> ExitCode:
    if command.is_reserved:
        raise UsageError(
            f"the command {command.name} comes with a later version",
            hint=f"to ask it as a question: chatcli -- {command.name}",
        )
    module = command.module()
    parser = _command_parser(f"chatcli {command.name}", command.help or "", module)
    at = first_word(parser, arguments)
    action = actions_of(module).get(arguments[at]) if at is not None else None
    if action is not None and at is not None:
        module, arguments = action, [*arguments[:at], *arguments[at + 1 :]]
        parser = _command_parser(f"{parser.prog} {action.name}", action.help, action)
    options = _parse_command(parser, arguments)
    if options.help:
        terminal.stdout.write(parser.format_help())
        return ExitCode.DONE
    return module.run(options, terminal)


def _command_parser(program: str, description: str, module: CommandModule) -> Parser:
    parser = Parser(
        prog=program,
        description=description,
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    add_general_options(parser)
    return parser


def _parse_command(parser: Parser, arguments: Sequence[str]) -> Namespace:
    if "-h" in arguments or "--help" in arguments:
        # A command must be able to show its help even when its required words are missing.
        for action in parser._actions:  # noqa: SLF001 - argparse has no public API for this
            action.required = False
    # Everything after -- is words; intermixed parsing would treat it as options again.
    return (
        parser.parse_args(arguments) if "--" in arguments else parser.parse_intermixed_args(list(arguments))
    )


def _options_in(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments before ``--``."""
    return itertools.takewhile(lambda argument: argument != "--", arguments)


def _after_traceback(code: ExitCode, arguments: Sequence[str], terminal: Terminal) -> ExitCode:
    if "--debug" in _options_in(arguments):
        terminal.warn(sanitize(traceback.format_exc()).rstrip(), whole=True)
    return code
