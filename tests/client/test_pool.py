"""What a run shares of an endpoint, and that no call of one goes round it."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

import chatcli
from chatcli.client.catalog import offered_models
from chatcli.client.embeddings import EndpointEmbedder
from chatcli.client.endpoint import Endpoint
from chatcli.client.pool import Hooks, Pool
from chatcli.client.rate_limit import Claim, OwnLimits
from chatcli.client.served_windows import served_window
from chatcli.core.errors import ConfigurationError
from client.wire import asking, events_of
from scripted_server import Answer, event_stream, json_answer, serving

SOURCE = Path(chatcli.__file__).parent
HERE = Endpoint("https://models.example/v1", key="sk-here")
ONE_A_MINUTE = Claim(1, "small", OwnLimits(requests_per_minute=1))


async def takes_the_only_turn(entry) -> bool:
    async with entry.meter.call("answer", ONE_A_MINUTE) as call:
        if not call.may_go():
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
            assert call.may_go()
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
        await EndpointEmbedder(entry, "near").embed(["a"])
        await offered_models(entry, timeout_s=5)
        await served_window(entry, "Ollama", "small")
    assert entry.meter.calls == {"answer": 1, "embeddings": 1, "models": 1, "window": 2}
    assert sum(entry.meter.calls.values()) == len(server.requests)


SDK_CALLS = {"audio", "batches", "beta", "chat", "completions", "embeddings", "files", "images", "models", "moderations",
             "responses", "uploads", "get", "post", "put", "patch", "delete", "request", "with_options", "copy"}  # fmt: skip
"""By what a client of the SDK sends something."""

HANDED_IN = {"client/chat_completions.py", "client/responses.py"}
"""Dialects, which are handed the client of the call that ``OpenAIModel`` makes."""


def test_every_use_of_the_sdks_client_is_within_a_call_of_the_meter():
    uses = {use for path in sorted((SOURCE / "client").rglob("*.py")) for use in _uses_of_the_client(path)}
    assert {place for place, _ in uses} == {
        "client/catalog.py",
        "client/chat_completions.py",
        "client/embeddings.py",
        "client/openai_model.py",
        "client/responses.py",
        "client/served_windows.py",
    }
    assert [use for use in uses if not use[1] and use[0] not in HANDED_IN] == []


def test_only_the_pool_connects_and_only_the_client_knows_the_sdk():
    connecting, opening = set(), set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "chatcli.client.openai_client":
                connecting |= {_place(path)} if any(name.name == "connect" for name in node.names) else set()
            if isinstance(node, ast.Name) and node.id in {"AsyncOpenAI", "AsyncAzureOpenAI"}:
                opening.add(_place(path))
    assert connecting == {"client/pool.py"}
    # Others name the type of what they are handed.
    assert opening <= {"client/openai_client.py", "client/pool.py", "client/dialect.py", *HANDED_IN}


def _uses_of_the_client(path):
    """Yield where a ``client`` of the SDK is used, and whether it comes from a call of the meter there."""
    for function in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        from_call = {
            ast.unparse(node.targets[0])
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == "await call.client()"
        }
        for node in ast.walk(function):
            is_resource = isinstance(node, ast.Attribute) and node.attr in SDK_CALLS
            if is_resource and ast.unparse(node.value).lstrip("_").endswith("client"):
                yield _place(path), ast.unparse(node.value) in from_call
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("_dialect.send"):
                yield _place(path), ast.unparse(node.args[0]) in from_call


def _place(path):
    return path.relative_to(SOURCE).as_posix()
