"""Amazon's services as moto plays them, over real HTTP in a process of its own."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeVar

from tests.support.processes import poll, running

REGION = "us-east-1"
_RUNNING_ON = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")
#: boto3 wants some; without them it would look for a machine's role over the network.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def moto_server() -> Iterator[str]:
    """Address of an empty AWS: what AUTHSVC_AWS_ENDPOINT_URL names. It forgets everything when it ends.

    It picks its port itself: one that was free a moment ago may be another test's by now, which then answers for it. And it is
    ready once KMS has answered: its first answer takes seconds of importing, longer than the service waits for AWS.
    """
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with running(command, CREDENTIALS, ready=lambda: True) as started:
        said = poll(lambda: _RUNNING_ON.search(started.output()), 120, what="the address of moto")
        assert said is not None
        poll(lambda: _has_kms(said[0]), 120, what="an answer of KMS")
        yield said[0]


def _has_kms(url: str) -> bool:
    headers = {"X-Amz-Target": "TrentService.ListKeys", "Content-Type": "application/x-amz-json-1.1"}
    with suppress(OSError), urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=60) as answer:
        return bool(answer.status == 200)
    return False


def forget_everything(endpoint_url: str) -> None:
    """As after its start."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint_url}/moto-api/reset", method="POST"), timeout=10).close()


class Gate(ThreadingHTTPServer):
    """Stands before the server and says no when told to: moto signs with a disabled key as well, AWS does not."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _GateHandler)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        #: Key ids whose signatures are refused, as those of a disabled key are.
        self.disabled: set[str] = set()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """What AWS says to this."""
        if headers.get("X-Amz-Target", "").endswith(".Sign") and any(key.encode() in body for key in self.disabled):
            return 400, json.dumps({"__type": "DisabledException", "message": "it is disabled"}).encode()
        request = urllib.request.Request(self.behind, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()


class _GateHandler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        """Pass on, or refuse."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        passed = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        status, answer = self.server.answer(passed, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


class TextGateway(ThreadingHTTPServer):
    """AWS End User Messaging, which moto does not play: takes text messages, or answers what the test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TextGatewayHandler)
        self.port = int(self.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.taken: list[dict[str, object]] = []
        self.asked = 0
        #: Status and body of the next answers; None: the message is taken.
        self.refusal: tuple[int, dict[str, object]] | None = None

    def answer(self, target: str, asked: dict[str, object]) -> tuple[int, dict[str, object]]:
        """What AWS says to this."""
        self.asked += 1
        if self.refusal is not None:
            return self.refusal
        if target != "PinpointSMSVoiceV2.SendTextMessage":
            return 400, {"__type": "UnknownOperationException"}
        self.taken.append(asked)
        return 200, {"MessageId": f"message-{len(self.taken)}"}


class _TextGatewayHandler(BaseHTTPRequestHandler):
    server: TextGateway

    def do_POST(self) -> None:
        """AWS JSON 1.0: the operation is a header, the rest one object."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.answer(self.headers.get("X-Amz-Target", ""), asked)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


@contextmanager
def text_gateway() -> Iterator[TextGateway]:
    """An End User Messaging of this test alone."""
    with _served(TextGateway()) as opened:
        yield opened


@contextmanager
def gate(behind: str) -> Iterator[Gate]:
    """A gate before the server at `behind`."""
    with _served(Gate(behind)) as opened:
        yield opened


Server = TypeVar("Server", bound=ThreadingHTTPServer)


@contextmanager
def _served(server: Server) -> Iterator[Server]:
    with server as opened:
        thread = Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield opened
        finally:
            opened.shutdown()
            thread.join(10)
