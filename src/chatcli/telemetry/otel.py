"""Calls as spans and metrics of OpenTelemetry, sent to a collector by OTLP.

The standard variables say where to and how, and the SDK reads most of them itself:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import logging
import re
import uuid
from importlib import import_module
from importlib.util import find_spec
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from chatcli.core.errors import ConfigurationError
from chatcli.core.version import __version__
from chatcli.telemetry import genai_conventions as conventions
from chatcli.telemetry.call_writer import WriterThread
from chatcli.text.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from opentelemetry.sdk.resources import Resource

    from chatcli.core.call_records import CallContent, CallRecord

    Call: TypeAlias = tuple[CallRecord, CallContent | None]

_NONE: Final = "none"
_OTLP: Final = "otlp"
_PROTOCOLS: Final = {"http/protobuf": "http", "grpc": "grpc"}
"""The protocols of OTLP that there are exporters for, and their names in the names of packages."""
_WITH_CONTENT: Final = frozenset({"true", "span_only", "span_and_event"})
_CLOSING_S: Final = 2.0
"""How long the end of a run waits for a collector that is slow to take what is left."""
_SHARE_TO_GIVE_UP: Final = 0.25
"""What giving up may take of that again."""
_PATIENCE_S: Final = 5.0
"""How long it waits for that and for the import before it, which a busy machine may take long for."""
_LONGEST_REASON: Final = 200
_LOGGER: Final = "opentelemetry"
_HEADERS_LOGGER: Final = "opentelemetry.util.re"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_COLLECTOR: Final = re.compile(r"host='([^']+)', port=([0-9]+)")
_UNREACHABLE: Final = (
    (re.compile("Connection.*refused"), "no collector answers at {}"),
    (re.compile("Failed to resolve"), "the name of the collector at {} cannot be resolved"),
    (re.compile("SSLError"), "there is no encrypted connection to {}"),
)
"""What the reason of a failure has in it, and what is said instead."""
_HEADERS_REMARK: Final = "OTEL_EXPORTER_OTLP_HEADERS is not read: write name=value, with %20 for a space and commas between headers"


class OtelExport(NamedTuple):
    """What the standard variables ask for.

    ``traces`` and ``metrics`` are the protocols these are sent with, empty if they are not. ``endpoint`` is where to, in words for the
    person. ``takes_content``: the texts of calls, too. ``parent`` is the trace of whoever started chatcli, as its variables say.
    ``secrets`` are the values that may be keys, which errors of the libraries may quote.
    """

    traces: str
    metrics: str
    endpoint: str
    takes_content: bool = False
    parent: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()

    @classmethod
    def asked_for(cls, environment: Mapping[str, str]) -> OtelExport | None:
        """Return what is to be exported, ``None`` for nothing. Raise ``ConfigurationError`` for what there is no exporter for."""
        if _value(environment, "OTEL_SDK_DISABLED") == "true":
            return None
        content = _value(environment, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
        given = ((name.lower(), environment.get(name, "")) for name in ("TRACEPARENT", "TRACESTATE"))
        export = cls(
            _protocol(environment, "TRACES"),
            _protocol(environment, "METRICS"),
            environment.get(_ENDPOINT, "").strip() or "localhost",
            content in _WITH_CONTENT,
            tuple((name, value) for name, value in given if value),
            tuple(_secrets(environment)),
        )
        protocols = {protocol for protocol in (export.traces, export.metrics) if protocol}
        for protocol in sorted(protocols):
            _check_installed(protocol)
        for signal, protocol in (("TRACES", export.traces), ("METRICS", export.metrics)):
            if _PROTOCOLS.get(protocol) == "http":
                _check_address(environment, signal)
        return export if protocols else None


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip().lower()


def _protocol(environment: Mapping[str, str], signal: str) -> str:
    """Return the protocol that ``signal`` is sent with, empty if it is not."""
    variable = f"OTEL_{signal}_EXPORTER"
    exporters = [name.strip() for name in _value(environment, variable).split(",") if name.strip()]
    if exporters == [_NONE]:
        return ""
    if exporters and _OTLP not in exporters:
        raise ConfigurationError(
            f"{variable} is {','.join(exporters)}, which chatcli cannot export to",
            hint=f"set it to {_OTLP} or {_NONE}",
        )
    names = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    for name in names:
        if protocol := _value(environment, name):
            if protocol not in _PROTOCOLS:
                raise ConfigurationError(
                    f"{name} is {protocol}, which chatcli does not speak",
                    hint=f"set it to {' or '.join(_PROTOCOLS)}",
                )
            return protocol
    return next(iter(_PROTOCOLS))


def _check_address(environment: Mapping[str, str], signal: str) -> None:
    name = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
    if not environment.get(name, "").strip():
        name = _ENDPOINT
    try:
        address = urlsplit(environment.get(name, "").strip() or "http://localhost")
        is_one = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        is_one = False
    if not is_one:  # not quoted, as it may hold a key
        raise ConfigurationError(f"{name} is no URL", hint="write it like http://localhost:4318")


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of headers and of the parameters of URLs, as they are written and as they are sent."""
    for signal in ("", "TRACES_", "METRICS_"):
        for header in environment.get(f"OTEL_EXPORTER_OTLP_{signal}HEADERS", "").split(","):
            value = header.partition("=")[2].strip() or header.strip()
            for spelling in (value, unquote(value)):
                yield from (spelling, *spelling.split())
        address = environment.get(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT", "")
        yield from (value for _, value in parse_qsl(address.partition("?")[2]))


def _check_installed(protocol: str) -> None:
    package = _PROTOCOLS[protocol]
    try:
        found = find_spec("opentelemetry.sdk.trace") and find_spec(
            f"opentelemetry.exporter.otlp.proto.{package}"
        )
    except ModuleNotFoundError:
        found = None
    if found is None:
        # Not "chatcli[otel]": that name belongs to another project on PyPI.
        missing = (
            "install it in the checkout: pip install '.[otel]'"
            if package == "http"
            else f"install it: pip install opentelemetry-exporter-otlp-proto-{package}"
        )
        raise ConfigurationError(
            f"what exports to it by {protocol} is not installed",
            hint=f"{missing}, or set otel = false",
        )


class OtelWriter(WriterThread["Call"]):
    """A ``CallRecorder`` that exports calls in a thread of its own; ``open_sink`` is called in that thread."""

    def __init__(self, open_sink: Callable[[], OtelSink], *, takes_content: bool) -> None:
        super().__init__((open_sink,), patience_s=_PATIENCE_S)
        self._takes_content = takes_content

    def record(self, call: CallRecord, content: CallContent | None = None) -> None:
        self.put((call, content if self._takes_content else None))


class OtelSink:
    """Turns calls into spans and metrics, and sends them from threads of its own.

    Making one imports the SDK, which takes half a second. ``report`` is called once, in any thread, with the reason why something could
    not be sent. ``redact`` takes keys out of texts.
    """

    def __init__(
        self,
        export: OtelExport,
        *,
        report: Callable[[str], None],
        redact: Callable[[str], str],
        closing_s: float = _CLOSING_S,
    ) -> None:
        self._export = export
        self._redact = redact
        self._closing_s = closing_s
        # Only here: a header may be an ordinary word, which is no secret elsewhere.
        hidden = Redactor()
        for secret in export.secrets:
            hidden.add_key(secret)
        self._failures = _Failures(export.endpoint, report, lambda text: hidden.redact(redact(text)))
        logging.getLogger(_LOGGER).addHandler(self._failures)
        self._providers: list[Any] = []
        self._exporters: list[Any] = []
        self._spans: Callable[[CallRecord, CallContent | None], Any] | None = None
        self._metrics: Callable[[CallRecord, Any], None] | None = None
        try:
            resource = _resource()
            self._spans = self._span_maker(resource) if export.traces else None
            self._metrics = self._metric_maker(resource) if export.metrics else None
        except Exception as error:  # noqa: BLE001 - the SDK has many ways to refuse what a variable says
            self._spans = self._metrics = None
            self._failures.say(f"nothing is sent: {error or type(error).__name__}")
        self._failures.is_exporting = True

    def append(self, calls: Sequence[Call]) -> None:
        for call, content in calls:
            if call.is_cache_hit:
                continue  # it is no operation of a model
            context = None if self._spans is None else self._spans(call, content)
            if self._metrics is not None:
                self._metrics(call, context)

    def close(self) -> None:
        """Send what is left, unless nothing could be sent before; at the first failure nothing more is waited for."""
        ended = Event()

        def shut_down() -> None:
            for provider in self._providers:
                provider.shutdown()
            ended.set()

        self._failures.on_failure = ended.set
        closing = Thread(target=shut_down, name="OtelClosing", daemon=True)
        closing.start()
        if not self._failures.reported and not ended.wait(self._closing_s):
            self._failures.say("the collector is slow; what was sent last may be missing there")
        logging.getLogger(_LOGGER).removeHandler(self._failures)
        if closing.is_alive():
            for exporter in self._exporters:
                exporter.shutdown()  # it tries no more
        closing.join(self._closing_s * _SHARE_TO_GIVE_UP)

    def _span_maker(self, resource: Resource) -> Callable[[CallRecord, CallContent | None], Any]:
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - half a second, in a thread
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
        from opentelemetry.trace import (  # noqa: PLC0415 - as above
            SpanKind,
            Status,
            StatusCode,
            set_span_in_context,
        )
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - as above
            TraceContextTextMapPropagator,
        )

        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = self._exporter(self._export.traces, "trace_exporter", "OTLPSpanExporter")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        self._providers.append(provider)
        tracer = provider.get_tracer("chatcli", __version__, schema_url=conventions.SCHEMA_URL)
        parent = TraceContextTextMapPropagator().extract(dict(self._export.parent))

        def make(call: CallRecord, content: CallContent | None) -> Any:
            attributes = conventions.span_attributes(call)
            if content is not None:
                attributes |= conventions.content_attributes(call, content, self._redact)
            span = tracer.start_span(
                conventions.span_name(call),
                parent,
                SpanKind.CLIENT,
                attributes,
                start_time=_nanoseconds(call.at_s),
            )
            if conventions.has_failed(call):
                span.set_status(Status(StatusCode.ERROR))
            span.end(_nanoseconds(call.at_s + (call.latency_s or 0)))
            return set_span_in_context(span)

        return make

    def _metric_maker(self, resource: Resource) -> Callable[[CallRecord, Any], None]:
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - half a second, in a thread
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above

        exporter = self._exporter(self._export.metrics, "metric_exporter", "OTLPMetricExporter")
        reader = PeriodicExportingMetricReader(exporter)
        provider = MeterProvider((reader,), resource, shutdown_on_exit=False)
        self._providers.append(provider)
        meter = provider.get_meter("chatcli", __version__, conventions.SCHEMA_URL)
        duration, first_chunk = (
            meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=conventions.SECONDS_BUCKETS
            )
            for name, description in (
                (conventions.DURATION, "GenAI operation duration."),
                (conventions.TIME_TO_FIRST_CHUNK, "Time to receive the first chunk."),
            )
        )
        tokens = meter.create_histogram(
            conventions.TOKEN_USAGE,
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=conventions.TOKEN_BUCKETS,
        )
        cost = meter.create_counter(conventions.COST, "{USD}", "Cost of calls, where it is known.")

        def add(call: CallRecord, context: Any) -> None:
            attributes = conventions.metric_attributes(call)
            if call.latency_s is not None:
                duration.record(call.latency_s, attributes, context)
            if call.ttft_s is not None:
                first_chunk.record(call.ttft_s, attributes, context)
            for kind, count in (("input", call.input_tokens), ("output", call.output_tokens)):
                if count is not None:
                    tokens.record(count, attributes | {conventions.TOKEN_TYPE: kind}, context)
            if call.cost_usd:
                cost.add(call.cost_usd, attributes, context)

        return add

    def _exporter(self, protocol: str, module: str, name: str) -> Any:
        place = import_module(f"opentelemetry.exporter.otlp.proto.{_PROTOCOLS[protocol]}.{module}")
        exporter = getattr(place, name)()
        self._exporters.append(exporter)
        return exporter


