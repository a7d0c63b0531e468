"""Two replicas of the service on one database, in one process."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from authsvc.clock import FixedClock
from tests.support.service import Service, make_ring


class InTurn:
    """A balancer: the next request goes to the next replica. `answered`: what was asked, and the status."""

    def __init__(self, apps: list[Any]) -> None:
        self._apps = itertools.cycle(apps)
        self.answered: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request."""

        def note(status: str, *rest: Any) -> Any:
            self.answered.append((environ["PATH_INFO"], status))
            return start_response(status, *rest)

        answer: Iterable[bytes] = next(self._apps)(environ, note)
        return answer


@dataclass
class Replicas(Service):
    """Both behind the balancer, as people and clients see them. The fields of Service are the first one's."""

    both: tuple[Service, Service] = field(kw_only=True)

    @classmethod
    def of(cls, first: Service, second: Service) -> Replicas:
        """The first request goes to `first`."""
        in_turn: Any = InTurn([first.app, second.app])
        every = (*first.replicas, *second.replicas)
        return cls(first.services, in_turn, first.clock, first.emails, first.texts, every, both=(first, second))

    def deliver(self) -> int:
        """Each replica's worker; what both sent is read in one inbox."""
        done = sum(Service.deliver(replica) for replica in self.both)
        other = self.both[1].emails.messages
        self.emails.messages += other
        other.clear()
        return done

    def pass_time(self, **amount: float) -> None:
        """Move the clocks; they stay as far apart as they are."""
        for clock in {replica.clock for replica in self.both}:
            clock.advance(timedelta(**amount))


@contextmanager
def replicas_on(database_url: str, ring_folder: Path, *clocks: FixedClock, **settings: Any) -> Iterator[Replicas]:
    """Two, with a pool, a key ring and a clock each."""
    made = [Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), **settings) for clock in clocks]
    yield Replicas.of(*made)
    for one in made:
        one.services.database.dispose()


@contextmanager
def on_port(service: Service, port: int) -> Iterator[None]:
    """The whole application on a port of 127.0.0.1."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", port, service.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
