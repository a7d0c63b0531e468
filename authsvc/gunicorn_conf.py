"""gunicorn's configuration; spikes.md 3 has the figures behind the choices."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any

from authsvc import logs
from authsvc.metrics.serving import forget_process
from authsvc.settings import Settings
from authsvc.tracing import begin
from authsvc.web.capacity import web_workers

_settings = Settings.read()
logs.configure(_settings.log_level)

bind = _settings.bind
workers = web_workers(_settings)
worker_class = "authsvc.web.gunicorn_worker.GatheringWorker"
threads = _settings.threads
# The strict parser in Python: it refuses two Hosts, Content-Length beside Transfer-Encoding and folded headers.
http_parser = "python"
preload_app = True
worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeats must not wait for a disk
control_socket_disable = True
# What is under way when we are told to stop; the supervisor and the chart's terminationGracePeriod wait longer.
graceful_timeout = 30
timeout = 30
# Longer than proxies keep a connection they do not use (nginx and AWS: 60 s), so that they close it and never we, just
# as they send the next request.
keepalive = 75
# Whatever a library might leak ends with its worker; the jitter keeps them from going all at once.
max_requests = 50_000
max_requests_jitter = 10_000
limit_request_line = 8190
limit_request_fields = 60
limit_request_field_size = 8190
# Proxy headers are read by our own layer (web/client_ip.py), whichever server runs us.
forwarded_allow_ips = ""
accesslog = None
loglevel = "warning"
# Silent connections cost a file descriptor each; what the shell's soft limit leaves out is ours to take.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = min(_hard, max(_soft, 8192)) if _hard != resource.RLIM_INFINITY else max(_soft, 8192)
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))
worker_connections = min(4000, max(100, _files - 500))


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
