"""Sends spans over OTLP/HTTP: what of them may leave (S6), and what becomes of those that nobody takes.

With this module OpenTelemetry is imported, which reads the rest of its variables by itself.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Any

from azure.core.settings import settings
from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rotation.errors import RotationError

PATIENCE = 0.7
"""Seconds that the end of an invocation waits for the collector: Event Grid has its answer within one."""

SCOPE = "rotation"
"""What marks spans as ours."""

KEPT = frozenset(
    {
        *("az.client_request_id", "az.service_request_id", "error.type"),
        *("http.request.method", "http.request.resend_count", "http.response.status_code"),
        *("server.address", "server.port", "url.full"),
    }
)
"""What leaves of a span of the Azure SDKs; nothing of it is taken from the body of an answer."""

_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.util.re")
"""Loggers that repeat what we warn of once; the last one quotes headers, and they may hold the collector's key."""

_LOG = logging.getLogger("rotation.tracing")


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A span that has not ended yet."""

    name: str
    span: trace.Span

    def tell(self, event: Mapping[str, Any], *, bad: bool) -> None:
        """Tell an event: under the span's own name as what the span is about, else as something that happened in it."""
        if not self.span.is_recording():
            return
        fields = {f"rotation.{field}": value for field, value in event.items() if field != "event"}
        if event["event"] == self.name:
            self.span.set_attributes(fields)
        else:
            self.span.add_event(event["event"], fields)
        why = [event[field] for field in ("error", "message", "because") if field in event]
        if bad and why:
            self._fail(": ".join(why[:2]))

    def end_with(self, error: BaseException) -> None:
        """Tell of an error that ends the span; the text of one that is not ours may hold anything, a key included."""
        self._fail(f"{error.code}: {error}" if isinstance(error, RotationError) else type(error).__name__)

    def _fail(self, why: str) -> None:
        self.span.set_status(StatusCode.ERROR, why)


class Traces:
    """The spans of this process, the Azure SDKs' included, on their way to the collector."""

    def __init__(self) -> None:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._exporter = _Exporter()
        # Flushed at the end of each invocation, it need not be at the end of the process, which would wait for it.
        self._provider = TracerProvider(_sampler(), _resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(SCOPE)
        trace.set_tracer_provider(self._provider)
        settings.tracing_enabled = True

    @contextmanager
    def span(self, name: str, parent: Mapping[str, str]) -> Iterator[OpenSpan]:
        """Open a span below a parent that is told as W3C headers, or else below the one around it."""
        above = TraceContextTextMapPropagator().extract(parent, get_current())
        with self._tracer.start_as_current_span(
            name, above, record_exception=False, set_status_on_exception=False
        ) as span:
            yield OpenSpan(name, span)

    def flush(self) -> None:
        """Send what has ended, waiting for `PATIENCE` seconds at most, and not at all for a collector that is away."""
        if self._exporter.away:
            return
        # The library's flush knows no time limit, and a thread that is no daemon would hold up the end of the process.
        sending = Thread(target=self._provider.force_flush, daemon=True)
        sending.start()
        sending.join(PATIENCE)
        if sending.is_alive():
            self._exporter.miss()


class _Exporter(SpanExporter):
    """Sends what may leave, and notes whether somebody takes it."""

    def __init__(self) -> None:
        self._collector = OTLPSpanExporter()
        self._warned = False
        self.away = False
        """Whether the last attempt failed, or took too long; others are made in the background."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        began = monotonic()
        result = self._collector.export([_publishable(span) for span in spans])
        if result is SpanExportResult.SUCCESS and monotonic() - began < PATIENCE:
            self.away = False
        else:
            self.miss()
        return result

    def miss(self) -> None:
        """Take note that the collector is not there for us; the process says so once."""
        self.away = True
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not take our traces in time; "
                "some are lost, and rotation does not wait for it"
            )


def _publishable(span: ReadableSpan) -> ReadableSpan:
    """What may leave of a span.

    The Azure SDKs put the text of an error, which quotes the answer, into the status of a span; the query of an address
    may hold a signature.
    """
    scope = span.instrumentation_scope
    if scope is not None and scope.name == SCOPE:
        return span
    attributes = {name: value for name, value in (span.attributes or {}).items() if name in KEPT}
    if "url.full" in attributes:
        attributes["url.full"] = str(attributes["url.full"]).partition("?")[0]
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _sampler() -> Sampler | None:
    """All spans, unless OTEL_TRACES_SAMPLER says otherwise.

    The usual default heeds the host, which may mark no invocation as sampled while it does not export traces itself.
    """
    return None if os.environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON


def _resource() -> Resource:
    """Who we are: what the environment says, with the name of the app where it does not say one."""
    name = {SERVICE_NAME: os.environ.get("WEBSITE_SITE_NAME") or "key-rotation"}
    return Resource.create({**name, **OTELResourceDetector().detect().attributes})
