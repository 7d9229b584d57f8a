"""What is kept of the calls of real runs, compared with what the server was told to do."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing

import pytest

from chatcli.telemetry.call_store import FILE_NAME, CallStore
from e2e.program import MODEL, PATIENT
from scripted_server import CUT, Answer, event_stream, json_answer, serving_in_thread, text_events

SECRET = "the-secret-word-of-the-question"
ANSWERED = "an-unusual-word-of-the-answer"

FOREVER_S = 4e9


def kept_calls(program):
    with closing(CallStore(program.data_folder / FILE_NAME)) as store:
        return store.recent(1_000)


def figures(program):
    with closing(CallStore(program.data_folder / FILE_NAME)) as store:
        return store.figures(0, FOREVER_S)


def completion(text="Paris.", prompt_tokens=12, completion_tokens=3):
    return {
        "model": MODEL,
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    }


def test_a_question_leaves_one_row_and_none_of_its_text(program):
    with serving_in_thread(Answer(event_stream(ANSWERED))) as server:
        assert program.run(SECRET, server=server).exit_code == 0
        (request,) = server.requests
        (call,) = kept_calls(program)
        assert call.endpoint == server.base_url.split("/")[2]
    assert (call.model, call.operation, call.outcome, call.attempts) == (MODEL, "answer", "ok", 1)
    assert call.sent_bytes == len(request.body)
    assert 0 < call.ttft_s <= call.latency_s
    written = b"".join(path.read_bytes() for path in program.data_folder.glob(f"{FILE_NAME}*"))
    assert SECRET.encode() not in written
    assert ANSWERED.encode() not in written


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--no-save"], {}), ([], {"CHATCLI_TELEMETRY": "off"})],
    ids=["no-save", "telemetry-off"],
)
def test_nothing_is_kept_where_that_is_not_wanted(program, arguments, environment):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        assert program.run(*arguments, "Capital?", server=server, **environment).exit_code == 0
    assert list(program.data_folder.glob(f"{FILE_NAME}*")) == []


def test_attempts_that_failed_belong_to_the_call_that_succeeded_at_last(program):
    busy = json_answer({"error": {"message": "busy"}}, status=503, **{"retry-after-ms": "20"})
    with serving_in_thread(busy, busy, Answer(event_stream("Paris."))) as server:
        assert program.run("Capital?", server=server).exit_code == 0
    (call,) = kept_calls(program)
    assert (call.outcome, call.attempts) == ("ok", 3)
    assert 0.04 <= call.retry_wait_s <= call.latency_s


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_answer({"error": {"message": "no such key"}}, status=401), "key_refused"),
        (Answer([*text_events("Par"), CUT]), "incomplete_answer"),
    ],
    ids=["refused", "cut"],
)
def test_a_failure_is_kept_under_the_code_of_its_error(program, answer, outcome):
    with serving_in_thread(answer) as server:
        ended = program.run("-o", "json", "--retries", "0", "Capital?", server=server)
    (call,) = kept_calls(program)
    assert call.outcome == json.loads(ended.stdout)["error"]["code"] == outcome


def test_every_row_of_a_batch_is_a_call_and_their_figures_are_the_truth(program):
    """Of 40 rows, 10 are refused, 5 need a second attempt, and all others are answered at once."""
    rows = [json.dumps({"id": str(number), "prompt": f"row {number}"}) for number in range(40)]
    (program.working_folder / "rows.jsonl").write_text("\n".join(rows))
    again = set()

    def choose(request):
        number = int(request.json["messages"][-1]["content"].split()[-1])
        if number < 10:
            return json_answer({"error": {"message": "not this one"}}, status=400)
        if number < 15 and number not in again:
            again.add(number)
            return json_answer({"error": {"message": "busy"}}, status=429, **{"retry-after-ms": "10"})
        return json_answer(completion(prompt_tokens=number, completion_tokens=2))

    with serving_in_thread(choose=choose) as server:
        program.run("batch", "rows.jsonl", "--out", "out.jsonl", server=server)
    found = figures(program)
    assert (found.calls, found.succeeded, found.cancelled) == (40, 30, 0)
    assert found.success_rate == 0.75
    assert found.errors == {"request_refused": 10}
    assert (found.attempts, found.retries) == (45, 5)
    assert (found.input_tokens, found.output_tokens) == (sum(range(10, 40)), 60)
    assert {call.operation for call in kept_calls(program)} == {"batch"}


def test_an_answer_from_the_cache_is_a_hit_and_no_call(program):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        for _ in range(2):
            assert program.run("--cache", "sqlite", "Capital?", server=server, **PATIENT).exit_code == 0
        assert len(server.requests) == 1
    found = figures(program)
    assert (found.calls, found.cache_hits) == (1, 1)


def test_the_parts_of_a_long_text_are_calls_of_their_own(program):
    text = "The committee met again. " * 2_000
    with serving_in_thread(Answer(event_stream("NOTHING"))) as server:
        assert program.run("--long", "map-reduce", text, server=server).exit_code == 0
        asked = len(server.requests)
    assert asked > 2
    assert Counter(call.operation for call in kept_calls(program)) == {"part": asked - 1, "answer": 1}


def test_a_summary_of_older_turns_is_a_call_of_its_own(program):
    with serving_in_thread(Answer(event_stream("Words. " * 300))) as server:
        for number in range(8):
            asked = [f"Question {number}. " + "Some words more. " * 60]
            ended = program.run("--context", "summarize", "-s", "talk", *asked, server=server)
            assert ended.exit_code == 0
    operations = Counter(call.operation for call in kept_calls(program))
    assert operations["answer"] == 8
    assert operations["summary"] == len(server.requests) - 8 > 0


def test_a_database_that_cannot_be_written_costs_a_row_and_not_the_turn(program):
    (program.data_folder / FILE_NAME).mkdir(parents=True)
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        ended = program.run("Capital?", server=server)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "Paris.\n", "")


def test_a_run_that_is_killed_leaves_a_database_that_can_be_read(program):
    rows = [json.dumps({"prompt": f"row {number}"}) for number in range(500)]
    (program.working_folder / "rows.jsonl").write_text("\n".join(rows))

    def choose(request):
        if len(server.requests) == 200:
            process.kill()
        return json_answer(completion())

    with serving_in_thread(choose=choose) as server:
        starting = program.started(
            "batch", "rows.jsonl", "--out", "out.jsonl", server=server, is_forked=False
        )
        with starting as process:
            process.wait(timeout=60)
    kept = figures(program)
    assert kept.calls == kept.succeeded <= 200
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        assert program.run("Capital?", server=server).exit_code == 0
    assert figures(program).calls == kept.calls + 1
