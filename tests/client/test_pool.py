"""State shared per endpoint in a run; no call bypasses it."""

from __future__ import annotations

import ast
import asyncio
import gc
import json
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx2
import openai
import pytest

import chatcli
from chatcli.client.catalog import offered_models, served_window
from chatcli.client.embeddings import EndpointEmbedder
from chatcli.client.endpoint import Endpoint
from chatcli.client.metered_model import MeteredModel
from chatcli.client.pool import Hooks, Pool
from chatcli.client.rate_limit import NO_LIMITS, Claim, OwnLimits, RateLimits
from chatcli.core.errors import ConfigurationError, RateLimited
from chatcli.core.events import Completion, TextDelta, Usage, Waiting
from chatcli.core.request import Parameters
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, Charges, asking, events_of, failure_of
from scripted_server import RESET, SILENCE, Answer, event_stream, json_answer, raw, serving

SOURCE = Path(chatcli.__file__).parent
HERE = Endpoint("https://models.example/v1", key="sk-here")
ONE_A_MINUTE = Claim(lambda: 1, "small", OwnLimits(requests_per_minute=1))


async def takes_the_only_turn(entry) -> bool:
    async with entry.meter.call("answer", ONE_A_MINUTE) as call:
        if not call.is_admitted:
            return False
        await call.client()
        return True


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        (HERE, True),
        (replace(HERE, timeout_s=5.0), True),
        (replace(HERE, key="sk-another"), False),
        (replace(HERE, key=None), False),
        (replace(HERE, base_url="https://models.example/v2"), False),
    ],
)
async def test_those_with_the_same_address_and_key_share_limits_counts_and_facts(other, is_shared, tmp_path):
    async with Pool() as pool:
        first, second = pool.entry(HERE, {}), pool.entry(other, {})
        assert await takes_the_only_turn(first)
        assert await takes_the_only_turn(second) is not is_shared
        assert (second.meter.calls["answer"] == 2) is is_shared
        facts = [entry.facts(tmp_path, is_kept=False) for entry in (first, second)]
        assert (facts[0] is facts[1]) is is_shared


async def test_a_connection_is_shared_where_nothing_about_it_differs_and_closed_by_whoever_leaves_last():
    pool = Pool()
    clients = []
    for endpoint, hooks in ((HERE, Hooks()), (HERE, Hooks()), (replace(HERE, timeout_s=5.0), Hooks())):
        await pool.__aenter__()
        async with pool.entry(endpoint, {}, hooks).meter.call("models") as call:
            clients.append(await call.client())
    assert clients[0] is clients[1] is not clients[2]
    for _ in range(2):
        await pool.__aexit__()
        assert not any(client.is_closed() for client in clients)
    await pool.__aexit__()
    assert all(client.is_closed() for client in clients)


async def test_a_call_that_nobody_keeps_the_pool_open_for_opens_it_and_closes_it():
    pool = Pool()
    async with pool.entry(HERE, {}).meter.call("models") as call:
        client = await call.client()
        assert not client.is_closed()
    assert client.is_closed()


async def test_calls_that_begin_at_once_get_one_connection():
    async with Pool() as pool:
        entry = pool.entry(HERE, {})

        async def client():
            async with entry.meter.call("models") as call:
                return await call.client()

        assert len({id(each) for each in await asyncio.gather(*(client() for _ in range(5)))}) == 1


async def test_a_call_that_was_never_sent_gives_its_turn_back():
    async with Pool() as pool:
        entry = pool.entry(HERE, {})
        async with entry.meter.call("answer", ONE_A_MINUTE) as call:
            assert call.is_admitted
        assert await takes_the_only_turn(entry)


async def test_what_cannot_be_connected_is_refused_before_anything_is_sent():
    async with Pool() as pool:
        with pytest.raises(ConfigurationError):
            await pool.entry(replace(HERE, key="sk\nhere"), {}).open()


async def test_every_operation_is_counted():
    def choose(request):
        if request.path.endswith("/chat/completions"):
            return Answer(event_stream("Paris."))
        if request.path.endswith("/embeddings"):
            return json_answer({"data": [{"embedding": [1.0]}]})
        return json_answer({"data": []})

    async with serving(choose=choose) as server, Pool() as pool:
        entry = pool.entry(Endpoint(server.base_url, loopback=True), {})
        await events_of(asking(entry))
        await EndpointEmbedder(entry, "near", Charges()).embed(["a"])
        await offered_models(entry, timeout_s=5)
        await served_window(entry, "Ollama", "small")
    assert entry.meter.calls == {"answer": 1, "embeddings": 1, "models": 1, "window": 2}
    assert sum(entry.meter.calls.values()) == len(server.requests)


