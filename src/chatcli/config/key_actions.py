"""What keys of the conversation do: the table of actions, and the keys that are in force for them.

The table also makes ``/keys`` and its page in ``docs/reference``. Keys of the line editor (moving, deleting, the
kill ring, searching) are prompt_toolkit's and are not listed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from chatcli.config.key_names import begins_with, key_sequence, shown_keys
from chatcli.config.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING_WRITTEN: Final = "with an empty composer"
_SOMETHING_QUEUED: Final = "with an empty composer and something queued"


@dataclass(frozen=True, slots=True)
class KeyAction:
    """One thing keys can do; ``name`` is its key in ``[keys]`` of config.toml, ``when`` where it does that only."""

    name: str
    keys: tuple[str, ...]
    summary: str
    when: str = ""


# Keys are chosen from those that every terminal sends and no terminal, multiplexer or shell takes for itself: control
# characters and keys of their own. Alt is none of them, as macOS types letters with it; with Enter it has Ctrl-J
# beside it, and Shift-Enter, which only newer terminals tell from Enter. Ctrl-S sends at once: it only stops output where a terminal is left in the mode of a shell.
KEY_ACTIONS: Final = (
    KeyAction("send", ("enter",), "send; while an answer streams, queue"),
    KeyAction("new_line", ("shift-enter", "alt-enter", "ctrl-j"), "add a line"),
    KeyAction(
        "stop_and_send",
        ("ctrl-s",),
        "stop the answer and send now (the text, else the first in the queue)",
    ),
    KeyAction("edit_queued", ("up",), "edit the newest queued message", _SOMETHING_QUEUED),
    KeyAction("drop_queued", ("delete",), "drop the newest queued message", _SOMETHING_QUEUED),
    KeyAction("complete", ("tab",), "complete a command, an argument or the path of a file"),
    KeyAction("complete_back", ("shift-tab",), "previous completion"),
    KeyAction("expand_paste", ("ctrl-x ctrl-p",), "unfold a paste"),
    KeyAction("search_history", ("ctrl-r",), "search what you typed before"),
    KeyAction("edit_in_editor", ("ctrl-x ctrl-e",), "open your editor ($VISUAL, $EDITOR)"),
    KeyAction("edit_previous", ("escape escape",), "edit an earlier question", _NOTHING_WRITTEN),
    KeyAction(
        "interrupt",
        ("ctrl-c",),
        "stop the answer, wait, retry or command; otherwise clear the line",
    ),
    KeyAction("leave", ("ctrl-d",), "leave", _NOTHING_WRITTEN),
    KeyAction("suspend", ("ctrl-z",), "suspend; fg returns (not on Windows)"),
)


class KeyTable:
    """The keys in force: those of the table, and ``changes`` by the name of their action.

    Raise ``ValueError`` where two actions would be on the same keys.
    """

    def __init__(self, changes: Mapping[str, tuple[str, ...]] | None = None) -> None:
        changes = changes or {}
        self._keys = {action.name: changes.get(action.name, action.keys) for action in KEY_ACTIONS}
        _refuse_conflicts(self._keys)

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the sequences an action is on, none where it is unbound."""
        return self._keys[name]

    def shown(self, name: str) -> str:
        """Return the first of an action's sequences as it is shown, empty where there is none."""
        return shown_keys(self._keys[name][0]) if self._keys[name] else ""

    def is_changed(self, action: KeyAction) -> bool:
        return self._keys[action.name] != action.keys


def key_changes(table: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Read what ``[keys]`` says: a sequence, a list of them, or ``[]`` for none, by the name of the action.

    Raise ``ValueError`` for an action or a key there is none of, and for two actions on the same keys.
    """
    changes = {name: _sequences(name, value) for name, value in table.items()}
    KeyTable(changes)
    return changes


def _sequences(name: str, value: object) -> tuple[str, ...]:
    names = [action.name for action in KEY_ACTIONS]
    if name not in names:
        raise ValueError(f"has no action {name}; {did_you_mean(name, names)}")
    written = [value] if isinstance(value, str) else value
    if not isinstance(written, list | tuple) or not all(isinstance(keys, str) for keys in written):
        raise ValueError(f'{name} must be keys, like "ctrl-s" or ["alt-enter", "ctrl-j"]')
    try:
        return tuple(dict.fromkeys(key_sequence(keys) for keys in written))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _refuse_conflicts(keys: Mapping[str, tuple[str, ...]]) -> None:
    bound = [(name, sequence) for name, sequences in keys.items() for sequence in sequences]
    for (name, sequence), (other, longer) in combinations(sorted(bound, key=lambda row: len(row[1])), 2):
        if name == other or not begins_with(longer, sequence):
            continue
        # Escape begins what other keys send as well, and is told from them by the time that passes.
        if longer != sequence and sequence == "escape":
            continue
        if longer == sequence:
            told = f"{name} and {other} are both on {sequence}"
        else:
            told = f"{other} is on {longer}, which begins with {sequence}, the keys of {name}"
        raise ValueError(f"{told}. Give one of them other keys, or none: {other} = []")
