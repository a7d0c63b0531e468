"""A connection that can be held up: what the server answers meanwhile arrives late, not never."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path


class HeldUp:
    """Passes bytes between TCP clients and a Unix socket; `held` while answers wait."""

    def __init__(self, behind: Path) -> None:
        self._behind = behind
        self._may_pass = threading.Event()
        self._may_pass.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """From now on answers wait."""
        self._may_pass.clear()

    def release(self) -> None:
        """Everything that waited arrives."""
        self._may_pass.set()

    def close(self) -> None:
        """Take no more connections."""
        self.release()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._behind))
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, waits: bool) -> None:
        with suppress(OSError), closing(target), closing(source):
            while piece := source.recv(65536):
                if waits:
                    self._may_pass.wait()
                target.sendall(piece)


@contextmanager
def held_up(behind: Path) -> Iterator[HeldUp]:
    """One, until the test ends."""
    between = HeldUp(behind)
    try:
        yield between
    finally:
        between.close()
