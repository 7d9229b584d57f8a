"""Spans and metrics, as a collector on loopback decodes them, compared with the truth."""

import json
import logging
import socket
import threading
from itertools import pairwise

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chatcli.core.call_records import CANCELLED, CallContent, CallRecord
from chatcli.core.errors import ConfigurationError
from chatcli.core.messages import answer, question
from chatcli.core.version import __version__
from chatcli.telemetry.otel import OtelExport, OtelSink, OtelWriter
from chatcli.text.redaction import Redactor
from otel_collector import attributes, running_collector

BEGAN_S = 1_790_000_000.25
CALL = CallRecord(
    BEGAN_S,
    "api.openai.com",
    "gpt-5-mini-2025-08-07",
    latency_s=2.5,
    ttft_s=0.75,
    input_tokens=120,
    cached_tokens=100,
    output_tokens=30,
    cost_usd=0.00125,
    attempts=2,
    retry_wait_s=1.5,
    finish_reason="stop",
    id="c-1a2b3c4d",
    request_id="req_1",
    requested_model="gpt-5-mini",
)


@pytest.fixture
def collector(monkeypatch):
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def export(environment=(), **changed):
    asked = OtelExport.asked_for(dict(environment))
    assert asked is not None
    return asked._replace(**changed)


def sent(calls, asked=None, *, redact=str, content=None):
    """Export ``calls`` and return what was reported."""
    asked, reported = asked or export(), []
    writer = OtelWriter(
        lambda: OtelSink(asked, report=reported.append, redact=redact, closing_s=60),
        takes_content=asked.takes_content,
    )
    for call in calls:
        writer.record(call, content)
    thread = writer.end()
    thread.join(60)
    assert not thread.is_alive()
    assert writer.problem is None
    return reported


def test_a_call_is_a_span_with_the_names_of_the_conventions(collector):
    assert sent([CALL]) == []
    (span,) = collector.spans
    assert (span.name, span.kind) == ("chat gpt-5-mini", Span.SPAN_KIND_CLIENT)
    assert attributes(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.response.model": "gpt-5-mini-2025-08-07",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.75,
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.output_tokens": 30,
        "server.address": "api.openai.com",
        "server.port": 443,
        "chatcli.call.id": "c-1a2b3c4d",
        "chatcli.operation": "answer",
        "chatcli.attempts": 2,
        "chatcli.retry_wait_s": 1.5,
        "chatcli.limit_wait_s": 0.0,
        "chatcli.cost_usd": 0.00125,
        "chatcli.request_id": "req_1",
        "chatcli.findings": 0,
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert not span.parent_span_id


def test_a_span_has_the_times_of_its_call(collector):
    sent([CALL])
    (span,) = collector.spans
    assert span.start_time_unix_nano == 1_790_000_000_250_000_000
    assert span.end_time_unix_nano == 1_790_000_002_750_000_000


def test_the_version_of_the_conventions_is_pinned(collector):
    sent([CALL])
    assert collector.scopes == {("chatcli", __version__, "https://opentelemetry.io/schemas/1.41.0")}


def test_metrics_are_histograms_with_the_advised_buckets(collector):
    sent([CALL, CallRecord(BEGAN_S, "api.openai.com", "gpt-5", latency_s=0.5)])
    durations = collector.points["gen_ai.client.operation.duration"]
    assert sorted(point.sum for point in durations) == [0.5, 2.5]
    assert [point.count for point in durations] == [1, 1]
    advised = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    assert all(list(point.explicit_bounds) == advised for point in durations)
    (first_chunk,) = collector.points["gen_ai.client.operation.time_to_first_chunk"]
    assert (first_chunk.sum, list(first_chunk.explicit_bounds)) == (0.75, advised)
    tokens = {
        attributes(point)["gen_ai.token.type"]: point
        for point in collector.points["gen_ai.client.token.usage"]
    }
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 120, "output": 30}
    bounds = list(tokens["input"].explicit_bounds)
    assert (bounds[0], bounds[-1], {after / before for before, after in pairwise(bounds)}) == (
        1,
        67108864,
        {4},
    )
    (cost,) = collector.points["chatcli.cost"]
    assert cost.as_double == 0.00125
    assert collector.units == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
        "chatcli.cost": "{USD}",
    }


