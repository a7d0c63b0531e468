"""What a person has beyond the password, all gone at once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.mfa.enrolment import AuthenticatorApps


def forget_second_step(tx: Session, user: User, *, apps: AuthenticatorApps, codes: OneTimeCodes) -> None:
    """Remove the phone, the authenticator app and the recovery codes, and void every code that is out. Not the address."""
    if user.phone is not None:
        tx.delete(user.phone)
        tx.flush()
        tx.refresh(user, ["phone"])
    user.last_method = None
    apps.forget(tx, user.id)
    codes.void_all(tx, user.id)
    tx.flush()
