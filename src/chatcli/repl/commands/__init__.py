"""The slash commands: a file per topic, collected into one table for help and completion."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands import (
    answer_commands,
    branch_commands,
    comparison_commands,
    context_commands,
    cost_commands,
    help_commands,
    question_commands,
    schema_commands,
    session_commands,
    setting_commands,
    statistics_commands,
    template_commands,
)
from chatcli.templates.template_store import PLUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.repl.commands.command import Command
    from chatcli.repl.repl_session import ReplSession
    from chatcli.templates.template_store import TemplateEntry


COMMAND_GROUPS: Final[tuple[tuple[str, tuple[Command, ...]], ...]] = (
    (
        "questions and answers",
        (
            *question_commands.COMMANDS,
            # It needs the table defined below, to tell which lines of a file are commands.
            question_commands.load_of(lambda name: _command_name(name)),  # noqa: PLW0108
            *schema_commands.COMMANDS,
            *template_commands.COMMANDS,
            *branch_commands.COMMANDS,
            *comparison_commands.COMMANDS,
            *answer_commands.COMMANDS,
        ),
    ),
    ("conversations", session_commands.COMMANDS),
    ("what the model sees", context_commands.COMMANDS),
    ("models and settings", setting_commands.COMMANDS),
    ("tokens, cost and times", (*cost_commands.COMMANDS, *statistics_commands.COMMANDS)),
    (
        "help",
        # The table it explains is defined below.
        (
            help_commands.help_of(lambda: COMMAND_GROUPS, lambda *about: no_such_command(*about)),  # noqa: PLW0108
            *help_commands.COMMANDS,
        ),
    ),
)
"""The headings of ``/help`` with the commands below each."""

COMMANDS: Final[tuple[Command, ...]] = tuple(
    command for _, commands in COMMAND_GROUPS for command in commands
)

_MEANT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "add": "file",
        "attach": "file",
        "commands": "help",
        "back": "undo",
        "bye": "exit",
        "delete": "undo",
        "forget": "clear",
        "open": "sessions",
        "paste": "file",
        "prompt": "system",
        "redo": "retry",
        "regenerate": "retry",
        "rename": "title",
        "reset": "new",
        "rewind": "undo",
        "search": "sessions",
        "settings": "config",
        "set": "config",
        "template": "t",
        "templates": "t",
        "usage": "cost",
    }
)
"""Names of a command in other programs, for a hint."""


def named(name: str) -> Command | None:
    """Return the command with that name or alias."""
    return next((command for command in COMMANDS if name == command.name or name in command.aliases), None)


def no_such_command(name: str, repl: ReplSession, templates: Sequence[TemplateEntry] = ()) -> UsageError:
    """Return the error for a name that neither a command nor one of the ``templates`` has."""
    suggested = _suggested(name, [entry.name for entry in templates])
    hint = "/help lists the commands"
    if suggested:
        command = named(suggested)
        not_now = "" if command is None or command.applies(repl) else f" (not now: {command.when})"
        hint = f"did you mean /{suggested}?{not_now}"
    return UsageError(f"there is no command /{name}", hint=hint, code="no_such_command")


def _command_name(name: str) -> str | None:
    command = named(name)
    return None if command is None else command.name


async def run_command(repl: ReplSession, name: str, argument: str) -> None:
    """Run a command, else use the template of that name.

    Raise ``UsageError`` if there is neither, or the command does not apply now.
    """
    command = named(name)
    if command is None:
        templates = await template_commands.all_templates(repl)
        if {entry.name for entry in templates}.isdisjoint(name.split(PLUS)):
            raise no_such_command(name, repl, templates)
        draft = f"/{name} {argument}".rstrip()
        await template_commands.ask_with_template(repl, name, argument, draft=draft)
        return
    if not command.applies(repl):
        raise UsageError(f"/{name}: {command.when}", hint="/help lists what can be done now")
    if argument and not command.argument:
        raise UsageError(f"/{name} takes nothing after it", hint=f"type /{name} alone")
    await command.run(repl, argument)


def _suggested(name: str, templates: Sequence[str]) -> str:
    """Return the nearest name of a command or template, empty if none is near."""
    written = name.lower()
    names = [each for command in COMMANDS for each in (command.name, *command.aliases)]
    names += [each for each in templates if each not in names]
    starting = sorted((each for each in names if written and each.startswith(written)), key=len)
    near = difflib.get_close_matches(written, names, n=1, cutoff=0.5)
    return next(iter([*filter(None, [_MEANT.get(written)]), *starting, *near]), "")
