"""A TCP proxy that misbehaves as networks do, before any server of a test."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

Target = tuple[str, int] | Path


class Mode(Enum):
    """What happens to every connection, open ones included."""

    PASS = "pass"
    #: Reset when it is opened.
    RESET = "reset"
    #: Everything is taken in and nothing answered.
    BLACK_HOLE = "black hole"


@dataclass
class Proxy:
    """Forwards 127.0.0.1:`port` to `target`, a TCP address or a Unix socket. Its fields may be set at any time."""

    target: Target
    mode: Mode = Mode.PASS
    #: Each piece, in each direction, waits this long.
    delay_s: float = 0.0
    #: Of what each connection is answered, so many bytes arrive; then it ends.
    cut_after: int | None = None
    #: The first request that holds this text is passed on, and its answer dropped with the connection; then it is None.
    swallow_reply_to: bytes | None = None
    swallowed: int = 0
    connections: int = 0
    _open: set[socket.socket] = field(default_factory=set, repr=False)
    _over: threading.Event = field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _listener: socket.socket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def reset_all(self) -> None:
        """Reset every open connection now."""
        with self._lock:
            open_now, self._open = self._open, set()
        for connection in open_now:
            _end(connection, reset=True)

    def close(self) -> None:
        """Stop listening, reset what is open."""
        self._over.set()
        _end(self._listener, reset=False)
        self.reset_all()

    def _reach(self) -> socket.socket:
        return _connect(self.target)

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                client, _ = self._listener.accept()
                self.connections += 1
                if self.mode is Mode.RESET:
                    _end(client, reset=True)
                else:
                    threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = self._reach()
        except OSError:
            _end(client, reset=True)
            return
        with self._lock:
            self._open |= {client, server}
        is_swallowing = threading.Event()
        answers = threading.Thread(target=self._answer, args=(server, client, is_swallowing), daemon=True)
        answers.start()
        with suppress(OSError):
            while piece := client.recv(65536):
                self._over.wait(self.delay_s)
                if self.mode is Mode.BLACK_HOLE:
                    continue
                with self._lock:
                    if self.swallow_reply_to is not None and self.swallow_reply_to in piece:
                        self.swallow_reply_to = None
                        is_swallowing.set()
                server.sendall(piece)
                if is_swallowing.is_set():
                    answers.join(10)
                    break
        self._forget(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, is_swallowing: threading.Event) -> None:
        passed = 0
        with suppress(OSError):
            while piece := server.recv(65536):
                self._over.wait(self.delay_s)
                if is_swallowing.is_set():
                    self.swallowed += 1
                    break
                if self.mode is Mode.BLACK_HOLE:
                    continue
                left = len(piece) if self.cut_after is None else max(0, self.cut_after - passed)
                client.sendall(piece[:left])
                passed += len(piece)
                if self.cut_after is not None and passed >= self.cut_after:
                    break
        self._forget(client, server)

    def _forget(self, *both: socket.socket) -> None:
        with self._lock:
            mine = self._open & {*both}
            self._open -= mine
        for connection in mine:
            _end(connection, reset=False)


@dataclass
class Balancer(Proxy):
    """Each new connection goes to the next of `target` and `others`, past those that refuse it."""

    others: tuple[Target, ...] = ()
    #: Who took each connection.
    reached: list[Target] = field(default_factory=list)

    def _reach(self) -> socket.socket:
        everybody = [self.target, *self.others]
        with self._lock:
            last = everybody.index(self.reached[-1]) if self.reached else -1
            for target in (*everybody[last + 1 :], *everybody[: last + 1]):
                with suppress(ConnectionRefusedError):
                    connection = _connect(target)
                    self.reached.append(target)
                    return connection
        raise ConnectionRefusedError


def _connect(target: Target) -> socket.socket:
    if not isinstance(target, Path):
        return socket.create_connection(target, timeout=None)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(target))
    except OSError:
        connection.close()
        raise
    return connection


def _end(connection: socket.socket, *, reset: bool) -> None:
    """Close it, by RST or after what was sent has arrived. A thread that waits in it wakes up."""
    with suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
    connection.close()


@contextmanager
def proxy_to(target: Target) -> Iterator[Proxy]:
    """A proxy before `target` until the block ends."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def balancer_of(targets: list[Target]) -> Iterator[Balancer]:
    """One before all of `targets`, each in turn."""
    balancer = Balancer(targets[0], others=tuple(targets[1:]))
    try:
        yield balancer
    finally:
        balancer.close()
