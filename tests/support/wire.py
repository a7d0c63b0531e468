"""Bytes on a socket, as no client library would send them, and what comes back."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Answered:
    """Everything that came, and whether the server closed the connection behind it."""

    sent: bytes
    is_closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each answer; interim ones too."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", self.sent)]

    @property
    def text(self) -> str:
        """All of it."""
        return self.sent.decode("latin-1")


def connect(port: int, *, timeout_s: float = 60.0) -> socket.socket:
    """A connection to this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def read(connection: socket.socket) -> Answered:
    """What comes until the server closes, or goes quiet for as long as the socket's timeout."""
    received, is_closed = b"", False
    try:
        while more := connection.recv(65536):
            received += more
        is_closed = True
    except ConnectionResetError:
        is_closed = True
    except TimeoutError:
        pass
    return Answered(received, is_closed)


def exchange(port: int, request: bytes, *, timeout_s: float = 60.0) -> Answered:
    """Send and read. A server that has refused may close before everything is sent."""
    with connect(port, timeout_s=timeout_s) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return read(connection)
