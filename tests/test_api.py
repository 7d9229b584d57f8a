"""The Python API, as scripts use it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import re
import subprocess
import sys
import time
import typing
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

import chatcli
from chatcli import api
from chatcli.api import background_loop
from scripted_server import (
    CUT,
    HOLD,
    Answer,
    event_stream,
    json_answer,
    reasoning_events,
    serving_in_thread,
    text_events,
)

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "python.md"
PARIS = Answer(event_stream("Pa", "ris."))


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    """Set folders of its own and otherwise empty variables."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "CHATCLI_MODEL", "CHATCLI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for kind in ("CONFIG", "DATA", "CACHE", "LOCAL"):
        monkeypatch.setenv(f"CHATCLI_{kind}_DIR", str(tmp_path / kind.lower()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(server):
    """Return the questions; a loopback server is also asked for its windows."""
    return [request for request in server.requests if request.method == "POST"]


def wait_until_asked(server):
    while not asked(server):
        time.sleep(0.01)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_question_has_an_answer():
    with serving_in_thread(PARIS) as server:
        answer = chatcli.ask("Capital of France?", model="small", base_url=server.base_url)
    assert str(answer) == answer.text == "Paris."
    assert (answer.model, answer.finish_reason, answer.attempts) == ("small", "stop", 1)
    assert answer.usage.output_tokens
    assert (answer.sources, answer.reasoning, answer.data, answer.refusal) == ((), "", None, None)
    assert asked(server)[0].json["messages"] == [{"role": "user", "content": "Capital of France?"}]


def test_parameters_and_other_settings_are_sent():
    with serving_in_thread(PARIS) as server:
        chatcli.ask(
            "Hi",
            model="small",
            base_url=server.base_url,
            system="Be brief.",
            temperature=0,
            max_tokens=5,
            settings={"options": {"user": "ada"}, "stream": False},
        )
    body = asked(server)[0].json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["max_tokens"], body["user"]) == (0, 5, "ada")
    assert not body.get("stream")


def test_what_the_model_thought_is_beside_the_answer():
    with serving_in_thread(Answer([*reasoning_events("a big ", "city"), *event_stream("Paris.")])) as server:
        answer = chatcli.ask("Capital?", model="small", base_url=server.base_url)
    assert (answer.reasoning, answer.text) == ("a big city", "Paris.")


def test_an_error_is_raised_with_what_had_come():
    cut = Answer([*text_events("Par"), CUT])
    with serving_in_thread(cut) as server, pytest.raises(chatcli.EndpointError) as raised:
        chatcli.ask("Capital?", model="small", base_url=server.base_url, settings={"retries": 0})
    assert raised.value.partial == "Par"


class TestSeveralModels:
    @staticmethod
    def serve(request):
        model = request.json["model"]
        if model == "gone":
            return json_answer({"error": {"message": "no such model"}}, status=404)
        return Answer([0.2 * (model == "alpha"), *event_stream(f"I am {model}.", model=model)])

    def test_answer_at_once_in_the_order_named_and_an_error_ends_none_of_the_others(self):
        with serving_in_thread(choose=self.serve) as server:
            answers = chatcli.compare("Who?", ["alpha", "gone", "beta"], base_url=server.base_url)
        assert isinstance(answers[1], chatcli.RequestRefused)
        assert [str(answers[at]) for at in (0, 2)] == ["I am alpha.", "I am beta."]

    def test_spend_together(self):
        prices = {name: {"input": 0, "output": 100} for name in ("alpha", "beta")}
        with serving_in_thread(choose=self.serve) as server:
            chatcli.compare(
                "Who?",
                ["alpha", "beta"],
                base_url=server.base_url,
                max_tokens=600,
                settings={"prices": prices, "max_cost": 0.1},
            )
        assert sum(request.json["max_tokens"] for request in asked(server)) <= 1_000

    def test_may_be_named_by_any_iterable(self):
        with serving_in_thread(choose=self.serve) as server:
            answers = chatcli.compare("Who?", (name for name in ["beta"]), base_url=server.base_url)
        assert [str(each) for each in answers] == ["I am beta."]

    @pytest.mark.parametrize("models", ["alpha", [], iter([]), [1], 1, b"alpha", None])
    def test_are_named_in_a_list(self, models):
        with pytest.raises(chatcli.UsageError):
            chatcli.compare("Who?", models, base_url="http://127.0.0.1:9/v1")

    def test_have_no_model_beside_them(self):
        with pytest.raises(chatcli.UsageError):
            chatcli.compare("Who?", ["alpha"], model="beta", base_url="http://127.0.0.1:9/v1")


def test_a_key_that_is_refused_raises_its_own_error():
    refused = json_answer({"error": {"message": "bad key", "code": "invalid_api_key"}}, status=401)
    with serving_in_thread(refused) as server, pytest.raises(chatcli.KeyRefused) as raised:
        chatcli.ask("Hi", model="small", base_url=server.base_url, api_key="sk-wrong-key-0000")
    assert raised.value.hint
    assert "sk-wrong-key-0000" not in str(raised.value)


def test_a_key_goes_to_the_endpoint_it_is_given_for(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-alone")
    with serving_in_thread(PARIS) as server:
        chatcli.ask("Hi", model="small", base_url=server.base_url)
        chatcli.ask("Hi", model="small", base_url=server.base_url, api_key="sk-for-this-server")
    sent = [request.headers.get("authorization", "") for request in asked(server)]
    assert not any("sk-for-openai-alone" in header for header in sent)
    assert sent[1] == "Bearer sk-for-this-server"


def test_the_endpoint_and_its_key_come_from_the_environment(monkeypatch):
    with serving_in_thread(PARIS) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        chatcli.ask("Hi", model="small")
    assert asked(server)[0].headers["authorization"] == "Bearer sk-of-the-environment"


def test_the_older_variable_of_the_endpoint_binds_its_key_too(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    with serving_in_thread(PARIS) as server, serving_in_thread(PARIS) as other:
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        chatcli.ask("Hi", model="small")
        chatcli.ask("Hi", model="small", base_url=other.base_url)
    assert asked(server)[0].headers["authorization"] == "Bearer sk-of-the-environment"
    assert "sk-of-the-environment" not in asked(other)[0].headers.get("authorization", "")


async def test_a_script_leaves_the_last_session_to_the_person(folders):
    with serving_in_thread(PARIS) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url, session="trip") as chat:
            await chat.ask("Hi")
    assert "data/sessions/trip.jsonl" in files(folders)
    assert "data/last" not in files(folders)


async def test_messages_speak_of_arguments_and_not_of_flags():
    offered = json_answer({"data": [{"id": "a"}, {"id": "b"}]})
    choose = lambda request: offered if request.method == "GET" else PARIS  # noqa: E731
    with serving_in_thread(choose=choose) as server:
        async with chatcli.open_chat(base_url=server.base_url) as chat:
            answer = await chat.ask("Hi")
    assert "model= changes it" in next(each.message for each in answer.notices if each.code == "model_chosen")
    empty = json_answer({"data": []})
    with serving_in_thread(empty) as server, pytest.raises(chatcli.ConfigurationError) as raised:
        async with chatcli.open_chat(base_url=server.base_url):
            pass
    assert raised.value.hint == "name one with model=, or load one into the server"


def test_without_a_key_and_an_endpoint_the_error_says_what_to_pass():
    with pytest.raises(chatcli.ConfigurationError) as raised:
        chatcli.ask("Hi")
    assert "api_key=" in raised.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 9}, "temperature must be"),
        ({"settings": {"retriess": 1}}, "retriess is not a setting"),
        ({"api_key": "a b"}, "api_key must be"),
        ({"base_url": "ftp://example.com"}, "base_url must be"),
    ],
)
def test_a_mistake_is_named_by_the_argument(options, message):
    with pytest.raises(chatcli.UsageError, match=message):
        chatcli.ask("Hi", **options)


