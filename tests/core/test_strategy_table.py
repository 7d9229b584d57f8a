from __future__ import annotations

from chatcli.config.settings import SETTINGS_BY_NAME
from chatcli.conversation.long_input.turn import READERS
from chatcli.core.strategy_table import FAIL, LONG_INPUT_STRATEGIES, RECOMMENDED_LONG_INPUT


def test_every_long_input_strategy_has_a_reader_and_the_recommended_one_comes_first():
    assert set(READERS) == set(LONG_INPUT_STRATEGIES)
    assert next(iter(LONG_INPUT_STRATEGIES)) == RECOMMENDED_LONG_INPUT


def test_the_setting_takes_every_long_input_strategy_and_defaults_to_refusing():
    setting = SETTINGS_BY_NAME["long"]
    assert setting.default == FAIL
    for name in (*LONG_INPUT_STRATEGIES, FAIL):
        assert setting.parse(name) == name
