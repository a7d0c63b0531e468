"""Asking for an export that this service builds (domain D22, D25; security.md TN-10).

Whoever calls has seen a recent proof, and holds the membership in this transaction; the rules about whether are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Refusal
from authsvc.audit import Event
from authsvc.crypto.tokens import new_id
from authsvc.exports import access
from authsvc.exports.life import BUILD_EXPORT, Life, TooMany
from authsvc.exports.models import OPEN, Export, Kind, Status

NAMES = {
    Kind.TEAM_MEMBERS: "Team Members",
    Kind.SIGN_IN_ACTIVITY: "Sign-in activity",
    Kind.MFA_STATUS: "Multi-Factor Authentication status",
    Kind.DEVICES_AND_SESSIONS: "Remembered devices and sessions",
}
CSV = "text/csv"
#: The same asked for twice within this time was one press too many.
DOUBLE_PRESS = timedelta(seconds=10)


@dataclass(frozen=True)
class Requests:
    """Asks, and asks again after a failure."""

    life: Life

    def request(
        self, tx: Session, membership: Membership, kind: Kind, *, scope: str, filters: Mapping[str, str]
    ) -> Export | Refusal | TooMany:
        """Ask for it; the job that builds it is part of this transaction. A double press is answered as the first."""
        now = self.life.clock.now()
        if (why := access.why_not(kind, membership, self.life.permissions, now=now)) is not None:
            return why
        full = self.life.take_place(tx, membership.user_id)
        if (same := self._just_asked(tx, membership, kind, filters)) is not None:
            return same
        if full is not None:
            self._refused(tx, membership, NAMES[kind])
            return full
        export = Export(
            id=new_id(),
            account_id=membership.account_id,
            user_id=membership.user_id,
            membership_id=membership.id,
            kind=kind.value,
            name=NAMES[kind],
            scope=scope[:200],
            media_type=CSV,
            filters=dict(filters),
            status=Status.REQUESTED.value,
            progress=0,
            sealed_key="",
            requested_at=now,
        )
        export.membership = membership
        tx.add(export)
        tx.flush()
        self.life.record(tx, Event.EXPORT_REQUESTED, export)
        self.life.queue.enqueue(tx, BUILD_EXPORT, export_id=export.id)
        return export

    def again(self, tx: Session, export: Export) -> Export | Refusal | TooMany | None:
        """ "Try again": the same export, once more from the beginning. None: it has not failed, or a client made it."""
        now = self.life.clock.now()
        if not export.is_ours:
            return None
        if (why := access.why_not(export.kind, export.membership, self.life.permissions, now=now)) is not None:
            return why
        if (full := self.life.take_place(tx, export.user_id)) is not None:
            self._refused(tx, export.membership, export.name)
            return full
        begun = tx.execute(
            update(Export)
            .where(Export.id == export.id, Export.status == Status.FAILED)
            .values(
                status=Status.REQUESTED.value,
                reason=None,
                requested_at=now,
                started_at=None,
                finished_at=None,
                expires_at=None,
                purged_at=None,
                progress=0,
            )
            .returning(Export.id)
        ).one_or_none()
        if begun is None:
            return None
        tx.refresh(export)
        self.life.record(tx, Event.EXPORT_REQUESTED, export, again=True)
        self.life.queue.enqueue(tx, BUILD_EXPORT, export_id=export.id)
        return export

    def _just_asked(self, tx: Session, membership: Membership, kind: Kind, filters: Mapping[str, str]) -> Export | None:
        open_ones = tx.scalars(
            select(Export).where(
                Export.membership_id == membership.id,
                Export.kind == kind,
                Export.status.in_(OPEN),
                Export.requested_at > self.life.clock.now() - DOUBLE_PRESS,
            )
        )
        return next((one for one in open_ones if one.filters == dict(filters)), None)

    def _refused(self, tx: Session, membership: Membership, name: str) -> None:
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        self.life.audit.record(tx, Event.EXPORT_REFUSED, **about, name=name, reason="too_many")
