"""One engine, two kinds of transaction, on SQLite and PostgreSQL alike (spikes.md 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from authsvc.db.postgres import make_postgres_engine
from authsvc.errors import AuthsvcError, Kind

AFTER_COMMIT = "after_commit"


class DatabaseUnavailable(AuthsvcError):
    """The database cannot answer at the moment."""

    kind = Kind.UNAVAILABLE


class TransactionAlreadyOpen(AuthsvcError):
    """A transaction was opened inside another one."""


def after_commit(tx: Session, act: Callable[[], object]) -> None:
    """Do `act` once `tx` is committed: network calls belong outside transactions. A crash in between loses it."""
    tx.info.setdefault(AFTER_COMMIT, []).append(act)


#: What one statement may take. Pages answer within seconds or say that they cannot; commands and the worker have time.
STATEMENT_S, PATIENT_S = 3.0, 60.0


def make_engine(url: str, *, pool: int, statement_s: float = STATEMENT_S) -> Engine:
    """The engine for `url`, with `pool` connections, and never a wait without an end."""
    if not url.startswith("sqlite"):
        return make_postgres_engine(url, pool=pool, statement_s=statement_s)
    if database := make_url(url).database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    # isolation_level=None: sqlite3 opens no transaction by itself, `begin` below does. timeout is the busy timeout.
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=2,
        hide_parameters=True,
        connect_args={"isolation_level": None, "timeout": 5.0},
    )

    @event.listens_for(engine, "connect")
    def tune(connection: Any, _record: Any) -> None:
        # FULL: under NORMAL a power cut can bring a spent code back.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred BEGIN that reads and then writes fails at once when another wrote in between, whatever the timeout.
        reading = bool(connection.get_execution_options().get("read_only"))
        if connection.info.get("query_only", False) != reading:
            connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
            connection.info["query_only"] = reading
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


class Database:
    """Opens transactions. Views, commands and the worker open them; everything below receives the Session."""

    def __init__(self, url: str, *, pool: int = 10, statement_s: float = STATEMENT_S) -> None:
        self.engine = make_engine(url, pool=pool, statement_s=statement_s)
        reader = self.engine.execution_options(read_only=True, postgresql_readonly=True)
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        self._read = sessionmaker(reader, expire_on_commit=False)
        self._current: ContextVar[Session | None] = ContextVar("authsvc_transaction", default=None)

    @property
    def is_sqlite(self) -> bool:
        """Whether one file on this machine is the database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back by an exception.

        A writer holds SQLite's only write lock, so no hashing, network or file work belongs inside (spikes.md, correction 1).
        Raises: DatabaseUnavailable; TransactionAlreadyOpen.
        """
        if self._current.get() is not None:
            raise TransactionAlreadyOpen
        try:
            with (self._read if read_only else self._write).begin() as tx:
                mark = self._current.set(tx)
                try:
                    yield tx
                finally:
                    self._current.reset(mark)
            for act in tx.info.pop(AFTER_COMMIT, ()):
                act()
        except (OperationalError, InterfaceError, PoolTimeout) as exc:
            raise DatabaseUnavailable(detail=type(exc).__name__) from exc
        except DBAPIError as exc:
            if exc.connection_invalidated:
                raise DatabaseUnavailable(detail=type(exc).__name__) from exc
            raise

    def current(self) -> Session:
        """The open transaction; for Authlib's callbacks, which cannot be given one."""
        tx = self._current.get()
        if tx is None:
            raise LookupError("no transaction is open here")
        return tx

    @property
    def in_use(self) -> int:
        """How many connections of this process are at work now."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def ping(self) -> None:
        """Answers when the database takes writes. Raises: DatabaseUnavailable."""
        with self.transaction() as tx:
            self.look(tx)

    def look(self, tx: Session) -> datetime:
        """The database's own time, read in a transaction that may write. Raises: DatabaseUnavailable where it may not."""
        if self.is_sqlite:
            told: str = tx.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")).scalar_one()
            return datetime.fromisoformat(told)
        if tx.execute(text("SHOW transaction_read_only")).scalar() == "on":
            raise DatabaseUnavailable(detail="the server is read-only")
        now: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)

    def dispose(self, *, after_fork: bool = False) -> None:
        """Let go of pooled connections; after a fork without closing them, for they belong to the parent."""
        self.engine.dispose(close=not after_fork)
