"""The introspection mode's own HTTP, on loopback: kept connections, no redirects, nothing endless."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest
from joserfc.jwk import ECKey

from authsvc.resource_server import IntrospectionVerifier, InvalidToken, IssuerUnavailable, Requirement
from authsvc.resource_server.fetching import LARGEST_BODY
from authsvc.resource_server.introspection import HttpPost
from authsvc.resource_server.mock_server import MockServer
from authsvc.resource_server.testing import INTROSPECT, MockIssuer, State, sign

BODY = b"token=x"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def over_http(issuer: MockIssuer) -> IntrospectionVerifier:
    return IntrospectionVerifier(issuer.serve(), *issuer.client, issuer.audience)


def test_it_asks_over_http(ims_issuer: MockIssuer) -> None:
    """Discovery, then one POST a call."""
    verify = over_http(ims_issuer)
    good, revoked = ims_issuer.mint(), ims_issuer.mint(State.REVOKED)
    assert verify(good, Requirement(scope="investors.read")).account
    with pytest.raises(InvalidToken, match="not active"):
        verify(revoked)
    assert ims_issuer.asked == ["/.well-known/openid-configuration", INTROSPECT, INTROSPECT]


def test_a_token_that_the_issuer_does_not_know_is_invalid(ims_issuer: MockIssuer) -> None:
    """Whatever its shape and signature: the issuer decides."""
    token = sign({"typ": "at+jwt", "alg": "ES256", "kid": "x"}, {"iss": "x"}, ECKey.generate_key("P-256"))
    with pytest.raises(InvalidToken, match="not active"):
        over_http(ims_issuer)(token)


def test_nobody_there_is_no_verdict(ims_issuer: MockIssuer) -> None:
    """Connection refused."""
    verify, token = over_http(ims_issuer), ims_issuer.mint()
    verify(token)
    ims_issuer.close()
    with pytest.raises(IssuerUnavailable):
        verify(token)


@contextmanager
def scripted(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each request of each connection with the next of its bytes, then hangs up; and what it read."""
    read: list[bytes] = []

    def serve() -> None:
        for answers in connections:
            connection, _ = listening.accept()
            with closing(connection):
                connection.settimeout(10)
                for answer in answers:
                    request = b""
                    while not request.endswith(BODY):
                        request += connection.recv(65_536)
                    read.append(request)
                    connection.sendall(answer)

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(10)
        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/introspect", read
        thread.join(10)


def asked(post: HttpPost, url: str) -> bytes:
    status, _, body = post(url, {"Authorization": "Basic eA=="}, BODY)
    assert status == 200
    return body


def test_a_connection_is_kept() -> None:
    """A handshake for each request would cost more than the question."""
    post = HttpPost()
    with scripted([OK, OK, OK]) as (url, read):
        assert [asked(post, url) for _ in range(3)] == [b"{}"] * 3
    assert len(read) == 3
    post._manager().clear()


def test_a_connection_closed_meanwhile_is_tried_once_more() -> None:
    """The other side hangs up just when we ask: no answer was given, so another connection is asked."""
    post = HttpPost()
    with scripted([OK, b""], [OK]) as (url, read):
        assert [asked(post, url) for _ in range(2)] == [b"{}"] * 2
    assert len(read) == 3
    post._manager().clear()


def test_an_answer_that_is_too_large_is_not_read_to_the_end() -> None:
    """And the connection that holds the rest of it is never used again."""
    post = HttpPost()
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * LARGEST_BODY) + b" " * (2 * LARGEST_BODY)
    with scripted([large], [OK]) as (url, read):
        with pytest.raises(ValueError, match="too large"):
            asked(post, url)
        assert asked(post, url) == b"{}"
    assert len(read) == 2
    post._manager().clear()


def test_a_redirect_takes_neither_token_nor_secret_along() -> None:
    """307 would repeat the POST elsewhere."""
    asked_for: list[str] = []

    def answering(path: str, headers: object, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        asked_for.append(path)
        return 307, {"Location": "/trap"}, b""

    server = MockServer(answering)
    with server.serving():
        status, _, _ = HttpPost()(f"{server.url}/introspect", {}, BODY)
    assert (status, asked_for) == (307, ["/introspect"])


def test_a_kept_connection_belongs_to_one_process() -> None:
    """After a fork two processes would read each other's answers, about each other's tokens."""
    post = HttpPost()
    mine = post._manager()
    assert post._manager() is mine
    post._pool = (os.getpid() + 1, mine)
    assert post._manager() is not mine
