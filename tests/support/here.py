"""The service of this process behind a real server, for a real browser: its clock and its inboxes are the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from werkzeug.serving import WSGIRequestHandler, make_server

from authsvc.clock import FixedClock
from authsvc.keyring.ring import KeyRing
from tests.support.service import Service


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


@contextmanager
def served_here(database_url: str, folder: Path, *, clock: FixedClock, ring: KeyRing) -> Iterator[Service]:
    """A service on a migrated database, reached at the issuer of its settings."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    issuer = f"http://127.0.0.1:{server.server_port}"
    exports_url = f"dir:{folder / 'exports'}"
    service = Service.on(database_url, clock=clock, ring=ring, issuer=issuer, exports_url=exports_url)
    server.app = service.app
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        service.dispose()
