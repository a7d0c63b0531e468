"""The worker: takes a job, does it outside any transaction, writes the outcome. N of them may run.

Jobs that take minutes run in a thread of their own, one at a time, so that no code waits for somebody's export.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.cache import Cache
from authsvc.clock import Clock
from authsvc.db import Database, DatabaseUnavailable
from authsvc.errors import AuthsvcError
from authsvc.jobs.models import Job
from authsvc.jobs.queue import MAX_ATTEMPTS, Queue

IDLE_S = 0.5
log = logs.logger(__name__)

Handler = Callable[[Mapping[str, Any]], None]


class TryLater(AuthsvcError):
    """The job cannot be done now; it is tried again with growing pauses."""


class LeaseLost(AuthsvcError):
    """Another worker has taken this job meanwhile; what is done here counts for nothing."""


@dataclass(frozen=True)
class Lease:
    """The hold on a long job. Its handler renews it every few seconds, and learns whether to go on."""

    queue: Queue
    job: Job
    stop: threading.Event

    @property
    def is_last(self) -> bool:
        """Whether there will be no other try."""
        return self.job.attempts >= MAX_ATTEMPTS

    def go_on(self) -> None:
        """Ask often. Raises: TryLater when the worker is to stop; another one then begins anew."""
        if self.stop.is_set():
            raise TryLater(detail="the worker stops")

    def renew(self, tx: Session) -> None:
        """Hold the job for another minute. Raises: LeaseLost."""
        if not self.queue.renew(tx, self.job):
            raise LeaseLost


LongHandler = Callable[[Mapping[str, Any], Lease], None]


@dataclass(frozen=True)
class Chore:
    """Something to do every `every`, by whichever worker comes first; it must bear being done twice."""

    name: str
    every: timedelta
    act: Callable[[], object]


@dataclass
class Worker:
    """Runs jobs by `handlers` (kind to function) and chores, and long ones beside them, until `stop` is set."""

    database: Database
    queue: Queue
    cache: Cache
    clock: Clock
    handlers: Mapping[str, Handler]
    chores: tuple[Chore, ...] = ()
    long: Mapping[str, LongHandler] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    _due: dict[str, datetime] = field(default_factory=dict)

    def run(self) -> None:
        """Work until told to stop; a database that is away is waited for."""
        log.info("worker.started")
        beside = threading.Thread(target=self._keep_doing, args=(self.run_long_one, self._wait_a_moment), name="long")
        if self.long:
            beside.start()
        self._keep_doing(self._run_next, self._wait_for_work)
        if self.long:
            beside.join()
        log.info("worker.stopped")

    def run_until_idle(self) -> int:
        """Do every job that is due now; answers how many. For tests and for commands that must not return early."""
        done = 0
        while self.run_one() or self.run_long_one():
            done += 1
        return done

    def run_one(self) -> bool:
        """Do one job; False when none is due."""
        return self._do(self.handlers, lambda job: partial(self.handlers[job.kind], job.args))

    def run_long_one(self) -> bool:
        """Do one long job; False when none is due."""
        return self._do(
            self.long, lambda job: partial(self.long[job.kind], job.args, Lease(self.queue, job, self.stop))
        )

    def _keep_doing(self, act: Callable[[], bool], wait: Callable[[], object]) -> None:
        try:
            while not self.stop.is_set():
                try:
                    busy = act()
                except DatabaseUnavailable as exc:
                    log.warning("worker.database_unavailable", reason=exc.detail)
                    self.stop.wait(1.0)
                    continue
                if not busy:
                    wait()
        finally:
            # Neither half works on without the other: the process ends, and is started anew.
            self.stop.set()

    def _run_next(self) -> bool:
        self.do_chores()
        return self.run_one()

    def _wait_for_work(self) -> None:
        if not self.cache.wait_for_wake(IDLE_S * 4):
            self.stop.wait(IDLE_S)

    def _wait_a_moment(self) -> None:
        self.stop.wait(IDLE_S)

    def _do(self, kinds: Collection[str], act_of: Callable[[Job], Callable[[], None]]) -> bool:
        with self.database.transaction(read_only=True) as tx:
            if not self.queue.has_due(tx, kinds):
                return False
        with self.database.transaction() as tx:
            job = self.queue.claim(tx, kinds)
        if job is None:
            return False
        error = ""
        try:
            act_of(job)()
        except DatabaseUnavailable:
            raise
        except LeaseLost:
            log.warning("job.lease_lost", kind=job.kind, job_id=job.id, attempts=job.attempts)
            return True
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