def test_nothing_of_the_person_is_read_and_nothing_saved(folders, monkeypatch):
    (folders / "config").mkdir()
    (folders / "config" / "config.toml").write_text('model = "theirs"\nsystem = "theirs"\n')
    (folders / ".env").write_text("CHATCLI_MODEL=of-the-folder\n")
    monkeypatch.setenv("CHATCLI_SYSTEM", "theirs")
    before = files(folders)
    with serving_in_thread(PARIS) as server:
        chatcli.ask("Hi", model="small", base_url=server.base_url)
    assert asked(server)[0].json["model"] == "small"
    assert [message["role"] for message in asked(server)[0].json["messages"]] == ["user"]
    assert files(folders) == before


def test_the_persons_configuration_is_read_where_it_is_asked_for(folders):
    with serving_in_thread(PARIS) as server:
        (folders / "config").mkdir()
        (folders / "config" / "config.toml").write_text(f'model = "theirs"\nbase_url = "{server.base_url}"\n')
        chatcli.ask("Hi", config=True)
        chatcli.ask("Hi", config=True, model="mine")
    assert [request.json["model"] for request in asked(server)] == ["theirs", "mine"]
    assert files(folders) == ["config/config.toml"]


async def test_models_have_aliases_of_the_caller_or_of_the_configuration(folders):
    with serving_in_thread(PARIS) as server:
        (folders / "config").mkdir()
        (folders / "config" / "config.toml").write_text(
            f'base_url = "{server.base_url}"\n[aliases]\nfast = "theirs"\n'
        )
        async with chatcli.open_chat(model="fast", config=True) as chat:
            assert chat.model == "theirs"
            await chat.ask("Hi")
        own = {"base_url": server.base_url, "settings": {"aliases": {"fast": "mine"}}}
        async with chatcli.open_chat(model="fast", **own) as chat:
            await chat.ask("Hi")
        rows = [{"prompt": "Hi", "model": "fast"}]
        async with aclosing(chatcli.batch(rows, model="small", **own)) as results:
            async for _ in results:
                pass
    assert [request.json["model"] for request in asked(server)] == ["theirs", "mine", "mine"]


