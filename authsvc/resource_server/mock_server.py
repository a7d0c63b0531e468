"""The loopback server behind `MockIssuer.serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

#: Path, headers (names in lower case) and the body of a POST in; status, headers and body out.
Answering = Callable[[str, Mapping[str, str], bytes | None], tuple[int, Mapping[str, str], bytes]]


class MockServer(ThreadingHTTPServer):
    """HTTP on a free port of 127.0.0.1; whatever is asked, `answering` answers."""

    daemon_threads = True

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering = answering

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Answer in a thread, until `stop`."""
        Thread(target=self.serve_forever, args=(0.01,), name="mock-issuer", daemon=True).start()

    def stop(self) -> None:
        """Answer no more, and give the port back."""
        self.shutdown()
        self.server_close()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer within the block."""
        self.start()
        try:
            yield
        finally:
            self.stop()


class _Handler(BaseHTTPRequestHandler):
    server: MockServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes | None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, sent, content = self.server.answering(self.path, headers, body)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on a test's standard error."""
