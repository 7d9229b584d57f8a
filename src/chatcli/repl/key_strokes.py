"""From keys as they are written to what prompt_toolkit calls them."""

from __future__ import annotations

from chatcli.repl.key_decoding import CTRL_ENTER, SHIFT_ENTER

_PLAIN = {"space": " "}
_ENTERS = {"shift": SHIFT_ENTER, "ctrl": CTRL_ENTER}


def strokes(sequence: str) -> tuple[str, ...]:
    """Return the key presses of a sequence in the form ``key_sequence`` returns; Alt arrives as Escape before a key."""
    return tuple(press for stroke in sequence.split() for press in _presses(stroke))


def _presses(stroke: str) -> tuple[str, ...]:
    modifiers, key = _parts(stroke)
    if key == "enter" and (named := [_ENTERS[word] for word in modifiers if word in _ENTERS]):
        name = named[0]
    elif "shift" in modifiers and len(key) == 1:
        name = key.upper()
    else:
        short = "".join(letter for letter, word in (("c-", "ctrl"), ("s-", "shift")) if word in modifiers)
        name = short + key if short else _PLAIN.get(key, key)
    return ("escape", name) if "alt" in modifiers else (name,)


def _parts(stroke: str) -> tuple[list[str], str]:
    # The key itself may be a hyphen.
    before, _, key = stroke[:-1].rpartition("-")
    return before.split("-"), key + stroke[-1]
