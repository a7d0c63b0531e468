"""Jobs: queued with the change that wants them, leased, tried again, never lost."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from authsvc.cache import Cache
from authsvc.clock import FixedClock
from authsvc.db import Database
from authsvc.jobs import Queue
from authsvc.jobs.models import Job
from authsvc.jobs.queue import LEASE, MAX_ATTEMPTS
from authsvc.jobs.worker import Chore, TryLater, Worker


class Recorder:
    """A handler that notes what it was given; `fail` is raised instead, if set."""

    def __init__(self) -> None:
        self.done: list[Mapping[str, Any]] = []
        self.fail: Exception | None = None

    def __call__(self, args: Mapping[str, Any]) -> None:
        if self.fail is not None:
            raise self.fail
        self.done.append(args)


@pytest.fixture
def queue(clock: FixedClock) -> Queue:
    """A queue without Redis."""
    return Queue(clock, Cache(""))


@pytest.fixture
def recorder() -> Recorder:
    """What the worker hands its jobs to."""
    return Recorder()


@pytest.fixture
def worker(database: Database, queue: Queue, clock: FixedClock, recorder: Recorder) -> Worker:
    """A worker of one kind of job."""
    return Worker(database, queue, Cache(""), clock, {"note": recorder})


def enqueue(database: Database, queue: Queue, **args: int) -> None:
    """Queue one job in a transaction of its own."""
    with database.transaction() as tx:
        queue.enqueue(tx, "note", **args)


def test_a_job_is_done_once(database: Database, queue: Queue, worker: Worker, recorder: Recorder) -> None:
    """Finished work is not done again."""
    enqueue(database, queue, number=1)
    assert worker.run_until_idle() == 1
    assert worker.run_until_idle() == 0
    assert recorder.done == [{"number": 1}]


def test_a_rolled_back_change_queues_nothing(database: Database, queue: Queue, worker: Worker) -> None:
    """The job exists exactly when the change that wants it does."""

    def change() -> None:
        with database.transaction() as tx:
            queue.enqueue(tx, "note", number=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert worker.run_until_idle() == 0


def test_twelve_workers_do_sixty_jobs_once_each(database_url: str, queue: Queue, clock: FixedClock) -> None:
    """Of simultaneous claims one gets the job."""
    database, recorder = Database(database_url, pool=14), Recorder()
    for number in range(60):
        enqueue(database, queue, number=number)
    workers = [Worker(database, queue, Cache(""), clock, {"note": recorder}) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda worker: worker.run_until_idle(), workers))
    database.dispose()
    assert sorted(args["number"] for args in recorder.done) == list(range(60))


def test_a_killed_worker_loses_nothing(
    database: Database, queue: Queue, worker: Worker, recorder: Recorder, clock: FixedClock
) -> None:
    """Its lease runs out and another takes the job; the dead one's late outcome changes nothing."""
    enqueue(database, queue, number=1)
    with database.transaction() as tx:
        abandoned = queue.claim(tx, ["note"])
    assert abandoned is not None
    assert worker.run_until_idle() == 0
    clock.advance(LEASE)
    assert worker.run_until_idle() == 1
    with database.transaction() as tx:
        queue.retry(tx, abandoned, error="late")
    assert worker.run_until_idle() == 0
    assert recorder.done == [{"number": 1}]


def test_a_failing_job_is_tried_with_growing_pauses_and_given_up(
    database: Database, queue: Queue, worker: Worker, recorder: Recorder, clock: FixedClock
) -> None:
    """Eight attempts, never two within a second, then it stays as failed with the reason."""
    recorder.fail = TryLater(detail="the mail server is away")
    enqueue(database, queue, number=1)
    attempts = 0
    while attempts < 20 and worker.run_until_idle():
        attempts += 1
        assert worker.run_until_idle() == 0
        clock.advance(timedelta(minutes=10))
    assert attempts == MAX_ATTEMPTS
    with database.transaction(read_only=True) as tx:
        job = tx.scalars(select(Job)).one()
    assert (job.failed, job.last_error) == (True, "the mail server is away")


def test_a_crash_in_a_job_does_not_stop_the_worker(
    database: Database, queue: Queue, worker: Worker, recorder: Recorder, clock: FixedClock
) -> None:
    """What went wrong is kept by its kind only: an exception's text may hold anything."""
    recorder.fail = ValueError("secret-text")
    enqueue(database, queue, number=1)
    assert worker.run_one()
    recorder.fail = None
    clock.advance(timedelta(minutes=1))
    assert worker.run_one()
    with database.transaction(read_only=True) as tx:
        assert tx.scalars(select(Job)).one().last_error == ""
    assert recorder.done == [{"number": 1}]


def test_a_crash_is_kept_by_its_kind_only(database: Database, queue: Queue, worker: Worker, recorder: Recorder) -> None:
    """The row says ValueError and not what it said."""
    recorder.fail = ValueError("secret-text")
    enqueue(database, queue, number=1)
    worker.run_one()
    with database.transaction(read_only=True) as tx:
        assert tx.scalars(select(Job)).one().last_error == "ValueError"


def test_chores_come_round_when_they_are_due(database: Database, queue: Queue, clock: FixedClock) -> None:
    """At once at the start, then every so often."""
    done: list[int] = []
    chore = Chore("tidy", timedelta(minutes=10), lambda: done.append(1))
    worker = Worker(database, queue, Cache(""), clock, {}, (chore,))
    for _ in range(3):
        worker.do_chores()
    clock.advance(timedelta(minutes=10))
    worker.do_chores()
    assert len(done) == 2


def test_finished_jobs_are_forgotten_after_a_week(
    database: Database, queue: Queue, worker: Worker, clock: FixedClock
) -> None:
    """Waiting ones are not."""
    enqueue(database, queue, number=1)
    worker.run_until_idle()
    enqueue(database, queue, number=2)
    clock.advance(timedelta(days=8))
    with database.transaction() as tx:
        queue.sweep(tx, now=clock.now())
    with database.transaction(read_only=True) as tx:
        assert [job.args for job in tx.scalars(select(Job))] == [{"number": 2}]


def test_redis_wakes_a_waiting_worker(redis_url: str) -> None:
    """A queued job is seen at once, not at the next look."""
    cache = Cache(redis_url)
    cache.wake_worker()
    assert cache.wait_for_wake(5.0)


def test_a_dead_redis_is_asked_once_and_then_left_alone() -> None:
    """The breaker: the second question is not asked at all for five seconds (architecture 2.5)."""
    now, asked = [0.0], []

    def ask() -> bool:
        asked.append(1)
        raise ConnectionError

    cache = Cache("redis://127.0.0.1:1/0", monotonic=lambda: now[0])
    assert cache.attempt(ask) is None
    assert cache.attempt(ask) is None
    assert len(asked) == 1
    now[0] = 5.1
    assert cache.attempt(ask) is None
    assert len(asked) == 2