class _Failures(logging.Handler):
    """Takes what the SDK logs, so that nothing of it is printed, and reports the first failure.

    Before it ``is_exporting``, it makes remarks about variables: the first is reported, too, and nothing has failed.
    """

    def __init__(self, endpoint: str, report: Callable[[str], None], redact: Callable[[str], str]) -> None:
        super().__init__(logging.WARNING)
        self.reported = False
        self.is_exporting = False
        self.on_failure: Callable[[], object] = lambda: None
        self._has_remarked = False
        self._endpoint = endpoint
        self._report = report
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        # Where the variable for headers is wrong, the remark quotes it, and it may be a key.
        reason = _HEADERS_REMARK if record.name == _HEADERS_LOGGER else record.getMessage()
        if not self.is_exporting:
            if not self._has_remarked:
                self._has_remarked = True
                self._tell(reason)
            return
        self.on_failure()
        for pattern, said in _UNREACHABLE:
            if pattern.search(reason):
                named = _COLLECTOR.search(reason)
                place = self._endpoint if named is None else f"{named[1]}:{named[2]}"
                reason = f"{said.format(place)} ({_ENDPOINT})"
                break
        self.say(reason)

    def say(self, reason: str) -> None:
        if not self.reported:
            self.reported = True
            self._tell(reason)

    def _tell(self, reason: str) -> None:
        first_line = self._redact(reason).partition("\n")[0]
        self._report(f"OpenTelemetry: {first_line[:_LONGEST_REASON]}")


def _nanoseconds(seconds: float) -> int:
    """Return whole microseconds: a float of the time since the epoch has no more."""
    return round(seconds * 1_000_000) * 1_000


def _resource() -> Resource:
    """Return what describes this process: as the variables say, else as chatcli; two at the same time are told apart."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - slow, in a thread

    # Without a handler, Python prints warnings of the exporters that come after the end.
    logging.getLogger(_LOGGER).addHandler(logging.NullHandler())
    own = {
        "service.name": "chatcli",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())
