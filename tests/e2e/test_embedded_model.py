"""The real embedded model, over HTTP as any other.

One server answers most of these; two tests start their own, as a person without a key would.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.core.messages import answer, question, system
from chatcli.core.request import Parameters, Request
from client.wire import asking, entry_at, events_of
from e2e.interrupting import interrupted
from e2e.program import Program, command, messages_of, records_of
from e2e.relay import relaying

QUESTION = "What is the capital of France?"
# The model's own profile, which an endpoint that is named by its address does not get.
PROFILE = (
    "-m",
    "smollm2-135m-instruct",
    "-S",
    "You are a helpful assistant.",
    "-t",
    "0",
    "--max-tokens",
    "16",
)
LISTENING = re.compile(rb"listens at (http://\S+)")

by_signals = pytest.mark.skipif(sys.platform == "win32", reason="a process group of its own would be needed")


@dataclass(frozen=True)
class Served:
    base_url: str


@contextmanager
def serving(program, local_model_folder):
    with program.started("local", "serve", CHATCLI_LOCAL_DIR=str(local_model_folder)) as process:
        listening = LISTENING.search(process.stderr.readline())
        assert listening is not None, process.communicate()
        yield process, listening[1].decode()
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory, local_model_folder):
    with serving(Program(tmp_path_factory.mktemp("served")), local_model_folder) as (_, base_url):
        yield Served(base_url)


def test_without_a_key_a_question_in_a_pipe_is_answered(program, local_model_folder):
    done = program.run(stdin=QUESTION, CHATCLI_LOCAL_DIR=str(local_model_folder), CHATCLI_MAX_TOKENS="16")
    assert done.exit_code == 0
    assert done.stdout == "The capital of France is Paris.\n"
    (line,) = done.stderr.splitlines()
    assert line == "using the built-in demo model smollm2-135m-instruct (others: chatcli --help)"
    assert program.saved == [
        ("system", "You are a helpful assistant."),
        ("user", QUESTION),
        ("assistant", "The capital of France is Paris."),
    ]


def test_local_asks_the_embedded_model_whatever_else_is_configured(program, local_model_folder):
    done = program.run(
        *("--local", "-o", "json", "--max-tokens", "12", "Which city does this text name?"),
        stdin="The capital of France is Paris.\n",
        CHATCLI_LOCAL_DIR=str(local_model_folder),
        CHATCLI_BASE_URL="http://127.0.0.1:1/v1",
    )
    answer = json.loads(done.stdout)
    assert done.exit_code == 0
    assert "Paris" in answer["text"]
    assert answer["model"] == "smollm2-135m-instruct"
    assert answer["usage"]["estimated"] is False
    assert '<document name="stdin">\nThe capital of France is Paris.\n</document>' in program.saved[1][1]


@pytest.mark.parametrize("resume_by", ["name", "path", "continue"])
def test_a_conversation_goes_on_with_what_was_said_before(program, served, resume_by):
    first = {"name": ("-s", "trip"), "path": ("-s", "./trip.jsonl"), "continue": ()}[resume_by]
    asked = program.run(*PROFILE, "-o", "json", *first, QUESTION, server=served)
    again = program.run(
        *PROFILE, "-o", "json", *(first or ("-c",)), "What language do they speak there?", server=served
    )
    earlier, later = json.loads(asked.stdout), json.loads(again.stdout)
    assert "Paris" in earlier["text"]
    assert later["session"] == earlier["session"]
    # The server counted both: what it read the second time holds the whole first exchange.
    said_before = earlier["usage"]["input_tokens"] + earlier["usage"]["output_tokens"]
    assert later["usage"]["input_tokens"] > said_before
    path = program.working_folder / "trip.jsonl" if resume_by == "path" else program.session_paths[0]
    assert [role for role, _ in messages_of(path)] == ["system", "user", "assistant", "user", "assistant"]


SCRIPT = """
import asyncio, chatcli
options = {"model": "smollm2-135m-instruct", "temperature": 0, "max_tokens": 16, "system": "You are a helpful assistant."}
answer = chatcli.ask("What is the capital of France?", **options)
print(answer, answer.usage.input_tokens > 0)

async def main():
    async with chatcli.open_chat(session="trip.jsonl", **options) as chat:
        print(await chat.ask("What is the capital of France?"))
        async for event in chat.stream("What language do they speak there?"):
            if isinstance(event, chatcli.TextDelta):
                print(event.text, end="")
