"""Files that must go: deleted by a job, looked for by the sweep, so that none outlives its row's word (domain D22, D23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update

from authsvc.audit import Event
from authsvc.db import Database
from authsvc.exports.files import FileStore, StoreUnavailable
from authsvc.exports.life import LIVE, Life, find
from authsvc.exports.models import OPEN, Export, Reason, Status
from authsvc.jobs.worker import TryLater

#: Rows that the sweep looks at in one transaction.
BATCH = 200
#: A file whose job has been given up is tried again after so long.
OVERDUE = timedelta(minutes=30)
OVER = (Status.FAILED.value, Status.EXPIRED.value)


@dataclass(frozen=True)
class Purge:
    """The job that deletes one file."""

    database: Database
    files: FileStore
    life: Life

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Delete the file of the export that `args` names, if it is over. Raises: TryLater."""
        with self.database.transaction(read_only=True) as tx:
            export = find(tx, args["export_id"], Export.status.in_(OVER))
        if export is None or export.file_id is None:
            return
        try:
            self.files.delete(export.file_id)
        except StoreUnavailable as exc:
            raise TryLater(detail=type(exc).__name__) from exc
        with self.database.transaction() as tx:
            gone = tx.execute(
                update(Export)
                .where(Export.id == export.id, Export.status.in_(OVER), Export.file_id == export.file_id)
                .values(file_id=None, purged_at=self.life.clock.now())
                .returning(Export.id)
            ).one_or_none()
            if gone is not None:
                self.life.record(tx, Event.EXPORT_PURGED, export)


@dataclass(frozen=True)
class Sweep:
    """The chore: what is over by time, by lost access, or by nobody coming; and rows that are old enough."""

    database: Database
    life: Life
    purge: Purge

    def __call__(self) -> None:
        """Everything once; each batch in a short transaction of its own."""
        self._end_what_is_over()
        self._lose_what_may_not_be_had()
        self._delete_what_was_left()
        with self.database.transaction() as tx:
            old = self.life.clock.now() - self.life.policy.rows_kept
            tx.execute(
                delete(Export).where(Export.status.in_(OVER), Export.file_id.is_(None), Export.finished_at < old)
            )

    def _delete_what_was_left(self) -> None:
        """Files whose job was given up, while the store was away."""
        overdue = self.life.clock.now() - OVERDUE
        with self.database.transaction(read_only=True) as tx:
            left = tx.scalars(
                select(Export.id)
                .where(Export.status.in_(OVER), Export.file_id.is_not(None), Export.expires_at < overdue)
                .limit(BATCH)
            ).all()
        for export_id in left:
            try:
                self.purge({"export_id": export_id})
            except TryLater:
                return

    def _end_what_is_over(self) -> None:
        now = self.life.clock.now()
        late = now - self.life.policy.handed_over_within
        over = or_(
            (Export.status == Status.READY) & (Export.expires_at <= now),
            Export.status.in_(OPEN) & Export.client_id.is_not(None) & (Export.requested_at <= late),
        )
        full = True
        while full:
            with self.database.transaction() as tx:
                found = list(tx.scalars(select(Export).where(over).limit(BATCH)))
                for export in found:
                    if export.is_open:
                        self.life.fail(tx, export, Reason.NOT_HANDED_OVER)
                    else:
                        self.life.expire(tx, export, Reason.TIME_OVER)
            full = len(found) == BATCH

    def _lose_what_may_not_be_had(self) -> None:
        """By the one rule of access.py, row by row: there are few live exports, and each names its person."""
        last = ""
        while True:
            with self.database.transaction(read_only=True) as tx:
                page = list(
                    tx.scalars(
                        select(Export).where(Export.status.in_(LIVE), Export.id > last).order_by(Export.id).limit(BATCH)
                    )
                )
                lost = [export.id for export in page if not self.life.may_have(export)]
            for export_id in lost:
                with self.database.transaction() as tx:
                    export = find(tx, export_id)
                    if export is not None and not self.life.may_have(export):
                        self.life.lose(tx, export)
            if len(page) < BATCH:
                return
            last = page[-1].id
