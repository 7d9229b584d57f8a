from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from chatcli.core.events import (
    Completion,
    ContextFitted,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Usage,
    Waiting,
)

MAKERS = (
    lambda: TurnStarted("small", "trip"),
    lambda: ContextFitted(10, 20, 1, estimated=True),
    lambda: Waiting(1.5, "the model thinks"),
    lambda: Retrying(2, 7.0, "429"),
    lambda: Notice("empty_answer", "nothing came"),
    lambda: ReasoningDelta("hm"),
    lambda: TextDelta("Paris"),
    lambda: Completion("stop", "small", Usage(1, 2), cached=True),
    lambda: TurnFinished(TurnResult("Paris", "small")),
    lambda: TurnFailed(TurnResult("Par", "small")),
    lambda: TurnCancelled(TurnResult("P", "small")),
)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: type(make()).__name__)
def test_events_are_equal_by_content_and_cannot_be_changed(make):
    event = make()
    assert event == make()
    with pytest.raises(FrozenInstanceError):
        setattr(event, fields(event)[0].name, "other")


def test_events_of_different_kinds_differ_even_with_the_same_content():
    assert len({TextDelta("x"), ReasoningDelta("x")}) == 2
    assert TurnFinished(TurnResult("", "m")) != TurnFailed(TurnResult("", "m"))


def test_a_result_knows_nothing_it_was_not_reported():
    result = TurnResult("Paris", "small")
    assert result.usage == Usage(None, None, None, None, estimated=False)
    assert (result.cost_usd, result.latency_s, result.ttft_s, result.error) == (None, None, None, None)
    assert (result.cached, result.attempts) == (False, 1)
