"""A collector of OpenTelemetry on loopback: it decodes the messages of OTLP over HTTP as the protocol defines them."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What arrived, by the signal: ``traces`` and ``metrics`` are requests, ``headers`` those of every one.

    ``status`` is what it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        body = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        assert headers["content-type"] == "application/x-protobuf"
        if path.endswith("/v1/traces"):
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        elif path.endswith("/v1/metrics"):
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        else:
            raise AssertionError(path)
        self.headers.append(headers)

    @property
    def resource(self):
        request = (self.traces or self.metrics)[0]
        return attributes((request.resource_spans if self.traces else request.resource_metrics)[0].resource)

    @property
    def scopes(self):
        """The scopes of all spans and metrics with their schema URLs."""
        found = [
            *(scope for one in self.traces for group in one.resource_spans for scope in group.scope_spans),
            *(
                scope
                for one in self.metrics
                for group in one.resource_metrics
                for scope in group.scope_metrics
            ),
        ]
        return {(one.scope.name, one.scope.version, one.schema_url) for one in found}

    @property
    def spans(self):
        return [
            span
            for one in self.traces
            for group in one.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    @property
    def points(self):
        """The data points of the last export, by the name of their metric."""
        return {
            metric.name: list(getattr(metric, metric.WhichOneof("data")).data_points)
            for group in self.metrics[-1].resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }

    @property
    def units(self):
        return {
            metric.name: metric.unit
            for group in self.metrics[-1].resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }


def attributes(owner):
    """Return the attributes of a span, data point or resource as Python values."""
    return {one.key: _value(one.value) for one in owner.attributes}


def _value(value):
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return [_value(one) for one in found.values] if kind == "array_value" else found


@contextmanager
def running_collector():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.status == 200:
                collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
