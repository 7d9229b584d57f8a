"""The command for a line that is being typed in a shell, asked for with the template ``shell``."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.app.wiring import open_chat
from chatcli.attachments.encodings import as_typed
from chatcli.cli.one_shot import exit_code
from chatcli.cli.options import main_parser, parse
from chatcli.cli.outputs import waiting_output
from chatcli.cli.questions import chosen_template
from chatcli.cli.setup import chat_options, run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.conversation.play import play
from chatcli.core.errors import ChatcliError, ExitCode, NothingToExtract, UsageError
from chatcli.render.extract import shell_command
from chatcli.render.status import error_lines
from chatcli.templates.template import Filling
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.events import Notice
    from chatcli.core.messages import Message
    from chatcli.templates.template import Template

TEMPLATE: Final = "shell"
_VARIABLE: Final = "shell"
_SYSTEMS: Final = {"linux": "Linux", "darwin": "macOS", "win32": "Windows", "cygwin": "Windows"}
_LONGEST: Final = 4_000
"""The longest command in characters: line editors become slow, and nobody reads it before Enter."""
_QUOTED_COLUMNS: Final = 60


def write_command(line: str, shell: str, terminal: Terminal) -> ExitCode:
    """Ask for the command that ``line`` describes, and write it to stdout. Nothing is saved.

    An error is one line on stderr, where waiting is shown as well.
    """
    try:
        return _asked(line, shell, terminal)
    except ChatcliError as error:
        terminal.warn(" ".join(error_lines(error)))
        return error.exit_code
    finally:
        _forget_typed_keys(terminal)


def _asked(line: str, shell: str, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    options = parse(main_parser(""), ["--no-save", "--no-stdin", "-T", TEMPLATE, "--", line])
    options.response_format = None
    template, set_by_template = chosen_template(options, context, terminal)
    # Warnings about the configuration would be repeated at every key press.
    quiet = Namespace(**{**vars(options), "quiet": True})
    settings = settings_of(quiet, context, terminal, template=set_by_template)
    if terminal.redactor.keys_in(line):
        terminal.warn("the line contains what looks like a key")
    question = _question(as_typed(line), shell, template)
    work = _answered(question, options, settings, context, terminal)
    return asyncio.run(until_signalled(work, on_signal=terminal.give_up_on_readers))


def _question(line: str, shell: str, template: Template) -> Message:
    system = _SYSTEMS.get(sys.platform, sys.platform)
    values = {_VARIABLE: f"{shell} on {system}"} if _VARIABLE in template.variables else {}
    filling = Filling(typed=line, values=values)
    if missing := template.missing(filling):
        raise UsageError(
            f"the template {template.name} needs {', '.join(missing)}",
            hint="give them defaults: chatcli templates edit shell",
        )
    return template.question(filling)


async def _answered(
    question: Message, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
) -> ExitCode:
    async with open_chat(settings, chat_options(options), context, _ignore) as chat:
        waiting = waiting_output(options, settings, terminal, chat.turns.retry_now)
        if not waiting and terminal.stderr.is_terminal:
            terminal.warn("waiting for the command, Ctrl-C stops")
        end = await play(chat.turns.send(question), *waiting)
    result = end.result
    if result.error is not None:
        raise result.error
    if code := exit_code(end, length_was_chosen=False):
        reason = result.refusal or f"the answer is incomplete ({result.finish_reason})"
        terminal.warn(f"error: {_quoted(reason)}")
        return code
    terminal.stdout.write(_command(result.text) + "\n")
    return ExitCode.DONE


def _command(answer: str) -> str:
    command = shell_command(answer)
    if command is None:
        raise NothingToExtract(f"no command in the answer: {_quoted(answer.strip()) or 'it is empty'}")
    if len(command) > _LONGEST:
        raise NothingToExtract(f"a command of {len(command):,} characters is too long for a line")
    return command


def _quoted(answer: str) -> str:
    return shortened(sanitize_line(answer), _QUOTED_COLUMNS)


def _ignore(_notice: Notice) -> None:
    """Say nothing beside the command."""


def _forget_typed_keys(terminal: Terminal) -> None:
    """Discard the keys pressed while the person waited: an Enter among them would run the command unread."""
    if sys.platform == "win32" or not terminal.stderr.is_terminal:
        return
    import termios  # noqa: PLC0415 - unknown on Windows

    with suppress(OSError, ValueError, termios.error):
        termios.tcflush(terminal.stderr.file.fileno(), termios.TCIFLUSH)
