"""``chatcli completion``: print the completion script of a shell, or the one that binds a key."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chatcli.cli.shell_completion.completion_scripts import SCRIPTS
from chatcli.cli.shell_completion.hotkey_scripts import DEFAULT_KEY, HOTKEY_SCRIPTS, hotkey_script
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
PowerShell:  add to $PROFILE      chatcli completion powershell | Out-String | Invoke-Expression

A file that was written needs writing again after an update of chatcli.

A key that turns the line being typed into a command, which is inserted and never run:
bash:  add to ~/.bashrc           eval "$(chatcli completion --hotkey bash)"
zsh:   add to ~/.zshrc            eval "$(chatcli completion --hotkey zsh)"
fish:  add to config.fish         chatcli completion --hotkey fish | source

Then type "list the five largest files here", and press Alt-E. It is asked with the template
"shell" (chatcli templates edit shell), and not saved.
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", nargs="?", choices=list(SCRIPTS), help="the shell to print a script for")
    parser.add_argument(
        "--hotkey", action="store_true", help="the script of a key that turns a typed line into a command"
    )
    parser.add_argument("--bind", metavar="KEY", help=f"that key, like ctrl-g or f4; default: {DEFAULT_KEY}")
    # The scripts call back with these: for values only chatcli knows, and for the command of a line.
    parser.add_argument("--values", metavar="KIND", help=argparse.SUPPRESS)
    parser.add_argument("--line", help=argparse.SUPPRESS)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    if options.values is not None:
        from chatcli.cli.shell_completion.grammar import values  # noqa: PLC0415 - no script needs it

        terminal.stdout.write("".join(f"{value}\n" for value in values(options.values, terminal.environment)))
        return ExitCode.DONE
    if options.shell is None:
        raise UsageError(
            "which shell?",
            hint="chatcli completion bash, zsh, fish or powershell; --help shows how to install it",
        )
    if options.hotkey:
        return _hotkey(options, terminal)
    if options.bind is not None or options.line is not None:
        raise UsageError(
            "--bind only works with --hotkey", hint="chatcli completion --hotkey bash --bind ctrl-g"
        )
    from chatcli.cli.shell_completion.grammar import read_levels  # noqa: PLC0415 - loads every command

    terminal.stdout.write(SCRIPTS[options.shell](read_levels()))
    return ExitCode.DONE


def _hotkey(options: Namespace, terminal: Terminal) -> ExitCode:
    shell = options.shell
    if shell not in HOTKEY_SCRIPTS:
        raise UsageError(f"there is no hotkey for {shell}", hint=f"use one of {', '.join(HOTKEY_SCRIPTS)}")
    if options.line is not None:
        from chatcli.cli.typed_command import write_command  # noqa: PLC0415 - no script needs a model

        return write_command(options.line, shell, terminal)
    terminal.stdout.write(hotkey_script(shell, DEFAULT_KEY if options.bind is None else options.bind))
    return ExitCode.DONE
