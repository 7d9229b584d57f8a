"""Real runs, and what a collector of OpenTelemetry is sent of them."""

from __future__ import annotations

import json

import pytest

from e2e.program import MODEL
from otel_collector import attributes, running_collector
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

SECRET = "the-secret-word-of-the-question"
ANSWERED = "an-unusual-word-of-the-answer"
WITH_TEXTS = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}


@pytest.fixture
def collector():
    with running_collector() as running:
        yield running


def export(collector, **changed):
    return {"CHATCLI_OTEL": "on", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **changed}


def sent_bytes(collector):
    return b"".join(one.SerializeToString() for one in [*collector.traces, *collector.metrics])


def test_a_question_is_a_span_and_metrics_and_no_word_of_it_leaves(program, collector):
    busy = json_answer({"error": {"message": "busy"}}, status=503, **{"retry-after-ms": "20"})
    with serving_in_thread(busy, Answer(event_stream(ANSWERED))) as server:
        run = program.run(SECRET, "-o", "json", server=server, **export(collector))
    assert (run.exit_code, "OpenTelemetry" in run.stderr) == (0, False)
    shown = json.loads(run.stdout)
    (span,) = collector.spans
    found = attributes(span)
    assert (found["gen_ai.request.model"], found["chatcli.attempts"]) == (MODEL, 2)
    host, port = server.base_url.split("/")[2].split(":")
    assert (found["server.address"], found["server.port"]) == (host, int(port))
    duration_s = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    assert duration_s == pytest.approx(shown["latency_s"], abs=0.5)
    (point,) = collector.points["gen_ai.client.operation.duration"]
    assert point.sum == pytest.approx(duration_s, abs=0.001)
    for word in (SECRET, ANSWERED):
        assert word.encode() not in sent_bytes(collector)


def test_a_failure_is_sent_as_one(program, collector):
    refused = json_answer({"error": {"message": "no such key"}}, status=401)
    with serving_in_thread(refused) as server:
        assert program.run("Hello", server=server, **export(collector)).exit_code == 4
    (span,) = collector.spans
    assert attributes(span)["error.type"] == "key_refused"


def test_texts_are_sent_to_those_who_ask_for_them(program, collector):
    with serving_in_thread(Answer(event_stream(ANSWERED))) as server:
        program.run(SECRET, server=server, **export(collector, **WITH_TEXTS))
    found = attributes(collector.spans[0])
    assert json.loads(found["gen_ai.input.messages"])[-1]["parts"][0]["content"] == SECRET
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"][0]["content"] == ANSWERED


def test_a_conversation_that_is_not_kept_is_measured_and_its_texts_are_not_sent(program, collector):
    with serving_in_thread(Answer(event_stream(ANSWERED))) as server:
        program.run("--no-save", SECRET, server=server, **export(collector, **WITH_TEXTS))
    assert len(collector.spans) == 1
    assert SECRET.encode() not in sent_bytes(collector)


def test_variables_that_are_there_for_other_programs_send_nothing(program, collector):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        program.run("Hello", server=server, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (collector.traces, collector.metrics) == ([], [])


def test_a_file_in_the_working_folder_switches_nothing_on(program, collector):
    (program.working_folder / ".env").write_text(
        f"CHATCLI_OTEL=on\nOTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\n", encoding="utf-8"
    )
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        program.run("Hello", server=server)
    assert collector.traces == []


def test_rows_of_a_batch_are_sent_as_calls(program, collector):
    rows = [json.dumps({"prompt": f"Say {number}"}) for number in range(30)]
    (program.working_folder / "in.jsonl").write_text("\n".join(rows), encoding="utf-8")
    answer = {
        "model": "small-1",
        "choices": [{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
    with serving_in_thread(choose=lambda _: json_answer(answer)) as server:
        run = program.run("batch", "in.jsonl", "--out", "out.jsonl", server=server, **export(collector))
    assert run.exit_code == 0
    assert {attributes(span)["chatcli.operation"] for span in collector.spans} == {"batch"}
    tokens = {
        attributes(point)["gen_ai.token.type"]: point.sum
        for point in collector.points["gen_ai.client.token.usage"]
    }
    assert (len(collector.spans), tokens) == (30, {"input": 150, "output": 60})


def test_a_collector_that_is_not_there_costs_one_line(program):
    with running_collector() as gone:
        environment = export(gone)
    with serving_in_thread(choose=lambda _: Answer(event_stream("Paris."))) as server:
        run = program.run("Hello", server=server, **environment)
    assert (run.exit_code, run.stdout) == (0, "Paris.\n")
    assert run.stderr.count("OpenTelemetry: no collector answers at") == 1
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OpenTelemetry is off: what exports to it by grpc is not installed",
        ),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OpenTelemetry is off: OTEL_TRACES_EXPORTER is jaeger"),
    ],
)
def test_what_cannot_be_sent_is_said_and_fails_no_turn(program, collector, variables, said):
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        run = program.run("Hello", server=server, **export(collector, **variables))
    assert (run.exit_code, run.stdout) == (0, "Paris.\n")
    assert said in run.stderr
    assert collector.traces == []
