from __future__ import annotations

from chatcli.config.settings import SETTINGS_BY_NAME
from chatcli.conversation.long_input.turn import READERS
from chatcli.core.long_ways import FAIL, RECOMMENDED, WAYS, WAYS_BY_NAME


def test_every_way_is_gone_and_the_recommended_one_comes_first():
    assert set(READERS) == set(WAYS_BY_NAME)
    assert WAYS[0].name == RECOMMENDED


def test_the_setting_takes_every_way_and_refuses_by_itself():
    setting = SETTINGS_BY_NAME["long"]
    assert setting.default == FAIL
    for name in (*WAYS_BY_NAME, FAIL):
        assert setting.parse(name) == name
