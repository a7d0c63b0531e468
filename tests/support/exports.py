"""Homes of export files: a bucket in an AWS of the test's own, and one that refuses everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from boto3.session import Session

from tests.support.aws import REGION

BUCKET, PREFIX = "ims-exports", "sealed"
S3_URL = f"s3://{BUCKET}/{PREFIX}"


def make_bucket(endpoint_url: str) -> Any:
    """An empty bucket, and the client that made it."""
    client = Session().client("s3", region_name=REGION, endpoint_url=endpoint_url)
    client.create_bucket(Bucket=BUCKET)
    return client


class Refusing(ThreadingHTTPServer):
    """An S3 that refuses everything, and the headers of each call, by their names in lower case."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuses)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[dict[str, str]] = []


class _Refuses(BaseHTTPRequestHandler):
    """Says 403 to everything, as S3 does to a role without the right; moto asks nobody for rights."""

    server: Refusing

    def do_POST(self) -> None:
        """Refuse."""
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        body = b"<Error><Code>AccessDenied</Code><Message>it is not yours</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  (the base class's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""


@contextmanager
def refusing_s3() -> Iterator[Refusing]:
    """The server, while the block lasts."""
    with Refusing() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
