"""Answers from the cache: what determines one, which are stored, and how they come back."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.answer_cache import AnswerCacheModel, AnswerOrigin, CachedAnswer
from chatcli.client.cache_access import AnswerCache
from chatcli.client.endpoint import Endpoint
from chatcli.client.retry import Fallback, FallbackModel
from chatcli.core.errors import BudgetReached, ChatcliError, IncompleteAnswer, ServerFailed
from chatcli.core.events import (
    CitedSource,
    Completion,
    Notice,
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    Usage,
    Waiting,
)
from chatcli.core.messages import (
    FilePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    question,
    system,
)
from chatcli.core.request import CheckedAnswer, Parameters, Request, ResponseFormat, Tool
from chatcli.storage.answer_store import MemoryAnswers, StoredAnswer, StoreLimits, StoreUnavailable
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of
from noted_events import NotedEvents

LIMITS = StoreLimits(3_600, 1_000_000)
ENDPOINT = Endpoint("https://models.example/v1", key="sk-one")
ORIGIN = AnswerOrigin.of(ENDPOINT, api="chat", separates_reasoning=True)
QUESTION = Request("small", (question("What is the capital of France?"),), is_cacheable=True)
MESSAGE = Message("assistant", (TextPart("Paris", "model"),))
DONE = Completion("stop", "small-1", Usage(9, 1), 0.25, message=MESSAGE)
ANSWER = [TextDelta("Par"), TextDelta("is"), DONE]


async def failed_events(model):
    seen = []
    try:
        async for event in model.stream(QUESTION):
            seen.append(event)  # noqa: PERF401 - a comprehension would lose what came before the failure
    except ChatcliError as error:
        return seen, error
    return seen, None


async def soon(_):
    await asyncio.sleep(0.001)


@pytest.fixture
async def cache():
    memory = MemoryAnswers(LIMITS)
    cache = AnswerCache(lambda: memory, patience_s=60, sleep=soon)
    cache.memory = memory
    yield cache
    await cache.close()


def cached(cache, *scripts, origin=ORIGIN):
    model = AnswerCacheModel(ScriptedModel(*scripts), cache, origin, count=len)
    model.requests = model._inner.requests
    return model


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# What determines an answer


def keys(*requests, origin=ORIGIN):
    return {origin.key(request) for request in requests}


texts = st.sampled_from(["", "Hi", "Hi ", "hi"])
messages = st.lists(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant"]),
        st.lists(st.builds(TextPart, texts, st.sampled_from(["person", "document"])), max_size=2).map(tuple),
        st.sampled_from([None, {"prefix": True}]),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
parameters = st.builds(
    Parameters,
    temperature=st.sampled_from([None, 0, 0.0, -0.0, 1, 1.0, 0.5]),
    top_p=st.sampled_from([None, 1]),
    max_tokens=st.sampled_from([None, 10]),
    seed=st.sampled_from([None, 1]),
    reasoning=st.sampled_from([None, "low"]),
    verbosity=st.sampled_from([None, "low"]),
    extra=st.sampled_from([{}, {"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": "1"}]),
)
requests = st.builds(
    Request,
    st.sampled_from(["small", "large"]),
    messages,
    parameters,
    counted_tokens=st.sampled_from([None, 3]),
    tools=st.sampled_from([(), (Tool("clock", "the time", {"type": "object"}),)]),
    response_format=st.sampled_from([None, ResponseFormat("city", {"type": "object"})]),
)
origins = st.builds(
    lambda endpoint, api, separates: AnswerOrigin.of(endpoint, api=api, separates_reasoning=separates),
    st.builds(
        Endpoint,
        st.sampled_from(["https://models.example/v1", "https://others.example/v1"]),
        key=st.sampled_from([None, "", "sk-one", "sk-two"]),
        timeout_s=st.sampled_from([1.0, 2.0]),
    ),
    st.sampled_from(["chat", "responses"]),
    st.booleans(),
)


@given(requests, requests, origins, origins)
def test_keys_are_equal_exactly_when_what_determines_the_answer_is(one, other, here, there):
    is_same = replace(one, counted_tokens=None) == replace(other, counted_tokens=None) and here == there
    assert (here.key(one) == there.key(other)) == is_same


@given(messages, texts, texts)
def test_a_scope_is_everything_but_the_last_question(before, one, other):
    asked = [Request("small", (*before, question(text))) for text in (one, other)]
    assert len({ORIGIN.scope(request, "near") for request in asked}) == 1
    assert ORIGIN.scope(asked[0], "near") != ORIGIN.scope(asked[0], "another embedder")
    more = Request("small", (*before, system("Be brief."), question(one)))
    assert ORIGIN.scope(more, "near") != ORIGIN.scope(asked[0], "near")


def test_a_key_shows_nothing_of_the_question_and_the_account():
    key = ORIGIN.key(QUESTION)
    assert len(key) == 64
    assert all(character in "0123456789abcdef" for character in key)
    assert "sk-one" not in repr(ORIGIN)


def test_the_embedded_model_is_the_same_in_each_run():
    runs = [Endpoint(f"http://127.0.0.1:{port}/v1", key=str(port), embedded=True) for port in (1, 2)]
    assert len({AnswerOrigin.of(run, api="chat", separates_reasoning=True) for run in runs}) == 1


def test_half_a_surrogate_pair_in_a_question_has_a_key():
    assert len(keys(Request("small", (question("\ud83d"),)), Request("small", (question("?"),)))) == 2


# Answers and their replay


async def test_an_equal_question_is_asked_once_and_costs_nothing_the_second_time(cache):
    model = cached(cache, ANSWER)
    assert await events_of(model, QUESTION) == ANSWER
    again = await events_of(model, QUESTION)
    assert text_of(again) == "Paris"
    end = again[-1]
    assert (end.cached, end.cost_usd, end.usage, end.model) == (True, 0.0, Usage(0, 0), "small-1")
    assert end.message.answer == "Paris"
    assert len(model.requests) == 1


async def test_another_question_is_asked(cache):
    model = cached(cache, ANSWER, ANSWER)
    await events_of(model, QUESTION)
    await events_of(model, replace(QUESTION, model="large"))
    assert len(model.requests) == 2


async def test_hits_and_misses_and_what_was_saved_are_counted(cache):
    model = cached(cache, ANSWER)
    for _ in range(3):
        await events_of(model, QUESTION)
    counted = await cache.run(lambda store: store.statistics().counters, patience_s=60)
    assert counted == {
        "hits": 2,
        "misses": 1,
        "saved_input_tokens": 18,
        "saved_output_tokens": 2,
        "saved_usd": 0.5,
    }


async def test_reasoning_and_sources_come_back(cache):
    source = CitedSource(1, "Paris", "https://example.com/paris")
    parts = (ReasoningPart("Hm.", {"signature": "s"}), TextPart("Paris", "model"))
    done = replace(DONE, sources=(source,), message=Message("assistant", parts))
    model = cached(
        cache, [ReasoningDelta("Hm"), TextDelta("."), TextReclassified("."), TextDelta("Paris"), done]
    )
    await events_of(model, QUESTION)
    again = await events_of(model, QUESTION)
    assert again[:2] == [ReasoningDelta("Hm."), TextDelta("Paris")]
    assert again[-1].sources == (source,)
    assert again[-1].message == done.message


@given(st.lists(st.text(max_size=5_000), max_size=5), st.text(max_size=50))
def test_a_replayed_answer_joins_to_the_same_text(deltas, reasoning):
    text = "".join(["Paris", *deltas])
    answer = CachedAnswer(text, reasoning, MESSAGE.with_answer(text), None, None, None, ())
    read = CachedAnswer.read(answer.content)
    events = list(read.events())
    assert text_of(events) == text
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == reasoning
    assert events[-1].message == answer.message
    assert read == answer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"\x80\x04pickle",
        b'{"text": 1, "message": {}}',
        b'{"text": "Hi", "reasoning": "", "question": "", "message": {"role": "wizard", "parts": []}}',
        b"[" * 100_000,
    ],
)
async def test_a_damaged_answer_is_asked_for_again(cache, content):
    cache.memory.put(stored(QUESTION, content))
    model = cached(cache, ANSWER)
    assert text_of(await events_of(model, QUESTION)) == "Paris"
    assert len(model.requests) == 1


def stored(request, content):
    return StoredAnswer(ORIGIN.key(request), content)


any_json = st.recursive(
    st.sampled_from(
        [None, True, -1, 10**400, float("nan"), float("inf"), "", "text", "user", "system", "assistant"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "n"]), inner)
    ),
    max_leaves=4,
)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "refusal", "reasoning", "tool_call", "tool_result", "image", "file"])},
    optional=dict.fromkeys(("text", "origin", "id", "name", "arguments", "sha256", "parts"), any_json),
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "text": any_json | st.just("Paris"),
        "model": any_json,
        "usage": any_json | st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), any_json),
        "cost_usd": any_json,
        "sources": any_json,
        "message": any_json
        | st.fixed_dictionaries(
            {"role": any_json | st.just("assistant")}, optional={"parts": any_json | st.lists(parts)}
        ),
    },
)


@given(entries)
def test_whatever_others_have_stored_comes_back_only_as_an_answer_of_the_model(changes):
    sound = json.loads(CachedAnswer("Paris", "", MESSAGE, None, None, None, ()).content)
    read = CachedAnswer.read(json.dumps(sound | changes).encode())
    if read is not None:
        *deltas, done = read.events()
        assert (text_of(deltas), done.message.role) == (done.message.text, "assistant")
        assert read.text.strip()
        assert all(isinstance(part, TextPart | ReasoningPart) for part in done.message.parts)
        assert all(0 <= amount <= 10**15 for amount in read.saved.values())


# What is neither read nor stored


@pytest.mark.parametrize(
    "request_",
    [
        replace(QUESTION, is_cacheable=False),
        replace(QUESTION, partial_answer="Par"),
        replace(QUESTION, is_continuation=True),
    ],
)
async def test_a_question_that_must_be_asked_is_asked_and_not_stored(cache, request_):
    model = cached(cache, ANSWER, ANSWER, ANSWER)
    for asked in (QUESTION, request_, request_):
        await events_of(model, asked)
    assert len(model.requests) == 3
    assert len(cache.memory._kept) == 1


REFUSED = Message("assistant", (RefusalPart("No."),))
CALLING = Message("assistant", (TextPart("Paris", "model"), ToolCallPart("1", "clock", "{}")))


@pytest.mark.parametrize(
    "script",
    [
        [TextDelta("Par"), replace(DONE, finish_reason="length")],
        [TextDelta("Par"), replace(DONE, finish_reason="content_filter")],
        [TextDelta("Par"), replace(DONE, finish_reason="tool_calls")],
        [TextDelta("No."), replace(DONE, message=REFUSED)],
        [TextDelta("Paris"), replace(DONE, message=CALLING)],
        [TextDelta("Paris"), Notice("no_finish_reason", "…"), DONE],
        [TextDelta("Paris"), Notice("fallback", "…"), DONE],
        [TextDelta(" \n"), DONE],
        [DONE],
    ],
    ids=repr,
)
async def test_an_answer_that_is_not_whole_is_not_stored(cache, script):
    model = cached(cache, script, ANSWER)
    assert await events_of(model, QUESTION) == script
    assert text_of(await events_of(model, QUESTION)) == "Paris"
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "failure", [IncompleteAnswer("it broke off"), ServerFailed("overloaded"), BudgetReached("cut")]
)
async def test_a_failed_answer_is_not_stored(cache, failure):
    model = cached(cache, [TextDelta("Par"), failure], ANSWER)
    await failure_of(model, QUESTION)
    assert text_of(await events_of(model, QUESTION)) == "Paris"


async def test_an_answer_that_a_budget_has_cut_is_not_stored_and_its_end_is_passed_on(cache):
    model = cached(cache, [TextDelta("Par"), DONE, BudgetReached("cut")], ANSWER)
    seen, failure = await failed_events(model)
    assert seen == [TextDelta("Par"), DONE]
    assert isinstance(failure, BudgetReached)
    assert text_of(await events_of(model, QUESTION)) == "Paris"


async def test_the_answer_of_a_fallback_is_stored_under_its_own_key(cache):
    other = cached(cache, ANSWER)

    async def open_other():
        return other, "large"

    failing = ScriptedModel([ServerFailed("overloaded")], [ServerFailed("overloaded")])
    model = AnswerCacheModel(
        FallbackModel(failing, [Fallback("large", open_other)]), cache, ORIGIN, count=len
    )
    assert text_of(await events_of(model, QUESTION)) == "Paris"
    again = await events_of(model, QUESTION)
    assert (len(failing.requests), len(other.requests)) == (2, 1)
    assert again[-1].cached
    assert list(cache.memory._kept) == [ORIGIN.key(replace(QUESTION, model="large"))]


# One request for equal questions at the same time


@asynccontextmanager
async def asking(model, count):
    tasks = [asyncio.create_task(events_of(model, QUESTION)) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a thread changes it
            await asyncio.sleep(0.001)


async def test_equal_questions_at_once_make_one_request(cache):
    gate = asyncio.Event()
    model = cached(cache, [gate, *ANSWER])
    async with asking(model, 4) as tasks:
        await model._inner.waits.wait()
        gate.set()
        answers = await asyncio.gather(*tasks)
    assert [text_of(events) for events in answers] == ["Paris"] * 4
    assert sum(events[-1].cached for events in answers) == 3
    assert len(model.requests) == 1
    followers = [events for events in answers if isinstance(events[0], Waiting)]
    assert {events[0].reason for events in followers} <= {"waiting for the answer to the same question"}


async def test_a_follower_says_that_it_waits_and_can_be_stopped(cache):
    gate = asyncio.Event()
    model = cached(cache, [gate, *ANSWER])
    async with asking(model, 1):
        await model._inner.waits.wait()
        following = model.stream(QUESTION)
        assert isinstance(await anext(following), Waiting)
        next_event = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.01)
        next_event.cancel()
        await asyncio.wait({next_event})
        await following.aclose()
        assert next_event.cancelled()
    assert len(model.requests) == 1


async def test_a_follower_asks_itself_if_the_leader_fails(cache):
    gate = asyncio.Event()
    model = cached(cache, [gate, ServerFailed("overloaded")], ANSWER)
    async with asking(model, 2) as tasks:
        await model._inner.waits.wait()
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(outcome, ServerFailed) for outcome in outcomes) == 1
    assert [text_of(outcome) for outcome in outcomes if isinstance(outcome, list)] == ["Paris"]


async def test_a_follower_takes_over_from_a_leader_that_was_stopped(cache):
    model = cached(cache, [asyncio.Event()], ANSWER)
    async with asking(model, 1) as (leader,):
        await model._inner.waits.wait()
        async with asking(model, 1) as (follower,):
            leader.cancel()
            assert text_of(await follower) == "Paris"


async def test_a_question_waits_for_no_more_than_a_few_leaders(cache):
    owners = iter(f"leader {number}" for number in range(100))

    def changing(key, owner, lease_s):
        return next(owners)

    cache.memory.look_up = changing
    model = cached(cache, ANSWER)
    assert text_of(await events_of(model, QUESTION)) == "Paris"
    assert next(owners) == "leader 4"


class CountingModel:
    """Answers once ``gate`` is set, and counts requests at the same time."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.asked = self.running = self.most_at_once = 0

    async def stream(self, request):
        self.asked += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.gate.wait()
            for event in ANSWER:
                yield event
        finally:
            self.running -= 1


