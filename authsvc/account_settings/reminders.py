""" "Send reminder": a verification link to people whose address is not verified (domain D1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from authsvc.accounts.models import Account, Membership
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.messaging.courier import Courier
from authsvc.throttle import Throttle


@dataclass(frozen=True)
class Reminded:
    """How many mails are on their way; `until`: when the first of those who had enough lately may get another."""

    sent: int
    until: datetime | None


@dataclass(frozen=True)
class Reminders:
    """Sends them, and never more to one person than the policy allows, whoever presses."""

    courier: Courier
    throttle: Throttle
    clock: Clock
    audit: AuditLog

    def remind(
        self, tx: Session, account: Account, audience: str, membership_ids: Iterable[str], *, by: str, browser: str
    ) -> Reminded:
        """Queue a link for each of these members whose address waits to be verified; others are passed over.

        A membership of another account or audience is not found here, whoever names it (security.md TN-02). `by`: whose
        act it is.
        """
        sent, until = 0, None
        wanted = tx.scalars(
            select(Membership)
            .where(
                Membership.id.in_(list(membership_ids)),
                Membership.account_id == account.id,
                Membership.audience == audience,
            )
            .options(selectinload(Membership.user))
            .order_by(Membership.id)
        )
        for member in wanted.all():
            if not member.is_active or member.user.email.verified_at is not None:
                continue
            if (wait := self.throttle.take(tx, "verify_mail_per_user", member.user_id)) is not None:
                until = min(until or wait.until, wait.until)
                continue
            self.courier.send_link(
                tx,
                "verify_email",
                user_id=member.user_id,
                account_id=account.id,
                at=self.clock.now(),
                browser=browser,
            )
            sent += 1
        if sent:
            self.audit.record(
                tx, Event.REMINDERS_SENT, user_id=by, account_id=account.id, audience=audience, people=sent
            )
        return Reminded(sent, until)
