from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.read_ahead import coalesced
from chatcli.core.events import ReasoningDelta, TextDelta

DELTAS = st.builds(
    lambda kind, text: kind(text), st.sampled_from((TextDelta, ReasoningDelta)), st.text(min_size=1)
)


def test_a_few_pieces_stay_as_they_are():
    few = [TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d")]
    assert list(coalesced(few)) == few


@pytest.mark.parametrize(("pieces", "told"), [(15, 15), (16, 1)])
def test_sixteen_pieces_are_many(pieces, told):
    assert len(list(coalesced([TextDelta("a")] * pieces))) == told


def test_of_many_the_text_is_told_as_one():
    assert list(coalesced([TextDelta("a")] * 1000)) == [TextDelta("a" * 1000)]


@given(st.lists(DELTAS, max_size=60))
def test_nothing_is_lost_or_told_in_another_order(deltas):
    def runs(told):
        return [(kind, "".join(delta.text for delta in run)) for kind, run in groupby(told, type)]

    assert runs(coalesced(deltas)) == runs(deltas)


@pytest.mark.parametrize("many", [3, 300])
def test_what_came_before_a_failure_is_told_before_it(many):
    def failing():
        yield from [TextDelta("a")] * many
        raise ValueError("gone")

    told = []
    with pytest.raises(ValueError, match="gone"):
        told.extend(coalesced(failing()))
    assert "".join(delta.text for delta in told) == "a" * many
