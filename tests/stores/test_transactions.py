"""The promises of `Database.transaction`, which every store builds on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from authsvc.clock import FixedClock
from authsvc.db import Database, DatabaseUnavailable, TransactionAlreadyOpen
from authsvc.db.base import UtcDateTime
from authsvc.errors import Kind
from tests.support.postgres import connect


class Own(DeclarativeBase):
    """Tables of this file alone."""


class Ticket(Own):
    """Something that can be used once."""

    __tablename__ = "test_ticket"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    consumed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@pytest.fixture
def tickets(database: Database) -> Iterator[Database]:
    """A database with the table of this file."""
    Own.metadata.create_all(database.engine)
    yield database
    Own.metadata.drop_all(database.engine)


def count(database: Database) -> int:
    with database.transaction(read_only=True) as tx:
        return tx.scalars(select(func.count()).select_from(Ticket)).one()


def test_what_a_transaction_wrote_is_there_for_the_next(tickets: Database) -> None:
    """A transaction commits when its block ends."""
    with tickets.transaction() as tx:
        tx.add(Ticket(id=1))

    assert count(tickets) == 1


def test_an_exception_takes_back_everything_its_transaction_wrote(tickets: Database) -> None:
    """Only crashes roll back, and they roll back all of it."""

    def crash_after_writing() -> None:
        with tickets.transaction() as tx:
            tx.add(Ticket(id=1))
            tx.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash_after_writing()

    assert count(tickets) == 0


def test_a_read_only_transaction_refuses_to_write(tickets: Database) -> None:
    """The database refuses, on both kinds: no code path can write by accident under a reader."""
    with pytest.raises((DBAPIError, DatabaseUnavailable)) as refusal, tickets.transaction(read_only=True) as tx:
        tx.execute(insert(Ticket).values(id=1))

    error = refusal.value if isinstance(refusal.value, DBAPIError) else refusal.value.__cause__
    assert "read" in str(error)
    assert count(tickets) == 0


def test_a_connection_that_read_can_write_in_its_next_transaction(tickets: Database) -> None:
    """Read-only belongs to the transaction, not to the pooled connection that served it."""
    for number in range(1, 4):
        assert count(tickets) == number - 1
        with tickets.transaction() as tx:
            tx.add(Ticket(id=number))

    assert count(tickets) == 3


@pytest.mark.parametrize("read_only", [True, False])
def test_a_transaction_inside_a_transaction_is_refused(tickets: Database, read_only: bool) -> None:
    """It would deadlock on SQLite, and commit half of the work on PostgreSQL. The outer one goes on."""
    with tickets.transaction() as tx:
        with pytest.raises(TransactionAlreadyOpen), tickets.transaction(read_only=read_only):
            pass
        assert tickets.current() is tx
        tx.add(Ticket(id=1))

    assert count(tickets) == 1


def test_there_is_a_current_transaction_only_inside_one(tickets: Database) -> None:
    """A callback outside a transaction is a bug and hears so."""
    with tickets.transaction() as tx:
        assert tickets.current() is tx
    with pytest.raises(LookupError):
        tickets.current()


def test_a_ticket_is_consumed_once_however_many_try(tickets: Database, clock: FixedClock) -> None:
    """12 threads try each of 60 rows with one conditional UPDATE: 60 wins. Every single-use store relies on this."""
    # A connection for each: they are to wait for the database, not for the pool.
    contested = Database(tickets.engine.url.render_as_string(hide_password=False), pool=12)
    with tickets.transaction() as tx:
        tx.execute(insert(Ticket), [{"id": number} for number in range(60)])

    def consume_all(_contender: int) -> list[int]:
        won: list[int] = []
        for number in range(60):
            statement = (
                update(Ticket)
                .where(Ticket.id == number, Ticket.consumed_at.is_(None))
                .values(consumed_at=clock.now())
                .returning(Ticket.id)
            )
            with contested.transaction() as tx:
                # Reading first is what SQLite would refuse in a transaction that did not begin as a writer.
                tx.scalars(select(func.count()).where(Ticket.consumed_at.is_(None))).one()
                won += tx.scalars(statement).all()
        return won

    with ThreadPoolExecutor(12) as contenders:
        wins = [number for won in contenders.map(consume_all, range(12)) for number in won]
    contested.dispose()

    assert sorted(wins) == list(range(60))


def test_an_instant_comes_back_as_the_same_instant_in_utc(tickets: Database, clock: FixedClock) -> None:
    """Also when it went in with another zone's clock."""
    in_new_york = clock.now().astimezone(timezone(timedelta(hours=-5)))
    with tickets.transaction() as tx:
        tx.add(Ticket(id=1, consumed_at=in_new_york))

    with tickets.transaction(read_only=True) as tx:
        read = tx.scalars(select(Ticket.consumed_at)).one()

    assert read == clock.now()
    assert read is not None
    assert read.tzinfo is UTC


def test_instants_are_compared_as_instants(tickets: Database, clock: FixedClock) -> None:
    """SQLite keeps text: whole seconds and fractions, and any zone, must still sort by time."""
    with tickets.transaction() as tx:
        tx.add(Ticket(id=1, consumed_at=clock.now()))
        tx.add(Ticket(id=2, consumed_at=clock.now() + timedelta(microseconds=1)))
        tx.add(Ticket(id=3, consumed_at=clock.now() + timedelta(seconds=1)))

    with tickets.transaction(read_only=True) as tx:
        later = tx.scalars(select(Ticket.id).where(Ticket.consumed_at > clock.now()).order_by(Ticket.consumed_at)).all()

    assert later == [2, 3]


def test_an_instant_without_a_zone_is_refused(tickets: Database, clock: FixedClock) -> None:
    """A guess of the zone would be wrong twice a year."""
    with pytest.raises(StatementError, match="needs a time zone"), tickets.transaction() as tx:
        tx.execute(insert(Ticket).values(id=1, consumed_at=clock.now().replace(tzinfo=None)))

    assert count(tickets) == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_that_is_away_is_reported_as_unavailable(kind: str, tmp_path: Path) -> None:
    """Callers answer 503 to exactly this; anything else would read as a bug."""
    away = Database(f"sqlite:///{tmp_path}" if kind == "sqlite" else f"postgresql://nobody@/nothing?host={tmp_path}")

    with pytest.raises(DatabaseUnavailable) as refusal:
        away.ping()

    assert refusal.value.kind is Kind.UNAVAILABLE
    assert str(tmp_path) not in str(refusal.value), "the address is for the log"
    away.dispose()


def test_a_restarted_server_is_met_again_without_a_restart_of_ours(
    postgres_server: str, postgres_database: tuple[str, object]
) -> None:
    """Connections that the server has cut while they were idle are replaced before anybody uses one."""
    database = Database(postgres_database[0])
    database.ping()
    with connect(postgres_server) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [database.engine.url.database],
        )

    with database.transaction() as tx:
        assert tx.execute(text("SELECT 1")).scalar_one() == 1
    database.dispose()
