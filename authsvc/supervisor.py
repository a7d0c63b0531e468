"""A small parent of several processes (spikes.md 4): passes signals on, restarts the worker, ends with the web server.

A worker that is a thread or a fork of the server would die unseen: gunicorn reaps unknown children and says nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

RESTART_AFTER_S = 1.0
#: Longer than gunicorn's graceful timeout, so that it is never cut off by us.
PATIENCE_S = 40.0


@dataclass
class Child:
    """A process to keep. When an essential one ends, everything ends; another is started again."""

    name: str
    command: Sequence[str]
    essential: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in our process group's environment."""
        self.process = subprocess.Popen(list(self.command), env={**os.environ, **self.environment})  # noqa: S603 - ours

    @property
    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.poll() if self.process else None


def supervise(children: Sequence[Child], ended_child: Callable[[int], None] = lambda _pid: None) -> int:
    """Run the children until an essential one ends or we are told to stop; answers the exit status.

    `ended_child` is told the process id of each that is started again.
    """
    stopping = threading.Event()

    def pass_on(number: int, _frame: object) -> None:
        if number != signal.SIGHUP:
            stopping.set()
        for child in children:
            if child.process is not None and child.status is None and (child.essential or number != signal.SIGHUP):
                child.process.send_signal(signal.SIGTERM if number == signal.SIGINT else number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    for child in children:
        child.start()
    status = 0
    while not stopping.is_set():
        ended = [child for child in children if child.status is not None]
        if first := next((child for child in ended if child.essential), None):
            status = first.status or 0
            break
        for child in ended:
            sys.stderr.write(f"authsvc: the {child.name} ended with status {child.status}; starting it again\n")
            if child.process is not None:
                ended_child(child.process.pid)
            stopping.wait(RESTART_AFTER_S)
            if not stopping.is_set():
                child.start()
        stopping.wait(0.2)
    for child in children:
        if child.process is not None and child.status is None:
            child.process.terminate()
    for child in children:
        if child.process is not None:
            try:
                child.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
    return 0 if stopping.is_set() else status or 1