@given(
    count=st.integers(1, 5),
    stopped=st.lists(st.integers(0, 4), max_size=3, unique=True),
    pauses=st.lists(st.integers(0, 3), min_size=5, max_size=5),
)
def test_whoever_is_stopped_the_others_get_the_answer_of_one_request_at_a_time(count, stopped, pauses):
    async def play():
        memory = MemoryAnswers(LIMITS)
        cache = AnswerCache(lambda: memory, patience_s=60, sleep=soon)
        inner = CountingModel()
        model = AnswerCacheModel(inner, cache, ORIGIN, count=len)
        tasks = [asyncio.create_task(events_of(model, QUESTION)) for _ in range(count)]
        cancelled = [number for number in stopped if number < count]
        for number, pause in zip(cancelled, pauses, strict=False):
            await asyncio.sleep(pause / 1000)
            tasks[number].cancel()
        remaining = [task for number, task in enumerate(tasks) if number not in cancelled]
        if remaining:
            await until(lambda: inner.running)
        inner.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await cache.close()
        await until(lambda: not memory._claims)
        return inner, [text_of(answers[tasks.index(task)]) for task in remaining]

    inner, answers = asyncio.run(play())
    assert set(answers) <= {"Paris"}
    assert inner.most_at_once <= 1
    assert inner.asked <= 1 + len(stopped)


