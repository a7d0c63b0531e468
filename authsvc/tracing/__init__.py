"""OpenTelemetry traces, for those who set OTEL_EXPORTER_OTLP_ENDPOINT and installed `authsvc[otel]`. Else nothing is imported.

Everything about where and how much is said by OpenTelemetry's own variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from authsvc import logs

if TYPE_CHECKING:
    from authsvc.tracing.spans import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = logs.logger(__name__)


def begin(environ: Mapping[str, str]) -> Tracing | None:
    """What traces this process, or None. Only after the fork: its sender is a thread."""
    if not any(environ.get(name) for name in ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from authsvc.tracing.spans import Tracing
    except ImportError:
        log.warning("tracing.not_installed", wants="authsvc[otel]")
        return None
    return Tracing.to_collector(environ)
