from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.retry import Fallback, FallbackModel, InterruptibleSleep, RetryingModel
from chatcli.core.errors import (
    BadResponse,
    ConfigurationError,
    ContextOverflow,
    EndpointError,
    IncompleteAnswer,
    KeyRefused,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from chatcli.core.events import Completion, Notice, ReasoningDelta, Retrying, TextDelta, Waiting
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, events_of, failure_of

ANSWER = [TextDelta("Paris"), Completion("stop")]


def limited(retry_after_s: float | None = None) -> RateLimited:
    return RateLimited("too fast", retry_after_s=retry_after_s)


class Sleep:
    """Records sleeps in ``happened``, in order with all other events."""

    def __init__(self) -> None:
        self.happened: list[object] = []

    async def __call__(self, seconds: float) -> None:
        self.happened.append(seconds)

    @property
    def waits_s(self) -> list[float]:
        return [entry for entry in self.happened if isinstance(entry, float)]


@pytest.fixture
def sleep() -> Sleep:
    return Sleep()


def retrying(inner: ScriptedModel, sleep: Sleep, *, retries: int = 3, budget_s: float = 100) -> RetryingModel:
    return RetryingModel(inner, retries=retries, budget_s=budget_s, sleep=sleep)


async def test_an_answer_passes_as_it_is(sleep):
    inner = ScriptedModel([Waiting(1.0, "…"), ReasoningDelta("Hm."), *ANSWER])
    assert await events_of(retrying(inner, sleep)) == [Waiting(1.0, "…"), ReasoningDelta("Hm."), *ANSWER]
    assert inner.requests == [QUESTION]
    assert sleep.happened == []


async def test_a_wait_is_announced_before_it_begins_and_attempts_are_counted(sleep):
    inner = ScriptedModel([limited(2.0)], [NetworkError("reset", retry_after_s=3.0)], ANSWER)
    async with aclosing(retrying(inner, sleep).stream(QUESTION)) as events:
        async for event in events:
            sleep.happened.append(event)
    assert sleep.happened == [Retrying(2, 2.0, "too fast"), 2.0, Retrying(3, 3.0, "reset"), 3.0, *ANSWER]
    assert inner.requests == [QUESTION] * 3


async def test_nothing_is_slept_or_asked_while_nobody_takes_the_announcement(sleep):
    inner = ScriptedModel([limited(2.0)], ANSWER)
    async with aclosing(retrying(inner, sleep).stream(QUESTION)) as events:
        assert await anext(events) == Retrying(2, 2.0, "too fast")
        assert sleep.happened == []
        assert len(inner.requests) == 1


async def test_a_server_that_asks_for_no_wait_at_all_is_not_hammered(sleep):
    inner = ScriptedModel(*[[limited(0.0)] for _ in range(20)], ANSWER)
    await events_of(retrying(inner, sleep, retries=20, budget_s=1000))
    assert sum(sleep.waits_s) > 20


async def test_without_a_wish_of_the_server_the_waits_grow_up_to_a_limit_with_jitter(sleep):
    inner = ScriptedModel(*[[ServerFailed("overloaded")] for _ in range(12)], ANSWER)
    await events_of(retrying(inner, sleep, retries=12, budget_s=1000))
    limits_s = [min(0.5 * 2**attempt, 30.0) for attempt in range(12)]
    assert len(sleep.waits_s) == 12
    assert all(0 <= wait_s <= limit_s for wait_s, limit_s in zip(sleep.waits_s, limits_s, strict=True))


async def test_after_the_last_try_the_last_failure_is_raised_as_it_was(sleep):
    last = limited(1.0)
    inner = ScriptedModel([limited(1.0)], [limited(1.0)], [last])
    seen, error = await failure_of(retrying(inner, sleep, retries=2))
    assert error is last
    assert [event.attempt for event in seen] == [2, 3]
    assert len(inner.requests) == 3


async def test_no_retries_means_one_try(sleep):
    inner = ScriptedModel([limited(1.0)])
    seen, _ = await failure_of(retrying(inner, sleep, retries=0))
    assert seen == []
    assert sleep.happened == []


@pytest.mark.parametrize("failure", [QuotaExceeded("pay"), BadResponse("odd"), IncompleteAnswer("cut")])
async def test_what_will_not_get_better_is_not_asked_again(sleep, failure):
    inner = ScriptedModel([failure])
    seen, error = await failure_of(retrying(inner, sleep))
    assert error is failure
    assert seen == []
    assert len(inner.requests) == 1


async def test_the_error_says_itself_whether_it_is_worth_another_try(sleep):
    inner = ScriptedModel([BadResponse("empty", retryable=True, retry_after_s=1.0)], ANSWER)
    assert (await events_of(retrying(inner, sleep)))[1:] == ANSWER
    inner = ScriptedModel([NetworkError("certificate", retryable=False)])
    await failure_of(retrying(inner, sleep))
    assert len(inner.requests) == 1


async def test_a_bug_is_not_asked_again(sleep):
    inner = ScriptedModel([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        await events_of(retrying(inner, sleep))
    assert len(inner.requests) == 1
    assert inner.open == 0


@pytest.mark.parametrize("shown", [TextDelta("Pa"), ReasoningDelta("Hm.")])
async def test_after_a_visible_delta_nothing_is_asked_again(sleep, shown):
    inner = ScriptedModel([shown, limited(1.0)])
    seen, error = await failure_of(retrying(inner, sleep))
    assert seen == [shown]
    assert isinstance(error, RateLimited)
    assert len(inner.requests) == 1


async def test_progress_that_is_not_the_answer_does_not_hinder_another_try(sleep):
    inner = ScriptedModel([Waiting(1.0, "…"), Notice("x", "y"), limited(1.0)], ANSWER)
    assert (await events_of(retrying(inner, sleep)))[2:] == [Retrying(2, 1.0, "too fast"), *ANSWER]


async def test_a_server_that_asks_for_more_than_the_budget_is_not_waited_for(sleep):
    inner = ScriptedModel([limited(61.0)])
    seen, error = await failure_of(retrying(inner, sleep, budget_s=60))
    assert seen == []
    assert sleep.happened == []
    assert error.retry_after_s == 61.0


async def test_a_wait_that_takes_all_of_the_budget_is_within_it(sleep):
    inner = ScriptedModel([limited(60.0)], ANSWER)
    model = RetryingModel(inner, retries=3, budget_s=60, sleep=sleep, clock=lambda: 0.0)
    assert await events_of(model) == [Retrying(2, 60.0, "too fast"), *ANSWER]


async def test_all_waits_together_stay_within_the_budget(sleep):
    inner = ScriptedModel(*[[limited(25.0)] for _ in range(9)])
    await failure_of(retrying(inner, sleep, retries=8, budget_s=60))
    assert sleep.waits_s == [25.0, 25.0]


@given(st.lists(st.none() | st.floats(0, 100), max_size=8), st.floats(0, 200), st.integers(0, 8))
async def test_the_budget_and_the_number_of_tries_hold_whatever_the_server_asks(asked_s, budget_s, retries):
    sleep = Sleep()
    inner = ScriptedModel(*[[limited(asked)] for asked in asked_s], ANSWER)
    model = retrying(inner, sleep, retries=retries, budget_s=budget_s)
    try:
        async with aclosing(model.stream(QUESTION)) as events:
            announced_s = [event.wait_s async for event in events if isinstance(event, Retrying)]
        assert announced_s == sleep.waits_s
    except EndpointError:
        assert len(inner.requests) <= len(asked_s)
    assert sum(sleep.waits_s) <= budget_s + 1e-6
    assert len(inner.requests) == 1 + len(sleep.waits_s) <= 1 + retries
    assert inner.open == 0


async def test_a_cancellation_during_the_wait_ends_it_all():
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    inner = ScriptedModel([limited(9.0)], ANSWER)
    turn = asyncio.ensure_future(events_of(RetryingModel(inner, retries=3, budget_s=100, sleep=sleep)))
    await asleep.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert len(inner.requests) == 1
    assert inner.open == 0


@pytest.mark.parametrize("before", [[], [TextDelta("Pa")]])
async def test_a_cancellation_during_the_stream_is_not_retried_and_closes_the_model(sleep, before):
    inner = ScriptedModel([*before, asyncio.Event()], ANSWER)
    turn = asyncio.ensure_future(events_of(retrying(inner, sleep)))
    await inner.waits.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert len(inner.requests) == 1
    assert inner.open == 0
    assert sleep.happened == []


async def test_closing_it_closes_the_model(sleep):
    inner = ScriptedModel(ANSWER, ANSWER)
    events = retrying(inner, sleep).stream(QUESTION)
    assert await anext(events) == TextDelta("Paris")
    assert inner.open == 1
    await events.aclose()
    assert inner.open == 0
    assert len(inner.requests) == 1


async def test_closing_it_at_the_announcement_asks_no_more(sleep):
    inner = ScriptedModel([limited(1.0)], ANSWER)
    events = retrying(inner, sleep).stream(QUESTION)
    await anext(events)
    await events.aclose()
    assert sleep.happened == []
    assert len(inner.requests) == 1


async def test_each_stream_counts_its_own_attempts(sleep):
    inner = ScriptedModel([limited(1.0)], ANSWER, [limited(1.0)], ANSWER)
    model = retrying(inner, sleep, retries=1)
    assert await events_of(model) == await events_of(model) == [Retrying(2, 1.0, "too fast"), *ANSWER]


async def test_from_the_first_failure_on_the_budget_is_all_the_time_there_is():
    now_s = 0.0

    async def slow(wait_s):
        nonlocal now_s
        now_s += wait_s + 40

    model = ScriptedModel(*[[limited(1)] for _ in range(9)])
    await failure_of(RetryingModel(model, retries=8, budget_s=100, sleep=slow, clock=lambda: now_s))
    assert len(model.requests) == 4


async def test_a_wait_can_be_cut_short():
    pause = InterruptibleSleep()
    model = ScriptedModel([limited(50)], ANSWER)
    stream = RetryingModel(model, retries=1, budget_s=60, sleep=pause.sleep).stream(QUESTION)
    assert isinstance(await anext(stream), Retrying)
    assert not pause.cut_short()
    rest = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert pause.cut_short()
    assert await rest == ANSWER[0]
    await stream.aclose()


BUSY = ServerFailed("models.example: 503")
PARIS = [TextDelta("Paris"), Completion("stop")]


def candidate(name: str, model: ScriptedModel | Exception) -> Fallback:
    async def open_() -> tuple[ScriptedModel, str]:
        if isinstance(model, Exception):
            raise model
        return model, name

    return Fallback(name, open_)


async def test_a_model_that_answers_is_the_only_one_asked():
    other = ScriptedModel()
    events = await events_of(FallbackModel(ScriptedModel(PARIS), [candidate("other", other)]))
    assert events == [TextDelta("Paris"), Completion("stop", "small")]
    assert other.requests == []


@pytest.mark.parametrize(
    "failure",
    [
        BUSY,
        ServerFailed("503 for good", retryable=False),
        TimedOut("silence"),
        NetworkError("no certificate", retryable=False),
        RateLimited("429"),
        RateLimited("429 for today", retryable=False),
        BadResponse("empty", retryable=True),
    ],
    ids=lambda error: error.message,
)
async def test_where_one_fails_the_next_is_asked_visibly_and_named(failure):
    other = ScriptedModel(PARIS)
    events = await events_of(FallbackModel(ScriptedModel([failure]), [candidate("other", other)]))
    assert events == [
        Notice("fallback", f"{failure.message}; asking other instead"),
        TextDelta("Paris"),
        Completion("stop", "other"),
    ]
    assert (other.requests[0].model, other.requests[0].messages) == ("other", QUESTION.messages)


@pytest.mark.parametrize(
    "failure",
    [
        KeyRefused("401"),
        RequestRefused("400"),
        QuotaExceeded("quota"),
        ContextOverflow("too long"),
        BadResponse("a page"),
        IncompleteAnswer("cut"),
        EndpointError("unknown"),
    ],
    ids=lambda error: error.code,
)
async def test_what_is_not_the_endpoints_trouble_is_not_passed_on(failure):
    other = ScriptedModel(PARIS)
    _, error = await failure_of(FallbackModel(ScriptedModel([failure]), [candidate("other", other)]))
    assert error is failure
    assert other.requests == []


@pytest.mark.parametrize("wording", [TextDelta("Pa"), ReasoningDelta("Hm")])
async def test_once_something_was_reported_nobody_else_is_asked(wording):
    other = ScriptedModel(PARIS)
    cut = IncompleteAnswer("cut") if isinstance(wording, TextDelta) else BUSY
    _, error = await failure_of(FallbackModel(ScriptedModel([wording, cut]), [candidate("other", other)]))
    assert error is cut
    assert other.requests == []


async def test_one_that_cannot_be_opened_is_passed_over_and_said():
    others = [
        candidate("keyless", ConfigurationError("no key is set")),
        candidate("other", ScriptedModel(PARIS)),
    ]
    events = await events_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "models.example: 503; asking keyless instead",
        "no key is set; asking other instead",
    ]


@pytest.mark.parametrize("last", [TimedOut("silence"), KeyRefused("401")], ids=lambda error: error.code)
async def test_when_all_fail_the_last_failure_tells_what_the_others_said(last):
    others = [
        candidate("full", ScriptedModel([ServerFailed("529")])),
        candidate("other", ScriptedModel([last])),
    ]
    wording = last.message
    _, error = await failure_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert (type(error), error.__cause__, last.message) == (type(last), last, wording)
    assert error.message == f"{wording} (before that: models.example: 503; 529)"


async def test_a_last_one_that_cannot_be_opened_tells_what_the_others_said():
    others = [candidate("keyless", ConfigurationError("no key is set"))]
    with pytest.raises(ConfigurationError) as caught:
        await events_of(FallbackModel(ScriptedModel([BUSY]), others))
    assert caught.value.message == "no key is set (before that: models.example: 503)"


async def test_every_question_begins_with_the_first():
    first, other = ScriptedModel([BUSY], PARIS), ScriptedModel(PARIS)
    model = FallbackModel(first, [candidate("other", other)])
    await events_of(model)
    await events_of(model)
    assert (len(first.requests), len(other.requests)) == (2, 1)
