"""Slash commands for help, and the one that leaves."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.config.key_bindings import KEY_ACTIONS, KeyTable, shown_keys
from chatcli.render.text_columns import explained
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatcli.config.key_bindings import KeyAction
    from chatcli.render.themes import StyledRow
    from chatcli.repl.repl_session import ReplSession

    Groups: TypeAlias = tuple[tuple[str, tuple[Command, ...]], ...]

_USAGE_COLUMNS: Final = 18
_NAME_COLUMNS: Final = 12
_NARROW_COLUMNS: Final = 60
_MORE: Final = "..."
_NO_KEY: Final = "no key"
_CHANGED: Final = " (changed)"
_SHARE_OF_KEYS: Final = 3
_EDITORS: Final = {"emacs": "Emacs", "vi": "vi"}


def help_of(groups: Callable[[], Groups], known: Callable[[str, ReplSession], Command]) -> Command:
    """Return the ``/help`` command of a table that contains it."""
    shown = _Help(groups, known)
    return Command("help", "list the commands and keys", shown.run, "[COMMAND]", shown.choices)


class _Help:
    def __init__(self, groups: Callable[[], Groups], known: Callable[[str, ReplSession], Command]) -> None:
        self._groups = groups
        self._known = known

    async def run(self, repl: ReplSession, argument: str) -> None:
        if argument:
            self._explain(repl, argument)
            return
        if repl.frontend.draws:
            columns = repl.frontend.columns()
            repl.frontend.picture(self._in_columns(repl, columns))
        else:
            repl.frontend.say("\n".join(self._in_sentences(repl)))
        repl.frontend.pause()
        repl.frontend.say(f"/help COMMAND explains one\n{repl.frontend.words.keys}")

    async def choices(self, _: ReplSession) -> Iterable[Choice]:
        """Return all commands: unusable ones can be explained too."""
        return [Choice(command.name, command.summary) for command in self._commands()]

    def _commands(self) -> Iterator[Command]:
        return (command for _, commands in self._groups() for command in commands)

    def _explain(self, repl: ReplSession, name: str) -> None:
        command = self._known(name.removeprefix("/").lower(), repl)
        lines = [command.usage, f"  {command.summary}"]
        if command.aliases:
            lines.append(f"  also called {', '.join(f'/{alias}' for alias in command.aliases)}")
        if not command.applies(repl):
            lines.append(f"  not now: {command.when}")
        repl.frontend.say("\n".join(lines))

    def _in_columns(self, repl: ReplSession, columns: int) -> Iterator[StyledRow]:
        """Yield the commands with their summaries beside them, or below in a narrow terminal."""
        wide = _USAGE_COLUMNS if columns >= _NARROW_COLUMNS else _NAME_COLUMNS
        for heading, commands in self._groups():
            yield [(heading, "heading")]
            usages = [(_shown_usage(command, columns), command.summary) for command in commands]
            for command, rows in zip(commands, explained(usages, columns, wide), strict=True):
                role = "" if command.applies(repl) else "label"
                yield from ([(row, role)] for row in rows)
        for line in self._unusable(repl):
            yield from ([(row, "label")] for row in wrap(line, columns, subsequent_indent="  "))

    def _in_sentences(self, repl: ReplSession) -> Iterator[str]:
        """Yield the commands as sentences: columns and colours mean nothing when read aloud."""
        for heading, commands in self._groups():
            yield f"{heading}:"
            for command in commands:
                now = "" if command.applies(repl) else f"; not now: {command.when}"
                yield f"{command.usage}: {command.summary}{now}"

    def _unusable(self, repl: ReplSession) -> Iterator[str]:
        """Yield why some commands are unusable now, a line for each reason."""
        reasons: dict[str, list[str]] = {}
        for command in self._commands():
            if not command.applies(repl):
                reasons.setdefault(command.when, []).append(f"/{command.name}")
        for reason, names in reasons.items():
            yield f"not now ({reason}): {', '.join(names)}"


def _shown_usage(command: Command, columns: int) -> str:
    # /help COMMAND lists the values of a long argument: here it would take a row of its own.
    if columns < _NARROW_COLUMNS:
        return f"  /{command.name}"
    fits = len(command.usage) + 2 <= _USAGE_COLUMNS
    return f"  {command.usage}" if fits else f"  /{command.name} {_MORE}"


async def _keys(repl: ReplSession, _: str) -> None:
    keys = KeyTable(repl.settings.keys)
    columns = repl.frontend.columns()
    rows = [
        (
            ", ".join(map(shown_keys, keys.keys(action.name))) or _NO_KEY,
            _key_action(action, is_changed=keys.is_changed(action)),
        )
        for action in KEY_ACTIONS
    ]
    # Long keys get a row of their own.
    wide = max((len(on) for on, _ in rows if len(on) <= columns // _SHARE_OF_KEYS), default=0)
    repl.frontend.say("\n".join(chain.from_iterable(explained(rows, columns, wide))))
    repl.frontend.remark(f"plus the usual {_EDITORS[repl.settings.editing_mode]} editing keys (editing_mode)")
    names = ", ".join(action.name for action in KEY_ACTIONS)
    repl.frontend.remark(f"[keys] in config.toml changes them; their names, in this order: {names}")


def _key_action(action: KeyAction, *, is_changed: bool) -> str:
    when = f", {action.when}" if action.when else ""
    return f"{action.summary}{when}{_CHANGED if is_changed else ''}"


async def _exit(repl: ReplSession, _: str) -> None:
    repl.is_leaving = True


COMMANDS: Final = (
    Command(
        "keys",
        "list the keys and what they do",
        _keys,
        applies=answers_are_drawn,
        when="line by line the only keys are Enter, Ctrl-C and Ctrl-D",
    ),
    Command("exit", "quit; the conversation is saved", _exit, aliases=("quit",)),
)
