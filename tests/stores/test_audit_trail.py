"""The audit trail: complete, closed, and evident when tampered with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from authsvc.audit import AuditLog, Event
from authsvc.audit.chain import BATCH, SETTLED, seal, verify
from authsvc.audit.models import AuditEvent, AuditSeal
from authsvc.clock import FixedClock
from authsvc.db import Database


@pytest.fixture
def audit(clock: FixedClock) -> AuditLog:
    """A trail under some policies."""
    return AuditLog(clock, "0123456789abcdef")


def record(database: Database, audit: AuditLog, count: int = 1) -> None:
    """Some events."""
    with database.transaction() as tx:
        for number in range(count):
            audit.record(tx, Event.SESSION_ENDED, user_id=f"user-{number}", reason="signed_out")


def seal_all(database: Database, clock: FixedClock) -> int:
    """Seal as the worker does, batch after batch."""
    sealed = 0
    while True:
        with database.transaction() as tx:
            done = seal(tx, clock.now())
        if not done:
            return sealed
        sealed += done


def test_no_act_without_its_row(database: Database, audit: AuditLog) -> None:
    """The row is part of the act's transaction: rolled back together."""

    def act() -> None:
        with database.transaction() as tx:
            audit.record(tx, Event.SESSION_ENDED, reason="signed_out")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    with database.transaction(read_only=True) as tx:
        assert tx.scalars(select(AuditEvent)).all() == []


def test_the_catalogue_is_closed(database: Database, audit: AuditLog) -> None:
    """A field that an event does not carry is refused, so no secret slips in unseen."""
    with database.transaction() as tx, pytest.raises(ValueError, match="has no field"):
        audit.record(tx, Event.SESSION_ENDED, password="hunter2")  # type: ignore[call-arg]


def test_sealed_events_verify_and_fresh_ones_wait(database: Database, audit: AuditLog, clock: FixedClock) -> None:
    """Rows that may still be joined by a smaller id are not sealed yet."""
    record(database, audit, 3)
    assert seal_all(database, clock) == 0
    clock.advance(SETTLED + timedelta(seconds=1))
    record(database, audit, 2)
    assert seal_all(database, clock) == 3
    with database.transaction(read_only=True) as tx:
        found = verify(tx)
    assert (found.sealed_events, found.unsealed_events, found.problem) == (3, 2, None)


def test_a_long_trail_is_sealed_in_batches(database: Database, audit: AuditLog, clock: FixedClock) -> None:
    """Each link covers at most a batch and follows the one before."""
    record(database, audit, BATCH + 7)
    clock.advance(timedelta(hours=1))
    assert seal_all(database, clock) == BATCH + 7
    with database.transaction(read_only=True) as tx:
        assert [link.events for link in tx.scalars(select(AuditSeal).order_by(AuditSeal.number))] == [BATCH, 7]
        assert verify(tx).problem is None


@pytest.mark.parametrize("tampering", ["changed", "removed", "seal removed", "seal replaced"])
def test_tampering_is_found(database: Database, audit: AuditLog, clock: FixedClock, tampering: str) -> None:
    """Whoever changes or removes a sealed row or a link is found out."""
    for _ in range(3):
        record(database, audit, 4)
        clock.advance(timedelta(hours=1))
        seal_all(database, clock)
    with database.transaction() as tx:
        second = tx.scalars(select(AuditEvent).order_by(AuditEvent.id).offset(5).limit(1)).one()
        match tampering:
            case "changed":
                tx.execute(update(AuditEvent).where(AuditEvent.id == second.id).values(remote_address="10.0.0.1"))
            case "removed":
                tx.execute(delete(AuditEvent).where(AuditEvent.id == second.id))
            case "seal removed":
                tx.execute(delete(AuditSeal).where(AuditSeal.number == 2))
            case "seal replaced":
                tx.execute(update(AuditSeal).where(AuditSeal.number == 2).values(digest="f" * 64))
    with database.transaction(read_only=True) as tx:
        assert verify(tx).problem is not None


def test_two_workers_never_fork_the_chain(database_url: str, audit: AuditLog, clock: FixedClock) -> None:
    """The number of a link is its key: of two workers that add the same one, one does."""
    database = Database(database_url, pool=10)
    record(database, audit, 40)
    clock.advance(timedelta(hours=1))

    def one_seal(_: int) -> int:
        try:
            with database.transaction() as tx:
                return seal(tx, clock.now())
        except IntegrityError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one_seal, range(8))) == 40
    with database.transaction(read_only=True) as tx:
        assert verify(tx).problem is None
    database.dispose()