def test_calls_with_the_same_attributes_are_counted_together(collector):
    times = [0.5, 1.5, 2.0, 30.0]
    sent([CallRecord(BEGAN_S, "localhost:8080", "m", latency_s=s) for s in times])
    (point,) = collector.points["gen_ai.client.operation.duration"]
    assert (point.count, point.sum, point.min, point.max) == (4, sum(times), 0.5, 30.0)
    assert attributes(point) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m",
        "server.address": "localhost",
        "server.port": 8080,
    }


def test_a_call_that_failed_says_so_in_both(collector):
    sent([CallRecord(BEGAN_S, "api.openai.com", "m", outcome="rate_limited", latency_s=1.0)])
    (span,) = collector.spans
    (point,) = collector.points["gen_ai.client.operation.duration"]
    assert span.status.code == Status.STATUS_CODE_ERROR
    for owner in (span, point):
        assert attributes(owner)["error.type"] == "rate_limited"
        assert "gen_ai.response.model" not in attributes(owner)
    assert "gen_ai.client.token.usage" not in collector.points


def test_a_call_that_the_person_stopped_is_told_apart_and_is_no_error(collector):
    sent([CallRecord(BEGAN_S, "api.openai.com", "m", outcome=CANCELLED, latency_s=1.0)])
    (span,) = collector.spans
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span)["error.type"] == "cancelled"


def test_an_answer_from_the_cache_is_no_call_of_a_model(collector):
    sent([CallRecord(BEGAN_S, "api.openai.com", "m", is_cache_hit=True), CALL])
    assert len(collector.spans) == 1
    assert len(collector.points["gen_ai.client.operation.duration"]) == 1


def test_more_calls_than_fit_one_request_all_arrive(collector):
    calls = [CallRecord(BEGAN_S + n, "localhost:1", "m", latency_s=0.25, id=f"c-{n}") for n in range(1_500)]
    assert sent(calls) == []
    assert {attributes(span)["chatcli.call.id"] for span in collector.spans} == {call.id for call in calls}
    assert len(collector.traces) > 1
    (point,) = collector.points["gen_ai.client.operation.duration"]
    assert point.count == 1_500


@pytest.mark.parametrize(
    ("operation", "name"), [("embeddings", "embeddings"), ("batch", "chat"), ("summary", "chat")]
)
def test_an_operation_has_the_name_of_the_conventions(collector, operation, name):
    sent([CallRecord(BEGAN_S, "api.openai.com", "m", operation)])
    (span,) = collector.spans
    assert (span.name, attributes(span)["chatcli.operation"]) == (f"{name} m", operation)


SAID = CallContent(
    (question("What is 北京? My key is sk-4kd93jfKd02kfjAl39dkf83jQwz71mvP."),), answer("A city.")
)


def test_no_word_of_a_call_is_sent_unless_it_is_asked_for(collector):
    sent([CALL], content=SAID)
    assert not [name for name in attributes(collector.spans[0]) if "messages" in name]
    assert "北京".encode() not in collector.traces[0].SerializeToString()


@pytest.mark.parametrize("value", ["true", "TRUE", "span_only", "span_and_event"])
def test_who_asks_for_texts_gets_them_without_keys(collector, value):
    asked = export({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value})
    sent([CALL], asked, content=SAID, redact=Redactor().redact)
    found = attributes(collector.spans[0])
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is 北京? My key is [key]."}]}
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "A city."}],
            "finish_reason": "stop",
        }
    ]


@pytest.mark.parametrize("value", ["", "false", "no_content", "event_only"])
def test_other_values_ask_for_no_texts(value):
    assert not export({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value}).takes_content


def test_the_standard_variables_name_the_service_and_its_headers(collector, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "support-bot")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    sent([CALL])
    assert collector.resource["service.name"] == "support-bot"
    assert collector.resource["deployment.environment"] == "test"
    assert {headers["x-team"] for headers in collector.headers} == {"blue"}


def test_without_a_name_the_service_is_chatcli_and_two_processes_are_told_apart(collector):
    sent([CALL])
    first = collector.resource
    sent([CALL])
    second = attributes(collector.traces[-1].resource_spans[0].resource)
    assert (first["service.name"], first["service.version"]) == ("chatcli", __version__)
    assert first["service.instance.id"] != second["service.instance.id"]


def test_a_span_belongs_to_the_trace_of_whoever_started_the_program(collector):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    sent([CALL], export({"TRACEPARENT": f"00-{trace}-{parent}-01"}))
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace, parent)


