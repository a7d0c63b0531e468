"""Authenticator apps (RFC 6238): set up, proved by a first code, asked at sign-in, removed.

Six digits, 30 seconds, SHA-1: what every app on every phone can do. The key has 160 bits and is kept sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pyotp
from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.seal import Sealer
from authsvc.messaging.courier import Courier
from authsvc.mfa.models import AppEnrolment, AuthenticatorApp, RecoveryCode
from authsvc.policy.schema import AppPolicy

#: What apps show; pyotp's default.
DIGITS = 6
#: Under this name the key stands in the person's app, beside their address.
ISSUER = "IMS"
#: Why remembering ends: a way to get codes is another one now (domain D6).
APP_CHANGED = "app_changed"


class OwnCode(StrEnum):
    """What became of a code that the person holds: one of the app, or a recovery code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    #: It was right, and it or a later one has been used.
    SPENT = "spent"


@dataclass(frozen=True)
class Setup:
    """What the person's app is given: the address behind the QR code, and the key for typing."""

    uri: str
    key: str


@dataclass(frozen=True)
class AuthenticatorApps:
    """A person has one app at most. `lasts`: how long setting it up may take. `end_remembering`: of devices/remember.py."""

    policy: AppPolicy
    lasts: timedelta
    sealer: Sealer
    courier: Courier
    clock: Clock
    audit: AuditLog
    end_remembering: Callable[..., int]

    def current(self, tx: Session, user_id: str) -> AuthenticatorApp | None:
        """The app that counts."""
        app = tx.get(AuthenticatorApp, user_id, populate_existing=True)
        return app if app is not None and app.confirmed_at is not None else None

    def begin(self, tx: Session, user_id: str, *, subject_id: str) -> None:
        """A new key for this sign-in or session; one that was begun elsewhere is void. The app in use stays in use."""
        now = self.clock.now()
        sealed = self.sealer.seal(pyotp.random_base32().encode(), where=_begun(user_id))
        row = {
            "subject_id": subject_id,
            "secret_sealed": sealed,
            "created_at": now,
            "expires_at": now + self.lasts,
        }
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(AppEnrolment)
        statement = insert.values(user_id=user_id, **row)
        tx.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=row))

    def ensure_begun(self, tx: Session, user_id: str, *, subject_id: str) -> None:
        """As `begin`, unless this very sign-in or session has begun: a page that is opened again shows the same key."""
        if self._pending(tx, user_id, subject_id) is None:
            self.begin(tx, user_id, subject_id=subject_id)

    def setup(self, tx: Session, user: User, *, subject_id: str) -> Setup | None:
        """What to show of the key that this sign-in or session has begun; None when there is none, or its time is over."""
        pending = self._pending(tx, user.id, subject_id)
        if pending is None:
            return None
        totp = self._totp(pending.secret_sealed, where=_begun(user.id))
        uri = totp.provisioning_uri(name=user.email.address, issuer_name=ISSUER)
        return Setup(uri, " ".join(totp.secret[at : at + 4] for at in range(0, len(totp.secret), 4)))

    def confirm(
        self, tx: Session, user: User, *, subject_id: str, typed: str, account_id: str, browser: str
    ) -> OwnCode | None:
        """Take the app into use, in place of the one before, when `typed` is a code of it; None: nothing was begun.

        One DELETE takes what was begun, so of two presses one confirms. The code that proves the app is spent by that
        (security.md MF-06). Remembered devices end, and the person is told.
        """
        pending = self._pending(tx, user.id, subject_id)
        if pending is None:
            return None
        totp = self._totp(pending.secret_sealed, where=_begun(user.id))
        if (step := self._step(totp, typed)) is None:
            return OwnCode.WRONG
        taken = tx.execute(
            delete(AppEnrolment)
            .where(AppEnrolment.user_id == user.id, AppEnrolment.secret_sealed == pending.secret_sealed)
            .returning(AppEnrolment.user_id)
        ).one_or_none()
        if taken is None:
            return None
        now, replaces = self.clock.now(), self.current(tx, user.id) is not None
        tx.merge(
            AuthenticatorApp(
                user_id=user.id,
                secret_sealed=self.sealer.seal(totp.secret.encode(), where=sealed_as(user.id)),
                created_at=now,
                confirmed_at=now,
                last_step=step,
                last_used_at=None,
            )
        )
        tx.flush()
        self.end_remembering(tx, reason=APP_CHANGED, user_id=user.id)
        self.audit.record(tx, Event.APP_ADDED, user_id=user.id, account_id=account_id, replaces=replaces)
        self._tell(tx, "notice_app_added", user.id, account_id=account_id, browser=browser)
        return OwnCode.ACCEPTED

    def verify(self, tx: Session, user_id: str, *, typed: str) -> OwnCode:
        """Check a code, and spend it with every earlier one (RFC 6238 5.2: it "MUST NOT accept the second attempt").

        The conditional UPDATE decides: of two simultaneous right ones one wins (security.md MF-06), and a key that was
        replaced meanwhile proves nothing. The caller counts the try before (MF-05).
        """
        app = self.current(tx, user_id)
        if app is None:
            return OwnCode.WRONG
        step = self._step(self._totp(app.secret_sealed, where=sealed_as(user_id)), typed)
        if step is None:
            return OwnCode.WRONG
        spent = tx.execute(
            update(AuthenticatorApp)
            .where(
                AuthenticatorApp.user_id == user_id,
                AuthenticatorApp.secret_sealed == app.secret_sealed,
                AuthenticatorApp.last_step < step,
            )
            .values(last_step=step, last_used_at=self.clock.now())
            .returning(AuthenticatorApp.user_id)
        ).one_or_none()
        return OwnCode.ACCEPTED if spent is not None else OwnCode.SPENT

    def remove(self, tx: Session, user: User, *, account_id: str, browser: str) -> bool:
        """The person takes their app away, and the recovery codes with it; False when there was none."""
        if not self.forget(tx, user.id):
            return False
        self.end_remembering(tx, reason=APP_CHANGED, user_id=user.id)
        self.audit.record(tx, Event.APP_REMOVED, user_id=user.id, account_id=account_id)
        self._tell(tx, "notice_app_removed", user.id, account_id=account_id, browser=browser)
        return True

    def forget(self, tx: Session, user_id: str) -> bool:
        """Delete the app, what is being set up, and the recovery codes; for whoever tells and records it themselves."""
        for table in (AppEnrolment, RecoveryCode):
            tx.execute(delete(table).where(table.user_id == user_id))
        gone = delete(AuthenticatorApp).where(AuthenticatorApp.user_id == user_id).returning(AuthenticatorApp.user_id)
        return tx.execute(gone).one_or_none() is not None

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget keys that nobody confirmed."""
        tx.execute(delete(AppEnrolment).where(AppEnrolment.expires_at < now))

    def _pending(self, tx: Session, user_id: str, subject_id: str) -> AppEnrolment | None:
        return tx.scalars(
            select(AppEnrolment)
            .where(
                AppEnrolment.user_id == user_id,
                AppEnrolment.subject_id == subject_id,
                AppEnrolment.expires_at > self.clock.now(),
            )
            .execution_options(populate_existing=True)
        ).one_or_none()

    def _step(self, totp: pyotp.TOTP, typed: str) -> int | None:
        try:
            return totp.verify_and_get_timecode(typed, for_time=self.clock.now(), valid_window=self.policy.drift_steps)
        except pyotp.OTPVerificationError:
            return None

    def _totp(self, sealed: str, *, where: str) -> pyotp.TOTP:
        return pyotp.TOTP(self.sealer.open(sealed, where=where).decode())

    def _tell(self, tx: Session, notice: str, user_id: str, *, account_id: str, browser: str) -> None:
        self.courier.send_notice(
            tx, notice, user_id=user_id, account_id=account_id, at=self.clock.now(), browser=browser
        )


def has_app(tx: Session, user_id: str) -> bool:
    """Whether this person has an app that counts."""
    found = select(AuthenticatorApp.user_id).where(
        AuthenticatorApp.user_id == user_id, AuthenticatorApp.confirmed_at.is_not(None)
    )
    return tx.scalar(found) is not None


def sealed_as(user_id: str) -> str:
    """What the key of this person's app is bound to, so that it opens in no other row."""
    return f"authenticator_app/secret/{user_id}"


def _begun(user_id: str) -> str:
    return f"app_enrolment/secret/{user_id}"
