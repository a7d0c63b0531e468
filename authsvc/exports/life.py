"""What an export goes through, whoever makes it: requested, ready or failed, expired, its file deleted (domain D22, D23).

Each step is one conditional UPDATE, so of two who come at once one does it. Files are touched by jobs alone, which are queued
in the transaction of the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership, User
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import is_id
from authsvc.exports import access
from authsvc.exports.files import StoredFile
from authsvc.exports.models import OPEN, Export, Reason, Status
from authsvc.jobs import Queue
from authsvc.messaging.courier import Courier
from authsvc.notifications.kinds import Kind as Told
from authsvc.notifications.notify import Notifications
from authsvc.policy.schema import ExportPolicy, PermissionPolicy

BUILD_EXPORT = "build_export"
PURGE_EXPORT = "purge_export"
DAY = timedelta(days=1)
LIVE = (*OPEN, Status.READY.value)


@dataclass(frozen=True)
class TooMany:
    """A limit is reached. `until`: when there is a place again; None: when one that is processing is finished."""

    until: datetime | None = None


@dataclass(frozen=True)
class Life:
    """Every step. Ready and failed are told in the bell and by mail."""

    policy: ExportPolicy
    permissions: PermissionPolicy
    queue: Queue
    courier: Courier
    notifications: Notifications
    clock: Clock
    audit: AuditLog

    def take_place(self, tx: Session, user_id: str) -> TooMany | None:
        """Whether this person may have one more made; None: they may, and nobody else decides until `tx` ends (TN-10).

        The person's row is locked: of requests at the same moment each counts the ones before it, in whichever account.
        """
        tx.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        now = self.clock.now()
        theirs = select(func.count()).select_from(Export).where(Export.user_id == user_id)
        if (tx.scalar(theirs.where(Export.status.in_(OPEN))) or 0) >= self.policy.open_per_person:
            return TooMany()
        newest = select(Export.requested_at).where(Export.user_id == user_id, Export.requested_at > now - DAY)
        # The place of the oldest of the last `per_day` becomes free when it is a day old.
        oldest = tx.scalar(newest.order_by(Export.requested_at.desc()).offset(self.policy.per_day - 1).limit(1))
        return TooMany(oldest + DAY) if oldest is not None else None

    def may_have(self, export: Export) -> bool:
        """Whether its person may (still) have it. Read the membership in this transaction."""
        return not access.is_lost(export.kind, export.membership, self.permissions, now=self.clock.now())

    def ready(self, tx: Session, export: Export, file_id: str, stored: StoredFile) -> bool:
        """The file is whole: from now on it can be downloaded. False: somebody else went on with it, or ended it.

        The person is told by the bell and by mail, which says no more than that (ux.md S25).
        """
        if not self.may_have(export):
            self.lose(tx, export)
            return False
        now = self.clock.now()
        done = self._move(
            tx,
            export,
            Export.status.in_(OPEN),
            Export.file_id == file_id,
            status=Status.READY.value,
            size=stored.size,
            sha256=stored.sha256,
            sealed_key=stored.sealed_key,
            finished_at=now,
            expires_at=now + self.policy.kept,
        )
        if done:
            self.record(tx, Event.EXPORT_READY, export, size=stored.size)
            self._tell(tx, export, Told.EXPORT_READY)
        return done

    def fail(self, tx: Session, export: Export, reason: Reason) -> bool:
        """There will be no file. The person is told, for they wait (D22). False: it had ended already."""
        done = self._end(tx, export, OPEN, Status.FAILED, reason)
        if done:
            self.record(tx, Event.EXPORT_FAILED, export, reason=reason.value)
            self._tell(tx, export, Told.EXPORT_FAILED)
        return done

    def lose(self, tx: Session, export: Export) -> bool:
        """They may not have it any more (D23): no file, and nobody is told of what they could not open."""
        if self._end(tx, export, OPEN, Status.FAILED, Reason.ACCESS_LOST):
            self.record(tx, Event.EXPORT_FAILED, export, reason=Reason.ACCESS_LOST.value)
            return True
        return self.expire(tx, export, Reason.ACCESS_LOST)

    def expire(self, tx: Session, export: Export, reason: Reason) -> bool:
        """The file goes, the row stays."""
        done = self._end(tx, export, (Status.READY.value,), Status.EXPIRED, reason)
        if done:
            self.record(tx, Event.EXPORT_EXPIRED, export, reason=reason.value)
        return done

    def lose_all(self, tx: Session, membership: Membership) -> int:
        """End every export that this membership may not have any more; answers how many. Two statements when there is none."""
        lost = [
            export
            for export in tx.scalars(
                select(Export).where(Export.membership_id == membership.id, Export.status.in_(LIVE))
            )
            if not self.may_have(export)
        ]
        return sum(self.lose(tx, export) for export in lost)

    def record(self, tx: Session, event: Event, export: Export, **fields: Any) -> None:
        """Note a step in the trail: which export and what it is called, never what is in it."""
        about = {"user_id": export.user_id, "account_id": export.account_id, "client_id": export.client_id}
        self.audit.record(tx, event, **about, export_id=export.id, name=export.name, **fields)

    def _end(self, tx: Session, export: Export, among: tuple[str, ...], status: Status, reason: Reason) -> bool:
        now = self.clock.now()
        over = min(export.expires_at, now) if export.expires_at else now
        done = self._move(
            tx,
            export,
            Export.status.in_(among),
            status=status.value,
            reason=reason.value,
            sealed_key="",
            finished_at=export.finished_at or now,
            expires_at=over,
        )
        if done and export.file_id is not None:
            self.queue.enqueue(tx, PURGE_EXPORT, export_id=export.id)
        return done

    def _move(self, tx: Session, export: Export, *only_if: ColumnElement[bool], **values: object) -> bool:
        moved = tx.execute(update(Export).where(Export.id == export.id, *only_if).values(values).returning(Export.id))
        if moved.one_or_none() is None:
            return False
        tx.refresh(export)
        return True

    def _tell(self, tx: Session, export: Export, kind: Told) -> None:
        self.notifications.notify(
            tx,
            membership=export.membership,
            kind=kind,
            values={"name": export.name},
            link=f"/profile/exports/{export.id}/file" if kind is Told.EXPORT_READY else "/profile/exports",
            now=self.clock.now(),
        )
        self.courier.send_notice(
            tx,
            f"notice_{kind}",
            user_id=export.user_id,
            account_id=export.account_id,
            at=self.clock.now(),
            browser="",
        )


def find(tx: Session, export_id: str, *only_if: ColumnElement[bool]) -> Export | None:
    """The export with this id, as it stands in the database now; whatever text an address may hold."""
    if not is_id(export_id):
        return None
    wanted = select(Export).where(Export.id == export_id, *only_if).execution_options(populate_existing=True)
    return tx.scalars(wanted).one_or_none()