# A cache that does not work


class BrokenStore:
    def __getattr__(self, name):
        raise StoreUnavailable("the disk is full")


async def test_a_broken_cache_is_passed_over_with_one_notice():
    cache = AnswerCache(BrokenStore, patience_s=60)
    model = cached(cache, ANSWER, ANSWER)
    notice = Notice("cache_passed_over", "the cache of answers is not used: the disk is full")
    assert await events_of(model, QUESTION) == [notice, *ANSWER]
    assert await events_of(model, QUESTION) == ANSWER
    await cache.close()


async def test_a_cache_that_breaks_while_the_answer_comes_is_passed_over(cache):
    model = cached(cache, ANSWER)

    def broken(answer):
        raise StoreUnavailable("the disk is full")

    cache.memory.put = broken
    events = await events_of(model, QUESTION)
    assert [event for event in events if not isinstance(event, Notice)] == ANSWER
    assert isinstance(events[-1], Completion)


def test_what_is_stored_is_json_alone():
    answer = CachedAnswer("Paris", "", MESSAGE, "small-1", Usage(9, 1), 0.25, ())
    assert json.loads(answer.content)["text"] == "Paris"


def test_a_text_is_stored_once_in_whatever_language():
    text = "巴黎" * 1_000 + "\ud83d"
    answer = CachedAnswer(text, "", MESSAGE.with_answer(text), None, None, None, ())
    assert len(answer.content) < 7_000
    assert CachedAnswer.read(answer.content) == answer


