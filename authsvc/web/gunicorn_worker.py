"""gunicorn's threads, for requests that are here already: slow or silent clients cost a socket and never a thread.

gunicorn's own gthread reads in its threads and without a time limit, so eight clients that send half a request stop a
worker (security.md PL-02), and it waits in its loop, up to two seconds each, for clients it has refused to hang up. Here
the loop gathers a request before a thread is asked, and closes without waiting. What a request means is decided by
gunicorn's strict parser alone; this only says when there is enough of it.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from select import POLLIN, poll
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from authsvc.web.arrival import Arrival, Refused

#: From its first byte to its last.
ARRIVES_WITHIN_S = 10.0
#: For a connection that says nothing yet, or whose request is half here when we are told to stop.
STOPS_WITHIN_S = 3.0
CLOSES_WITHIN_S = 2.0
AT_ONCE = 64 * 1024


@dataclass
class Arriving:
    """A connection, and what has come of its next request."""

    conn: TConn
    request: Arrival


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker whose threads never wait for a request, and which leaves nobody behind when it stops."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closing: deque[TConn] = deque()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Stopping: take whom the kernel let in on our behalf, then let it refuse, which a proxy takes for "try the next".

        Without this whoever connects while the worker drains waits for an answer that never comes.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            waiting = poll()
            waiting.register(listener, POLLIN)
            while waiting.poll(0):
                self.accept(listener)
            listener.close()
        latest = time.monotonic() + STOPS_WITHIN_S
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, latest)

    def enqueue_req(self, conn: TConn) -> None:
        """Where every connection that is to be read comes by, new or kept: gather first, then ask a thread."""
        if not conn.initialized:
            conn.data_ready = True
            conn.init()
            # A reader of our answer that stops reading gives its thread back too.
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(ARRIVES_WITHIN_S), 0))
        arriving = Arriving(conn, Arrival())
        if self._gather(arriving, conn.parser.unreader.take_buffered()):
            return
        # In order of time, for it is the same for all: `murder_pending` looks at the first alone.
        conn.timeout = time.monotonic() + (ARRIVES_WITHIN_S if self.alive else STOPS_WITHIN_S)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._more_came, arriving))

    def _more_came(self, arriving: Arriving, _sock: object) -> None:
        if self._gather(arriving):
            self.pending_conns.remove(arriving.conn)

    def _gather(self, arriving: Arriving, ahead: bytes | None = None) -> bool:
        """Take what is there, after what was read `ahead`. Whether it has gone on: to a thread, or to its end."""
        conn, request = arriving.conn, arriving.request
        refused = ""
        try:
            if ahead:
                request.add(ahead)
            if not request.is_whole:
                more = conn.sock.recv(AT_ONCE, socket.MSG_DONTWAIT)
                request.add(more)
                if more and not request.is_whole:
                    if request.asks_to_go_on():
                        conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)
                    return False
        except BlockingIOError:
            return False
        except Refused as exc:
            refused = exc.args[0]
        except OSError:
            pass  # it is gone, and ends below as one that said nothing
        if ahead is None:
            self.poller.unregister(conn.sock)
        if refused:
            self._refuse(conn, refused)
        elif request.is_whole:
            conn.parser.unreader.unread(bytes(request.sent))
            super().enqueue_req(conn)
        else:
            self._close(conn)
        return True

    def finish_request(self, conn: TConn, fs: Future[bool]) -> None:
        """Keep the connection, or end it without making the loop wait for its client."""
        if fs.cancelled() or fs.exception() is not None:
            self._close(conn)
        elif fs.result():
            super().finish_request(conn, fs)
        else:
            self._close_gently(conn)

    def murder_pending(self) -> None:
        """Close what has not arrived in time, and what does not hang up."""
        super().murder_pending()
        now = time.monotonic()
        while self.closing and self.closing[0].timeout <= now:
            self._let_go(self.closing[0])

    def _refuse(self, conn: TConn, status: str) -> None:
        self.log.warning("Refused unread, from ip=%s: %s", conn.client[0] if conn.client else "", status)
        with suppress(OSError):
            conn.sock.send(
                f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode(), socket.MSG_DONTWAIT
            )
        self._close_gently(conn)

    def _close_gently(self, conn: TConn) -> None:
        """Say that nothing follows and read on for a moment: closed with bytes unread, the kernel would cut our answer off."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + CLOSES_WITHIN_S
        self.closing.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, lambda _sock: self._ignore(conn))

    def _ignore(self, conn: TConn) -> None:
        try:
            is_over = not conn.sock.recv(AT_ONCE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        self.closing.remove(conn)
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()
