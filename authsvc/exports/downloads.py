"""Whether this person may download this export now (domain X2, D22, D23; security.md TN-08, TN-09)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Refusal
from authsvc.audit import Event
from authsvc.exports import access
from authsvc.exports.life import LIVE, Life, find
from authsvc.exports.models import Export, Reason, Status


class Standing(StrEnum):
    """What a click on "Download" meets."""

    OPEN = "open"
    #: Not there yet, or failed: the list says which.
    NO_FILE = "no_file"
    EXPIRED = "expired"
    NO_ACCESS = "no_access"
    #: After a password reset by mail (domain D15): the file stays.
    FROZEN = "frozen"


@dataclass(frozen=True)
class Downloads:
    """Asked at every click, and once more when the file is open."""

    life: Life

    def find(self, tx: Session, membership: Membership, export_id: str) -> Export | None:
        """The export, if it is this membership's own; to anybody else there is none (TN-08)."""
        return find(tx, export_id, Export.membership_id == membership.id)

    def standing(self, tx: Session, export: Export) -> Standing:
        """Where it stands. Access that was lost ends the export here, before anybody reads a byte (D23)."""
        now = self.life.clock.now()
        why = access.why_not(export.kind, export.membership, self.life.permissions, now=now)
        if why is Refusal.FROZEN:
            return Standing.FROZEN
        if why is not None:
            self.life.lose(tx, export)
            return Standing.NO_ACCESS
        if export.status == Status.EXPIRED:
            return Standing.EXPIRED
        if export.status != Status.READY:
            return Standing.NO_FILE
        if export.expires_at is not None and export.expires_at <= now:
            self.life.expire(tx, export, Reason.TIME_OVER)
            return Standing.EXPIRED
        return Standing.OPEN

    def begin(self, tx: Session, export: Export) -> bool:
        """The file goes out now. One conditional UPDATE with its row in the trail; False: it ended a moment ago."""
        begun = tx.execute(
            update(Export)
            .where(Export.id == export.id, Export.status == Status.READY, Export.file_id == export.file_id)
            .values(downloaded_at=self.life.clock.now())
            .returning(Export.id)
        ).one_or_none()
        if begun is not None:
            self.life.record(tx, Event.EXPORT_DOWNLOADED, export)
        return begun is not None

    def listed(self, tx: Session, membership: Membership, *, limit: int, offset: int) -> list[Export]:
        """One page of somebody's own exports, newest first."""
        theirs = select(Export).where(Export.membership_id == membership.id)
        newest = theirs.order_by(Export.requested_at.desc(), Export.id)
        return list(tx.scalars(newest.limit(limit).offset(offset)))

    def newest_unread(self, tx: Session, membership: Membership) -> str | None:
        """The id of the newest one that is ready and was never downloaded."""
        return tx.scalar(
            select(Export.id)
            .where(
                Export.membership_id == membership.id,
                Export.status == Status.READY,
                Export.downloaded_at.is_(None),
                Export.expires_at > self.life.clock.now(),
            )
            .order_by(Export.requested_at.desc(), Export.id)
            .limit(1)
        )

    def has_live(self, tx: Session, membership: Membership) -> bool:
        """Whether there is anything that lost access would end."""
        live = select(func.count()).where(Export.membership_id == membership.id, Export.status.in_(LIVE))
        return bool(tx.scalar(live))
