"""gunicorn's configuration; spikes.md 3 has the figures behind the choices."""

from __future__ import annotations

from typing import Any

from authsvc.settings import Settings

_settings = Settings.read()

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


def post_fork(_server: Any, _worker: Any) -> None:
    """Pooled connections belong to the parent: let go of them without closing."""
    from authsvc.wsgi import services

    services.database.dispose(after_fork=True)
