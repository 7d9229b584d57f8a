from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from importlib.metadata import requires

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from chatcli.local.discovery import FoundServer, ServerCandidate, find_servers, local_state, model_ids
from chatcli.local.engine import ENGINE_REQUIREMENT, EngineState, engine_state

MODELS = json.dumps({"object": "list", "data": [{"id": "llama3"}, {"id": "qwen"}]}).encode()
PATIENT_S = 20
"""For servers that answer: a busy machine must not make a test fail."""


def response(body, status="200 OK", length=None):
    length = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        + body
    )


@asynccontextmanager
async def serving(answer, *, hold=False):
    """Answer every request with these bytes, then close, or hold the connection until the client leaves."""
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if hold:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


async def closed_port():
    async with serving(b"") as (port, _):
        return port


async def test_those_that_run_are_found_with_their_models():
    async with serving(response(MODELS)) as (port, heads):
        candidates = [ServerCandidate("Ollama", port), ServerCandidate("LM Studio", await closed_port())]
        found = await find_servers(candidates, timeout_s=PATIENT_S)
    assert found == (FoundServer("Ollama", f"http://127.0.0.1:{port}/v1", ("llama3", "qwen")),)
    assert heads[0].startswith(b"GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1")


async def test_a_server_that_keeps_the_connection_open_is_found_by_its_length():
    async with serving(response(MODELS), hold=True) as (port, _):
        (found,) = await find_servers([ServerCandidate("llama.cpp", port)], timeout_s=PATIENT_S)
    assert found.models == ("llama3", "qwen")


async def test_a_body_without_a_length_ends_with_the_connection():
    async with serving(b"HTTP/1.0 200 OK\r\n\r\n" + MODELS) as (port, _):
        (found,) = await find_servers([ServerCandidate("llama.cpp", port)], timeout_s=PATIENT_S)
    assert found.models == ("llama3", "qwen")


async def test_a_server_without_models_is_found_empty():
    async with serving(response(b'{"object":"list","data":null}')) as (port, _):
        (found,) = await find_servers([ServerCandidate("Ollama", port)], timeout_s=PATIENT_S)
    assert found.models == ()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 1000,
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"x" * 600_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 600_000,
        response(MODELS, status="301 Moved"),
        response(MODELS, status="401 Unauthorized"),
        response(MODELS, length=999_999_999),
        response(b"<html>hello</html>"),
        response(b"[" * 200_000),
        response(b'{"data": "models"}'),
        response(b"\xff\xfe"),
    ],
    ids=lambda answer: repr(answer[:40]),
)
async def test_whatever_else_listens_there_is_passed_over(answer):
    async with serving(answer) as (port, _):
        assert await find_servers([ServerCandidate("Ollama", port)], timeout_s=PATIENT_S) == ()


async def test_a_port_that_says_nothing_is_given_up():
    async with serving(b"", hold=True) as (port, _):
        assert await find_servers([ServerCandidate("Ollama", port)], timeout_s=0.05) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "x"]) | st.text(), inner),
)


@settings(deadline=None)
@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_list_of_names_or_a_value_error(body):
    try:
        ids = model_ids(body)
    except ValueError:
        return
    assert all(isinstance(model_id, str) for model_id in ids)


async def test_the_state_tells_of_engine_weights_and_servers(weights_folder):
    state = await local_state(weights_folder, candidates=())
    assert state.engine.installed
    assert state.engine.version
    assert state.weights.size_bytes == 98_362_432
    assert state.servers == ()
    assert state.ready


async def test_without_weights_it_is_not_ready(tmp_path):
    assert not (await local_state(tmp_path, candidates=())).ready


def test_an_engine_that_is_not_installed_has_no_version():
    assert engine_state("an_engine_nobody_made") == EngineState(installed=False, version=None)


def test_the_requirement_told_is_the_one_of_the_extra():
    (extra,) = [line for line in requires("chatcli") or () if line.startswith("xllamacpp")]
    assert Requirement(extra).specifier == Requirement(ENGINE_REQUIREMENT).specifier