def test_an_attached_file_is_part_of_the_key():
    def asked(sha256):
        parts = (TextPart("What is this?"), FilePart(sha256, "text/plain", "a.txt"))
        return Request("small", (Message("user", parts),))

    assert len(keys(asked("0" * 64), asked("1" * 64))) == 2


async def test_what_an_endpoint_does_not_count_is_estimated_for_the_statistics(cache):
    model = cached(cache, [TextDelta("Paris"), replace(DONE, usage=None, cost_usd=None)])
    for _ in range(2):
        await events_of(model, QUESTION)
    counted = await cache.run(lambda store: store.statistics().counters, patience_s=60)
    assert (counted["saved_input_tokens"], counted["saved_output_tokens"]) == (30, 5)
    assert counted["saved_usd"] == 0


async def test_an_answer_looked_up_while_the_question_is_written_is_replayed(cache):
    model = cached(cache, ANSWER)
    await events_of(model, QUESTION)
    await model.look_up_early(replace(QUESTION, is_cacheable=False))
    cache.memory.clear()  # what the look-up has found is enough
    events = await events_of(model, QUESTION)
    assert text_of(events) == "Paris"
    assert events[-1].cached
    assert len(model.requests) == 1


async def test_the_log_says_what_became_of_a_question_and_not_which():
    log = NotedEvents()
    memory = MemoryAnswers(LIMITS)
    cache = AnswerCache(lambda: memory, patience_s=60)
    model = AnswerCacheModel(ScriptedModel(ANSWER), cache, ORIGIN, count=len, log=log)
    for _ in range(2):
        await events_of(model, QUESTION)
    assert [facts["result"] for facts in log.facts("cache")] == ["miss", "stored", "hit"]
    assert "France" not in repr(log.events)


async def test_an_answer_that_does_not_fit_what_is_wanted_now_is_asked_for_anew(cache):
    def fits(text):
        return CheckedAnswer(text) if text == "Rome" else CheckedAnswer(problem="another city")

    loose = ResponseFormat("city", {}, check=CheckedAnswer)
    await events_of(cached(cache, ANSWER), replace(QUESTION, response_format=loose))
    model = cached(cache, [TextDelta("Rome"), DONE])
    strict = replace(QUESTION, response_format=loose._replace(check=fits))
    assert [text_of(await events_of(model, strict)) for _ in range(2)] == ["Rome", "Rome"]
    assert len(model.requests) == 1
