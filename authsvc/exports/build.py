"""The worker's long job: an export built here, from the first row to "Ready".

Nothing is written while a transaction is open. Killed at any point it is begun anew by whoever has the job next, under another
name in the store; what the dead one left is deleted first, and its late outcome moves nothing (security.md TN-10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import selectinload

from authsvc import logs
from authsvc.accounts.models import Account
from authsvc.audit import Event
from authsvc.crypto.tokens import new_id
from authsvc.db import Database, DatabaseUnavailable
from authsvc.db.fence import within
from authsvc.errors import AuthsvcError
from authsvc.exports import sheet
from authsvc.exports.files import FileStore, FileWriter, StoreUnavailable
from authsvc.exports.life import Life, find
from authsvc.exports.models import OPEN, Export, Reason, Status
from authsvc.exports.sources import Ask, Source
from authsvc.jobs.queue import MAX_ATTEMPTS
from authsvc.jobs.worker import Lease, LeaseLost, TryLater

PAGE = 1000
#: How often it is said how far it is, and the lease renewed.
TOLD_EVERY = timedelta(seconds=5)
MIB = 1024 * 1024
log = logs.logger(__name__)


class TooLarge(AuthsvcError):
    """The export would become larger than files may be."""


@dataclass(frozen=True)
class Work:
    """One try: which export, from what, under which name in the store."""

    export_id: str
    file_id: str
    source: Source
    ask: Ask


@dataclass(frozen=True)
class Build:
    """Builds exports by `sources` (kind to source) into `files`."""

    database: Database
    files: FileStore
    sources: Mapping[str, Source]
    life: Life

    def __call__(self, args: Mapping[str, Any], lease: Lease) -> None:
        """Build the export that `args` names, unless there is nothing to do any more. Raises: TryLater, LeaseLost."""
        export_id = args["export_id"]
        try:
            if lease.job.attempts > MAX_ATTEMPTS:
                self._fail(export_id, Reason.COULD_NOT_BUILD)  # killed every time: there is something wrong with it
            elif (work := self._begin(export_id, lease)) is not None:
                self._build(work, lease)
        except (DatabaseUnavailable, LeaseLost):
            raise
        except TooLarge:
            self._fail(export_id, Reason.TOO_LARGE)
        except Exception as exc:
            if not lease.is_last and isinstance(exc, StoreUnavailable):
                raise TryLater(detail=type(exc).__name__) from exc
            if not lease.is_last:
                raise
            log.exception("export.given_up", export_id=export_id)
            self._fail(export_id, Reason.COULD_NOT_BUILD)

    def _begin(self, export_id: str, lease: Lease) -> Work | None:
        clock = self.life.clock
        with self.database.transaction() as tx:
            export = find(tx, export_id, Export.status.in_(OPEN), Export.client_id.is_(None))
            if export is None:
                return None
            if not self.life.may_have(export):
                self.life.lose(tx, export)
                return None
        leftover, source = export.file_id, self.sources[export.kind]
        if leftover is not None:
            self.files.delete(leftover)
        with self.database.transaction(read_only=True) as tx:
            account = tx.scalars(
                select(Account).where(Account.id == export.account_id).options(selectinload(Account.mfa))
            ).one()
            ask = Ask(account, export.filters, export.membership.user.zone_in(account), clock.now())
            with within(tx, account.id):
                count = source.count(tx, ask)
        file_id = new_id()
        with self.database.transaction() as tx:
            lease.renew(tx)
            begun = tx.execute(
                update(Export)
                .where(Export.id == export_id, Export.status.in_(OPEN), Export.file_id.is_not_distinct_from(leftover))
                .values(
                    status=Status.PROCESSING.value,
                    file_id=file_id,
                    started_at=clock.now(),
                    progress=0,
                    progress_of=count,
                )
                .returning(Export.id)
            ).one_or_none()
            if begun is None:
                return None
            self.life.record(tx, Event.EXPORT_STARTED, export)
        return Work(export_id, file_id, source, ask)

    def _build(self, work: Work, lease: Lease) -> None:
        with self.files.create(work.file_id) as writer:
            self._write(work, writer, lease)
        with self.database.transaction() as tx:
            export = find(tx, work.export_id)
            is_ready = export is not None and self.life.ready(tx, export, work.file_id, writer.stored)
        if not is_ready:
            self.files.delete(work.file_id)

    def _write(self, work: Work, writer: FileWriter, lease: Lease) -> None:
        largest, size, told = self.life.policy.largest_mib * MIB, 0, self.life.clock.now()
        for chunk, done in self._chunks(work):
            lease.go_on()
            size += len(chunk)
            if size > largest:
                raise TooLarge
            writer.write(chunk)
            if self.life.clock.now() - told >= TOLD_EVERY:
                told = self.life.clock.now()
                self._tell(work, done, lease)

    def _chunks(self, work: Work) -> Iterator[tuple[bytes, int]]:
        """The file's bytes, and how many rows are in them by then."""
        yield sheet.BOM + sheet.lines([work.source.heading(work.ask)]), 0
        after, done = None, 0
        while True:
            with self.database.transaction(read_only=True) as tx, within(tx, work.ask.account.id):
                page = work.source.page(tx, work.ask, after, limit=PAGE)
            done += len(page.rows)
            yield sheet.lines(page.rows), done
            if (after := page.after) is None:
                return

    def _tell(self, work: Work, done: int, lease: Lease) -> None:
        with self.database.transaction() as tx:
            lease.renew(tx)
            mine = update(Export).where(
                Export.id == work.export_id, Export.status.in_(OPEN), Export.file_id == work.file_id
            )
            if tx.execute(mine.values(progress=done).returning(Export.id)).one_or_none() is None:
                raise LeaseLost

    def _fail(self, export_id: str, reason: Reason) -> None:
        with self.database.transaction() as tx:
            export = find(tx, export_id, Export.client_id.is_(None))
            if export is not None:
                self.life.fail(tx, export, reason)