async def test_a_conversation_remembers_and_a_session_is_resumed(tmp_path):
    path = tmp_path / "trip.jsonl"
    with serving_in_thread(PARIS) as server:
        options = {"model": "small", "base_url": server.base_url, "session": path}
        async with chatcli.open_chat(**options) as chat:
            await chat.ask("Capital of France?")
            assert [message.role for message in chat.messages] == ["user", "assistant"]
            assert (chat.model, chat.session) == ("small", path)
        async with chatcli.open_chat(**options) as chat:
            assert [message.text for message in chat.messages] == ["Capital of France?", "Paris."]
            await chat.ask(chatcli.Message("user", (chatcli.TextPart("And of Italy?"),)))
    sent = [message["content"] for message in asked(server)[1].json["messages"]]
    assert sent == ["Capital of France?", "Paris.", "And of Italy?"]


async def test_events_are_the_turns_own_and_the_last_tells_the_end():
    with serving_in_thread(PARIS) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
            events = [event async for event in chat.stream("Hi")]
    assert isinstance(events[0], chatcli.TurnStarted)
    assert "".join(event.text for event in events if isinstance(event, chatcli.TextDelta)) == "Paris."
    assert isinstance(events[-1], chatcli.TurnFinished)


async def test_a_stream_that_fails_says_so_in_its_last_event():
    with serving_in_thread(json_answer({"error": {"message": "no"}}, status=400)) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
            events = [event async for event in chat.stream("Hi")]
    assert isinstance(events[-1], chatcli.TurnFailed)
    assert isinstance(events[-1].result.error, chatcli.RequestRefused)


async def test_a_conversation_that_is_left_twice_is_closed_once():
    with serving_in_thread(PARIS) as server:
        opening = chatcli.open_chat(model="small", base_url=server.base_url)
        chat = await opening.__aenter__()
        assert str(await chat.ask("Hi")) == "Paris."
        assert not await opening.__aexit__(None, None, None)
        assert not await opening.__aexit__(None, None, None)
        async with opening as chat:
            assert str(await chat.ask("Hi")) == "Paris."


