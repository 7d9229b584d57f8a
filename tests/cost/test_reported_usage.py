"""What an endpoint reports, held against what was counted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.counting import O200K_BASE, EstimatingCounter, TiktokenCounter
from chatcli.core.events import Usage
from chatcli.cost.reported_usage import (
    Counted,
    ReceivedTokens,
    believed_usage,
    cost_doubt,
    is_credible,
    most_tokens,
)

COUNTED = Counted(400, 200, 200)
TOKENS = st.integers(0, 1_000_000)


def doubt(usage, counted=COUNTED):
    return believed_usage(usage, counted).doubt


@pytest.mark.parametrize(
    "usage",
    [
        Usage(400, 200),
        Usage(150, 70),  # another vocabulary
        Usage(1_200, 600),
        Usage(None, None),
        Usage(9_000, 20_000, reasoning_tokens=19_800),  # hidden reasoning, instructions of the endpoint's own
        Usage(10, 200, cached_tokens=390),  # cached tokens beside the input
        Usage(400, 30, reasoning_tokens=5_000),  # reasoning beside the answer
    ],
)
def test_what_can_be_is_believed(usage):
    assert doubt(usage) is None


def test_reasoning_beside_the_answer_is_added_to_it():
    believed = believed_usage(Usage(400, 30, reasoning_tokens=5_000), COUNTED)
    assert believed.usage.output_tokens == 5_030


@pytest.mark.parametrize(
    ("usage", "higher"),
    [
        (Usage(0, 0), Usage(400, 200)),
        (Usage(400, 0), Usage(400, 200)),
        (Usage(0, 200), Usage(400, 200)),
        (Usage(400, 24), Usage(400, 200)),
        (Usage(49, 200), Usage(400, 200)),
        (Usage(400_000, 200), Usage(14_000, 200)),
        (Usage(400, 1_000_000_000), Usage(400, 131_072)),
        (Usage(400, 20, reasoning_tokens=1_000_000_000), Usage(400, 131_072, reasoning_tokens=1_000_000_000)),
        (Usage(400, 200, cached_tokens=1_000_000_000), Usage(400, 200, cached_tokens=14_000)),
        (
            Usage(400, 200, cache_write_tokens=1_000_000_000),
            Usage(400, 200, cache_write_tokens=14_000),
        ),
        (Usage(10**9, 200, cached_tokens=10**9), Usage(14_000, 200, cached_tokens=14_000)),
    ],
)
def test_what_cannot_be_is_doubted_and_the_counted_or_the_highest_possible_taken(usage, higher):
    believed = believed_usage(usage, COUNTED)
    assert believed.usage == higher
    assert believed.doubt is not None


def test_an_input_that_the_endpoint_adds_to_may_be_any_size():
    assert doubt(Usage(400_000, 200), COUNTED._replace(is_whole=False)) is None


def test_an_empty_answer_has_no_tokens():
    assert doubt(Usage(400, 0), Counted(400, 0, 0)) is None


@given(
    reported=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS).map(lambda tokens: Usage(*tokens)),
    counted=st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)),
    limit=st.none() | st.integers(1, 300_000),
    answers=st.integers(1, 5),
)
def test_a_figure_is_as_reported_or_what_can_be(reported, counted, limit, answers):
    what = Counted(*counted, counted[1], limit_tokens=limit, answers=answers)
    believed = believed_usage(reported, what).usage
    most_sent, most_answered = what.most_input_tokens, what.most_answer_tokens
    assert min(reported.input_tokens, most_sent) <= believed.input_tokens <= most_sent
    assert believed.cached_tokens <= most_sent
    assert min(reported.output_tokens, most_answered) <= believed.output_tokens <= most_answered
    assert 8 * believed.output_tokens >= counted[1]
    assert 8 * max(believed.input_tokens, believed.cached_tokens) >= counted[0]


@pytest.mark.parametrize(("tokens", "is_high"), [(11_000, False), (11_001, True)])
def test_far_more_than_the_limit_is_doubted_and_booked(tokens, is_high):
    believed = believed_usage(Usage(400, tokens), COUNTED._replace(limit_tokens=100))
    assert believed.usage.output_tokens == tokens
    assert (believed.doubt is not None and believed.doubt.is_high) == is_high


@pytest.mark.parametrize(
    ("reported", "doubted"),
    [("1", False), ("0.05", False), ("0.049", True), ("0", True), ("20.1", False), ("20.2", True)],
)
def test_a_cost_may_be_twenty_times_less_or_more_than_the_price(reported, doubted):
    assert (cost_doubt(Decimal(reported), Decimal(1), Decimal(1)) is not None) == doubted


def test_a_cost_of_nothing_for_what_costs_nothing_is_right():
    assert cost_doubt(Decimal(0), Decimal(0), Decimal(0)) is None


TEXTS = [
    "The committee met again in the afternoon. " * 40,
    "委员会下午再次开会，听取了工程师们的意见。" * 40,
    "समिति की बैठक दोपहर में फिर हुई। " * 40,
    "def total(rows):\n" + " " * 80 + "return sum(rows)\n" * 40,
    "| " + "-" * 300 + " |\n" + "=" * 500 + "\n" + " " * 1_000 + "\n" + "_" * 400,
    "🎉🎊" * 100,
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_honest_count_of_a_text_is_absurd(text):
    received = ReceivedTokens(EstimatingCounter().count, keeps_text=False)
    for start in range(0, len(text), 7):
        received.add(text[start : start + 7])
    honest = TiktokenCounter(O200K_BASE).count(text)
    for reported in (honest, honest * 2, honest * 3):
        assert doubt(Usage(10, reported), Counted(10, received.tokens, received.least_tokens)) is None


@given(st.lists(st.text(max_size=300), max_size=20))
def test_a_recount_counts_all_that_was_received(texts):
    received = ReceivedTokens(lambda text: len(text) // 2, keeps_text=True)
    for text in texts:
        received.add(text)
    received.recount(len)
    received.add("more")
    assert received.tokens == sum(map(len, texts)) + 4


@given(
    st.tuples(st.none() | TOKENS, st.none() | TOKENS, st.none() | TOKENS, st.none() | TOKENS),
    st.tuples(TOKENS, TOKENS),
    st.none() | st.integers(1, 2_000_000),
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)),
)
def test_what_is_credible_at_sight_is_believed_as_it_is(tokens, most, limit_tokens, shares):
    """The real counts are anything up to the most there can be."""
    reported = Usage(*tokens)
    if is_credible(reported, most_input=most[0], most_answer=most[1], limit_tokens=limit_tokens):
        sent, answered, least = (count * share for count, share in zip((*most, most[1]), shares, strict=True))
        counted = Counted(sent, answered, min(least, answered), limit_tokens=limit_tokens)
        assert believed_usage(reported, counted) == (reported, None)


@given(st.text(max_size=300))
def test_no_count_passes_the_most_tokens_of_a_text(text):
    for count in (EstimatingCounter().count, TiktokenCounter(O200K_BASE).count):
        assert count(text) <= most_tokens(text)
        received = ReceivedTokens(count, is_whole=True)
        received.add(text)
        assert received.least_tokens <= received.tokens <= most_tokens(text)


def test_typical_answers_are_credible_at_sight():
    question, reply = "What is the capital of France, and since when?", "Paris, since the tenth century."
    assert is_credible(
        Usage(18, 8), most_input=most_tokens(question), most_answer=most_tokens(reply), limit_tokens=None
    )
