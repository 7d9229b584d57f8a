from __future__ import annotations

import re

import pytest

from chatcli.config.key_bindings import KEY_ACTIONS, KeyTable, key_changes, key_sequence, shown_keys
from chatcli.core.errors import ConfigurationError


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


def test_every_action_has_its_own_name_and_keys_in_the_one_way_to_write_them():
    assert len({action.name for action in KEY_ACTIONS}) == len(KEY_ACTIONS)
    for action in KEY_ACTIONS:
        assert action.keys == tuple(map(key_sequence, action.keys))


def test_keys_can_be_added_changed_and_taken_away():
    table = KeyTable(key_changes({"send": ["enter", "F5"], "leave": [], "stop_and_send": "M-s"}))
    assert table.keys("send") == ("enter", "f5")
    assert table.keys("leave") == ()
    assert table.shown("leave") == ""
    assert table.shown("stop_and_send") == "Alt-S"
    changed = [action.name for action in KEY_ACTIONS if table.is_changed(action)]
    assert changed == ["send", "stop_and_send", "leave"]


def test_keys_one_action_gives_up_can_go_to_another():
    table = KeyTable(key_changes({"send": "alt-enter", "new_line": "enter"}))
    assert table.keys("new_line") == ("enter",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sned": "enter"}, "has no action sned; did you mean send?"),
        ({"send": "entr"}, "send: there is no key 'entr'; did you mean enter?"),
        ({"send": 3}, 'send must be keys, like "ctrl-s"'),
        ({"leave": "ctrl-s"}, "stop_and_send and leave are both on ctrl-s"),
        ({"send": "ctrl-x"}, "expand_paste is on ctrl-x ctrl-p, which begins with ctrl-x, the keys of send"),
    ],
)
def test_what_cannot_be_is_reported_with_the_action_it_stands_at(changes, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        key_changes(changes)


def test_escape_alone_may_stand_beside_keys_that_begin_with_it():
    assert KeyTable(key_changes({"interrupt": ["ctrl-c", "escape"]})).keys("interrupt") == (
        "ctrl-c",
        "escape",
    )


def test_a_bad_binding_is_an_error_of_the_configuration(machine):
    with pytest.raises(ConfigurationError) as raised:
        machine.resolve(config='[keys]\nsend = "entr"\n')
    assert raised.value.message == "config.toml keys send: there is no key 'entr'; did you mean enter?"


def test_bindings_are_read_from_their_table(machine):
    settings = machine.resolve(config='[keys]\nsend = "f5"\nleave = []\n')
    assert settings.keys == {"send": ("f5",), "leave": ()}
