"""When a request is here, and which bytes are none (authsvc/web/arrival.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.settings import Settings
from authsvc.web.arrival import LARGEST_BODY, LARGEST_HEAD, Arrival, Refused
from authsvc.web.capacity import cores, web_workers

HEAD = b"POST /oauth/token HTTP/1.1\r\nHost: login.example\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "no body": HEAD + b"\r\n",
    "no field": b"GET / HTTP/1.1\r\n\r\n",
    "after empty lines": b"\r\n\r\n" + HEAD + b"\r\n",
    "length": HEAD + b"content-length:5\r\n\r\nhello",
    "length 0": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKED + b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"1\r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
    "head of a file": b"PUT /api/v1/exports/0a1b/file HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n",
    "line feeds in the body": HEAD + b"Content-Length: 2\r\n\r\n\n\n",
}
REFUSED = {
    "CL.TE": HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
    "TE.CL": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 6\r\nContent-Length: 6\r\n\r\n",
    "hex length": HEAD + b"Content-Length: 0x6\r\n\r\n",
    "folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n",
    "line feed alone": HEAD + b"X: y\n",
    "first of all": b"\nGET / HTTP/1.1\r\n",
    "no text": b"\x16\x03\x01",
    "chunk of 16 MB": CHUNKED + b"1000000\r\n",
    "chunk of nothing": CHUNKED + b"\r\n",
    "chunk too long": CHUNKED + b"1\r\nab",
    "endless chunk line": CHUNKED + b"1;" + b"x" * 300,
    "line feed in a trailer": CHUNKED + b"0\r\nX: y\nZ",
}


def add_all(arrival: Arrival, pieces: list[bytes]) -> bool:
    """Whether the request is whole with these."""
    for piece in pieces:
        if not arrival.is_whole:
            arrival.add(piece)
    return arrival.is_whole


@pytest.mark.parametrize("name", WHOLE)
def test_a_request_is_whole_with_its_last_byte_and_not_before(name: str) -> None:
    """However it is cut: byte by byte, and at once with the next one behind it."""
    arrival = Arrival()
    for byte in WHOLE[name]:
        assert not arrival.is_whole
        arrival.add(bytes([byte]))
    assert arrival.is_whole
    together = Arrival()
    together.add(WHOLE[name] + b"GET /next")
    assert together.is_whole
    assert together.sent.endswith(b"GET /next")


@pytest.mark.parametrize("name", REFUSED)
def test_pl_01_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    """At once or at the byte that shows it, whichever way it comes."""
    for step in (1, 7, len(REFUSED[name])):
        pieces = [REFUSED[name][at : at + step] for at in range(0, len(REFUSED[name]), step)]
        with pytest.raises(Refused, match="400"):
            add_all(Arrival(), pieces)


def test_pl_02_nothing_is_gathered_beyond_what_is_ever_answered() -> None:
    """Head and body have their ends; a length that says more is believed and refused unread."""
    for sent, status in (
        (b"GET / HTTP/1.1\r\nX: " + b"a" * LARGEST_HEAD, "431"),
        (HEAD + b"X: " + b"a" * LARGEST_HEAD + b"\r\n\r\n", "431"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1), "413"),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "413"),
        (b"PUT /api/v1/exports/x/files HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n", "413"),
        (CHUNKED + b"1\r\na\r\n" * (LARGEST_BODY // 6 + 1), "413"),
    ):
        with pytest.raises(Refused, match=status):
            Arrival().add(sent)


def test_a_client_is_asked_to_go_on_once() -> None:
    """`Expect: 100-continue` (RFC 9110 10.1.1): not before the head is here, not twice."""
    arrival = Arrival()
    arrival.add(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n")
    assert not arrival.asks_to_go_on()
    arrival.add(b"\r\n")
    assert arrival.asks_to_go_on()
    assert not arrival.asks_to_go_on()


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"0", b"1", b"a", b";", b":", b"GET /", HEAD, CHUNKED, b"\xff"])))
def test_any_bytes_are_waited_for_whole_or_refused(parts: list[bytes]) -> None:
    """Never another exception, which would end a worker; and never a different answer for bytes that come one by one."""

    def outcome(pieces: list[bytes]) -> object:
        try:
            return add_all(Arrival(), pieces)
        except Refused as refused:
            return refused.args[0]

    sent = b"".join(parts)
    at_once, one_by_one = outcome([sent]), outcome([bytes([byte]) for byte in sent])
    assert one_by_one == at_once or one_by_one is True


def test_workers_follow_the_cores_unless_said_otherwise(tmp_path: Path) -> None:
    """A container's quota counts, SQLite has one writer, and a large machine does not get a worker for each of its cores."""
    (tmp_path / "one").write_text("150000 100000\n")
    (tmp_path / "none").write_text("max 100000\n")
    assert cores(tmp_path / "one") == 1
    assert cores(tmp_path / "none") == cores(tmp_path / "missing") >= 1
    on_server = Settings(database_url="postgresql://db/authsvc")
    assert web_workers(Settings(), of_cores=16) == 1
    assert web_workers(on_server, of_cores=3) == 3
    assert web_workers(on_server, of_cores=64) == 8
    assert web_workers(Settings(workers=2), of_cores=64) == 2