async def test_inside_an_event_loop_ask_names_the_way_out():
    with pytest.raises(RuntimeError, match="open_chat"):
        chatcli.ask("Hi")


async def test_conversations_at_once_do_not_mix():
    with serving_in_thread(PARIS) as server:

        async def one(text):
            async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
                await chat.ask(text)
                return [message.text for message in chat.messages]

        spoken = await asyncio.gather(*(one(str(number)) for number in range(4)))
    assert spoken == [[str(number), "Paris."] for number in range(4)]


async def test_a_second_question_waits_for_the_first():
    with serving_in_thread(Answer([*text_events("Pa"), 0.1, *event_stream("ris.")])) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
            await asyncio.gather(chat.ask("one"), chat.ask("two"))
            texts = [message.text for message in chat.messages]
    assert texts == ["one", "Paris.", "two", "Paris."]


async def test_a_loop_that_is_broken_off_keeps_the_question_and_what_had_come():
    dripping = Answer([*text_events("Pa"), HOLD])
    with serving_in_thread(dripping, PARIS) as server:
        async with chatcli.open_chat(
            model="small", base_url=server.base_url, settings={"context_window": 4096}
        ) as chat:
            async for event in chat.stream("one"):
                if isinstance(event, chatcli.TextDelta):
                    break
            await chat.ask("two")
            texts = [message.text for message in chat.messages]
    assert texts == ["one", "Pa", "two", "Paris."]


async def test_a_stream_that_is_kept_unread_does_not_block_the_next_question():
    with serving_in_thread(Answer([*text_events("Pa"), HOLD])) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
            kept = chat.stream("one")
            await anext(kept)
            with pytest.raises(chatcli.UsageError, match="not been read to its end"):
                await chat.ask("two")
            await kept.aclose()


async def test_after_its_block_a_conversation_is_closed_and_what_was_asked_is_stopped():
    with serving_in_thread(Answer([*text_events("Pa"), HOLD])) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url) as chat:
            task = asyncio.create_task(chat.ask("one"))
            await asyncio.to_thread(wait_until_asked, server)
        assert task.cancelled()
        with pytest.raises(chatcli.UsageError, match="closed"):
            await chat.ask("two")


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "  ",
        None,
        3,
        b"x",
        ["x"],
        "a\ud800b",
        chatcli.Message("user", ()),
        chatcli.Message("system", (chatcli.TextPart("x"),)),
    ],
)
def test_what_is_no_question_is_refused_in_words(prompt):
    with pytest.raises(chatcli.UsageError) as raised:
        chatcli.ask(prompt, model="small", base_url="http://127.0.0.1:9/v1")
    assert raised.value.code == "no_prompt"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": "no"}, "config must be True or False"),
        ({"config": 1}, "config must be True or False"),
        ({"insecure_http": "false"}, "insecure_http must be True or False"),
        ({"session": False}, "session must be a path or a name"),
        ({"session": 5}, "session must be a path or a name"),
        ({"session": b"x"}, "session must be a path or a name"),
        pytest.param(
            {"session": "\ud800.jsonl"},
            "session must be a name a file can have",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="files may have such names"),
        ),
        ({"session": "a/"}, "not the folder a/"),
        ({"settings": {"api_key_env": "FOO"}}, "api_key_env is not among the settings"),
        ({"settings": {"api_key_env": "FOO"}, "config": True}, "api_key_env is not among the settings"),
        ({"settings": {"api_key": "sk-0"}}, "api_key is not among the settings"),
        ({"settings": {"save": True}}, "save is not among the settings"),
        ({"settings": {"profile": "x"}}, "a profile is part of the configuration"),
        ({"settings": {"profile": "x"}, "config": True}, "^profile: config.toml has no profile 'x'"),
        ({"settings": {"retriess": 1}, "config": True}, "retriess is not a setting"),
    ],
    ids=repr,
)
async def test_options_of_a_wrong_kind_are_refused_in_words(options, message, folders):
    with pytest.raises(chatcli.UsageError, match=message) as raised:
        async with chatcli.open_chat(base_url="http://127.0.0.1:9/v1", model="small", **options):
            pass
    assert raised.value.hint
    assert files(folders) == []