SDK_CALLS = {"audio", "batches", "beta", "chat", "completions", "embeddings", "files", "images", "models", "moderations",
             "responses", "uploads", "get", "post", "put", "patch", "delete", "request", "with_options", "copy"}  # fmt: skip
"""The methods of an SDK client that send requests."""


def test_every_use_of_the_sdks_client_is_within_a_call_of_the_meter():
    uses = {use for path in sorted((SOURCE / "client").rglob("*.py")) for use in _uses_of_the_client(path)}
    assert {place for place, _ in uses} == {
        "client/batch_api.py",
        "client/catalog.py",
        "client/embeddings.py",
        "client/pool.py",
    }
    assert [use for use in uses if not use[1]] == []


def test_direct_connections_are_opened_by_the_pool_and_used_within_a_call_of_the_meter():
    opening, using = set(), set()
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        opening |= {_place(path)} if "DirectConnections" in text else set()
        using |= {_place(path)} if "connections.post(" in text else set()
        for line in text.splitlines():
            assert (
                "connections = await" not in line
                or "connections = await call.connections()" in line
                or ("self._meter.open_connections()" in line)
            ), line
    assert opening == {"client/direct_http.py", "client/pool.py"}
    assert using == {"client/openai_model.py"}


def test_only_the_pool_connects_and_only_the_client_knows_the_sdk():
    connecting, opening = set(), set()
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        names_either = any(name in text for name in ("openai_client", "AsyncOpenAI", "AsyncAzureOpenAI"))
        for node in ast.walk(ast.parse(text if names_either else "")):
            if isinstance(node, ast.ImportFrom) and node.module == "chatcli.client.openai_client":
                connecting |= (
                    {_place(path)} if any(name.name.startswith("connect") for name in node.names) else set()
                )
            if isinstance(node, ast.Name) and node.id in {"AsyncOpenAI", "AsyncAzureOpenAI"}:
                opening.add(_place(path))
    assert connecting == {"client/pool.py"}
    # Other modules name the type of their argument.
    assert opening <= {"client/openai_client.py", "client/pool.py"}


def _uses_of_the_client(path):
    """Yield each use of an SDK ``client``, and whether the client comes from a call of the meter."""
    for function in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        from_call = {
            ast.unparse(node.targets[0])
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            and ast.unparse(node.value) in {"await call.client()", "await self.client()"}
        }
        for node in ast.walk(function):
            is_resource = isinstance(node, ast.Attribute) and node.attr in SDK_CALLS
            if is_resource and ast.unparse(node.value).lstrip("_").endswith("client"):
                yield _place(path), ast.unparse(node.value) in from_call


def _place(path):
    return path.relative_to(SOURCE).as_posix()


ANSWER = [TextDelta("Paris"), Completion("stop")]


@pytest.fixture(autouse=True)
async def _nothing_left_behind():
    """Fail a test that leaves a task, or an error the loop would report."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    gc.collect()
    assert {task for task in asyncio.all_tasks() - before if not task.done()} <= {asyncio.current_task()}
    assert complaints == []


class Clock:
    """A clock that stands still, and a sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.over = asyncio.Event()

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, time_s: float) -> None:
        await self.over.wait()
        self.now_s += time_s


class Counting:
    """Counts the same number of tokens for every text."""

    loaded = True

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    def count(self, text: str) -> int:
        return self._tokens


