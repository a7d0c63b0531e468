"""What arrives on the socket of a server that nothing protects (security.md PL-01, PL-02, PL-05)."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.support.processes import poll
from tests.support.remote import Served, served
from tests.support.wire import Answered, connect, exchange, read

ISSUER = "https://login.ims.test"
HOST = b"Host: login.ims.test\r\n"
POST = b"POST /oauth/token HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
#: Would be a second answer, if the server took it for a request of its own.
SMUGGLED = b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n"
NOTHING = "schema: authsvc/config/1\n"

PL_01 = {
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two different codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "folded": POST + b"X-Any: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare line feed": POST + b"X-Any: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds only": POST.replace(b"\r", b"") + b"Content-Length: 0\n\n",
    "bare carriage return": POST + b"X-Any: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n",
    "signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "underscored length": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "chunk size in C": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
    "negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
    "line feed in a chunk's line": POST + b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\nab\r\n0\r\n\r\n",
    "chunk longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0", 1) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /readyz HTTP/1.1\r\n" + HOST + b"Host: evil.test\r\n\r\n",
    "NUL": b"GET /readyz HTTP/1.1\r\n" + HOST + b"X-Any: a\0b\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS on the plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`authsvc serve` as an https issuer, with nothing in front."""
    settings = {"AUTHSVC_ISSUER": ISSUER, "AUTHSVC_EMBEDDED_WORKER": "0"}
    with served(tmp_path_factory.mktemp("hostile"), NOTHING, **settings) as started:
        yield started


@pytest.fixture(scope="module")
def port(server: Served) -> int:
    """Where it listens."""
    return urlsplit("//" + server.environment["AUTHSVC_BIND"]).port or 0


@pytest.fixture(autouse=True)
def serves_everybody_else(port: int, server: Served) -> Iterator[None]:
    """After each case a proper request is answered, and nothing crashed."""
    yield
    assert get(port, "/readyz").statuses == [200]
    assert "Traceback" not in server.process.output()


def get(port: int, path: str, *fields: str, method: str = "GET") -> Answered:
    """A proper request, with more fields; the connection is closed behind it."""
    head = [f"{method} {path} HTTP/1.1", "Host: login.ims.test", "Connection: close", *fields]
    return exchange(port, ("\r\n".join(head) + "\r\n\r\n").encode())


@pytest.mark.parametrize("name", PL_01)
def test_pl_01_what_two_servers_could_read_differently_is_refused_and_closed(port: int, name: str) -> None:
    """400 and closed: what stands behind it is no request. CVE-2024-1135, CVE-2024-6827."""
    answered = exchange(port, PL_01[name] + SMUGGLED)
    assert answered.statuses == [400]
    assert answered.is_closed
    assert '"ready"' not in answered.text


def test_pl_01_what_is_proper_is_answered_in_order(port: int) -> None:
    """Pipelined, in chunks, and after a request to go on: strict is not deaf."""
    form = b"grant_type=none"
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\ngrant\r\nA;x=y\r\n_type=none\r\n0\r\n\r\n"
    expecting = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(form)
    last = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert exchange(port, SMUGGLED + chunked + last).statuses == [200, 400, 200]
    with connect(port) as connection:
        connection.sendall(expecting)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(form + last)
        answered = read(connection)
    assert [status for status in answered.statuses if status != 100] == [400, 200]
    assert "unsupported_grant_type" in answered.text or "invalid_client" in answered.text


def form(body: bytes, kind: str = "application/x-www-form-urlencoded", path: str = "/oauth/token", *more: str) -> bytes:
    """A POST with its true length."""
    fields = [f"POST {path} HTTP/1.1", "Host: login.ims.test", f"Content-Type: {kind}", "Connection: close", *more]
    return ("\r\n".join(fields) + f"\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
PL_02 = {
    "100,000 fields": (form(b"a=&" * 100_000), {413}),
    "30,000 fields": (form(b"&a" * 30_000), {400, 401, 413}),
    "10,000 parts": (form(PART * 10_000, "multipart/form-data; boundary=x"), {413}),
    "1,000 parts": (form(PART * 1_000, "multipart/form-data; boundary=x"), {400, 413}),
    "1,000 parts to a page": (form(PART * 1_000, "multipart/form-data; boundary=x", "/sign-in"), {400, 413}),
    # CVE-2023-46136: a part that begins with a carriage return made the parser quadratic.
    "60 KB of carriage returns": (
        form(
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"\r" * 60_000,
            "multipart/form-data; boundary=x",
            "/sign-in",
        ),
        {400, 413},
    ),
    "1 GB announced": (POST + b"Content-Length: 1073741824\r\n\r\n" + b"a" * 50_000, {413}),
    "1 GB asked for": (POST + b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n", {413}),
    "1 GB in chunks": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"ffff\r\n" + b"a" * 65535 + b"\r\n") * 2,
        {413},
    ),
    "no end of digits": (POST + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n", {413}),
    "gzip of 40 MB": (
        form(gzip.compress(bytes(40 << 20)), "application/json", "/oauth/register", "Content-Encoding: gzip"),
        {400, 401, 413, 415},
    ),
    "JSON 30,000 deep": (form(b"[" * 30_000, "application/json", "/oauth/register"), {400, 401}),
    "JSON 100,000 deep": (form(b"[" * 100_000, "application/json", "/api/v1/members"), {413}),
    "request line of 9 KB": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {414}),
    "field of 9 KB": (b"GET / HTTP/1.1\r\n" + HOST + b"X-Any: " + b"a" * 9000 + b"\r\n\r\n", {431}),
    "100 fields of a head": (b"GET / HTTP/1.1\r\n" + HOST + b"X-Any: a\r\n" * 100 + b"\r\n", {431}),
    "endless head": (b"GET / HTTP/1.1\r\n" + HOST + b"X-Any: a\r\n" * 100_000, {431}),
}


