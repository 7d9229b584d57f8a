from __future__ import annotations

import pytest
from prompt_toolkit.key_binding import KeyBindings

from chatcli.config.key_bindings import KEY_ACTIONS, NAMED, key_sequence
from chatcli.terminal.key_decoding import CTRL_ENTER, SHIFT_ENTER
from chatcli.terminal.keys import strokes


@pytest.mark.parametrize(
    ("written", "pressed"),
    [
        ("enter", ("enter",)),
        ("ctrl-x ctrl-e", ("c-x", "c-e")),
        ("alt-enter", ("escape", "enter")),
        ("shift-enter", (SHIFT_ENTER,)),
        ("ctrl-enter", (CTRL_ENTER,)),
        ("alt-shift-s", ("escape", "S")),
        ("alt-space", ("escape", " ")),
        ("alt--", ("escape", "-")),
        ("shift-tab", ("s-tab",)),
        ("ctrl-shift-up", ("c-s-up",)),
        ("ctrl-alt-a", ("escape", "c-a")),
        ("ctrl-_", ("c-_",)),
        ("escape escape", ("escape", "escape")),
        ("f12", ("f12",)),
    ],
)
def test_keys_are_what_prompt_toolkit_calls_them(written, pressed):
    assert strokes(key_sequence(written)) == pressed


def test_prompt_toolkit_knows_every_key_that_can_be_written():
    written = [
        *(f"{modifier}{key}" for key in NAMED for modifier in ("", "ctrl-", "alt-", "shift-", "ctrl-shift-")),
        *(f"ctrl-{key}" for key in "abcdefghijklmnopqrstuvwxyz@\\]^_"),
        *(sequence for action in KEY_ACTIONS for sequence in action.keys),
    ]
    bindings = KeyBindings()
    for keys in written:
        try:
            sequence = key_sequence(keys)
        except ValueError:
            continue
        bindings.add(*strokes(sequence))(print)