@pytest.mark.parametrize("settings", [[1], {1: 1}, "x"])
def test_settings_that_are_no_mapping_are_refused_in_words(settings):
    with pytest.raises(chatcli.UsageError, match="mapping"):
        chatcli.ask("Hi", settings=settings)


async def test_conversations_of_one_loop_share_the_limits_of_an_endpoint():
    with serving_in_thread(PARIS) as server:
        options = {"model": "small", "base_url": server.base_url, "settings": {"requests_per_minute": 1}}
        async with chatcli.open_chat(**options) as first, chatcli.open_chat(**options) as second:
            await first.ask("one")
            waiting = [event async for event in _until_waiting(second.stream("two"))]
    assert isinstance(waiting[-1], chatcli.Waiting)
    assert len(asked(server)) == 1


async def _until_waiting(stream):
    async with contextlib.aclosing(stream) as events:
        async for event in events:
            yield event
            if isinstance(event, chatcli.Waiting):
                return


def test_questions_of_a_script_share_the_limits_of_an_endpoint():
    with serving_in_thread(PARIS) as server:
        options = {"model": "small", "base_url": server.base_url, "settings": {"requests_per_minute": 1}}
        chatcli.ask("one", **options)
        with pytest.raises(TimeoutError):
            background_loop.run(asyncio.wait_for(api._ask("two", options), 0.5))
    assert len(asked(server)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_what_went_on_beside_the_answer_is_reported():
    with serving_in_thread(PARIS) as server:
        async with chatcli.open_chat(
            model="small", base_url=server.base_url, session="/proc/x.jsonl"
        ) as chat:
            answer = await chat.ask("Hi")
            assert chat.session is None
    assert str(answer) == "Paris."
    assert "session_not_written" in [notice.code for notice in answer.notices]


async def test_a_key_over_plain_http_needs_permission():
    options = {"model": "gpt-4o", "base_url": "http://192.0.2.1/v1", "api_key": "sk-0123456789abcdef"}
    with pytest.raises(chatcli.ConfigurationError) as raised:
        async with chatcli.open_chat(**options):
            pass
    assert "insecure_http=True" in raised.value.hint


def test_every_public_name_is_there_and_known_to_type_checkers():
    tree = ast.parse(inspect.getsource(chatcli))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert typed == set(chatcli.__all__)
    assert set(chatcli.__all__) <= set(dir(chatcli))
    for name in chatcli.__all__:
        assert getattr(chatcli, name) is not None
    with pytest.raises(AttributeError):
        chatcli.nothing  # noqa: B018


def test_the_annotations_of_every_public_name_can_be_read():
    for name in set(chatcli.__all__) - {"Event"}:
        public = getattr(chatcli, name)
        typing.get_type_hints(public)
        if name != "AskOptions":  # a kind of dict, which has none
            inspect.signature(public, eval_str=True)
        for called, method in inspect.getmembers(public, inspect.isfunction):
            if method.__module__.startswith("chatcli") and not re.match("_[a-z]", called):
                typing.get_type_hints(method)
    for member in ("messages", "model", "session"):
        typing.get_type_hints(getattr(chatcli.Chat, member).fget)


@pytest.mark.parametrize("name", ["ask", "open_chat", "AskOptions"])
def test_help_lists_every_option(name):
    documented = re.findall(r"``(\w+)``", inspect.getdoc(getattr(chatcli, name)) or "")
    assert set(typing.get_type_hints(chatcli.AskOptions)) <= set(documented)


def test_help_names_every_argument_of_a_batch():
    documented = re.findall(r"``(\w+)", inspect.getdoc(chatcli.batch) or "")
    assert {*inspect.signature(chatcli.batch).parameters} - {"options"} <= set(documented)


def test_importing_chatcli_loads_no_library():
    code = "import sys, chatcli; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"asyncio", "openai", "tiktoken", "rich", "pydantic", "prompt_toolkit", "httpx2"}


EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_function_of_the_guide_is_annotated(example):
    functions = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.AsyncFunctionDef)]
    assert all(function.returns is not None for function in functions)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_guide_run(example, monkeypatch, tmp_path):
    with serving_in_thread(PARIS) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        run = subprocess.run(
            [sys.executable, "-c", example],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert ("Paris." in run.stdout) == ("import chatcli" in example)


def test_a_cache_answers_an_equal_question_without_a_session(tmp_path, monkeypatch):
    monkeypatch.setenv("CHATCLI_CACHE_DIR", str(tmp_path))
    patient = {"cache_patience_ms": 10_000, "context_window": 4096}
    with serving_in_thread(PARIS) as server:
        for cache in ("memory", "sqlite"):
            answers = [
                chatcli.ask("Hi", model="small", base_url=server.base_url, cache=cache, settings=patient)
                for _ in range(2)
            ]
            assert [answer.cached for answer in answers] == [False, True]
            assert answers[1].cost_usd == 0
        assert not chatcli.ask("Hi", model="small", base_url=server.base_url, settings=patient).cached
    assert len(server.requests) == 3


def test_the_cache_of_a_configuration_counts_only_with_a_session(tmp_path, monkeypatch):
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"CHATCLI_{name}_DIR", str(tmp_path / name))
    monkeypatch.setenv("CHATCLI_CACHE", "sqlite")
    with serving_in_thread(PARIS) as server:
        for _ in range(2):
            assert not chatcli.ask("Hi", model="small", base_url=server.base_url, config=True).cached
    assert not (tmp_path / "CACHE").exists()


