"""Slash commands for help, and the one that leaves."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.app.threads import in_thread
from chatcli.config.key_bindings import KEY_ACTIONS, KeyTable, shown_keys
from chatcli.render.text_columns import explained
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn
from chatcli.repl.commands.template_commands import all_templates, summarized, template_help

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatcli.config.key_bindings import KeyAction
    from chatcli.core.errors import UsageError
    from chatcli.render.themes import StyledRow
    from chatcli.repl.repl_session import ReplSession
    from chatcli.templates.template_store import TemplateEntry

    Groups: TypeAlias = tuple[tuple[str, tuple[Command, ...]], ...]
    Templates: TypeAlias = Sequence[TemplateEntry]

_USAGE_COLUMNS: Final = 18
_NAME_COLUMNS: Final = 12
_NARROW_COLUMNS: Final = 60
_MORE: Final = "..."
_NO_KEY: Final = "no key"
_CHANGED: Final = " (changed)"
_YOURS: Final = "your templates"
_MOST_TEMPLATES: Final = 20
_OTHERS: Final = "and {} more templates of yours: /t lists them"
_SHARE_OF_KEYS: Final = 3
_EDITORS: Final = {"emacs": "Emacs", "vi": "vi"}


def help_of(
    groups: Callable[[], Groups], unknown: Callable[[str, ReplSession, Templates], UsageError]
) -> Command:
    """Return the ``/help`` command of a table that contains it; ``unknown`` makes the error for another name."""
    shown = _Help(groups, unknown)
    return Command("help", "list the commands and keys", shown.run, "[COMMAND]", shown.choices)


class _Help:
    def __init__(
        self, groups: Callable[[], Groups], unknown: Callable[[str, ReplSession, Templates], UsageError]
    ) -> None:
        self._groups = groups
        self._unknown = unknown

    async def run(self, repl: ReplSession, argument: str) -> None:
        templates = await all_templates(repl)
        if argument:
            await self._explain(repl, argument.removeprefix("/"), templates)
            return
        own = [entry for entry in templates if not entry.is_shipped]
        listed = [
            (self._usage_of(choice.text), choice.meaning)
            for choice in await summarized(repl, own[:_MOST_TEMPLATES])
        ]
        more = _OTHERS.format(f"{len(own) - len(listed):,}") if len(own) > len(listed) else ""
        shipped = ", ".join(self._usage_of(entry.name) for entry in templates if entry.is_shipped)
        further = list(filter(None, [more, f"built-in templates: {shipped}" if shipped else ""]))
        if repl.frontend.draws:
            columns = repl.frontend.columns()
            repl.frontend.picture(
                chain(self._in_columns(repl, columns), _templates_in_columns(listed, further, columns))
            )
        else:
            own_lines = (
                [f"{_YOURS}:", *(f"{usage}: {summary}" for usage, summary in listed)] if listed else []
            )
            repl.frontend.say("\n".join([*self._in_sentences(repl), *own_lines, *further]))
        repl.frontend.pause()
        repl.frontend.say(f"/help COMMAND explains one\n{repl.frontend.words.keys}")

    async def choices(self, repl: ReplSession) -> Iterable[Choice]:
        """Return all commands and templates: unusable ones can be explained too."""
        commands = [Choice(command.name, command.summary) for command in self._commands()]
        return [*commands, *await summarized(repl, await all_templates(repl))]

    def _named(self, name: str) -> Command | None:
        return next((each for each in self._commands() if name == each.name or name in each.aliases), None)

    def _usage_of(self, template: str) -> str:
        return f"/{template}" if self._named(template) is None else f"/t {template}"

    def _commands(self) -> Iterator[Command]:
        return (command for _, commands in self._groups() for command in commands)

    async def _explain(self, repl: ReplSession, name: str, templates: Templates) -> None:
        entry = next((entry for entry in templates if entry.name == name), None)
        command = self._named(name) or (self._named(name.lower()) if entry is None else None)
        lines = []
        if command is not None:
            lines += [command.usage, f"  {command.summary}"]
            if command.aliases:
                lines.append(f"  also called {', '.join(f'/{alias}' for alias in command.aliases)}")
            if not command.applies(repl):
                lines.append(f"  not now: {command.when}")
        if entry is not None:
            usage = self._usage_of(name)
            lines += await in_thread(lambda: template_help(entry, usage=usage))
        if not lines:
            raise self._unknown(name, repl, templates)
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


def _templates_in_columns(
    listed: Sequence[tuple[str, str]], further: Sequence[str], columns: int
) -> Iterator[StyledRow]:
    if listed:
        yield [(_YOURS, "heading")]
        wide = _USAGE_COLUMNS if columns >= _NARROW_COLUMNS else _NAME_COLUMNS
        for rows in explained([(f"  {usage}", summary) for usage, summary in listed], columns, wide):
            yield from ([(row, "")] for row in rows)
    for line in further:
        yield from ([(row, "label")] for row in wrap(line, columns, subsequent_indent="  "))


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
