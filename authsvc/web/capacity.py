"""How many web workers a machine bears, where nobody has said so."""

from __future__ import annotations

import os
from pathlib import Path

from authsvc.settings import Settings

#: A worker takes about 120 MB and a pool of connections to the database: a large machine is told its number.
MOST = 8
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def cores(cpu_max: Path = CPU_MAX) -> int:
    """The cores that this process may use: those it is bound to, less where its container's quota says so."""
    mine = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        return max(1, min(mine, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or `max`: no quota
        return mine


def web_workers(settings: Settings, *, of_cores: int | None = None) -> int:
    """What AUTHSVC_WORKERS says; where it is 0, one a core, and one alone where a file is the database."""
    if settings.workers:
        return settings.workers
    return 1 if settings.database_url.startswith("sqlite:") else min(MOST, of_cores or cores())