@dataclass
class City:
    name: str
    people: int


WINDOW = {"context_window": 4096}


def written(value):
    return Answer(event_stream(json.dumps(value)))


def test_an_answer_has_an_instance_of_the_dataclass_asked_for():
    with serving_in_thread(
        written({"name": "Paris", "people": "many"}), written({"name": "Paris", "people": 2})
    ) as server:
        answer = chatcli.ask(
            "Capital?", schema=City, model="small", base_url=server.base_url, settings=WINDOW
        )
    assert answer.data == City("Paris", 2)
    assert answer.attempts == 2
    assert asked(server)[0].json["response_format"]["json_schema"]["name"] == "City"


def test_a_schema_that_has_no_name_here_says_what_names_it():
    with pytest.raises(chatcli.UsageError, match="no schema person") as raised:
        chatcli.ask("Ada", schema="person", model="small", base_url="http://127.0.0.1:9/v1")
    assert (
        raised.value.hint
        == "schemas have names with config=True; a single field is written with its type: person str"
    )


def test_an_answer_that_does_not_fit_is_an_error_with_the_answer():
    with (
        serving_in_thread(written([]), written([])) as server,
        pytest.raises(chatcli.SchemaMismatch) as caught,
    ):
        chatcli.ask(
            "Capital?", schema="name, people int", model="small", base_url=server.base_url, settings=WINDOW
        )
    assert caught.value.partial == "[]"


async def test_each_question_of_a_conversation_has_a_schema_of_its_own():
    with serving_in_thread(written({"value": [{"name": "Rome", "people": 3}]}), PARIS) as server:
        async with chatcli.open_chat(model="small", base_url=server.base_url, settings=WINDOW) as chat:
            async with aclosing(chat.stream("Cities?", schema=list[City])) as events:
                seen = [event async for event in events]
            assert seen[-1].result.data == [City("Rome", 3)]
            assert any(isinstance(event, chatcli.PartialData) for event in seen)
            assert (await chat.ask("Capital?")).data is None


async def test_rows_have_instances_too():
    with serving_in_thread(
        json_answer(
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {"content": '{"name": "Rome", "people": 3}'},
                        "finish_reason": "stop",
                    }
                ]
            }
        )
    ) as server:
        rows = chatcli.batch(["Rome?"], schema=City, model="small", base_url=server.base_url, settings=WINDOW)
        assert [row.data async for row in rows] == [City("Rome", 3)]