@pytest.mark.parametrize(
    ("environment", "traces", "metrics"),
    [
        ({}, True, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({"OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_TRACES_EXPORTER": "console,otlp"}, True, True),
    ],
)
def test_each_signal_can_be_switched_off(collector, environment, traces, metrics):
    sent([CALL], export(environment))
    assert (bool(collector.traces), bool(collector.metrics)) == (traces, metrics)


@pytest.mark.parametrize(
    "environment",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}],
)
def test_the_standard_variables_switch_all_of_it_off(environment):
    assert OtelExport.asked_for(environment) is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER is zipkin, which chatcli cannot export to",
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is http/json, which chatcli does not speak",
        ),
        (
            {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            "what exports to it by grpc is not installed",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:99999"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://collector"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL",
        ),
    ],
)
def test_what_cannot_be_exported_is_said_with_what_to_do(environment, message):
    with pytest.raises(ConfigurationError, match=f"^{message}") as raised:
        OtelExport.asked_for(environment)
    assert raised.value.hint


def test_a_collector_that_is_not_there_is_reported_once_and_nobody_waits_for_it(monkeypatch, capfd):
    with running_collector() as gone:
        url = gone.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    # It would wait for half a minute, were it not for the failure.
    reported = sent([CALL, CALL], export({"OTEL_EXPORTER_OTLP_ENDPOINT": url}))
    place = url.removeprefix("http://")
    assert reported == [f"OpenTelemetry: no collector answers at {place} (OTEL_EXPORTER_OTLP_ENDPOINT)"]
    assert capfd.readouterr() == ("", "")


def test_the_collector_that_is_not_there_is_named_where_signals_have_their_own(collector, monkeypatch):
    with running_collector() as gone:
        url = gone.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{url}/v1/traces")
    (reported,) = sent([CALL])
    assert f"no collector answers at {url.removeprefix('http://')} " in reported


@pytest.mark.parametrize(
    "headers",
    [
        "Authorization=Bearer%20hush-hush-hush%0D%0Ax",
        "x-team=blue,x-key=hush-hush%0Ahush",
    ],
)
def test_no_failure_shows_a_header(collector, monkeypatch, headers):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    (reported,) = sent([CALL], export({"OTEL_EXPORTER_OTLP_HEADERS": headers}))
    assert "header value" in reported
    assert "hush" not in reported


def test_no_failure_shows_a_parameter_of_the_address(monkeypatch):
    url = "http://127.0.0.1:9/?token=hush-hush-hush"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    (reported,) = sent([CALL], export({"OTEL_EXPORTER_OTLP_ENDPOINT": url}))
    assert "hush" not in reported
    assert "hush-hush-hush" in export({"OTEL_EXPORTER_OTLP_ENDPOINT": url}).secrets


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-5"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
    ],
)
def test_what_the_sdk_refuses_is_said_once(collector, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    (reported,) = sent([CALL, CALL])
    assert "nothing is sent: " in reported
    assert collector.traces == []


def test_a_collector_that_refuses_is_reported_with_its_reason(collector, capfd):
    collector.status = 401
    reported = sent([CALL])
    assert len(reported) == 1
    assert "401" in reported[0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes", "sometimes"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer abcdefghi", "OTEL_EXPORTER_OTLP_HEADERS is not read"),
    ],
)
def test_what_is_wrong_with_a_variable_is_said_and_the_calls_are_sent(
    collector, monkeypatch, variable, value, said
):
    monkeypatch.setenv(variable, value)
    (reported,) = sent([CALL])
    assert said in reported
    assert "Bearer" not in reported
    assert [span.name for span in collector.spans] == ["chat gpt-5-mini"]
    assert "gen_ai.client.operation.duration" in collector.units


def test_a_variable_that_is_wrong_hides_no_failure(collector, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "sometimes")
    collector.status = 401
    remark, failure = sent([CALL])
    assert "sometimes" in remark
    assert "401" in failure


def test_the_loggers_of_the_libraries_are_left_as_they_were(collector):
    logger = logging.getLogger("opentelemetry")
    sent([CALL])
    assert all(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    assert logger.propagate


def test_no_thread_is_left_behind(collector):
    collector.status = 503  # to be tried again later
    assert len(sent([CALL])) == 1
    assert not [thread for thread in threading.enumerate() if "otel" in thread.name.lower()]


def test_a_collector_that_never_answers_is_not_waited_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
        reported = []
        sink = OtelSink(export(), report=reported.append, redact=str, closing_s=0.1)
        sink.append([(CALL, None)])
        sink.close()
    assert reported == ["OpenTelemetry: the collector is slow; what was sent last may be missing there"]
