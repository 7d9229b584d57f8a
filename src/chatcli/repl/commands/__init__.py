"""The slash commands: one file each, collected into one table that also makes help and completion."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands import (
    alt,
    btw,
    clear,
    config,
    context,
    continue_,
    copy,
    cost,
    drop,
    edit,
    exit,  # noqa: A004 - named for what is typed
    file,
    fork,
    help,  # noqa: A004
    keys,
    last,
    login,
    model,
    note,
    pin,
    profile,
    reasoning,
    retry,
    save,
    session,
    sessions,
    summary,
    system,
    t,
    theme,
    title,
    tokens,
    tree,
    undo,
    unpin,
    verbose,
)

if TYPE_CHECKING:
    from chatcli.repl.commands.command import Command
    from chatcli.repl.talk import Talk

COMMANDS: Final[tuple[Command, ...]] = tuple(
    module.COMMAND
    for module in (
        help,
        keys,
        file,
        t,
        model,
        profile,
        system,
        retry,
        continue_,
        edit,
        undo,
        alt,
        tree,
        btw,
        copy,
        last,
        clear,
        pin,
        unpin,
        drop,
        note,
        context,
        summary,
        tokens,
        cost,
        session,
        sessions,
        title,
        save,
        fork,
        config,
        login,
        theme,
        reasoning,
        verbose,
        exit,
    )
)

# A path is not a command: /etc/hosts has a second slash where a command has a blank.
_COMMAND: Final = re.compile(r"/(?P<name>[^\s/]*)(?:\s+(?P<argument>.*))?", re.DOTALL)


def split(line: str) -> tuple[str, str] | None:
    """Return the name and the argument of a command, ``None`` when ``line`` is none."""
    match = _COMMAND.fullmatch(line.strip())
    return (match["name"], (match["argument"] or "").strip()) if match else None


def find(name: str, talk: Talk) -> Command:
    """Return the command; raise ``UsageError``, naming the nearest one, where there is none or it does not apply now."""
    for command in COMMANDS:
        if name == command.name:
            if not command.applies(talk):
                raise UsageError(f"/{name}: {command.when}", hint="/help lists what can be done now")
            return command
    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1, cutoff=0.5)
    starting = [command.name for command in COMMANDS if name and command.name.startswith(name)]
    hint = f"did you mean /{(starting or near)[0]}?" if starting or near else "/help lists the commands"
    raise UsageError(f"there is no command /{name}", hint=hint, code="no_such_command")
