"""The queue: enqueue, claim under a lease, finish, retry."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from authsvc.cache import Cache
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.db import after_commit
from authsvc.jobs.models import Job

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 8
KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Queue:
    """Hands out jobs. A worker that dies loses nothing: its lease runs out and another takes the job."""

    clock: Clock
    cache: Cache

    def enqueue(self, tx: Session, kind: str, **args: str | int | list[str]) -> None:
        """Queue a job in the caller's transaction: it exists exactly when the change that wants it does."""
        now = self.clock.now()
        tx.add(Job(id=new_id(), kind=kind, args=args, created_at=now, run_at=now))
        after_commit(tx, self.cache.wake_worker)

    def has_due(self, tx: Session, kinds: Collection[str]) -> bool:
        """Whether a job of these kinds waits; a read, so that an idle worker never takes SQLite's write lock."""
        return bool(tx.scalar(select(select(Job.id).where(*self._due(kinds)).exists())))

    def claim(self, tx: Session, kinds: Collection[str]) -> Job | None:
        """Lease the job of these kinds that waits longest, or None. The lease ends by itself after 60 s."""
        now = self.clock.now()
        waiting = (
            select(Job.id)
            .where(*self._due(kinds))
            .order_by(Job.run_at)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        return tx.scalars(
            update(Job).where(Job.id == waiting).values(run_at=now + LEASE, attempts=Job.attempts + 1).returning(Job)
        ).one_or_none()

    def renew(self, tx: Session, job: Job) -> bool:
        """Hold on to a long job for another 60 s. One statement; False: the lease ran out and another worker has it."""
        held = update(Job).where(Job.id == job.id, Job.attempts == job.attempts, Job.finished_at.is_(None))
        return tx.execute(held.values(run_at=self.clock.now() + LEASE).returning(Job.id)).one_or_none() is not None

    def finish(self, tx: Session, job: Job) -> None:
        """The work is done; only the holder of the lease may say so."""
        self._close(tx, job, failed=False, error="")

    def retry(self, tx: Session, job: Job, *, error: str) -> None:
        """Try again later: after 1, 2, 4 ... seconds, at most five minutes; given up after eight attempts."""
        if job.attempts >= MAX_ATTEMPTS:
            self._close(tx, job, failed=True, error=error)
            return
        # A fraction that differs from job to job spreads the retries of one outage.
        spread = 1 + int(job.id[:2], 16) / 512
        pause = timedelta(seconds=min(2 ** (job.attempts - 1), 300) * spread)
        tx.execute(
            update(Job)
            .where(Job.id == job.id, Job.attempts == job.attempts)
            .values(run_at=self.clock.now() + pause, last_error=error[:200])
        )

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget finished jobs after a week."""
        tx.execute(delete(Job).where(Job.finished_at < now - KEPT))

    def _due(self, kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
        return Job.finished_at.is_(None), Job.run_at <= self.clock.now(), Job.kind.in_(kinds)

    def _close(self, tx: Session, job: Job, *, failed: bool, error: str) -> None:
        tx.execute(
            update(Job)
            .where(Job.id == job.id, Job.attempts == job.attempts)
            .values(finished_at=self.clock.now(), failed=failed, last_error=error[:200])
        )
