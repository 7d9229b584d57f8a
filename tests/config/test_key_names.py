from __future__ import annotations

import re

import pytest

from chatcli.config.key_names import key_sequence, shown_keys


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("enter", "enter"),
        ("Return", "enter"),
        ("ctrl-x ctrl-e", "ctrl-x ctrl-e"),
        ("C-x C-e", "ctrl-x ctrl-e"),
        ("Ctrl+X", "ctrl-x"),
        ("^x", "ctrl-x"),
        ("Alt-Enter", "alt-enter"),
        ("S-Return", "shift-enter"),
        ("ctrl+enter", "ctrl-enter"),
        ("M-S", "alt-s"),
        ("alt-shift-s", "alt-shift-s"),
        ("shift-alt-up", "alt-shift-up"),
        ("esc Esc", "escape escape"),
        ("page-up", "pageup"),
        ("PgDn", "pagedown"),
        ("shift-tab", "shift-tab"),
        ("F2", "f2"),
        ("ctrl-i", "tab"),
        ("ctrl-m", "enter"),
        ("ctrl-h", "backspace"),
        ("alt--", "alt--"),
        ("alt-+", "alt-+"),
        ("ctrl-space", "ctrl-space"),
        ("ctrl-_", "ctrl-_"),
        ("ctrl-x e", "ctrl-x e"),
    ],
)
def test_keys_are_understood_as_people_write_them(written, kept):
    assert key_sequence(written) == kept
    assert key_sequence(kept) == kept


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("entr", "there is no key 'entr'; did you mean enter?"),
        ("hyper-x", "there is no key 'hyper-x'; write keys like"),
        ("", "an empty text is not a key"),
        ("a", "'a' alone could no longer be typed"),
        ("space", "'space' alone could no longer be typed"),
        ("alt-shift-enter", "cannot be distinguished from alt-enter"),
        ("ctrl-shift-enter", "cannot be distinguished from enter"),
        ("ctrl-1", "'ctrl-1' cannot be distinguished from 1"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(written, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        key_sequence(written)


@pytest.mark.parametrize(
    ("sequence", "shown"),
    [
        ("ctrl-x ctrl-e", "Ctrl-X Ctrl-E"),
        ("escape escape", "Esc Esc"),
        ("alt-enter", "Alt-Enter"),
        ("pageup", "PageUp"),
        ("f12", "F12"),
        ("alt--", "Alt--"),
        ("up", "Up"),
    ],
)
def test_keys_are_shown_as_they_stand_on_a_keyboard(sequence, shown):
    assert shown_keys(sequence) == shown
