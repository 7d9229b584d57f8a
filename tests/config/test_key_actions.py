from __future__ import annotations

import re

import pytest

from chatcli.config.key_actions import KEY_ACTIONS, KeyTable, key_changes
from chatcli.config.key_names import key_sequence
from chatcli.core.errors import ConfigurationError


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
def test_what_cannot_be_is_told_with_the_action_it_stands_at(changes, reason):
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
