"""Real processes: start them, wait for them, and leave none behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

import psutil
from filelock import FileLock, Timeout

T = TypeVar("T")

#: SQLite commits ten times faster there, for its syncs cost nothing. Containers often have 64 MB only: then the disk.
MEMORY = Path("/dev/shm")
MEMORY_NEEDED_BYTES = 1 << 30


def poll(predicate: Callable[[], T], deadline_s: float = 10.0, *, what: str = "what the test waits for") -> T:
    """The first true answer of `predicate`, asked again and again. Raises: AssertionError after `deadline_s`."""
    end, pause = time.monotonic() + deadline_s, threading.Event()
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {deadline_s:g} s")
        pause.wait(0.01)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody listens on `port` of 127.0.0.1; for `ready` of `running`."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Running:
    """A started process and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self.process = process
        self._said = said

    @property
    def pid(self) -> int:
        """Its process id, which is the id of its process group too."""
        return self.process.pid

    def output(self) -> str:
        """Everything it has written so far, both streams in one."""
        return Path(self._said.name).read_text(errors="replace")

    def end(self, patience_s: float = 10.0) -> None:
        """End its whole group: politely, then, after `patience_s`, for certain."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        # Children that outlived their parent are in the group still.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    *,
    ready: Callable[[], bool],
    cwd: Path | None = None,
    deadline_s: float = 20.0,
) -> Iterator[Running]:
    """A real process from the moment `ready` says true; its process group is ended on leaving.

    `env` is added to the environment of the tests. An OSError of `ready` means "not yet". When the process ends early,
    is not ready after `deadline_s`, or the test fails, the error carries what the process wrote.
    """
    with tempfile.NamedTemporaryFile(prefix="authsvc-output-") as said:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started = Running(process, said)

        def is_ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"it ended with status {process.returncode} before it was ready")
            with suppress(OSError):
                return ready()
            return False

        try:
            poll(is_ready, deadline_s, what=f"readiness of {Path(command[0]).name}")
            yield started
        except BaseException as failure:
            failure.add_note(f"--- {' '.join(map(str, command))} wrote:\n{started.output()}---")
            raise
        finally:
            started.end()


def end_processes_in(folder: Path) -> None:
    """End every process that works in `folder` or below, and wait until it is gone. Their data is not to be kept."""

    def alive() -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cwd", "status"])
            if process.info["cwd"]
            and Path(process.info["cwd"]).is_relative_to(folder)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def tell(number: signal.Signals) -> None:
        for process in alive():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    # PostgreSQL takes SIGQUIT for "stop at once" and frees its shared memory, which SIGKILL would leave to the machine.
    tell(signal.SIGQUIT)
    with suppress(AssertionError):
        poll(lambda: not alive(), 5)
    tell(signal.SIGKILL)


class RunFolder:
    """The folder of one test run, shared by its workers, and the end of every server that works in it.

    Kept in memory where there is room. What an earlier run left because it was killed is cleared first: its folder is
    one whose lock nobody holds.
    """

    def __init__(self) -> None:
        in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED_BYTES
        home, name = (MEMORY if in_memory else Path(tempfile.gettempdir())), f"authsvc-tests-{os.getuid()}"
        with FileLock(home / f"{name}.lock"):
            for left in home.glob(f"{name}-*/"):
                with suppress(Timeout), FileLock(left / "alive.lock", timeout=0):
                    clear(left)
            self.path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home)).resolve()
            self._alive = FileLock(self.path / "alive.lock")
            self._alive.acquire()

    def close(self) -> None:
        """End the servers and delete the folder."""
        clear(self.path)
        self._alive.release()


def clear(folder: Path) -> None:
    """End what works in `folder`, then delete it."""
    end_processes_in(folder)
    shutil.rmtree(folder)
