"""A person's email address and phone: verified, added, changed, removed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authsvc.accounts.models import EmailAddress, EmailChange, MailedLink, PhoneNumber, User
from authsvc.accounts.queries import canonical_email
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock


def verify_email(tx: Session, user: User, *, address: str, by: str, clock: Clock, audit: AuditLog) -> bool:
    """Mark the address verified, if it is still the one the code went to (security.md RC-10); False when it is not.

    `by`: how it was proved, for the trail. Whoever had the sign-in before the address was proved leaves no change of it
    behind (RC-08).
    """
    if user.email.address != address:
        return False
    if user.email.verified_at is None:
        user.email.verified_at = clock.now()
        tx.flush()
        audit.record(tx, Event.EMAIL_VERIFIED, user_id=user.id, by=by)
        cancel_email_change(tx, user.id)
    return True


def email_change(tx: Session, user_id: str, *, now: datetime) -> EmailChange | None:
    """The change that waits for its code."""
    waiting = tx.get(EmailChange, user_id, populate_existing=True)
    return waiting if waiting and waiting.expires_at > now else None


def begin_email_change(
    tx: Session, user: User, *, change_id: str, address: str, lasts: timedelta, clock: Clock
) -> EmailChange:
    """Note the address that is wanted instead; an earlier wish is forgotten. It reserves nothing for anybody.

    Call it under `one_at_a_time`.
    """
    now = clock.now()
    change = EmailChange(
        user_id=user.id,
        id=change_id,
        address=address,
        canonical=canonical_email(address),
        created_at=now,
        expires_at=now + lasts,
    )
    merged = tx.merge(change)
    tx.flush()
    return merged


def cancel_email_change(tx: Session, user_id: str) -> str | None:
    """Forget the address that is wanted instead; answers the change's id, if there was one."""
    return tx.scalar(delete(EmailChange).where(EmailChange.user_id == user_id).returning(EmailChange.id))


def switch_email(tx: Session, user: User, change: EmailChange, *, clock: Clock) -> bool:
    """Make the proved address theirs; False when it belongs to somebody else by now.

    One UPDATE under the unique constraint, so of two people who want one address one gets it. What was mailed to the old
    address opens nothing any more (security.md RC-10), save the link by which its owner says "this was not me".
    """
    now = clock.now()
    try:
        with tx.begin_nested():
            tx.execute(
                update(EmailAddress)
                .where(EmailAddress.user_id == user.id)
                .values(address=change.address, canonical=change.canonical, verified_at=now)
            )
    except IntegrityError:
        return False
    tx.refresh(user.email)
    tx.execute(
        update(MailedLink)
        .where(
            MailedLink.user_id == user.id,
            MailedLink.purpose != "not_me",
            MailedLink.used_at.is_(None),
            MailedLink.voided_at.is_(None),
        )
        .values(voided_at=now)
    )
    return True


def add_phone(tx: Session, user: User, *, e164: str, account_id: str, clock: Clock, audit: AuditLog) -> None:
    """Bind a number that has just been proved by a code sent to it; it replaces another one."""
    one_at_a_time(tx, user)
    tx.refresh(user, ["phone"])
    event = Event.PHONE_ADDED
    if user.phone is None:
        user.phone = PhoneNumber(user_id=user.id, e164=e164, verified_at=clock.now())
    else:
        event = Event.PHONE_CHANGED if user.phone.verified_at else Event.PHONE_ADDED
        user.phone.e164, user.phone.verified_at = e164, clock.now()
    tx.flush()
    audit.record(tx, event, user_id=user.id, account_id=account_id, ending=e164[-2:])


def remove_phone(tx: Session, user: User, *, account_id: str, audit: AuditLog) -> str | None:
    """Take the number away; answers it, or None when there was none. One DELETE, so it is recorded once."""
    e164: str | None = tx.scalar(delete(PhoneNumber).where(PhoneNumber.user_id == user.id).returning(PhoneNumber.e164))
    tx.expire(user, ["phone"])
    if e164 is None:
        return None
    if user.last_method == "sms":
        user.last_method = None
    audit.record(tx, Event.PHONE_REMOVED, user_id=user.id, account_id=account_id, ending=e164[-2:])
    return e164


def one_at_a_time(tx: Session, user: User) -> None:
    """Hold this person's row until the transaction ends: two presses that insert the same row would end in an error."""
    tx.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True))
