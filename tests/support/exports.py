"""Homes of export files: a bucket in an AWS of the test's own, behind a gate that can refuse, and a service that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.aws import REGION
from tests.support.service import Service

BUCKET, PREFIX = "ims-exports", "sealed"
S3_URL = f"s3://{BUCKET}/{PREFIX}"
HOP = ("connection", "transfer-encoding", "server", "date")


def make_bucket(endpoint_url: str) -> Any:
    """An empty bucket, and the client that made it."""
    # Here and not above: conftest imports this file, and boto3 takes its time.
    from boto3.session import Session

    client = Session().client("s3", region_name=REGION, endpoint_url=endpoint_url)
    client.create_bucket(Bucket=BUCKET)
    return client


class S3Gate(ThreadingHTTPServer):
    """Stands before an S3 and refuses when told to, as S3 does to a role without the right; moto asks nobody for rights."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _GateHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.behind, self.refuses = urlsplit(behind), False
        #: The headers of each call, by their names in lower case.
        self.seen: list[dict[str, str]] = []


class _GateHandler(BaseHTTPRequestHandler):
    server: S3Gate
    #: As an HTTP/1.0 server it would answer no `Expect: 100-continue`, for which boto3 waits a second each time.
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Pass on, or refuse."""
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.server.refuses:
            self._answer(403, {}, b"<Error><Code>AccessDenied</Code><Message>it is not yours</Message></Error>")
            return
        connection = HTTPConnection(self.server.behind.hostname or "", self.server.behind.port, timeout=30)
        passed = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        connection.request(self.command, self.path, body, passed)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in (*HOP, "content-length")}
        self._answer(answer.status, kept, answer.read())
        connection.close()

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  (the base class's names)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        with suppress(OSError):  # whoever had seen enough has gone
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


@contextmanager
def s3_gate(behind: str) -> Iterator[S3Gate]:
    """A gate before the S3 at `behind`, while the block lasts."""
    with S3Gate(behind) as gate:
        thread = Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gate
        finally:
            gate.shutdown()
            thread.join(10)


@dataclass
class OnS3:
    """A service whose exports lie in a bucket, the gate between them, and what the test sees of the bucket."""

    service: Service
    gate: S3Gate
    client: Any

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket. No upload was left open there."""
        assert "Uploads" not in self.client.list_multipart_uploads(Bucket=BUCKET)
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return {each["Key"]: self.client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed}

    def replace(self, name: str, content: bytes) -> None:
        """Put other bytes in the place of an object."""
        self.client.put_object(Bucket=BUCKET, Key=name, Body=content)
