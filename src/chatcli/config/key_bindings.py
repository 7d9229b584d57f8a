"""Key bindings of the conversation: their notation, their actions, and those in force.

A sequence is one or more keys with blanks between them, each with its modifiers before it: ``ctrl-x ctrl-e``,
``alt-enter``, ``f2``. This is the canonical form, which is stored and compared; other forms are accepted as
well: ``C-x``, ``ctrl+x``, ``^x``, ``esc``, ``meta-enter``.

The table of actions also generates ``/keys`` and its page in ``docs/reference``. Keys of the line editor
(moving, deleting, the kill ring, searching) are prompt_toolkit's and are not listed here.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.text.hints import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

_FUNCTION_KEYS: Final = tuple(f"f{number}" for number in range(1, 25))
_MOVING: Final = ("up", "down", "left", "right", "home", "end", "insert", "delete", "pageup", "pagedown")
NAMED: Final = ("enter", "tab", "space", "backspace", "escape", *_MOVING, *_FUNCTION_KEYS)
"""Keys that are written as a word."""

_ALIASES: Final = {
    "return": "enter",
    "esc": "escape",
    "del": "delete",
    "ins": "insert",
    "bs": "backspace",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "pgdown": "pagedown",
}
_MODIFIERS: Final = {
    "ctrl": "ctrl",
    "control": "ctrl",
    "c": "ctrl",
    "alt": "alt",
    "meta": "alt",
    "option": "alt",
    "m": "alt",
    "shift": "shift",
    "s": "shift",
}
_ORDER: Final = ("ctrl", "alt", "shift")
_MODIFIER: Final = re.compile(r"(?P<word>[a-z]+)[-+](?=.)")

# With Ctrl, terminals send these as the key beside them.
_SAME_BYTE: Final = {"i": "tab", "m": "enter", "[": "escape", "h": "backspace"}
_WITH_CTRL: Final = frozenset(
    {*"abcdefghijklmnopqrstuvwxyz@\\]^_", "space", "enter", *_MOVING, *_FUNCTION_KEYS}
)
_WITH_SHIFT: Final = frozenset({"tab", "enter", *_MOVING})
_SHOWN: Final = {"escape": "Esc", "pageup": "PageUp", "pagedown": "PageDown"}
_HOW: Final = "write keys like enter, ctrl-s, alt-enter, f2, ctrl-x ctrl-e"
_NOTHING_WRITTEN: Final = "with an empty composer"
_SOMETHING_QUEUED: Final = "with an empty composer and something queued"


def key_sequence(text: str) -> str:
    """Return the canonical form of the keys in ``text``. Raise ``ValueError`` with the reason if invalid."""
    strokes = [_stroke(word) for word in text.split()]
    if not strokes:
        raise ValueError("an empty text is not a key; use [] for none")
    if len(strokes[0]) == 1 or strokes[0] == "space":
        raise ValueError(f"{text.strip()!r} alone could no longer be typed; put ctrl- or alt- before it")
    return " ".join(strokes)


def shown_keys(sequence: str) -> str:
    """Return a sequence for display: ``Ctrl-X Ctrl-E``."""
    return " ".join("-".join(map(_shown_part, _parts(stroke))) for stroke in sequence.split())


def begins_with(sequence: str, other: str) -> bool:
    """Whether ``sequence`` begins with the keys of ``other``, which would therefore have to wait."""
    return f"{sequence} ".startswith(f"{other} ")


def _stroke(word: str) -> str:
    rest = word.lower().replace("page-", "page")
    modifiers: set[str] = set()
    while (match := _MODIFIER.match(rest)) and match["word"] in _MODIFIERS:
        modifiers.add(_MODIFIERS[match["word"]])
        rest = rest[match.end() :]
    if len(rest) > 1 and rest.startswith("^"):
        modifiers.add("ctrl")
        rest = rest[1:]
    key = _ALIASES.get(rest, rest)
    if key not in NAMED and not (len(key) == 1 and key.isprintable()):
        raise ValueError(f"there is no key {word!r}; {nearest(key, NAMED) or _HOW}")
    return _combined(word, modifiers, key)


def _combined(word: str, modifiers: set[str], key: str) -> str:
    if "ctrl" in modifiers and key in _SAME_BYTE:
        modifiers, key = modifiers - {"ctrl"}, _SAME_BYTE[key]
    is_letter = len(key) == 1 and key.isalpha()
    allowed_shift = key in _WITH_SHIFT or (is_letter and "alt" in modifiers and "ctrl" not in modifiers)
    # Enter with Shift or Ctrl is sent as a character that allows one modifier only.
    is_enter_with_many = key == "enter" and len(modifiers) > 1
    if (
        ("ctrl" in modifiers and key not in _WITH_CTRL)
        or ("shift" in modifiers and not allowed_shift)
        or is_enter_with_many
    ):
        plain = "-".join([*(part for part in _ORDER if part == "alt" and part in modifiers), key])
        raise ValueError(f"{word!r} cannot be distinguished from {plain} in a terminal")
    return "-".join([*(modifier for modifier in _ORDER if modifier in modifiers), key])


def _parts(stroke: str) -> list[str]:
    """Return the modifiers and the key; the key itself may be a hyphen."""
    before, hyphen, key = stroke[:-1].rpartition("-")
    key += stroke[-1]
    return [*before.split("-"), key] if hyphen else [key]


def _shown_part(part: str) -> str:
    return _SHOWN.get(part) or (part.capitalize() if len(part) > 1 else part.upper())


@frozen
class KeyAction:
    """An action of keys; ``name`` is its key in ``[keys]`` of config.toml, ``when`` the state it needs."""

    name: str
    keys: tuple[str, ...]
    summary: str
    when: str = ""


# Default keys are those that every terminal sends and no terminal, multiplexer or shell takes for itself:
# control
# characters and function keys. Alt is avoided, as macOS types letters with it; Alt-Enter also has Ctrl-J and,
# on newer
# terminals, Shift-Enter. Ctrl-S submits at once: it only stops output in a terminal left in the mode of a
# shell.
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
    """The keys in force: those of the table, with ``changes`` by action.

    Raise ``ValueError`` if two actions would share a sequence.
    """

    def __init__(self, changes: Mapping[str, tuple[str, ...]] | None = None) -> None:
        changes = changes or {}
        self._keys = {action.name: changes.get(action.name, action.keys) for action in KEY_ACTIONS}
        _refuse_conflicts(self._keys)

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the sequences of an action, empty if it is unbound."""
        return self._keys[name]

    def shown(self, name: str) -> str:
        """Return the first of an action's sequences for display, empty if it is unbound."""
        return shown_keys(self._keys[name][0]) if self._keys[name] else ""

    def is_changed(self, action: KeyAction) -> bool:
        return self._keys[action.name] != action.keys


def key_changes(table: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Parse ``[keys]``: a sequence, a list of them, or ``[]`` for none, by action.

    Raise ``ValueError`` for an unknown action or key, and if two actions share a sequence.
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
        # Escape also begins other keys' sequences; a pause distinguishes it from them.
        if longer != sequence and sequence == "escape":
            continue
        if longer == sequence:
            conflict = f"{name} and {other} are both on {sequence}"
        else:
            conflict = f"{other} is on {longer}, which begins with {sequence}, the keys of {name}"
        raise ValueError(f"{conflict}. Give one of them other keys, or none: {other} = []")