@pytest.mark.parametrize("name", PL_02)
def test_pl_02_more_than_anybody_needs_is_refused_quickly(port: int, name: str) -> None:
    """413, 414, 431 or 400 without the work that was meant, and the connection closed."""
    request, expected = PL_02[name]
    began = time.monotonic()
    answered = exchange(port, request)
    assert len(answered.statuses) == 1
    assert set(answered.statuses) <= expected
    assert answered.is_closed
    assert time.monotonic() - began < 15


def test_pl_02_slow_and_silent_clients_cost_nobody_a_thread(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """600 connections that send nothing, half a head, half a body or a byte now and then: the others are served at once.

    The promise's 2,000, shortened; every one is closed by the server when its time is over, and not before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    beginnings = (b"", b"GET /sign-in HTTP/1.1\r\nHo", POST + b"Content-Length: 50\r\n\r\ngrant", b"P")

    def answered_within() -> float:
        began = time.monotonic()
        assert get(port, "/oauth/jwks").statuses == [200]
        return time.monotonic() - began

    quiet = sorted(answered_within() for _ in range(20))
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(600)]
        for number, connection in enumerate(slow):
            connection.sendall(beginnings[number % 4])
        busy = []
        for number in range(20):
            for connection in slow[3::80]:
                connection.sendall(b"O"[number:] or b"x")
            busy.append(answered_within())
        busy.sort()
        late = slow[1]
        assert late.recv(1) == b""  # its time is over
        # The others of its kind are gone with it; a request that ended in time was answered.
        for connection in slow[2:40:4]:
            connection.settimeout(30)
            assert connection.recv(100) == b""
    with capsys.disabled():
        print(f"\n600 slow clients: p95 {quiet[18] * 1000:.1f} -> {busy[18] * 1000:.1f} ms")  # noqa: T201 - the figure
    assert busy[18] < max(1.0, 5 * quiet[18])


def test_pl_05_nothing_but_the_service_is_served(port: int) -> None:
    """No repository, console, metrics, listing or trace on this port; methods nobody needs are refused without an echo."""
    static = ("/static/", "/static/../settings.py", "/static/%2e%2e/settings.py")
    tools = ("/metrics", "/console", "/debug", "/?__debugger__=yes&cmd=resource&f=style.css", "/server-status")
    for path in ("/.git/config", "/.env", "/authsvc.db", *static, *tools):
        answered = get(port, path)
        assert answered.statuses in ([404], [303], [302]), path
        assert "SECRET" not in answered.text
        assert "Werkzeug" not in answered.text
    for method in ("TRACE", "CONNECT", "TRACK", "DEBUG", "PROPFIND"):
        answered = get(port, "/sign-in", "X-Secret: only-the-browser-knows", method=method)
        assert answered.statuses in ([404], [405], [501]), method
        assert "only-the-browser-knows" not in answered.text
    server_field = [line for line in get(port, "/sign-in").text.splitlines() if line.lower().startswith("server:")]
    assert all(not any(character.isdigit() for character in line) for line in server_field)


def test_pl_05_what_a_caller_says_of_proxies_changes_nothing(port: int) -> None:
    """X-Forwarded-Proto: http and its like: the issuer, every address and `Secure` stay (CVE-2026-33495)."""
    lies = (
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Port: 80",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1;proto=http;host=evil.test",
        "X-Forwarded-Ssl: off",
        "X-Script-Name: /evil",
        "X-Original-URL: /admin/settings",
        "X-HTTP-Method-Override: DELETE",
    )
    discovered = get(port, "/.well-known/openid-configuration", *lies)
    document = json.loads(discovered.sent.partition(b"\r\n\r\n")[2])
    assert document["issuer"] == ISSUER
    assert "evil" not in discovered.text
    assert "http://" not in discovered.text
    page = get(port, "/sign-in", *lies)
    assert page.statuses == [200]
    assert "evil" not in page.text
    cookies = [line for line in page.text.splitlines() if line.lower().startswith("set-cookie:")]
    assert cookies
    assert all("__Host-" in line and "Secure" in line for line in cookies)
    assert poll(lambda: get(port, "/sign-in", "X_Forwarded_Proto: http").statuses) in ([200], [400])
