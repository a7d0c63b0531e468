"""From the start to the first page, and from SIGTERM to the end (security.md P15)."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import poll
from tests.support.remote import Served, served
from tests.support.wire import connect, read

TEAM = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    mfa: {team: {enabled: false}}
clients:
  - client_id: robot
    client_name: Robot
    client_secret: {env: PORTAL_SECRET}
    token_endpoint_auth_method: client_secret_post
    grant_types: [client_credentials]
    scope: investors.read
resource_servers:
  - {identifier: "https://api.ims.example/investors", scopes: [investors.read]}
"""
FORM = b"grant_type=client_credentials&client_id=robot&client_secret=portal-secret-0123456789&scope=investors.read"
#: A client that calls too often is told so, which is an answer too.
ANSWERED = {200, 429}


def token_request(host: str, *, close: bool = False) -> bytes:
    """A proper one."""
    head = f"POST /oauth/token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    head += "Connection: close\r\n" if close else ""
    return f"{head}Content-Length: {len(FORM)}\r\n\r\n".encode() + FORM


class Caller(threading.Thread):
    """Asks for a token again and again on a kept connection, until the server refuses new ones."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.answered, self.told_to_close = port, 0, False
        self.dropped: list[str] = []

    def run(self) -> None:
        """Every request on a connection that stood is answered whole."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return  # a proxy takes the next server
            try:
                while True:
                    connection.request(
                        "POST", "/oauth/token", FORM, {"Content-Type": "application/x-www-form-urlencoded"}
                    )
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status not in ANSWERED or not body.endswith(b"}"):
                        self.dropped.append(f"{answer.status} {body[:200]!r}")
                    self.answered += 1
                    if answer.will_close:
                        self.told_to_close = True
                        break
            except (OSError, http.client.HTTPException) as exc:
                self.dropped.append(repr(exc))
                return
            finally:
                connection.close()


def first_answer(service: Served, path: str) -> float:
    """When `path` was answered 200 for the first time."""
    where = service.issuer.removeprefix("http://")

    def answers() -> bool:
        connection = http.client.HTTPConnection(where, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        finally:
            connection.close()

    poll(answers, 60, what=path)
    return time.monotonic()


def test_promise_p15_who_is_ready_serves_and_a_stop_drops_no_request(tmp_path: Path) -> None:
    """The first page comes within 5 s of "ready"; after SIGTERM each request on a connection that stood is answered.

    Callers in a loop, 40 connections that wait in the kernel's queue, one that has sent half its request, one that is
    silent: 0 dropped. New connections are refused while the old ones finish, and the process ends by itself, with status 0.
    """
    with served(tmp_path, TEAM, AUTHSVC_WORKERS="2") as service, ExitStack() as stack:
        port, host = int(service.issuer.rpartition(":")[2]), service.issuer.removeprefix("http://")
        ready_at = first_answer(service, "/readyz")
        to_page_s = first_answer(service, "/sign-in") - ready_at
        callers = [Caller(port) for _ in range(6)]
        for caller in callers:
            caller.start()
        poll(lambda: all(caller.answered > 3 for caller in callers), 60, what="traffic on kept connections")
        idle, half = (stack.enter_context(connect(port)) for _ in range(2))
        idle.sendall(token_request(host))
        received = b""
        while not received.endswith(b"}"):
            received += idle.recv(65536)
        whole = token_request(host, close=True)
        half.sendall(whole[:-40])
        for worker in service.web_workers():
            worker.suspend()  # nobody accepts: the kernel does, on their behalf
        queued = [stack.enter_context(connect(port)) for _ in range(40)]
        for connection in queued:
            connection.sendall(whole)
        began = time.monotonic()
        os.kill(service.process.pid, signal.SIGTERM)
        for worker in service.web_workers():
            worker.resume()
        half.sendall(whole[-40:])
        idle.sendall(token_request(host))
        answers = [read(connection) for connection in [*queued, half, idle]]
        for caller in callers:
            caller.join(60)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        status = service.process.process.wait(60)
        took_s = time.monotonic() - began
        count = sum(caller.answered for caller in callers) + len(answers)
        dropped = [problem for caller in callers for problem in caller.dropped]
        print(  # noqa: T201 - the figure
            f"\nP15: ready to page {to_page_s:.1f} s; {count} answered, {len(dropped)} dropped;"
            f" ended {took_s:.1f} s after SIGTERM"
        )
    assert to_page_s < 5
    assert dropped == []
    assert all(len(answer.statuses) == 1 and set(answer.statuses) <= ANSWERED for answer in answers)
    assert all(answer.text.endswith("}") and "Connection: close" in answer.text for answer in answers)
    assert len(answers) == 42
    assert status == 0
    assert took_s < 25  # below graceful_timeout: nobody was cut off
