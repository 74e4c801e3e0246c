"""A collector of traces on loopback: it takes them over OTLP/HTTP as any other, and shows what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.heard import note

OURS = "rotation"
FAILED = Status.STATUS_CODE_ERROR

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One span as it arrived."""

    name: str
    scope: str
    service: str
    trace: str
    id: str
    parent: str
    attributes: Attributes
    events: dict[str, Attributes]
    failed: bool
    why: str

    @property
    def request(self) -> bool:
        """Whether it tells one request to Azure."""
        return "http.request.method" in self.attributes


@dataclass(slots=True)
class Collector:
    """What arrived, and how it is answered."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    listening: threading.Event = field(default_factory=threading.Event)
    """Cleared, requests are taken and not answered."""

    @property
    def environment(self) -> dict[str, str]:
        """What has to be set for traces to arrive here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def spans(self) -> list[Seen]:
        """All spans, in the order in which they ended."""
        return [span for body in self.bodies for span in _decoded(body)]

    def ours(self) -> dict[str, Seen]:
        """Our own spans by their names, each of which is there once."""
        spans = [span for span in self.spans() if span.scope == OURS]
        named = {span.name: span for span in spans}
        assert len(named) == len(spans), sorted(span.name for span in spans)
        return named


@contextmanager
def collector() -> Iterator[Collector]:
    """Collect while inside."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.collector = Collector(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    server.collector.listening.set()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.collector  # type: ignore[attr-defined]
    finally:
        server.collector.listening.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        told: Collector = self.server.collector  # type: ignore[attr-defined]
        assert "/v1/traces" == self.path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told.headers.append({name.lower(): value for name, value in self.headers.items()})
        told.bodies.append(note(body))
        told.listening.wait()
        self.send_response(told.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is there
        pass


def _decoded(body: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            yield from (_seen(span, scope.scope.name, service) for span in scope.spans)


def _seen(span: Span, scope: str, service: str) -> Seen:
    return Seen(
        name=span.name,
        scope=scope,
        service=service,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        events={event.name: _attributes(event.attributes) for event in span.events},
        failed=span.status.code == FAILED,
        why=span.status.message,
    )


def _attributes(pairs: Any) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(element) for element in value.array_value.values]
    return getattr(value, kind or "string_value")