class Wire:
    """Answers a call as its script says."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    async def answer(self, request, call):
        await call.client()
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                yield event


def meter_at(clock: Clock):
    pool = Pool(lambda: RateLimits(clock=clock, sleep=clock.sleep))
    return pool.entry(Endpoint("https://models.example/v1"), {}).meter


def metered(inner: ScriptedModel, meter=None, *, own=NO_LIMITS, interval_s=60.0, tokens=1, **what):
    return MeteredModel(
        Wire(inner),
        meter or meter_at(Clock()),
        reason="waiting for x",
        counter=Counting(tokens),
        own=own,
        interval_s=interval_s,
        **what,
    )


def impatient(inner: ScriptedModel) -> MeteredModel:
    """Return a layer that reports waiting at every turn of the loop, with a clock that ticks when read."""
    ticks = count(10)
    return metered(inner, interval_s=0.001, clock=lambda: float(next(ticks)))


async def test_an_answer_that_comes_at_once_is_not_waited_for():
    inner = ScriptedModel(ANSWER)
    assert await events_of(metered(inner)) == ANSWER
    assert inner.requests == [QUESTION]


async def test_until_the_first_event_it_tells_how_long_nothing_has_come_and_never_after():
    first, second = asyncio.Event(), asyncio.Event()
    inner = ScriptedModel([first, TextDelta("Pa"), second, TextDelta("ris"), Completion("stop")])
    seen = []
    async with aclosing(impatient(inner).stream(QUESTION)) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 3:
                first.set()
            if isinstance(event, TextDelta):
                asyncio.get_running_loop().call_later(0.01, second.set)
    waits = [event for event in seen if isinstance(event, Waiting)]
    assert waits[:3] == [
        Waiting(1.0, "waiting for x"),
        Waiting(2.0, "waiting for x"),
        Waiting(3.0, "waiting for x"),
    ]
    assert seen == [*waits, TextDelta("Pa"), TextDelta("ris"), Completion("stop")]


@pytest.mark.parametrize("before", [[], [TextDelta("Pa")]])
async def test_a_failure_passes_as_it_is(before):
    failure = RateLimited("too fast")
    seen, error = await failure_of(metered(ScriptedModel([*before, failure])))
    assert error is failure
    assert seen == before


async def test_a_failure_after_some_waiting_passes_as_it_is():
    over = asyncio.Event()
    failure = RateLimited("too fast")
    inner = ScriptedModel([over, failure])
    asyncio.get_running_loop().call_later(0.01, over.set)
    seen, error = await failure_of(impatient(inner))
    assert error is failure
    assert all(isinstance(event, Waiting) for event in seen)


@pytest.mark.parametrize("script", [[asyncio.Event()], [TextDelta("Pa"), asyncio.Event()]])
async def test_a_cancellation_closes_the_model(script):
    inner = ScriptedModel(script)
    turn = asyncio.ensure_future(events_of(metered(inner)))
    await inner.waits.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert inner.open == 0


async def test_closing_it_while_it_waits_closes_the_model():
    inner = ScriptedModel([asyncio.Event()])
    events = impatient(inner).stream(QUESTION)
    assert isinstance(await anext(events), Waiting)
    await events.aclose()
    assert inner.open == 0


async def test_closing_it_within_the_answer_closes_the_model():
    inner = ScriptedModel(ANSWER)
    events = metered(inner).stream(QUESTION)
    assert await anext(events) == TextDelta("Paris")
    await events.aclose()
    assert inner.open == 0


@pytest.mark.parametrize("outcome", [RateLimited("too fast"), TextDelta("Paris")])
async def test_closing_it_after_the_first_event_has_come_unseen_leaves_no_complaint(outcome):
    over = asyncio.Event()
    inner = ScriptedModel([over, outcome, Completion("stop")])
    events = impatient(inner).stream(QUESTION)
    await anext(events)
    over.set()
    await asyncio.sleep(0.01)
    await events.aclose()
    assert inner.open == 0


async def test_a_second_cancellation_does_not_keep_the_model_open():
    inner = ScriptedModel([asyncio.Event()])
    turn = asyncio.ensure_future(events_of(metered(inner)))
    await inner.waits.wait()
    turn.cancel()
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.sleep(0.01)
    assert inner.open == 0


OWN_LIMITS = OwnLimits(requests_per_minute=1)


async def test_a_limit_is_reported_even_where_the_wait_for_an_answer_is_not():
    clock = Clock()
    meter = meter_at(clock)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=OWN_LIMITS))
    model = metered(ScriptedModel(ANSWER), meter, own=OWN_LIMITS, interval_s=None, held_s=0.001, clock=clock)
    async with aclosing(model.stream(QUESTION)) as stream:
        held = await anext(stream)
        assert (held.reason, held.is_held) == ("rate limit of 1 requests (60 s left)", True)
        clock.over.set()
        waits = [event async for event in stream if isinstance(event, Waiting)]
    assert [wait.is_held for wait in waits].count(False) == 1
    assert not waits[-1].is_held


async def test_the_wait_for_a_limit_is_reported_and_the_request_goes_out_after_it():
    clock = Clock()
    meter = meter_at(clock)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=OWN_LIMITS))
    inner = ScriptedModel(ANSWER)
    stream = metered(inner, meter, own=OWN_LIMITS, interval_s=0.001, clock=clock).stream(QUESTION)
    assert await anext(stream) == Waiting(0.0, "rate limit of 1 requests (60 s left)", is_held=True)
    assert inner.requests == []
    clock.over.set()
    assert [event async for event in stream if not isinstance(event, Waiting)] == ANSWER


async def test_leaving_while_waiting_gives_the_turn_to_the_next():
    clock = Clock()
    meter = meter_at(clock)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=OWN_LIMITS))
    stream = metered(ScriptedModel(), meter, own=OWN_LIMITS, interval_s=0.001, clock=clock).stream(QUESTION)
    await anext(stream)
    await stream.aclose()
    clock.now_s = 60
    async with meter.call("answer", Claim(lambda: 1, QUESTION.model, OWN_LIMITS)) as call:
        assert call.is_admitted


async def test_what_was_really_used_counts_in_the_end():
    clock = Clock()
    meter, own = meter_at(clock), OwnLimits(tokens_per_minute=60)
    used = [TextDelta("Paris"), Completion("stop", usage=Usage(20, 10))]
    await events_of(metered(ScriptedModel(used), meter, own=own, tokens=60))
    async with meter.call("answer", Claim(lambda: 30, QUESTION.model, own)) as call:
        assert call.is_admitted
        assert meter.calls == {"answer": 2}


@pytest.mark.parametrize(("is_capped", "has_room"), [(True, True), (False, False)])
async def test_the_limit_a_budget_sets_for_an_answer_takes_nothing_from_the_rate_limits(is_capped, has_room):
    meter, own = meter_at(Clock()), OwnLimits(tokens_per_minute=60)
    request = replace(QUESTION, parameters=Parameters(max_tokens=50_000), is_capped=is_capped)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=own, tokens=10), request)
    async with meter.call("answer", Claim(lambda: 30, QUESTION.model, own)) as call:
        assert call.is_admitted == has_room


async def test_an_answer_counts_as_a_call_also_where_it_fails():
    meter = meter_at(Clock())
    await failure_of(metered(ScriptedModel([RateLimited("too fast")]), meter))
    await events_of(metered(ScriptedModel(ANSWER), meter))
    assert meter.calls == {"answer": 2}


PATH = "/chat/completions"
BODIES = [b'{"model":"m","messages":[]}', b'{"model":"m","messages":[{"role":"user","content":"\xc3\xbc"}]}']


async def posted(entry, content):
    async with entry.meter.call("answer") as call:
        response = await call.post(PATH, content)
        await response.aread()
        await response.aclose()
        return response


def compared(request):
    return request.method, request.path, {**request.headers, "content-length": ""}


@pytest.mark.parametrize("key", ["sk-here", None])
async def test_all_requests_have_the_headers_of_the_first_and_their_own_body(key):
    async with serving(*[json_answer({})] * 3) as server, Pool() as pool:
        entry = pool.entry(Endpoint(server.base_url, key=key, loopback=True), {})
        for content in (BODIES[0], BODIES[1], BODIES[0]):
            await posted(entry, content)
    first, second, third = server.requests
    assert compared(first) == compared(second) == compared(third)
    assert [request.body for request in server.requests] == [BODIES[0], BODIES[1], BODIES[0]]
    assert [int(request.headers["content-length"]) for request in server.requests] == [
        len(request.body) for request in server.requests
    ]
    assert first.headers.get("authorization") == (f"Bearer {key}" if key else None)


async def test_cookies_of_the_server_go_back_to_it_as_before():
    answers = [json_answer({}, **{"set-cookie": "of=server"}), json_answer({}), json_answer({})]
    async with serving(*answers) as server, Pool() as pool:
        entry = pool.entry(Endpoint(server.base_url, loopback=True), {})
        for _ in answers:
            await posted(entry, BODIES[0])
    assert [request.headers.get("cookie") for request in server.requests] == [None, "of=server", "of=server"]


async def test_a_client_that_is_connected_again_makes_a_request_of_its_own():
    async with serving(*[json_answer({})] * 3) as server:
        entry = Pool().entry(Endpoint(server.base_url, loopback=True), {})
        for _ in range(3):
            # Nobody else has the pool open: each call connects, and closes its connection.
            assert (await posted(entry, BODIES[1])).is_success
    assert [request.body for request in server.requests] == [BODIES[1]] * 3


@pytest.mark.parametrize("status", [400, 429, 500, 302])
async def test_an_error_status_is_raised_with_its_body_for_the_first_and_for_later_requests(status):
    refusal = json_answer({"error": {"message": "no"}}, status=status)
    async with serving(refusal, json_answer({}), refusal) as server, Pool() as pool:
        entry = pool.entry(Endpoint(server.base_url, loopback=True), {})
        raised = []
        for number in range(3):
            try:
                await posted(entry, BODIES[0])
            except openai.APIStatusError as error:
                raised.append((number, error.response.status_code, json.loads(error.response.content)))
    assert raised == [(number, status, {"error": {"message": "no"}}) for number in (0, 2)]


@pytest.mark.parametrize(
    ("failing", "kind", "cause"),
    [
        (SILENCE, openai.APITimeoutError, httpx2.ReadTimeout),
        (raw(RESET), openai.APIConnectionError, httpx2.ReadError),
    ],
)
async def test_a_connection_that_fails_is_raised_as_the_package_does_with_its_cause(failing, kind, cause):
    async with serving(failing, json_answer({}), failing) as server, Pool() as pool:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=0.3)
        entry = pool.entry(endpoint, {})
        for content, fails in ((BODIES[0], True), (BODIES[0], False), (BODIES[1], True)):
            if not fails:
                await posted(entry, content)
                continue
            with pytest.raises(kind) as failure:
                await posted(entry, content)
            assert isinstance(failure.value.__cause__, cause)
