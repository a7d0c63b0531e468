"""The layers in front of pages and endpoints."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from authsvc import logs
from authsvc.throttle.window import network_of
from authsvc.web.client_ip import OwnHost, client_address, networks
from authsvc.web.front import Document, MachineFront
from authsvc.web.observe import Observe, new_request_id
from authsvc.web.redirects import local_path


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.9", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", ", ,198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_lg_05_only_the_trusted_hop_counts(peer: str, forwarded: str, seen: str) -> None:
    """What a client says of itself does not count, and an unparsable address never skips a check."""
    assert client_address(peer, forwarded, networks("10.0.0.0/8")) == seen


def test_a_v6_host_owns_its_64() -> None:
    """Rotating through one's own /64 is one address to the limits; rubbish is one shared key."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("198.51.100.1") != network_of("198.51.100.2")
    assert network_of("x") == network_of("") == "unparsable"


@pytest.mark.parametrize("path", ["/", "/profile", "/profile/exports?page=2", "/a/b.c~d-e_f"])
def test_own_paths_are_kept(path: str) -> None:
    """A person goes on to where they were going."""
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil",
        "/\\evil",
        "/\tevil",
        "/%09/evil\n",
        "https:evil",
        "https://evil",
        "evil",
        "",
        None,
        "/" + "a" * 3000,
        "/a b",
        "/\x00",
    ],
)
def test_lg_14_everything_else_is_dropped(path: str | None) -> None:
    """Local path allow-list only."""
    assert local_path(path) is None


@given(st.text())
def test_lg_14_whatever_is_kept_stays_on_this_host(text: str) -> None:
    """No text leads anywhere else."""
    from urllib.parse import urljoin

    if (kept := local_path(text)) is not None:
        assert urljoin("https://login.ims.test/x", kept).startswith("https://login.ims.test/")


def pages(environ: dict[str, Any], start_response: Any) -> Any:
    """Stands for Flask."""
    return Response("a page")(environ, start_response)


def front() -> Client:
    """A front with one document and one endpoint."""
    document = Document.of(b"{}", mimetype="application/json", cache_control="public, max-age=300")

    def endpoint(request: Request) -> Response:
        return Response(f"posted {request.form['x']}")

    app = MachineFront(pages, documents={"/doc": lambda: document}, endpoints={"/do": {"POST": endpoint}})
    return Client(OwnHost(Observe(app), issuer="https://login.ims.test"))


BASE = "https://login.ims.test"


def test_documents_are_ready_bytes_with_an_etag() -> None:
    """GET, HEAD, 304 and a truthful Cache-Control."""
    client = front()
    first = client.get("/doc", base_url=BASE)
    assert (first.status_code, first.data, first.headers["Cache-Control"]) == (200, b"{}", "public, max-age=300")
    again = client.get("/doc", base_url=BASE, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.head("/doc", base_url=BASE).data == b""


def test_machine_paths_never_fall_through_to_pages() -> None:
    """A wrong method is 405 with Allow; other paths are pages."""
    client = front()
    wrong = client.get("/do", base_url=BASE)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert client.post("/doc", base_url=BASE).status_code == 405
    assert client.post("/do", base_url=BASE, data={"x": "1"}).text == "posted 1"
    assert client.get("/doc/", base_url=BASE).text == "a page"


@pytest.mark.parametrize("host", ["https://evil.test", "https://login.ims.test:444", "https://login.ims.test.evil"])
def test_rc_01_a_foreign_host_is_refused(host: str) -> None:
    """Links and cookies are made for the configured issuer only; probes come by address."""
    assert front().get("/doc", base_url=host).status_code == 400
    assert front().get("/healthz", base_url=host).status_code == 200


def test_an_exception_that_got_this_far_is_a_plain_500() -> None:
    """No stack trace leaves the process, and the log has the reference."""

    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        raise RuntimeError("secret-text")

    answer = Client(Observe(broken)).get("/")
    assert answer.status_code == 500
    assert "secret-text" not in answer.text


def test_request_ids_can_be_read_out_on_the_phone() -> None:
    """Two groups of four, no letters that are mistaken for one another."""
    ids = {new_request_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(i) == 9 and i[4] == "-" and not set(i) & set("AEIOU01") for i in ids)


def test_pl_04_a_log_line_is_one_line_and_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """CRLF, escape sequences and a megabyte become one short JSON line; fields that may hold secrets are withheld."""
    import logging

    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure("info")
        logs.logger("test").info(
            "something", browser="a\r\nb\x1b[31m" + "x" * 1_000_000, code="123456", password="hunter2"
        )
        logging.getLogger("authlib").debug({"access_token": "eyJhbGciOi"})
        line = capsys.readouterr().err
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
    assert line.count("\n") == 1
    assert len(line) < 1000
    said = json.loads(line)
    assert (said["code"], said["password"]) == ("[withheld]", "[withheld]")
    assert "123456" not in line
    assert io.StringIO(line).readline() == line
