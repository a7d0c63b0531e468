"""A client's own web site, for real, on loopback: its keys, its documents, its back-channel logout address."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The fields of a posted form, each sent once."""
        return {name: value for name, [value] in parse_qs(self.body.decode(), strict_parsing=True).items()}


class ClientSite(ThreadingHTTPServer):
    """Answers with `pages`: path, with or without its query -> (status, headers, body); 404 elsewhere.

    `asked` is what arrived, oldest first.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[Asked] = []

    def publish(self, path: str, document: Any, *, mimetype: str = "application/json", status: int = 200) -> str:
        """Serve a JSON document; answers its address."""
        self.pages[path] = (status, {"Content-Type": mimetype}, json.dumps(document).encode())
        return f"{self.url}{path}"

    def answer(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> str:
        """Serve anything; answers its address."""
        self.pages[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return f"{self.url}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: ClientSite

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        pages = self.server.pages
        status, headers, content = pages.get(self.path) or pages.get(self.path.partition("?")[0], (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


@contextmanager
def client_site(tls: ssl.SSLContext | None = None) -> Iterator[ClientSite]:
    """A running site; over TLS with `tls`."""
    with ClientSite() as site:
        if tls is not None:
            site.socket = tls.wrap_socket(site.socket, server_side=True)
            site.url = site.url.replace("http:", "https:")
        thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join(10)
