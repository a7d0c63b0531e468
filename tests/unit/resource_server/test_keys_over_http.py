"""The kit's own fetch, over real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from authsvc.resource_server import KeysUnavailable, TokenVerifier
from authsvc.resource_server.fetching import LARGEST_BODY
from tests.unit.resource_server.local_issuer import AUDIENCE, ES256, NOW, a_token

DISCOVERY = "/.well-known/openid-configuration"


class Site(ThreadingHTTPServer):
    """Serves `pages`: path -> status, headers, body; and writes down who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        keys = json.dumps({"keys": [ES256.as_dict(private=False)]}).encode()
        metadata = json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}).encode()
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {
            DISCOVERY: (200, {}, metadata),
            "/jwks": (200, {"Cache-Control": "max-age=300"}, keys),
        }
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.pages[self.path]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def a_verifier(site: Site) -> TokenVerifier:
    return TokenVerifier(site.url, AUDIENCE, now=lambda: NOW)


def test_keys_are_found_by_discovery_over_http(site: Site) -> None:
    """Discovery, then the key set, then nothing more."""
    verify = a_verifier(site)
    assert verify(a_token(iss=site.url)).sub == "3f9c1d52"
    verify(a_token(iss=site.url, jti="2"))
    assert site.asked == [DISCOVERY, "/jwks"]


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks"])
@pytest.mark.parametrize("status", [301, 302, 307, 404, 500, 204])
def test_anything_but_200_is_no_answer(site: Site, path: str, status: int) -> None:
    """A redirect is not followed: it could lead to keys of anybody's, or into the inner network."""
    body = site.pages[path][2]
    site.pages["/elsewhere"] = site.pages[path]
    site.pages[path] = (status, {"Location": f"{site.url}/elsewhere"}, body if status != 204 else b"")
    with pytest.raises(KeysUnavailable):
        a_verifier(site).prefetch()
    assert "/elsewhere" not in site.asked


def test_a_body_too_large_is_not_read(site: Site) -> None:
    """Bounded, whatever its length is said to be."""
    status, headers, body = site.pages["/jwks"]
    site.pages["/jwks"] = (status, headers, body + b" " * LARGEST_BODY)
    with pytest.raises(KeysUnavailable):
        a_verifier(site).prefetch()


def test_a_body_cut_short_is_not_believed(site: Site) -> None:
    """A connection that breaks in the middle is a failed fetch."""
    status, headers, body = site.pages["/jwks"]
    site.pages["/jwks"] = (status, {**headers, "Content-Length": str(len(body) + 1), "Connection": "close"}, body)
    with pytest.raises(KeysUnavailable):
        a_verifier(site).prefetch()


def test_an_issuer_that_is_not_there_is_no_401(site: Site) -> None:
    """Connection refused: 503."""
    verify = a_verifier(site)
    site.server_close()
    with pytest.raises(KeysUnavailable):
        verify(a_token(iss=site.url))
