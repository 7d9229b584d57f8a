"""``chatcli completion``: print the completion script of a shell."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chatcli.cli.shell_completion.completion_scripts import SCRIPTS
from chatcli.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal

_EPILOG = """\
bash:  add to ~/.bashrc           source <(chatcli completion bash)
zsh:   add to ~/.zshrc            source <(chatcli completion zsh)
       behind the line with compinit; or write it to a file _chatcli in a folder of $fpath
fish:  chatcli completion fish > ~/.config/fish/completions/chatcli.fish

A file that was written needs writing again after an update of chatcli.
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", nargs="?", choices=list(SCRIPTS), help="the shell to print a script for")
    # The scripts call back with this for values only chatcli knows.
    parser.add_argument("--values", metavar="KIND", help=argparse.SUPPRESS)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    if options.values is not None:
        from chatcli.cli.shell_completion.grammar import values  # noqa: PLC0415 - no script needs it

        terminal.stdout.write("".join(f"{value}\n" for value in values(options.values, terminal.environment)))
        return ExitCode.DONE
    if options.shell is None:
        raise UsageError(
            "which shell?", hint="chatcli completion bash, zsh or fish; --help shows how to install it"
        )
    from chatcli.cli.shell_completion.grammar import read_levels  # noqa: PLC0415 - loads every command

    terminal.stdout.write(SCRIPTS[options.shell](read_levels()))
    return ExitCode.DONE
