"""The worker: takes a job, does it outside any transaction, writes the outcome. N of them may run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from authsvc import logs
from authsvc.cache import Cache
from authsvc.clock import Clock
from authsvc.db import Database, DatabaseUnavailable
from authsvc.errors import AuthsvcError
from authsvc.jobs.queue import Queue

IDLE_S = 0.5
log = logs.logger(__name__)

Handler = Callable[[Mapping[str, Any]], None]


class TryLater(AuthsvcError):
    """The job cannot be done now; it is tried again with growing pauses."""


@dataclass(frozen=True)
class Chore:
    """Something to do every `every`, by whichever worker comes first; it must bear being done twice."""

    name: str
    every: timedelta
    act: Callable[[], object]


@dataclass
class Worker:
    """Runs jobs by `handlers` (kind to function) and chores, until `stop` is set."""

    database: Database
    queue: Queue
    cache: Cache
    clock: Clock
    handlers: Mapping[str, Handler]
    chores: tuple[Chore, ...] = ()
    #: Hears of each try: the kind of job, and "done" or "retry".
    worked: Callable[[str, str], None] = lambda _kind, _result: None
    stop: threading.Event = field(default_factory=threading.Event)
    _due: dict[str, datetime] = field(default_factory=dict)

    def run(self) -> None:
        """Work until told to stop; a database that is away is waited for."""
        log.info("worker.started")
        while not self.stop.is_set():
            try:
                self.do_chores()
                busy = self.run_one()
            except DatabaseUnavailable as exc:
                log.warning("worker.database_unavailable", reason=exc.detail)
                self.stop.wait(1.0)
                continue
            if not busy and not self.cache.wait_for_wake(IDLE_S * 4):
                self.stop.wait(IDLE_S)
        log.info("worker.stopped")

    def run_until_idle(self) -> int:
        """Do every job that is due now; answers how many. For tests and for commands that must not return early."""
        done = 0
        while self.run_one():
            done += 1
        return done

    def run_one(self) -> bool:
        """Do one job; False when none is due."""
        with self.database.transaction(read_only=True) as tx:
            if not self.queue.has_due(tx):
                return False
        with self.database.transaction() as tx:
            job = self.queue.claim(tx)
        if job is None:
            return False
        error = ""
        try:
            self.handlers[job.kind](job.args)
        except DatabaseUnavailable:
            raise
        except TryLater as exc:
            error = exc.detail or "not now"
        except Exception as exc:
            # Whatever went wrong, the job stays and the worker goes on.
            log.exception("job.crashed", kind=job.kind, job_id=job.id)
            error = type(exc).__name__
        with self.database.transaction() as tx:
            if error:
                self.queue.retry(tx, job, error=error)
            else:
                self.queue.finish(tx, job)
        self.worked(job.kind, "retry" if error else "done")
        log.info(
            "job.done" if not error else "job.retry",
            kind=job.kind,
            job_id=job.id,
            attempts=job.attempts,
            reason=error or None,
        )
        return True

    def do_chores(self) -> None:
        """Run each chore that is due in this process."""
        now = self.clock.now()
        for chore in self.chores:
            if self._due.setdefault(chore.name, now) <= now:
                self._due[chore.name] = now + chore.every
                try:
                    chore.act()
                except IntegrityError:
                    log.info("chore.done_elsewhere", chore=chore.name)
