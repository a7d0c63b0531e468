"""gunicorn's configuration; spikes.md 3 has the figures behind the choices."""

from __future__ import annotations

import os
import signal
from typing import Any

from authsvc import logs
from authsvc.metrics.serving import forget_process
from authsvc.settings import Settings
from authsvc.tracing import begin

_settings = Settings.read()
logs.configure(_settings.log_level)

bind = _settings.bind
workers = _settings.workers
worker_class = "gthread"
threads = _settings.threads
# The strict parser in Python: it refuses two Hosts, Content-Length beside Transfer-Encoding and folded headers.
http_parser = "python"
preload_app = True
worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeats must not wait for a disk
control_socket_disable = True
graceful_timeout = 30
timeout = 30
keepalive = 15
limit_request_line = 8190
limit_request_fields = 60
limit_request_field_size = 8190
# Proxy headers are read by our own layer (web/client_ip.py), whichever server runs us.
forwarded_allow_ips = ""
loglevel = "warning"
accesslog = None


def on_starting(server: Any) -> None:
    """gunicorn's own messages become lines like everybody's: they quote what clients sent (security.md PL-04)."""
    server.log.error_log.handlers.clear()
    server.log.error_log.propagate = True


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker that has ended used is used no more."""
    forget_process(worker.pid)


def post_worker_init(_worker: Any) -> None:
    """From the moment it is told to stop, a worker says on /readyz that it drains, and goes on as gunicorn wants it."""
    from authsvc.wsgi import services

    stop = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: Any) -> None:
        services.stopping.set()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, drain)


def post_fork(_server: Any, _worker: Any) -> None:
    """Pooled connections belong to the parent: let go of them without closing. Traces are sent by a thread of each worker."""
    from authsvc.wsgi import application, services

    services.database.dispose(after_fork=True)
    if (tracing := begin(os.environ)) is not None:
        tracing.database(services.database.engine)
        application.wsgi_app = tracing.web(application.wsgi_app)  # type: ignore[assignment,method-assign]
