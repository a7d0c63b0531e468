"""What a person has beyond the password, all gone at once."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.clock import Clock
from authsvc.mfa.models import AuthenticatorApp, Challenge, RecoveryCode


def forget_second_step(tx: Session, user: User, *, clock: Clock) -> None:
    """Remove the phone, the authenticator app and the recovery codes, and void every code that is out. Not the address."""
    if user.phone is not None:
        tx.delete(user.phone)
        tx.flush()
        tx.refresh(user, ["phone"])
    user.last_method = None
    tx.execute(delete(AuthenticatorApp).where(AuthenticatorApp.user_id == user.id))
    tx.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    tx.execute(
        update(Challenge)
        .where(Challenge.user_id == user.id, Challenge.consumed_at.is_(None), Challenge.voided_at.is_(None))
        .values(voided_at=clock.now())
    )
    tx.flush()
