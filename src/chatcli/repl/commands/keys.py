"""``/keys``: what the keys do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.config.key_actions import KEY_ACTIONS, KeyTable
from chatcli.config.key_names import shown_keys
from chatcli.repl.commands.command import Command, answers_are_drawn
from chatcli.repl.table import table

if TYPE_CHECKING:
    from chatcli.config.key_actions import KeyAction
    from chatcli.repl.talk import Talk

_NONE = "no key"
_CHANGED = "*"
_ANY_COLUMNS = 10_000


async def _run(talk: Talk, _: str) -> None:
    keys = KeyTable(talk.settings.keys)
    columns = talk.surface.columns()
    rows = [_row(keys, action) for action in KEY_ACTIONS]
    listed = table(rows, _ANY_COLUMNS)
    if max(map(len, listed.split("\n"))) > columns:  # no room for a third column
        listed = "\n".join(f"{table([heads], columns)}\n  {does}" for *heads, does in rows)
    talk.surface.say(listed)
    if any(mark for mark, *_ in rows):
        talk.surface.remark(f"{_CHANGED} changed by [keys] in config.toml")
    talk.surface.remark(
        f"the line editor has the keys of {talk.settings.editing_mode} beside them (editing_mode)"
    )


def _row(keys: KeyTable, action: KeyAction) -> tuple[str, str, str, str]:
    does = f"{action.summary}, {action.when}" if action.when else action.summary
    shown = ", ".join(map(shown_keys, keys.keys(action.name))) or _NONE
    return _CHANGED if keys.is_changed(action) else "", shown, action.name, does


COMMAND = Command(
    "keys",
    "list the keys and what they do",
    _run,
    applies=answers_are_drawn,
    when="line by line there are no keys but Enter, Ctrl-C and Ctrl-D",
)
