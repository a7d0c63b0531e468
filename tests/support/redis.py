"""A Redis of one's own on a Unix socket, which forgets everything when it ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.processes import Running, running


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Address of a server that works in `folder`."""
    with redis_process(folder) as (url, _):
        yield url


@contextmanager
def redis_process(folder: Path) -> Iterator[tuple[str, Running]]:
    """The same, and its process: fault tests freeze and end it when they like."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise AssertionError("redis-server is missing: `make test` installs it, or says which package to install")
    socket = folder / "redis.sock"
    url = f"unix://{socket}"

    def answers() -> bool:
        try:
            with redis.Redis.from_url(url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    with running(command, ready=answers, cwd=folder) as process:
        yield url, process


def forget_everything(url: str) -> None:
    """Empty the server at `url`."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
