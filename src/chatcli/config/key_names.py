"""Keys as people write them: ``ctrl-x ctrl-e``, ``alt-enter``, ``f2``.

A sequence is one or more keys with blanks between them, each with its modifiers before it. There is one way to write
it that is kept and compared, and others that are understood: ``C-x``, ``ctrl+x``, ``^x``, ``esc``, ``meta-enter``.
"""

from __future__ import annotations

import re
from typing import Final

from chatcli.config.suggestions import nearest

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

# What a terminal sends for these is the key beside it.
_SAME_BYTE: Final = {"i": "tab", "m": "enter", "[": "escape", "h": "backspace"}
_WITH_CTRL: Final = frozenset(
    {*"abcdefghijklmnopqrstuvwxyz@\\]^_", "space", "enter", *_MOVING, *_FUNCTION_KEYS}
)
_WITH_SHIFT: Final = frozenset({"tab", "enter", *_MOVING})
_SHOWN: Final = {"escape": "Esc", "pageup": "PageUp", "pagedown": "PageDown"}


def key_sequence(text: str) -> str:
    """Return the one way to write the keys in ``text``. Raise ``ValueError`` with the reason where they are none."""
    strokes = [_stroke(word) for word in text.split()]
    if not strokes:
        raise ValueError("an empty text is not a key; use [] for none")
    if len(strokes[0]) == 1 or strokes[0] == "space":
        raise ValueError(f"{text.strip()!r} alone could no longer be typed; put ctrl- or alt- before it")
    return " ".join(strokes)


def shown_keys(sequence: str) -> str:
    """Return a sequence as it is shown: ``Ctrl-X Ctrl-E``."""
    return " ".join("-".join(map(_shown_part, _parts(stroke))) for stroke in sequence.split())


def begins_with(sequence: str, other: str) -> bool:
    """Whether the keys of ``other`` come first in ``sequence``, so that pressing them would have to wait."""
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


_HOW: Final = "write keys like enter, ctrl-s, alt-enter, f2, ctrl-x ctrl-e"


def _combined(word: str, modifiers: set[str], key: str) -> str:
    if "ctrl" in modifiers and key in _SAME_BYTE:
        modifiers, key = modifiers - {"ctrl"}, _SAME_BYTE[key]
    is_letter = len(key) == 1 and key.isalpha()
    allowed_shift = key in _WITH_SHIFT or (is_letter and "alt" in modifiers and "ctrl" not in modifiers)
    # What tells Enter with Shift or Ctrl from Enter alone carries one of them.
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
