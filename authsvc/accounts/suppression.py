"""Addresses that nothing is mailed to any more: mail to them bounced for good, or their owner called it spam.

Going on costs the good name of everybody's mail. Only an operator lifts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.accounts.models import EmailAddress, SuppressedAddress
from authsvc.accounts.queries import canonical_email
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester

Reason = Literal["bounce", "complaint"]
PURPOSE = "suppressed"


@dataclass(frozen=True)
class Suppressed:
    """One entry as an operator sees it. `address`: empty unless somebody has it now."""

    reason: str
    kind: str
    since: datetime
    user_id: str | None
    address: str


@dataclass(frozen=True)
class Suppressions:
    """The list, by digest of the canonical address."""

    digester: Digester
    clock: Clock
    audit: AuditLog

    def add(self, tx: Session, address: str, *, reason: Reason, kind: str) -> bool:
        """Suppress `address`; False when it is already. The trail has one row for each time it is."""
        canonical = canonical_email(address)
        owner = tx.scalar(select(EmailAddress.user_id).where(EmailAddress.canonical == canonical))
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(SuppressedAddress)
        added = tx.execute(
            insert.values(
                address_digest=self._digest(canonical),
                reason=reason,
                kind=kind[:40],
                suppressed_at=self.clock.now(),
                user_id=owner,
            )
            .on_conflict_do_nothing(index_elements=["address_digest"])
            .returning(SuppressedAddress.address_digest)
        ).one_or_none()
        if added is not None:
            self.audit.record(tx, Event.ADDRESS_SUPPRESSED, user_id=owner, reason=reason, kind=kind[:40])
        return added is not None

    def lift(self, tx: Session, address: str) -> bool:
        """Mail to `address` again; False when it was not suppressed."""
        row = tx.execute(
            delete(SuppressedAddress)
            .where(SuppressedAddress.address_digest == self._digest(canonical_email(address)))
            .returning(SuppressedAddress.user_id, SuppressedAddress.reason)
        ).one_or_none()
        if row is not None:
            self.audit.record(tx, Event.SUPPRESSION_LIFTED, user_id=row.user_id, reason=row.reason)
        return row is not None

    def why(self, tx: Session, address: str) -> str | None:
        """Why nothing is mailed to `address`, for operators; None when it is not suppressed."""
        row = tx.get(SuppressedAddress, self._digest(canonical_email(address)))
        return (
            None
            if row is None
            else f"the address is suppressed after a {row.reason}; `authsvc suppression lift` undoes it"
        )

    def all(self, tx: Session) -> Iterator[Suppressed]:
        """Every entry, newest first."""
        rows = tx.execute(
            select(SuppressedAddress, EmailAddress)
            .outerjoin(EmailAddress, EmailAddress.user_id == SuppressedAddress.user_id)
            .order_by(SuppressedAddress.suppressed_at.desc(), SuppressedAddress.address_digest)
        )
        for row, email in rows:
            is_still = email is not None and self._digest(email.canonical) == row.address_digest
            yield Suppressed(row.reason, row.kind, row.suppressed_at, row.user_id, email.address if is_still else "")

    def _digest(self, canonical: str) -> str:
        return self.digester.digest(PURPOSE, canonical)
