"""What is measured of a call: compared with what a scripted server was told to do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.call_recording import RecordedModel, Recording
from chatcli.client.endpoint import Endpoint
from chatcli.client.retry import RetryingModel
from chatcli.core import messages
from chatcli.core.call_records import CallContent
from chatcli.core.errors import BudgetReached, RateLimited, ServerFailed, TimedOut
from chatcli.core.event_log import ERROR, INFO, WARNING
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import answer, question, system
from chatcli.core.request import Parameters, Request
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, asking, completion, end, entry_at, events_of, failure_of
from client.wire import delta as chunk
from noted_events import NotedEvents
from scripted_server import RESET, Answer, json_answer, raw, serving

ENDPOINT = Endpoint("https://models.example:8443/v1")
ANSWER = [TextDelta("Paris"), Completion("stop", "small-1", Usage(10, 2, 4), 0.5)]


class Recorded(list):
    """A recorder, all that it was given, and what was said in the last call."""

    content = None

    def record(self, call, content=None):
        self.append(call)
        self.content = content


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recording(recorded, clock):
    return Recording(ENDPOINT, lambda: recorded, "work", clock, lambda: 1_000.0)


@pytest.fixture
def embedded(recording):
    endpoint = Endpoint("http://127.0.0.1:50123/v1", embedded=True, loopback=True)
    return recording._replace(endpoint=endpoint)


class Sending:
    """A model that asks ``inner`` in one attempt, as the one that sends requests notes it; each event takes a second."""

    def __init__(self, inner, clock):
        self._inner = inner
        self._clock = clock

    async def stream(self, request):
        request.trace.attempts += 1
        async with aclosing(self._inner.stream(request)) as events:
            async for each in events:
                self._clock.now_s += 1
                yield each


async def test_a_call_leaves_its_figures_and_no_text(recorded, clock, recording):
    model = RecordedModel(Sending(ScriptedModel(ANSWER), clock), recording)
    assert await events_of(model, QUESTION) == ANSWER
    (call,) = recorded
    assert (call.at_s, call.endpoint, call.model) == (1_000.0, "models.example:8443", "small-1")
    assert (call.operation, call.outcome, call.profile, call.attempts) == ("answer", "ok", "work", 1)
    assert (call.ttft_s, call.latency_s) == (1.0, 2.0)
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.cost_usd) == (10, 4, 2, 0.5)
    assert "France" not in repr(call)


async def test_what_was_said_is_handed_over_beside_the_figures(recorded, clock, recording):
    said = messages.answer("Paris")
    reply = [TextDelta("Paris"), Completion("stop", "small-2026-01-01", message=said)]
    await events_of(RecordedModel(Sending(ScriptedModel(reply), clock), recording), QUESTION)
    assert recorded.content == CallContent(QUESTION.messages, said)
    (call,) = recorded
    assert (call.requested_model, call.model) == (QUESTION.model, "small-2026-01-01")
    assert "Paris" not in repr(call)


async def test_each_call_has_an_id_that_its_failure_names_too(recorded, clock, recording):
    model = RecordedModel(Sending(ScriptedModel([ServerFailed("broken")], ANSWER), clock), recording)
    _, error = await failure_of(model)
    await events_of(model)
    first, second = recorded
    assert error.call_id == first.id
    assert first.id != second.id
    assert (first.outcome, first.output_tokens, first.ttft_s) == ("server_failed", None, None)


async def test_the_attempts_at_a_call_are_one_record(recorded, clock, recording):
    async def sleep(time_s):
        clock.now_s += time_s

    answers = ScriptedModel(
        [RateLimited("busy", retry_after_s=7.0)], [ServerFailed("broken", retry_after_s=5.0)], ANSWER
    )
    inner = RetryingModel(Sending(answers, clock), retries=3, budget_s=100, sleep=sleep, clock=clock)
    await events_of(RecordedModel(inner, recording))
    (call,) = recorded
    assert (call.outcome, call.attempts, call.retry_wait_s) == ("ok", 3, 12.0)
    assert call.latency_s == 14.0


async def test_the_last_failure_of_a_call_is_its_outcome(recorded, clock, recording):
    inner = RetryingModel(
        Sending(ScriptedModel([ServerFailed("broken")], [RateLimited("busy", retry_after_s=1.0)]), clock),
        retries=1,
        budget_s=100,
        sleep=lambda _: asyncio.sleep(0),
    )
    await failure_of(RecordedModel(inner, recording))
    assert [(call.outcome, call.attempts) for call in recorded] == [("rate_limited", 2)]


@pytest.mark.parametrize(
    ("script", "cost_usd"),
    [
        ([RateLimited("busy", status=429)], 0.0),
        ([ServerFailed("broken", status=503)], 0.0),
        ([TimedOut("too slow")], None),
        ([TextDelta("Pa"), ServerFailed("broken", status=500)], None),
    ],
    ids=["refused", "failed", "timed out", "cut"],
)
async def test_only_a_request_that_got_nothing_but_a_status_is_known_to_cost_nothing(
    recorded, clock, recording, script, cost_usd
):
    await failure_of(RecordedModel(Sending(ScriptedModel(script), clock), recording))
    assert [call.cost_usd for call in recorded] == [cost_usd]


async def test_what_the_person_stops_is_no_failure_of_the_endpoint(recorded, clock, recording):
    model = RecordedModel(Sending(ScriptedModel([TextDelta("Pa"), *ANSWER]), clock), recording)
    async with aclosing(model.stream(QUESTION)) as events:
        await anext(events)
    assert [(call.outcome, call.ttft_s) for call in recorded] == [("cancelled", 1.0)]


async def test_what_was_never_sent_is_no_call(recorded, recording):
    model = RecordedModel(ScriptedModel([BudgetReached("no money left")]), recording)
    await failure_of(model)
    assert recorded == []


async def test_an_answer_that_a_budget_cuts_after_its_end_is_a_success(recorded, clock, recording):
    model = RecordedModel(Sending(ScriptedModel([*ANSWER, BudgetReached("cut")]), clock), recording)
    await failure_of(model)
    assert [call.outcome for call in recorded] == ["ok"]


async def test_a_filtered_answer_is_a_failure(recorded, clock, recording):
    model = RecordedModel(Sending(ScriptedModel([Completion("content_filter")]), clock), recording)
    await events_of(model)
    assert [call.outcome for call in recorded] == ["content_filter"]


async def test_texts_that_seem_to_give_orders_are_counted(recorded, clock, recording):
    found = [Notice("injection", "a.txt: orders"), Notice("other", "x"), Notice("injection", "b.txt: orders")]
    await events_of(RecordedModel(Sending(ScriptedModel([*found, *ANSWER]), clock), recording))
    assert [call.findings for call in recorded] == [2]


@pytest.mark.parametrize(("asked_for", "kept"), [("answer", "batch"), ("summary", "summary")])
async def test_answers_are_for_what_the_pipeline_is_for_and_other_requests_say_it_themselves(
    recorded, clock, recording, asked_for, kept
):
    model = RecordedModel(Sending(ScriptedModel(ANSWER), clock), recording, "batch")
    await events_of(model, replace(QUESTION, operation=asked_for))
    assert [call.operation for call in recorded] == [kept]


@pytest.mark.parametrize("streamed", [True, False])
async def test_bytes_attempts_and_ids_are_those_of_the_wire(recorded, streamed):
    body = b"".join([chunk("Pa"), chunk("ris"), end()])
    head = {"x-request-id": "req_7"}
    whole = json_answer(completion("Paris"), **head)
    async with serving(Answer([body], headers=head) if streamed else whole) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            model = RecordedModel(asking(entry, streamed=streamed), Recording(endpoint, lambda: recorded))
            done = (await events_of(model))[-1]
    (call,) = recorded
    assert (call.attempts, call.request_id, call.sent_bytes) == (1, "req_7", len(server.requests[0].body))
    assert call.received_bytes == len(body if streamed else whole.script[0])
    assert (done.call_id, done.request_id) == (call.id, "req_7")
    assert call.latency_s > 0
    assert call.ttft_s is None if not streamed else 0 < call.ttft_s <= call.latency_s


async def test_an_endpoint_that_is_not_there_is_a_call_that_failed(recorded):
    endpoint = Endpoint("http://127.0.0.1:9/v1", loopback=True)
    async with entry_at(endpoint) as entry:
        await failure_of(RecordedModel(asking(entry), Recording(endpoint, lambda: recorded)))
    assert [(call.outcome, call.attempts) for call in recorded] == [("refused", 1)]


async def test_the_model_named_is_the_one_asked_where_none_answered(recorded, clock, recording):
    await failure_of(RecordedModel(Sending(ScriptedModel([ServerFailed("broken")]), clock), recording))
    assert [call.model for call in recorded] == ["small"]


async def test_the_embedded_model_has_one_name_in_all_runs(recorded, clock, embedded):
    await events_of(RecordedModel(Sending(ScriptedModel(ANSWER), clock), embedded))
    assert [call.endpoint for call in recorded] == ["embedded"]


async def test_what_is_stopped_at_the_embedded_model_costs_nothing(recorded, clock, embedded):
    model = RecordedModel(Sending(ScriptedModel([TextDelta("Pa"), *ANSWER]), clock), embedded)
    async with aclosing(model.stream(QUESTION)) as events:
        await anext(events)
    assert [(call.outcome, call.cost_usd) for call in recorded] == [("cancelled", 0.0)]


def test_an_answer_from_a_cache_reached_no_endpoint(recorded, recording):
    recording.hit(QUESTION, "small-1")
    (call,) = recorded
    assert (call.is_cache_hit, call.attempts, call.cost_usd, call.model) == (True, 0, 0.0, "small-1")
    assert call.asked_model == QUESTION.model


class TestTheLog:
    async def test_follows_a_call_through_its_attempts_by_its_id(self, clock, recording):
        log = NotedEvents()
        answers = ScriptedModel(
            [RateLimited("busy: France", status=429, request_id="req_a", retry_after_s=7.0)], ANSWER
        )
        inner = RetryingModel(
            Sending(answers, clock), retries=3, budget_s=100, sleep=lambda _: asyncio.sleep(0), clock=clock
        )
        await events_of(RecordedModel(inner, recording._replace(log=log)), QUESTION)
        assert log.names == ["call_began", "retry", "first_token", "call_ended"]
        assert {facts["call"] for _, facts in log.events} == {log.events[0][1]["call"]}
        (began,), (retry,), (ended,) = map(log.facts, ("call_began", "retry", "call_ended"))
        assert (began["endpoint"], began["operation"], began["profile"]) == (
            "models.example:8443",
            "answer",
            "work",
        )
        assert (retry["attempt"], retry["wait_s"], retry["code"]) == (2, 7.0, "rate_limited")
        assert (retry["status"], retry["request_id"]) == (429, "req_a")
        assert (ended["outcome"], ended["attempts"], ended["model"]) == ("ok", 2, "small-1")
        assert (ended["input_tokens"], ended["cached_tokens"], ended["output_tokens"]) == (10, 4, 2)
        assert "France" not in repr(log.events)
        assert "Paris" not in repr(log.events)

    async def test_says_how_a_call_failed_and_not_in_which_words(self, clock, recording):
        log = NotedEvents(INFO)
        failure = ServerFailed(
            "France is down", status=503, request_id="req_b", provider_code="over loaded with France"
        )
        await failure_of(RecordedModel(Sending(ScriptedModel([failure]), clock), recording._replace(log=log)))
        assert (log.names, log.levels) == (["call_began", "call_ended"], [INFO, ERROR])
        (ended,) = log.facts("call_ended")
        assert (ended["outcome"], ended["status"], ended["request_id"]) == ("server_failed", 503, "req_b")
        assert "France" not in repr(log.events)

    async def test_takes_only_what_went_wrong_if_nothing_else_is_wanted(self, clock, recording):
        log = NotedEvents(WARNING)
        model = RecordedModel(
            Sending(ScriptedModel(ANSWER, [ServerFailed("down", provider_code="overloaded")]), clock),
            recording._replace(log=log),
        )
        await events_of(model)
        assert log.events == []
        await failure_of(model)
        assert [facts["provider_code"] for facts in log.facts("call_ended")] == ["overloaded"]

    async def test_has_the_codes_of_notices(self, clock, recording):
        log = NotedEvents()
        notice = Notice("parameter_dropped", "small does not take France")
        await events_of(
            RecordedModel(Sending(ScriptedModel([notice, *ANSWER]), clock), recording._replace(log=log))
        )
        assert [facts["code"] for facts in log.facts("notice")] == ["parameter_dropped"]
        assert "France" not in repr(log.events)

    @pytest.mark.parametrize("streamed", [True, False])
    async def test_has_each_request_and_the_head_of_its_response(self, streamed):
        log = NotedEvents()
        whole = {"choices": [{"message": {"content": "Paris"}, "finish_reason": "stop"}]}
        answer = Answer([chunk("Paris"), end()], headers={"x-request-id": "req_2"})
        answers = (
            json_answer({"error": {"message": "boom"}}, status=500, **{"x-request-id": "req_1"}),
            answer if streamed else json_answer(whole, **{"x-request-id": "req_2"}),
        )
        async with serving(*answers) as server, entry_at(Endpoint(server.base_url)) as entry:
            inner = RetryingModel(
                asking(entry, streamed=streamed), retries=1, budget_s=100, sleep=lambda _: asyncio.sleep(0)
            )
            await events_of(RecordedModel(inner, Recording(entry.endpoint, log=log)))
        assert [facts["attempt"] for facts in log.facts("attempt")] == [1, 2]
        heads = [(facts["status"], facts["request_id"]) for facts in log.facts("headers")]
        assert heads == [(500, "req_1"), (200, "req_2")]

    async def test_names_no_request_of_an_attempt_before(self, recorded):
        begun = Answer([b": wait\n\n", RESET], headers={"x-request-id": "req_1"})
        async with serving(begun, raw(RESET)) as server, entry_at(Endpoint(server.base_url)) as entry:
            inner = RetryingModel(asking(entry), retries=1, budget_s=100, sleep=lambda _: asyncio.sleep(0))
            _, error = await failure_of(RecordedModel(inner, Recording(entry.endpoint, lambda: recorded)))
        assert error.request_id is None
        assert [(call.attempts, call.request_id) for call in recorded] == [(2, None)]

    @given(st.text().map("⟦{}⟧".format))
    def test_never_has_a_word_of_what_is_sent_received_or_said_about_it(self, text):
        log, clock = NotedEvents(), Clock()
        failure = ServerFailed(
            text, hint=text, status=500, provider_code=text, provider_message=text, parameter=text
        )
        answers = ScriptedModel(
            [Notice("parameter_dropped", text), failure],
            [ReasoningDelta(text), TextDelta(text), Completion(text, "small-1", message=answer(text))],
            [TextDelta(text), failure],
        )
        inner = RetryingModel(
            Sending(answers, clock), retries=1, budget_s=100, sleep=lambda _: asyncio.sleep(0), clock=clock
        )
        model = RecordedModel(inner, Recording(ENDPOINT, clock=clock, log=log))
        request = Request("small", (system(text), question(text)), Parameters(extra={"user": text}))

        async def ask():
            await events_of(model, request)
            with pytest.raises(ServerFailed):
                await events_of(model, request)

        asyncio.run(ask())
        assert log.names.count("call_ended") == 2
        assert "⟦" not in repr(log.events)
