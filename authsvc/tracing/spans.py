"""Spans of requests, jobs and SQL statements, and the one gate that they leave through.

Requests are traced by OpenTelemetry's WSGI layer, which its Flask instrumentation is built on: token endpoint and documents
are answered before Flask. What a span may say is listed in KEPT; the libraries also note paths, queries, remote addresses
and the texts of errors, which hold reset links, codes and email addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status
from sqlalchemy import Engine
from structlog.typing import EventDict, WrappedLogger

from authsvc import logs
from authsvc.web.observe import RULE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

ROUTE = "http.route"
#: Statements are SQL with place-holders; values are never in them.
KEPT = frozenset(
    {
        *(ROUTE, "http.method", "http.request.method", "http.status_code", "http.response.status_code"),
        *("db.system", "db.system.name", "db.statement", "db.query.text", "error.type", "exception.type"),
    }
)
METHOD = ("http.request.method", "http.method")


@dataclass(frozen=True)
class Tracing:
    """Traces one process."""

    provider: TracerProvider

    @classmethod
    def to_collector(cls, environ: Mapping[str, str]) -> Tracing:
        """Spans go to the collector that OpenTelemetry's variables name."""
        provider = TracerProvider(
            resource=Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or "authsvc"})
        )
        provider.add_span_processor(BatchSpanProcessor(Gate(OTLPSpanExporter())))
        logs.add(ids)
        return cls(provider)

    def web(self, app: WSGIApplication) -> WSGIApplication:
        """`app`, with a span for each request, named by its route."""
        return OpenTelemetryMiddleware(app, response_hook=_name_by_route, tracer_provider=self.provider)

    def database(self, engine: Engine) -> None:
        """A span for each statement of `engine`."""
        # Its list of known versions ends before SQLAlchemy 2.1; tests/unit/test_tracing.py is what says that it works.
        SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=self.provider, skip_dep_check=True)

    def job(self, kind: str, handler: Callable[[Mapping[str, Any]], None]) -> Callable[[Mapping[str, Any]], None]:
        """`handler`, with a span for each try of a job."""
        tracer = trace.get_tracer(__name__, tracer_provider=self.provider)

        def traced(args: Mapping[str, Any]) -> None:
            with tracer.start_as_current_span(f"job {kind}", kind=SpanKind.CONSUMER):
                handler(args)

        return traced


def ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For log lines: which span they belong to."""
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        event["trace_id"], event["span_id"] = f"{here.trace_id:032x}", f"{here.span_id:016x}"
    return event


class Gate(SpanExporter):
    """Lets spans out with what is listed and nothing else, and statements only as part of a request or a job."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send what may be sent."""
        told = [_told(span) for span in spans if span.kind is not SpanKind.CLIENT or span.parent is not None]
        return self._exporter.export(told) if told else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """The end."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether everything was sent in time."""
        return self._exporter.force_flush(timeout_millis)


def _name_by_route(span: trace.Span, environ: WSGIEnvironment, _status: str, _headers: list[tuple[str, str]]) -> None:
    span.set_attribute(ROUTE, environ.get(RULE, "-"))


def _told(span: ReadableSpan) -> ReadableSpan:
    attributes = _kept(span.attributes)
    name = span.name
    if span.kind is SpanKind.SERVER:
        # Never as the library names it: by the raw path.
        method = next((attributes[key] for key in METHOD if key in attributes), "HTTP")
        name = f"{method} {attributes.get(ROUTE, '-')}"
    return ReadableSpan(
        name=name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[Event(event.name, _kept(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in KEPT}
