"""Sources of a model's window and their precedence, against servers as they answer."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.app.windows import MODEL_SERVERS, WindowFinder, with_served_windows
from chatcli.client.catalog import ServedWindow, offered_models, served_window
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts
from chatcli.cost.model_table import ModelTable
from chatcli.storage.cache import JsonFileCache
from client.wire import entry_at
from scripted_server import SILENCE, Answer, json_answer, serving

NOT_FOUND = json_answer({"error": "no such route"}, status=404)


def routes(**answers):
    """Return an answer for paths that end in a name, with dashes for slashes; everything else is not found."""

    def choose(request):
        path = request.path.partition("?")[0]
        found = [answer for name, answer in answers.items() if path == "/" + name.replace("_", "/")]
        return found[0] if found else NOT_FOUND

    return choose


def listing(owner, *names, **fields):
    return json_answer(
        {"object": "list", "data": [{"id": name, "owned_by": owner, **fields} for name in names]}
    )


OLLAMA = {
    "v1_models": listing("library", "qwen3:8b"),
    "api_show": json_answer(
        {
            "parameters": 'stop   "<|im_end|>"\nnum_ctx      16384',
            "model_info": {"qwen3.context_length": 40960},
        }
    ),
    "api_ps": json_answer({"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "context_length": 12288}]}),
}
LLAMA_CPP = {
    "v1_models": listing("llamacpp", "qwen3", meta={"n_ctx_train": 131072}),
    "props": json_answer({"default_generation_settings": {"n_ctx": 24576}, "total_slots": 1}),
}
LM_STUDIO = {
    "v1_models": listing("organization_owner", "qwen3-8b"),
    "api_v0_models": json_answer(
        {
            "data": [
                {"id": "other"},
                {"id": "qwen3-8b", "loaded_context_length": 10000, "max_context_length": 40960},
            ]
        }
    ),
}
VLLM = {"v1_models": listing("vllm", "qwen3-32b", max_model_len=20000)}
LITELLM = {"v1_models": listing("openai", "gpt-4o", "odd")}


class Finding:
    """A finder for one server; each ``window`` is a new run of the program."""

    def __init__(self, folder, server, table=None):
        self.endpoint = Endpoint(server.base_url, loopback=True)
        self.server = server
        self.notices = []
        self._path = folder / "windows.json"
        self._table = table or ModelTable()

    @property
    def asked(self):
        return [request.path.partition("?")[0] for request in self.server.requests]

    async def window(self, model, *, is_kept=True):
        async with entry_at(self.endpoint) as entry:
            windows = Facts(self.endpoint.base_url, JsonFileCache(self._path), is_kept=is_kept)
            finder = WindowFinder(entry, windows, table=self._table, notify=self.notices.append)
            return await finder.window_tokens(model)


@asynccontextmanager
async def finding(folder, **answers):
    async with serving(choose=routes(**answers)) as server:
        yield Finding(folder, server)


async def test_ollama_says_what_the_model_is_loaded_with(tmp_path):
    async with finding(tmp_path, **OLLAMA) as found:
        assert await found.window("qwen3:8b") == 12_288
    assert found.notices == []
    shown = next(request for request in found.server.requests if request.path == "/api/show")
    assert shown.json == {"model": "qwen3:8b"}


async def test_a_model_that_ollama_has_not_loaded_gets_what_its_file_says(tmp_path):
    answers = {**OLLAMA, "api_ps": json_answer({"models": []})}
    async with finding(tmp_path, **answers) as found:
        assert await found.window("qwen3:8b") == 16_384


async def test_what_ollama_says_nothing_of_stays_small_whatever_the_model_could_hold(tmp_path):
    shown = json_answer({"model_info": {"qwen3.context_length": 40960}})
    async with finding(tmp_path, **{**OLLAMA, "api_show": shown, "api_ps": NOT_FOUND}) as found:
        assert await found.window("qwen3:8b") == 8192
        assert await found.window("qwen3:8b") == 8192
    (notice,) = found.notices
    assert notice.message.startswith("context window of qwen3:8b unknown, assuming 8,192 tokens")


async def test_a_model_that_holds_less_than_that_gets_less(tmp_path):
    shown = json_answer({"model_info": {"small.context_length": 2048}})
    async with finding(tmp_path, **{**OLLAMA, "api_show": shown, "api_ps": NOT_FOUND}) as found:
        assert await found.window("qwen3:8b") == 2048


async def test_the_latest_of_a_model_is_meant_where_no_tag_is_given(tmp_path):
    running = json_answer({"models": [{"name": "qwen3:latest", "context_length": 9000}]})
    async with finding(tmp_path, **{**OLLAMA, "api_ps": running}) as found:
        assert await found.window("qwen3") == 9000


async def test_llama_cpp_says_what_it_was_started_with_not_what_the_model_was_trained_on(tmp_path):
    async with finding(tmp_path, **LLAMA_CPP) as found:
        assert await found.window("qwen3") == 24_576
    async with finding(tmp_path / "other", **{**LLAMA_CPP, "props": NOT_FOUND}) as found:
        assert await found.window("qwen3") == 8192


async def test_lm_studio_says_what_the_model_is_loaded_with(tmp_path):
    async with finding(tmp_path, **LM_STUDIO) as found:
        assert await found.window("qwen3-8b") == 10_000


async def test_vllm_says_it_in_its_list_and_more_than_the_table_knows(tmp_path):
    async with finding(tmp_path, **VLLM) as found:
        assert await found.window("qwen3-32b") == 20_000
        assert await found.window("qwen3-32b") == 20_000
    assert found.asked == ["/v1/models"]


async def test_a_server_that_runs_models_is_asked_again_at_the_next_start_without_its_list(tmp_path):
    running = {"context_length": 4096}
    answers = {**OLLAMA, "api_ps": None}

    def choose(request):
        answers["api_ps"] = json_answer({"models": [{"name": "qwen3:8b", **running}]})
        return routes(**answers)(request)

    async with serving(choose=choose) as server:
        found = Finding(tmp_path, server)
        assert await found.window("qwen3:8b") == 4096
        running["context_length"] = 65_536
        assert await found.window("qwen3:8b") == 65_536
    assert found.asked.count("/v1/models") == 1


async def test_what_it_said_counts_while_it_does_not_answer(tmp_path):
    answers = dict(OLLAMA)

    def choose(request):
        return routes(**answers)(request)

    async with serving(choose=choose) as server:
        found = Finding(tmp_path, server)
        assert await found.window("qwen3:8b") == 12_288
        answers |= {"api_ps": NOT_FOUND, "api_show": NOT_FOUND}
        assert await found.window("qwen3:8b") == 12_288


async def test_a_gateway_on_this_machine_is_asked_for_its_list_once_and_then_the_table_counts(tmp_path):
    async with finding(tmp_path, **LITELLM) as found:
        assert await found.window("gpt-4o") == 128_000
        assert await found.window("gpt-4o") == 128_000
        assert await found.window("odd") == 32_768
        assert await found.window("odd") == 32_768
    assert found.asked == ["/v1/models", "/v1/models"]
    assert [notice.message.partition(",")[0] for notice in found.notices] == ["context window of odd unknown"]


async def test_nothing_is_remembered_where_nothing_is_kept(tmp_path):
    async with finding(tmp_path, **LITELLM) as found:
        await found.window("odd", is_kept=False)
        await found.window("odd", is_kept=False)
    assert found.asked == ["/v1/models", "/v1/models"]


async def test_a_server_without_a_list_is_no_reason_to_fail(tmp_path):
    async with finding(tmp_path) as found:
        assert await found.window("odd") == 32_768
        assert await found.window("odd") == 32_768
    assert len(found.asked) == len(found.notices) == 1


async def test_where_no_server_answers_nothing_is_reported_and_nothing_remembered(tmp_path):
    async with finding(tmp_path, **OLLAMA) as found:
        unreachable = replace(found.endpoint, base_url="http://127.0.0.1:1/v1")
        found.endpoint, served = unreachable, found.endpoint
        assert await found.window("qwen3:8b") == 40_960
        found.endpoint = served
        assert await found.window("qwen3:8b") == 12_288
    assert found.notices == []


async def test_a_vendor_in_the_table_is_not_asked(tmp_path):
    async with finding(tmp_path, **LITELLM) as found:
        found.endpoint = Endpoint("https://api.openai.com/v1", key="sk-here")
        assert await found.window("gpt-6-sol") == 1_050_000
    assert found.asked == []


async def test_a_list_of_models_has_the_windows_that_count_not_those_that_could_be(tmp_path):
    shown = json_answer({"model_info": {"qwen3.context_length": 4096}})
    answers = {**OLLAMA, "v1_models": listing("library", "qwen3:8b", "other"), "api_show": shown}
    async with finding(tmp_path, **answers) as found, entry_at(found.endpoint) as entry:
        listed = await with_served_windows(entry, await offered_models(entry, timeout_s=5))
    assert [(model.id, model.window_tokens) for model in listed] == [("qwen3:8b", 12_288), ("other", 4096)]


async def test_a_question_does_not_wait_for_a_server_that_says_nothing():
    async with serving(SILENCE) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            for name in sorted(MODEL_SERVERS):
                assert await served_window(entry, name, "m", timeout_s=0.05) == ServedWindow()


@pytest.mark.parametrize("name", sorted(MODEL_SERVERS))
@pytest.mark.parametrize("body", [b"[" * 5000, b"\xff", b"", b"null", b"<html>"])
async def test_what_is_no_answer_leaves_the_window_unknown(name, body):
    async with serving(Answer([body])) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            assert await served_window(entry, name, "m") == ServedWindow()


FIELDS = (
    "models data id name context_length model_info parameters n_ctx x.context_length loaded_context_length"
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(f"{FIELDS} max_context_length default_generation_settings".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(ODD)
async def test_whatever_json_a_server_sends_the_window_is_positive_or_unknown(value):
    for name in sorted(MODEL_SERVERS):
        served = await served_window(SayingTheSame(value), name, "m")
        assert all(tokens is None or tokens > 0 for tokens in (served.tokens, served.most_tokens))


class SayingTheSame:
    """The part of a pool entry that is needed, with one answer to everything."""

    endpoint = Endpoint("http://127.0.0.1:1/v1")

    def __init__(self, value):
        self._content = json.dumps(value).encode()
        self.meter = self

    @asynccontextmanager
    async def call(self, _):
        yield self

    async def client(self):
        return self

    async def get(self, *_, **__):
        return httpx2.Response(200, content=self._content)

    post = get
