"""A person changes their own password (ux.md S17), and what that ends (domain D6)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.account_settings.own_email import OwnEmail
from authsvc.accounts import passwords
from authsvc.accounts.models import Membership
from authsvc.audit import AuditLog
from authsvc.clock import Clock
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import Sessions


@dataclass(frozen=True)
class PasswordChanged:
    """The session's new secret, for the old one is dead (security.md LG-10), and how many other sessions ended."""

    session_secret: str
    signed_out: int


@dataclass(frozen=True)
class OwnPassword:
    """Sets the password that was hashed outside the transaction."""

    sessions: Sessions
    devices: Devices
    own_email: OwnEmail
    courier: Courier
    clock: Clock
    audit: AuditLog

    def change(
        self,
        tx: Session,
        membership: Membership,
        session: BrowserSession,
        new_hash: str,
        *,
        instead_of: str,
        sign_out_others: bool,
        browser: str,
    ) -> PasswordChanged | None:
        """Set it; None when another change came first.

        Always ends: remembered devices, sign-ins under way (login/attempt.py), an address that waits for its code (whoever
        knew the old password may have begun it). Other sessions, and with them their refresh families, end where asked.
        """
        user = membership.user
        if not passwords.replace_hash(
            tx, user, new_hash, instead_of=instead_of, by="person", clock=self.clock, audit=self.audit
        ):
            return None
        self.devices.forget_all(tx, reason="password_changed", user_id=user.id)
        self.own_email.cancel(tx, membership)
        signed_out = 0
        if sign_out_others:
            signed_out = self.sessions.end_all(tx, "password_changed", user_id=user.id, but=session.id)
        self.courier.send_notice(
            tx,
            "notice_password_changed",
            user_id=user.id,
            account_id=membership.account_id,
            at=self.clock.now(),
            browser=browser,
        )
        return PasswordChanged(self.sessions.password_shown(tx, session), signed_out)
