"""Traces: nothing without the wish, and with it nothing but what is listed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from werkzeug.test import Client
from werkzeug.wrappers import Response

from authsvc import logs, tracing
from authsvc.tracing.spans import Gate, Tracing, ids
from authsvc.web.observe import RULE, Observe

SECRETS = ("dana@northgate.example", "code-123456", "s3cret-link", "198.51.100.7", "+15125550142", "evil-agent")


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """What leaves."""
    return InMemorySpanExporter()


@pytest.fixture
def traced(spans: InMemorySpanExporter) -> Tracing:
    """As in production, with another way out."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Gate(spans)))
    return Tracing(provider)


def everything(spans: tuple[ReadableSpan, ...]) -> str:
    """All that a collector would be told."""
    return "\n".join(span.to_json() for span in spans)


def test_a_request_and_its_statements_are_one_trace_without_values(
    traced: Tracing, spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    """No path, query, remote address, parameter of a statement or text of an error; the log line carries the ids."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (address TEXT UNIQUE, phone TEXT)"))
    traced.database(engine)

    def page(environ: dict[str, Any], start_response: Any) -> Any:
        environ[RULE] = "/reset/<token>"
        row = {"address": SECRETS[0], "phone": SECRETS[4]}
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO person VALUES (:address, :phone)"), row)
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text("INSERT INTO person VALUES (:address, :phone)"), row)
        return Response("done")(environ, start_response)

    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("info")
    logs.add(ids)
    try:
        Client(traced.web(Observe(page))).get(
            f"/reset/{SECRETS[2]}?code={SECRETS[1]}&login_hint={SECRETS[0]}",
            headers={"User-Agent": SECRETS[5], "Referer": f"https://x.example/?{SECRETS[1]}"},
            environ_overrides={"REMOTE_ADDR": SECRETS[3]},
            buffered=True,
        )
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))  # the worker looking for jobs: no request, no span
    finally:
        SQLAlchemyInstrumentor().uninstrument()
        logs._more.remove(ids)
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        engine.dispose()
    told = spans.get_finished_spans()
    [request] = [span for span in told if span.parent is None]
    assert request.name == "GET /reset/<token>"
    assert request.attributes == {
        "http.route": "/reset/<token>",
        "http.method": "GET",
        "http.status_code": 200,
    }
    statements = [span for span in told if "INSERT" in span.name]
    assert len(statements) == 2
    assert {span.context.trace_id for span in told} == {request.context.trace_id}
    assert all(secret not in everything(told) for secret in SECRETS)
    assert line["event"] == "request"
    assert (line["trace_id"], line["span_id"]) == (
        f"{request.context.trace_id:032x}",
        f"{request.context.span_id:016x}",
    )


def test_a_job_is_a_trace_and_its_error_a_class(traced: Tracing, spans: InMemorySpanExporter) -> None:
    """What an exception says may quote an address; which one it was does not."""

    def handler(args: object) -> None:
        raise ValueError(f"no such person {SECRETS[0]}")

    with pytest.raises(ValueError, match="no such person"):
        traced.job("send_code", handler)({})
    [span] = spans.get_finished_spans()
    assert span.name == "job send_code"
    assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "ValueError"}]
    assert SECRETS[0] not in everything((span,))


def test_without_the_wish_nothing_is_imported() -> None:
    """No OTEL_EXPORTER_OTLP_ENDPOINT: not one module of OpenTelemetry, in web process and worker alike."""
    script = (
        "import sys, authsvc.app, authsvc.gunicorn_conf, authsvc.cli.running, authsvc.tracing;"
        "assert authsvc.tracing.begin({}) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
    assert tracing.begin({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}) is None