asyncio.run(main())
"""


def test_a_python_script_asks_the_embedded_model(program, served):
    environment = {**program.environment(), "OPENAI_BASE_URL": served.base_url}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=program.working_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()[:3]
    assert (first, second) == ("The capital of France is Paris. True", "The capital of France is Paris.")
    assert third
    roles = [role for role, _ in messages_of(program.working_folder / "trip.jsonl")]
    assert roles == ["system", "user", "assistant", "user", "assistant"]


def test_a_conversation_longer_than_the_window_goes_on_and_says_what_it_left_out(program, served):
    path = program.working_folder / "long.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in long_conversation(turns=20)))
    window = {"CHATCLI_CONTEXT_WINDOW": "1024"}
    first = program.run(*PROFILE, "-s", "./long.jsonl", QUESTION, server=served, **window)
    second = program.run(*PROFILE, "-s", "./long.jsonl", "-o", "json", "Why?", server=served, **window)
    answer = json.loads(second.stdout)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.strip()
    for done in (first, second):
        notice = re.fullmatch(r"left out 1\d older turns: (\d+|1,00\d) of 1,008 tokens sent\n", done.stderr)
        assert notice is not None, done.stderr
    # The model's own tokenizer counts a little otherwise; the whole would be 2,600.
    # Each call empties a full window to 70 % anew.
    assert 500 < answer["usage"]["input_tokens"] < 1200
    # On a slow machine parts of an answer are kept while it comes.
    kept = [record for record in records_of(path) if record["type"] != "partial"]
    added = kept[1 + 2 * 20 :]
    assert [record["kind"] for record in added if record["type"] == "mark"] == ["model"]
    assert [record["message"]["role"] for record in added if record["type"] == "message"] == [
        "system",
        *["user", "assistant"] * 2,
    ]


def long_conversation(turns):
    """Yield the records of a session whose turns have about 120 tokens each."""
    at = "2026-01-02T03:04:05.678Z"
    yield {"type": "header", "format": 1, "id": "h", "at": at, "app": "chatcli 0.1.0"}
    parent = None
    for number in range(2 * turns):
        role, origin = (("user", "person"), ("assistant", "model"))[number % 2]
        text = f"{number}: " + "The quick brown fox jumps. " * 10
        message = {"role": role, "parts": [{"type": "text", "text": text, "origin": origin}]}
        yield {"type": "message", "id": f"m{number}", "parent": parent, "at": at, "message": message}
        parent = f"m{number}"


@by_signals
def test_ctrl_c_keeps_what_had_come_and_the_server_is_left(program, served):
    endless = ("-O", "ignore_eos=true", "--max-tokens", "4000")
    with relaying(served.base_url) as relay:
        done = interrupted(program, signal.SIGINT, *endless, "Tell a story.", server=relay)
        assert relay.client_left.wait(timeout=20)
    assert done.exit_code == 130
    assert len(done.stdout) > 10
    assert program.saved == [
        ("user", "Tell a story."),
        ("assistant", done.stdout.removesuffix("\n")),
    ]
    assert records_of(program.session_paths[0])[-1]["finish_reason"] == "interrupted"


def test_local_status_tells_what_is_there(program, local_model_folder):
    done = program.run("local", "status", CHATCLI_LOCAL_DIR=str(local_model_folder))
    assert done.exit_code == 0
    assert "model    SmolLM2-135M-Instruct Q4_1\n" in done.stdout
    assert f"weights  {local_model_folder}" in done.stdout


@by_signals
def test_local_serve_serves_until_ctrl_c(program, local_model_folder):
    with serving(program, local_model_folder) as (process, base_url):
        listed = program.run("models", "--base-url", base_url)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        gone = program.run("models", "--base-url", base_url)
    assert listed.stdout == "smollm2-135m-instruct  8,192\n"
    assert gone.exit_code == 6


@by_signals
def test_a_conversation_in_the_terminal_streams_is_stopped_and_goes_on(program, local_model_folder):
    from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal  # noqa: PLC0415 - unknown on Windows

    environment = program.environment(CHATCLI_LOCAL_DIR=str(local_model_folder))
    started = on_terminal(
        command("-O", "ignore_eos=true"), environment=environment, folder=program.working_folder
    )
    with started as screen:
        screen.wait_for("\n>")
        screen.type(QUESTION + "\r")
        screen.wait_for("Paris")
        screen.type(CTRL_C)
        screen.wait_for("stopped; the partial answer is kept (/continue)\n\n>")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    assert "resume with: chatcli -s " in screen.shown
    path = program.session_paths[0]
    assert [role for role, _ in messages_of(path)] == ["system", "user", "assistant"]
    assert "Paris" in messages_of(path)[2][1]


async def test_what_was_read_ahead_is_not_read_again_with_the_question(served):
    before = (
        system("You are a helpful assistant."),
        question(
            "Name some rivers of Europe, from the longest to the shortest, with the seas they flow into."
        ),
        answer("The Volga, the Danube, the Ural, the Dnieper and the Don. " * 4),
    )
    ahead = Request("smollm2-135m-instruct", (*before, question("")), Parameters(max_tokens=4))
    asked = replace(ahead, messages=(*before, question("And the shortest?")))
    async with entry_at(Endpoint(served.base_url, loopback=True, embedded=True)) as entry:
        await entry.prefill(ahead)
        *_, completion = await events_of(asking(entry), asked)
    usage = completion.usage
    assert usage.input_tokens > 60
    assert usage.input_tokens - usage.cached_tokens < 20


def test_an_answer_fits_its_schema_as_the_server_allows_nothing_else(program, served):
    fields = ("--schema", "city, country, capital bool")
    ended = program.run(*PROFILE[:-2], "--max-tokens", "60", *fields, "-o", "json", "Paris", server=served)
    result = json.loads(ended.stdout)
    assert (ended.exit_code, result["attempts"]) == (0, 1)
    assert set(result["data"]) == {"city", "country", "capital"}
    assert isinstance(result["data"]["capital"], bool)
