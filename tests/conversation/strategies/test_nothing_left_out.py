from __future__ import annotations

import pytest

from chatcli.conversation.strategies.nothing_left_out import NothingLeftOut
from chatcli.core.errors import InputTooLong
from conversation.strategies.talking import TURN_TOKENS, fit, history_of, numbers


def test_all_of_it_is_sent():
    assert numbers(fit(NothingLeftOut(), history_of(10), 10 * TURN_TOKENS + 7)) == list(range(1, 11))


def test_what_does_not_fit_is_refused_with_the_numbers_and_ways_out():
    with pytest.raises(InputTooLong) as caught:
        fit(NothingLeftOut(), history_of(10), 10 * TURN_TOKENS + 6)
    assert caught.value.message == (
        "the conversation is too long: 1,007 tokens with the question, room for 1,006"
    )
    assert caught.value.hint.startswith("choose what may be left out (--context truncate)")
