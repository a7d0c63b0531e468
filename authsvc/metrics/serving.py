"""`/metrics` on a port of its own, by the process that owns the others, so that it answers while they are busy or gone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from authsvc.errors import ConfigurationError
from authsvc.metrics.measured import Measured, Needs

#: Read by prometheus_client when it is imported: the folder in which each process keeps a file of its own.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def serving(needs: Needs, counted: CollectorRegistry) -> Iterator[None]:
    """Answer on AUTHSVC_METRICS_BIND, with what is in `counted` and what is measured. Raises: ConfigurationError: taken."""
    bind = needs.settings.metrics_bind
    host, _, port = bind.rpartition(":")
    counted.register(Measured(needs))
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), counted)
    except OSError as exc:
        raise ConfigurationError([f"AUTHSVC_METRICS_BIND: {bind} cannot be listened on ({exc.strerror})"]) from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def shared_folder() -> Iterator[tuple[dict[str, str], CollectorRegistry]]:
    """A fresh folder for one start: the environment of the processes that count there, and a registry that adds them up.

    Fresh, because files of an earlier start would be taken for living processes.
    """
    with tempfile.TemporaryDirectory(prefix="authsvc-metrics-") as folder:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # registers itself
        yield {FOLDER: folder}, registry


def forget_process(pid: int, folder: str | None = None) -> None:
    """A process has ended: its gauges no longer count, its counters stay. Nothing where no folder is shared."""
    if (folder := folder or os.environ.get(FOLDER)) and Path(folder).is_dir():
        mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]


def is_shared() -> bool:
    """Whether another process serves what this one counts."""
    return bool(os.environ.get(FOLDER))
