"""Many requests from a script."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

import chatcli
from scripted_server import HOLD, Answer, json_answer, serving, serving_in_thread

OPTIONS = {"model": "small", "settings": {"retries": 0, "context_window": 4096}}


@pytest.fixture(autouse=True)
def _folders(monkeypatch, tmp_path):
    for kind in ("CONFIG", "DATA", "CACHE", "LOCAL"):
        monkeypatch.setenv(f"CHATCLI_{kind}_DIR", str(tmp_path / kind.lower()))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def echo(request):
    text = f"<{request.json['messages'][-1]['content']}>"
    message = {"role": "assistant", "content": text}
    return json_answer({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def results_of(rows, server, **options):
    return [result async for result in chatcli.batch(rows, base_url=server.base_url, **OPTIONS, **options)]


async def test_rows_of_every_kind_are_answered_in_order():
    message = chatcli.Message("user", (chatcli.TextPart("c"),))
    rows = [
        "a",
        {"id": 7, "prompt": "b", "max_tokens": 3},
        message,
        {"messages": [{"role": "user", "content": "d"}]},
    ]
    async with serving(choose=echo) as server:
        found = await results_of(rows, server, system="Be brief.")
    assert [result.text for result in found] == ["<a>", "<b>", "<c>", "<d>"]
    assert [(result.index, result.id, result.error) for result in found][1] == (1, 7, None)
    sent = {request.json["messages"][-1]["content"]: request.json for request in server.requests}
    assert sent["b"]["max_tokens"] == 3
    assert all(body["messages"][0]["content"] == "Be brief." for body in sent.values())
    assert isinstance(found[0], chatcli.BatchResult)


async def test_rows_may_arrive_one_by_one_and_never_end():
    async def endless():
        number = 0
        while True:
            yield f"{number}"
            number += 1

    async with (
        serving(choose=echo) as server,
        aclosing(chatcli.batch(endless(), base_url=server.base_url, concurrency=2, **OPTIONS)) as results,
    ):
        assert [(await anext(results)).text for _ in range(5)] == [f"<{number}>" for number in range(5)]
    assert len(server.requests) < 200


async def test_with_a_cache_equal_rows_are_asked_once():
    patient = {**OPTIONS, "settings": {**OPTIONS["settings"], "cache_patience_ms": 10_000}, "cache": "memory"}
    found = []
    async with serving(choose=echo) as server:
        for _ in range(2):
            results = chatcli.batch(["a", "a", "b"], base_url=server.base_url, **patient)
            found.append([(result.text, result.cached) async for result in results])
    assert [text for text, _ in found[0]] == ["<a>", "<a>", "<b>"]
    assert found[1] == [("<a>", True), ("<a>", True), ("<b>", True)]
    assert sorted(request.json["messages"][-1]["content"] for request in server.requests) == ["a", "b"]


async def test_a_row_that_fails_has_an_error_and_the_others_have_answers():
    def choose(request):
        if request.json["messages"][-1]["content"] == "bad":
            return json_answer({"error": {"message": "no"}}, status=400)
        return echo(request)

    async with serving(choose=choose) as server:
        found = await results_of(["good", "bad", {}, 5], server)
    assert found[0].text == "<good>"
    assert isinstance(found[1].error, chatcli.RequestRefused)
    assert found[2].error.message == "row 2 has neither prompt nor messages"
    assert isinstance(found[3].error, chatcli.UsageError)


async def test_values_that_cannot_be_written_fail_their_row_alone():
    own = {"a"}
    rows = [{"input": own}, {"input": "hello"}, {"input": 5}]
    async with serving(choose=echo) as server:
        found = await results_of(rows, server, template="translate", variables={"to": "French"})
    assert [result.error and result.error.code for result in found] == ["invalid_row", None, None]
    assert found[0].error.message == "row 0 has a value of 'input' that is neither text nor JSON"


def test_an_exception_in_the_loop_leaves_nothing_to_complain_about_at_its_end(caplog):
    async def leaves(server):
        results = chatcli.batch(["a", "b"], base_url=server.base_url, **OPTIONS)
        async for result in results:
            raise KeyError(result.text)

    def choose(request):
        return echo(request) if request.json["messages"][-1]["content"] == "a" else Answer([HOLD])

    with serving_in_thread(choose=choose) as server, pytest.raises(KeyError, match="<a>"):
        asyncio.run(leaves(server))
    assert caplog.messages == []


async def test_rows_that_python_cannot_even_write_fail_alone(tmp_path):
    class Unwritable:
        def __repr__(self):
            raise RuntimeError

    rows = [{"id": 10**5000, "prompt": "a"}, 10**5000, Unwritable(), "b"]
    async with serving(choose=echo) as server:
        found = await results_of(rows, server, out=tmp_path / "answers.jsonl")
    assert [result.error and result.error.message for result in found] == [
        "row 0 has an id of too many digits",
        "a prompt is a str or a Message of the user, not this int",
        "a prompt is a str or a Message of the user, not this Unwritable",
        None,
    ]


async def test_what_all_rows_have_in_common_is_raised():
    async with serving(json_answer({"error": {"message": "bad key"}}, status=401)) as server:
        with pytest.raises(chatcli.ChatcliError, match="bad key"):
            await results_of(["a", "b"], server)


async def test_breaking_off_closes_the_requests_in_flight():
    def choose(request):
        return echo(request) if json.loads(request.body)["messages"][-1]["content"] == "0" else Answer([HOLD])

    async with serving(choose=choose) as server:
        rows = [str(number) for number in range(9)]
        async with aclosing(
            chatcli.batch(rows, base_url=server.base_url, concurrency=3, **OPTIONS)
        ) as results:
            assert (await anext(results)).text == "<0>"
            await asyncio.sleep(0.1)
        for request in server.requests:
            await request.hung_up()


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ("text", {}),
        ({"prompt": "a"}, {}),
        (5, {}),
        (["a"], {"concurrency": 0}),
        (["a"], {"concurrency": 10**5000}),
        (["a"], {"ordered": "no"}),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(rows, options):
    async with serving(choose=echo) as server:
        with pytest.raises(chatcli.UsageError):
            await results_of(rows, server, **options)
    assert server.requests == []


async def test_the_function_is_found_whatever_was_used_before():
    from chatcli.batching import results  # noqa: PLC0415 - the room must not take the function's name

    assert results
    assert callable(chatcli.batch)
