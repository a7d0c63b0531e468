"""The `sql:` and `kms:` home of a key ring: rows, for replicas that share nothing but the database. Opens no key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from authsvc.db import Database, DatabaseUnavailable
from authsvc.keyring.errors import KeyUnreadable, RingBusy, RingNotWritable, RingUnreadable
from authsvc.keyring.models import SigningKeyRow
from authsvc.keyring.schedule import Algorithm, KeyEntry

#: Any number; the same in every release, so that no two processes change the ring at once.
LOCK = 7_204_512
NOTICED_WITHIN = timedelta(seconds=10)
_FIELDS = ("kid", "use", "algorithm", "private", "publish_from", "use_from", "use_until", "publish_until")


@dataclass(frozen=True)
class _TableWriter:
    tx: Session

    def save(self, entries: Sequence[KeyEntry], new: Mapping[str, str]) -> None:
        """Write what differs, row by row. Raises: RingNotWritable."""
        known = {row.kid: row for row in self.tx.scalars(select(SigningKeyRow))}
        last = max((row.position for row in known.values()), default=0)
        # Ends first: at no moment two keys of an algorithm have none.
        for entry in sorted(entries, key=lambda entry: entry.use_until is None):
            values: dict[str, Any] = asdict(entry)
            if entry.kid in new:
                values["sealed"] = new[entry.kid]
            row = known.get(entry.kid)
            if row is None:
                last += 1
                self.tx.execute(insert(SigningKeyRow).values(position=last, revision=1, **values))
            elif any(getattr(row, name) != value for name, value in values.items()):
                changed = update(SigningKeyRow).where(SigningKeyRow.kid == entry.kid)
                self.tx.execute(changed.values(revision=SigningKeyRow.revision + 1, **values))


class RingTable:
    """The table of keys. Readers have a connection of their own, for a token is signed while its transaction is open."""

    place = "the database"
    noticed_within = NOTICED_WITHIN

    def __init__(self, database: Database) -> None:
        self.database = database
        self._reader = database.engine.execution_options(read_only=True, postgresql_readonly=True)
        self._last_seen: object = None

    def fingerprint(self) -> object:
        """Which rows there are and how often each was changed: one small query. Raises: RingUnreadable."""
        try:
            rows = self._read(select(SigningKeyRow.kid, SigningKeyRow.revision).order_by(SigningKeyRow.position))
        except PoolTimeout:
            # A busy pool is no lost ring: look again next time.
            return self._last_seen
        self._last_seen = tuple((row.kid, row.revision) for row in rows)
        return self._last_seen

    def load(self) -> tuple[KeyEntry, ...]:
        """Every entry in the order of making. Raises: RingUnreadable."""
        columns = [getattr(SigningKeyRow, name) for name in _FIELDS]
        try:
            rows = self._read(select(*columns).order_by(SigningKeyRow.position))
        except PoolTimeout as exc:
            raise RingUnreadable("The key ring in the database cannot be read: every connection is busy.") from exc
        return tuple(KeyEntry(**{**row._asdict(), "algorithm": Algorithm(row.algorithm)}) for row in rows)

    def sealed(self, entry: KeyEntry) -> str:
        """The sealed private part. Raises: KeyUnreadable."""
        try:
            rows = self._read(select(SigningKeyRow.sealed).where(SigningKeyRow.kid == entry.kid))
        except (RingUnreadable, PoolTimeout) as exc:
            raise KeyUnreadable(f"Key {entry.kid} cannot be read from the database.") from exc
        if not rows:
            raise KeyUnreadable(f"Key {entry.kid} is missing in the database; restore it from the backup.")
        return str(rows[0].sealed)

    @contextmanager
    def locked(self) -> Iterator[_TableWriter]:
        """One transaction: on PostgreSQL under an advisory lock, on SQLite under the only write lock there is.

        What was saved is committed on leaving. Raises: RingBusy, RingNotWritable.
        """
        try:
            with self.database.transaction() as tx:
                tx.connection()  # a Session begins with its first statement, and SQLite's lock with it
                if not self.database.is_sqlite:
                    tx.execute(select(func.pg_advisory_xact_lock(LOCK)))
                yield _TableWriter(tx)
        except IntegrityError as exc:
            raise RingBusy from exc
        except DatabaseUnavailable as exc:
            is_busy = "lock" in str(exc.__cause__).lower()
            raise (RingBusy if is_busy else RingNotWritable)(detail=exc.detail) from exc

    def _read(self, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
        try:
            with self._reader.connect() as connection:
                return connection.execute(query).all()
        except (OperationalError, ProgrammingError) as exc:
            raise RingUnreadable(self._why(exc)) from exc

    def _why(self, exc: DBAPIError) -> str:
        missing = "no such table" in str(exc.orig) or "UndefinedTable" in type(exc.orig).__name__
        if missing:
            return "The database has no table for keys yet; run `authsvc migrate`."
        return "The key ring in the database cannot be read: the database cannot answer at the moment."
