"""Cores, and what a tree of processes has used: CPU seconds and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

#: One process of the machine, never confused with a later one of the same number.
ProcessKey = tuple[int, float]


@dataclass(frozen=True)
class Cores:
    """Where the server and where the load runs; None: the machine gives one core only, so both share it."""

    server: int | None
    load: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1]) if len(usable) > 1 else cls(None, None)

    def __str__(self) -> str:
        """For the head of the report."""
        if self.server is None:
            return "one core for server and load together: nothing is pinned, and the figures are not to be compared"
        return f"server on core {self.server}, load on core {self.load}"


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """This thread, and every process it starts meanwhile, on `core`; set before the start, so there is no race."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Spent:
    """CPU seconds between two readings. `ended`: processes that were gone at the second, whose last share is unknown."""

    cpu_s: float
    ended: int


def tree(root_pid: int) -> list[psutil.Process]:
    """The process and all its descendants."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(root_pid)
        return [root, *root.children(recursive=True)]
    return []


def cpu_reading(processes: Iterable[psutil.Process]) -> dict[ProcessKey, float]:
    """CPU seconds each process has used since it began, all its threads together (user and system)."""
    found = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[(process.pid, process.create_time())] = times.user + times.system
    return found


def spent(before: Mapping[ProcessKey, float], after: Mapping[ProcessKey, float]) -> Spent:
    """What the processes used between the readings; one that began in between counts whole."""
    used = sum(seconds - before.get(key, 0.0) for key, seconds in after.items())
    return Spent(used, len(before.keys() - after.keys()))


def pss_mib(process: psutil.Process) -> float:
    """Proportional set size in MiB: shared pages counted once over the tree, so the parts may be added up."""
    return float(process.memory_full_info().pss) / (1 << 20)


def core_busy_s(core: int | None) -> float:
    """Seconds `core` was busy since the machine started, whoever kept it so; 0 when nothing is pinned."""
    if core is None:
        return 0.0
    times = psutil.cpu_times(percpu=True)[core]
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
