from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.rate_limit import (
    Claim,
    OwnLimits,
    RateLimits,
)
from chatcli.core.ports import LimitLeft

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """A clock that moves only while a caller sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, time_s: float) -> None:
        await asyncio.sleep(0)
        self.now_s += time_s


class Limited:
    """The limits of an endpoint, used by a caller with limits of its own."""

    def __init__(self, clock: Clock, **own: object) -> None:
        self.limits = RateLimits(
            clock=clock, sleep=clock.sleep, now=lambda: NOW + timedelta(seconds=clock.now_s)
        )
        self.own = OwnLimits(**own)

    async def admit(self, tokens: int) -> Claim:
        await self.limits.admit(claim := Claim(lambda: tokens, "", self.own))
        return claim


async def admitted_at(limited: Limited, clock: Clock, *tokens: int) -> list[float]:
    """Return when each of several simultaneous requests is admitted."""

    async def one(amount: int) -> float:
        await limited.admit(amount)
        return clock.now_s

    return await asyncio.gather(*map(one, tokens))


async def test_without_limits_nobody_waits():
    clock = Clock()
    assert await admitted_at(Limited(clock), clock, *[10**9] * 100) == [0.0] * 100


async def test_a_minute_of_requests_may_go_at_once_and_the_rest_evenly():
    clock = Clock()
    times = await admitted_at(Limited(clock, requests_per_minute=6), clock, *[0] * 9)
    assert times == pytest.approx([0] * 6 + [10, 20, 30])


async def test_the_limits_hold_up_a_request_as_long_as_they_say_and_not_while_they_are_looked_up():
    clock = Clock()
    limited = Limited(clock, requests_per_minute=6)
    claim = await limited.admit(0)
    clock.now_s += 2  # as on a busy machine
    assert limited.limits.held_s(claim, 2.0) == 0
    await admitted_at(limited, clock, *[0] * 7)
    waited_s = clock.now_s - 2
    clock.now_s += 3
    assert limited.limits.held_s(claim, waited_s + 3) == pytest.approx(waited_s)


async def test_tokens_are_waited_for_as_well():
    clock = Clock()
    times = await admitted_at(Limited(clock, tokens_per_minute=600), clock, 600, 10, 100)
    assert times == pytest.approx([0, 1, 11])


async def test_a_request_of_more_than_a_minute_is_sent_when_the_minute_is_free_and_owed():
    clock = Clock()
    times = await admitted_at(Limited(clock, tokens_per_minute=60), clock, 1, 180, 1)
    assert times == pytest.approx([0, 1, 122])


@given(st.integers(1, 50), st.lists(st.integers(0, 40), max_size=40))
def test_whoever_comes_first_is_served_first_and_no_minute_has_too_much(limit, amounts):
    async def run() -> None:
        clock = Clock()
        limits = Limited(clock, requests_per_minute=limit)
        times = await admitted_at(limits, clock, *amounts)
        assert times == sorted(times)
        for at_s in times:
            # A full bucket may be spent at once while it refills: at most twice the limit in any one minute.
            assert sum(at_s <= other_s < at_s + 60 for other_s in times) <= 2 * limit

    asyncio.run(run())


def test_the_share_that_is_left_counts_what_a_server_said_of_the_model():
    limits = RateLimits(clock=Clock(), now=lambda: NOW)
    ten_left = {"x-ratelimit-limit-requests": "40", "x-ratelimit-remaining-requests": "11"}
    limits.learn({**ten_left, "x-ratelimit-reset-requests": "30s"}, "small")
    assert limits.spare_share("small", 100) == pytest.approx(0.25)
    fewer_tokens = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "300"}
    limits.learn({**fewer_tokens, "x-ratelimit-reset-tokens": "30s"}, "small")
    assert limits.spare_share("small", 100) == pytest.approx(0.2)
    assert limits.spare_share("small", 900) == 0.0
    assert limits.spare_share("large", 100) == 1.0


def test_what_is_left_of_a_limit_grows_until_it_is_reset():
    clock = Clock()
    limits = RateLimits(clock=clock, now=lambda: NOW)
    of_forty = {"x-ratelimit-limit-requests": "40", "x-ratelimit-remaining-requests": "10"}
    limits.learn({**of_forty, "x-ratelimit-reset-requests": "30s"}, "small")
    limits.learn({"x-ratelimit-remaining-tokens": "300", "x-ratelimit-reset-tokens": "60s"}, "large")
    assert limits.left("small") == [LimitLeft("requests", 10, 40, 30)]
    assert limits.left("large") == [LimitLeft("tokens", 300, None, 60)]
    clock.now_s += 15
    assert limits.left("small") == [LimitLeft("requests", 25, 40, 15)]
    assert limits.left("large") == [LimitLeft("tokens", 300, None, 45)]
    assert limits.left("unknown") == []


@pytest.mark.parametrize(
    ("kind", "remaining", "share"),
    [("requests", "3", 0.0), ("requests", "300", 1.0), ("tokens", "150", 0.0), ("tokens", "200", 1.0)],
)
def test_of_a_limit_of_unknown_size_a_little_is_left_to_others(kind, remaining, share):
    clock = Clock()
    limits = RateLimits(clock=clock, now=lambda: NOW)
    limits.learn({f"x-ratelimit-remaining-{kind}": remaining, f"x-ratelimit-reset-{kind}": "30s"})
    assert limits.spare_share("", 100) == share
    clock.now_s = 31
    assert limits.spare_share("", 100) == 1.0


async def test_a_waiter_that_leaves_loses_nobody_a_turn():
    clock = Clock()
    limits = Limited(clock, requests_per_minute=1)
    await limits.admit(0)
    waiting = [asyncio.ensure_future(limits.admit(0)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert clock.now_s == pytest.approx(120, abs=61)
    assert [task.cancelled() for task in waiting] == [True, False, False]


async def test_what_a_server_told_is_kept_to_until_it_is_reset():
    clock = Clock()
    limits = Limited(clock)
    limits.limits.learn({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"})
    assert await admitted_at(limits, clock, 0, 0, 0) == pytest.approx([0, 360, 360])


@pytest.mark.parametrize("name", ["x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}"])
async def test_a_limit_whose_size_the_server_told_refills_until_it_is_reset(name):
    clock = Clock()
    limits = Limited(clock)
    limits.limits.learn(
        {name.format("limit"): "6", name.format("remaining"): "1", name.format("reset"): "50s"}
    )
    assert await admitted_at(limits, clock, 0, 0, 0) == pytest.approx([0, 10, 20])


async def test_a_hundred_at_once_keep_to_a_limit_the_server_told():
    clock = Clock()
    limits = Limited(clock)
    limits.limits.learn(
        {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "10s",
        }
    )
    assert await admitted_at(limits, clock, *[0] * 100) == pytest.approx(range(1, 101))


async def test_what_a_server_has_counted_is_not_corrected_by_the_usage():
    clock = Clock()
    limits = Limited(clock)
    place = await limits.admit(60)
    limits.limits.learn({"x-ratelimit-remaining-tokens": "40", "x-ratelimit-reset-tokens": "9s"})
    limits.limits.settle(place, 30)
    assert await admitted_at(limits, clock, 50) == pytest.approx([9])


async def test_tokens_a_server_told_of_are_kept_to():
    clock = Clock()
    limits = Limited(clock)
    reset_at = (NOW + timedelta(seconds=9)).isoformat()
    limits.limits.learn(
        {"anthropic-ratelimit-tokens-remaining": "50", "anthropic-ratelimit-tokens-reset": reset_at}
    )
    assert await admitted_at(limits, clock, 40, 40) == pytest.approx([0, 9])


async def test_a_reset_as_far_away_as_may_be_waited_for_is_waited_for():
    clock = Clock()
    limits = Limited(clock, longest_wait_s=60)
    limits.limits.learn({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"})
    assert await admitted_at(limits, clock, 0) == [60]


async def test_a_reset_too_far_away_is_left_to_the_server_to_tell():
    clock = Clock()
    limits = Limited(clock, longest_wait_s=60)
    limits.limits.learn({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"})
    assert await admitted_at(limits, clock, 0) == [0]


@given(
    st.dictionaries(
        st.sampled_from([f"x-ratelimit-{word}-tokens" for word in ("limit", "remaining", "reset")]), st.text()
    )
)
def test_no_header_breaks_the_learning(headers):
    Limited(Clock()).limits.learn(headers)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)), max_size=20))
def test_own_limits_hold_for_all_models_of_an_endpoint_together(asked):
    async def run() -> None:
        clock = Clock()
        limits = RateLimits(clock=clock, sleep=clock.sleep)
        times = []
        for model, tokens in asked:
            await limits.admit(Claim(partial(int, tokens), model, OwnLimits(tokens_per_minute=6)))
            times.append((clock.now_s, tokens))
        for at_s, _ in times:
            assert sum(tokens for other_s, tokens in times if at_s <= other_s < at_s + 60) <= 2 * 6

    asyncio.run(run())


async def test_what_a_server_told_of_one_model_holds_up_no_other():
    clock = Clock()
    limits = RateLimits(clock=clock, sleep=clock.sleep)
    limits.learn({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"}, "a")
    waiting = asyncio.ensure_future(limits.admit(Claim(lambda: 1, "a")))
    await asyncio.sleep(0)
    assert limits.try_admit(Claim(lambda: 1, "b"))
    await waiting
    assert clock.now_s == 60


async def test_who_keeps_to_no_limit_counts_for_those_who_do():
    clock = Clock()
    limits = RateLimits(clock=clock, sleep=clock.sleep)
    careful = Claim(lambda: 1, "a", OwnLimits(requests_per_minute=2))
    await limits.admit(careful)
    await limits.admit(Claim(lambda: 1, "a"))
    await limits.admit(careful)
    assert clock.now_s == pytest.approx(30)


async def test_nobody_is_let_out_at_once_past_those_who_wait():
    clock = Clock()
    limits = RateLimits(clock=clock, sleep=clock.sleep)
    claim = Claim(lambda: 1, "a", OwnLimits(requests_per_minute=1))
    assert limits.try_admit(claim)
    waiting = asyncio.ensure_future(limits.admit(claim))
    await asyncio.sleep(0)
    clock.now_s += 120
    assert not limits.try_admit(claim)
    await waiting
    assert not limits.try_admit(claim)
    clock.now_s += 60
    assert limits.try_admit(claim)


@pytest.mark.parametrize("off_by", [timedelta(days=-400), timedelta(minutes=-5), timedelta(days=400)])
async def test_a_date_is_read_against_the_servers_own_clock(off_by):
    clock = Clock()
    limits = RateLimits(clock=clock, sleep=clock.sleep, now=lambda: NOW + off_by)
    limits.learn(
        {
            "date": "Tue, 24 Nov 2026 12:00:00 GMT",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "2026-11-24T12:00:07Z",
        }
    )
    await limits.admit(Claim(lambda: 1))
    assert clock.now_s == 7
