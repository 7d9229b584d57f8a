"""``/keys``: what the keys do now."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from chatcli.config.key_actions import KEY_ACTIONS, KeyTable
from chatcli.config.key_names import shown_keys
from chatcli.render.text_columns import hanging
from chatcli.repl.commands.command import Command, answers_are_drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.config.key_actions import KeyAction
    from chatcli.repl.repl_session import ReplSession

_NONE = "no key"
_CHANGED = " (changed)"
_SHARE_OF_KEYS = 3
_EDITORS = {"emacs": "Emacs", "vi": "vi"}


async def _run(repl: ReplSession, _: str) -> None:
    keys = KeyTable(repl.settings.keys)
    columns = repl.frontend.columns()
    rows = [
        (
            ", ".join(map(shown_keys, keys.keys(action.name))) or _NONE,
            _does(action, is_changed=keys.is_changed(action)),
        )
        for action in KEY_ACTIONS
    ]
    repl.frontend.say("\n".join(_in_columns(rows, columns)))
    repl.frontend.remark(f"plus the usual {_EDITORS[repl.settings.editing_mode]} editing keys (editing_mode)")
    names = ", ".join(action.name for action in KEY_ACTIONS)
    repl.frontend.remark(f"[keys] in config.toml changes them; their names, in this order: {names}")


def _in_columns(rows: Sequence[tuple[str, str]], columns: int) -> Iterator[str]:
    """Yield the keys and, beside them, what they do; keys that take too much room have a row of their own."""
    wide = max((len(on) for on, _ in rows if len(on) <= columns // _SHARE_OF_KEYS), default=0)
    for on, does in rows:
        if len(on) > wide:
            yield from wrap(on, columns)
        yield from hanging(f"{on if len(on) <= wide else '':<{wide}}  ", does, columns)


def _does(action: KeyAction, *, is_changed: bool) -> str:
    when = f", {action.when}" if action.when else ""
    return f"{action.summary}{when}{_CHANGED if is_changed else ''}"


COMMAND = Command(
    "keys",
    "list the keys and what they do",
    _run,
    applies=answers_are_drawn,
    when="line by line the only keys are Enter, Ctrl-C and Ctrl-D",
)
