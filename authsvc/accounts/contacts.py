"""A person's email address and phone: verified, added."""

from __future__ import annotations

from sqlalchemy.orm import Session

from authsvc.accounts.models import PhoneNumber, User
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock


def verify_email(tx: Session, user: User, *, address: str, by: str, clock: Clock, audit: AuditLog) -> bool:
    """Mark the address verified, if it is still the one the code went to (security.md RC-10); False when it is not.

    `by`: how it was proved, for the trail.
    """
    if user.email.address != address:
        return False
    if user.email.verified_at is None:
        user.email.verified_at = clock.now()
        tx.flush()
        audit.record(tx, Event.EMAIL_VERIFIED, user_id=user.id, by=by)
    return True


def add_phone(tx: Session, user: User, *, e164: str, account_id: str, clock: Clock, audit: AuditLog) -> None:
    """Bind a number that has just been proved by a code sent to it."""
    if user.phone is None:
        user.phone = PhoneNumber(user_id=user.id, e164=e164, verified_at=clock.now())
    else:
        user.phone.e164, user.phone.verified_at = e164, clock.now()
    tx.flush()
    audit.record(tx, Event.PHONE_ADDED, user_id=user.id, account_id=account_id, ending=e164[-2:])
