"""``-o`` byte for byte: scripts depend on it. Only times and ports are taken out."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from e2e.interrupting import UNFINISHED, interrupted
from scripted_server import Answer, event_stream, json_answer, serving_in_thread, text_events

GOLDEN = Path(__file__).parent / "golden"
FORMATS = ("text", "json", "jsonl")

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 2,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
BUSY = json_answer({"error": {"message": "slow down"}}, status=429, **{"retry-after-ms": "10"})


def chunk(delta: dict[str, object]) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


def call(*, arguments: str, **begun: str) -> dict[str, object]:
    identity = {"id": begun.pop("id")} if "id" in begun else {}
    return {"index": 0, **identity, "function": {**begun, "arguments": arguments}}


def cited(url: str, title: str) -> dict[str, object]:
    return {"type": "url_citation", "url_citation": {"url": url, "title": title}}


SCENARIOS = {
    "success": (
        Answer(
            [
                *event_stream("Par", "is\u202e.")[:-1],
                b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n",
                b"data: [DONE]\n\n",
            ]
        ),
    ),
    "uncounted": (Answer(event_stream("Paris.", finish_reason="length")),),
    "retried": (BUSY, BUSY, Answer(event_stream("Paris."))),
    "failure": (
        json_answer(
            {"error": {"message": "no such \x1b[31mmodel", "code": "model_not_found"}},
            status=404,
            **{"x-request-id": "req-1"},
        ),
    ),
    "cut": (Answer(text_events("Par")),),
    "refused": (Answer([chunk({"refusal": "No, "}), chunk({"refusal": "never."}), *event_stream()[-2:]]),),
    "called": (
        Answer(
            [
                chunk({"tool_calls": [call(id="call_1", name="search", arguments='{"q": ')]}),
                chunk({"tool_calls": [call(arguments='"Paris\u202e"}')]}),
                *event_stream(finish_reason="tool_calls")[-2:],
            ]
        ),
    ),
    "cited": (
        Answer(
            [
                *text_events("Paris."),
                chunk({"annotations": [cited("https://example.com/paris", "All of \x1b[31mParis")]}),
                chunk({"annotations": [cited("https://example.com/france", "")]}),
                *event_stream()[-2:],
            ]
        ),
    ),
}


def without_times_ids_and_ports(output: str) -> str:
    lines = [line for line in output.splitlines(keepends=True) if not line.startswith('{"type": "waiting"')]
    timeless = re.sub(r'"(latency_s|ttft_s|wait_s)": [0-9.e-]+', r'"\1": 0.0', "".join(lines))
    anonymous = re.sub(r'"call_id": "c-[0-9a-f]+"', '"call_id": "c-ID"', timeless)
    return re.sub(r"127\.0\.0\.1:[0-9]+", "127.0.0.1:PORT", anonymous)


def golden(scenario: str, output_format: str) -> str:
    return (GOLDEN / f"{scenario}.{output_format}").read_bytes().decode()


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_way_a_turn_ends_is_reported_as_the_golden_files_have_it(program, scenario, output_format):
    with serving_in_thread(*SCENARIOS[scenario]) as server:
        done = program.run(
            "-o", output_format, "-s", "trip", "Capital of France?", server=server, CHATCLI_RETRIES="2"
        )
    assert without_times_ids_and_ports(done.stdout) == golden(scenario, output_format)


@pytest.mark.skipif(sys.platform == "win32", reason="a process group of its own would be needed for Ctrl-C")
@pytest.mark.parametrize("output_format", FORMATS)
def test_a_stopped_turn_is_reported_as_the_golden_files_have_it(program, output_format):
    with serving_in_thread(UNFINISHED) as server:
        done = interrupted(
            program, signal.SIGINT, "-o", output_format, "-s", "trip", "Capital of France?", server=server
        )
    assert without_times_ids_and_ports(done.stdout) == golden("cancelled", output_format)


def test_retries_are_counted_and_told(program):
    with serving_in_thread(*SCENARIOS["retried"]) as server:
        done = program.run("-o", "json", "Hi", server=server)
    assert json.loads(done.stdout)["attempts"] == 3
    assert [line.partition(", ")[2] for line in done.stderr.splitlines()] == [
        "retrying in 0 s (attempt 2)",
        "retrying in 0 s (attempt 3)",
    ]


def test_a_failure_before_there_is_a_turn_is_an_object_as_well(program):
    done = program.run("-o", "json", "Hi")
    document = json.loads(done.stdout)
    assert document["error"]["code"] == "nothing_configured"
    assert document["text"] == ""
    assert done.exit_code == 3
