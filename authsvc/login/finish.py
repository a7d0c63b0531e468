"""The last step: from everything shown to a session, and back to where the person was going."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock, epoch_s
from authsvc.crypto import handover
from authsvc.devices.models import RememberedDevice
from authsvc.devices.remember import Devices
from authsvc.login.flow import Flow, Visit
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import SignIn
from authsvc.messaging.courier import Courier
from authsvc.notifications import Kind, Notifications
from authsvc.sessions import levels
from authsvc.sessions.browsers import Browsers
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import Sessions, Standing

#: For how long a finished sign-in repeats its answer to whoever holds the attempt's secret: a double press, a lost answer.
REPEATED_FOR = timedelta(seconds=60)


@dataclass(frozen=True)
class SignedIn:
    """What the browser gets: the session's secret, and the device cookie if it changed."""

    membership: Membership
    session_secret: str
    device_cookie: str | None
    continue_to: str


@dataclass(frozen=True)
class Finish:
    """Turns a complete attempt into a session."""

    flow: Flow
    sessions: Sessions
    devices: Devices
    browsers: Browsers
    courier: Courier
    notifications: Notifications
    clock: Clock
    audit: AuditLog

    def finish(
        self,
        tx: Session,
        attempt: LoginAttempt,
        secret: str,
        *,
        visit: Visit,
        previous: BrowserSession | None,
        browser_secret: str,
    ) -> SignedIn | None:
        """Start the session if the attempt needs nothing more; None when it does.

        The same attempt pressed twice, or asked again after a lost answer, gets the same session for a minute.
        """
        membership = attempt.membership
        if membership is None:
            return None
        continue_to = (visit.request.continue_to if visit.request else visit.continue_to) or "/"
        if attempt.finished_at is not None:
            return self._repeat(attempt, membership, secret, continue_to)
        step, device = self.flow.step(tx, attempt, visit)
        if not isinstance(step, SignIn):
            return None
        now = self.clock.now()
        acr, amr = levels.describe(attempt.proofs, remembered=device is not None)
        cookie, remembered = None, None
        if device is not None and acr == levels.REMEMBERED:
            cookie = self.devices.use(tx, device, membership, visit.device_cookie or "")
            remembered = _claim(device, "used")
        elif attempt.remember:
            device, cookie = self.devices.remember(
                tx, membership, mfa_amr=amr, browser=visit.browser, cookie=visit.device_cookie
            )
            remembered = _claim(device, "enrolled")
        else:
            device = None
        standing = Standing(
            acr=acr,
            amr=amr,
            auth_time=now if attempt.proofs_beyond_password else attempt.password_at,
            password_at=attempt.password_at,
            code_at=now if attempt.proofs_beyond_password else None,
            device_id=device.id if device else None,
            remembered=remembered,
        )
        _, session_secret = self.sessions.start(tx, membership, standing, browser=visit.browser, previous=previous)
        self._tell(tx, attempt, membership, visit, browser_secret)
        membership.last_sign_in_at = attempt.finished_at = now
        if visit.request is not None:
            visit.request.signed_in_at = now
        attempt.handover_session = handover.wrap(secret, session_secret, where=f"attempt/session/{attempt.id}")
        attempt.handover_device = (
            handover.wrap(secret, cookie, where=f"attempt/device/{attempt.id}") if cookie else None
        )
        return SignedIn(membership, session_secret, cookie, continue_to)

    def _tell(
        self, tx: Session, attempt: LoginAttempt, membership: Membership, visit: Visit, browser_secret: str
    ) -> None:
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        rules = self.flow.rules(attempt, visit)
        if rules and rules.email_fallback and "email" in attempt.proofs:
            self.audit.record(tx, Event.MFA_EMAIL_FALLBACK, **about, reason=self.flow.why_mailed)
        if self.browsers.note(tx, membership.user_id, browser_secret):
            now = self.clock.now()
            self.courier.send_notice(tx, "notice_new_device", **about, at=now, browser=visit.browser)
            self.notifications.notify(
                tx,
                membership=membership,
                kind=Kind.NEW_DEVICE,
                values={"browser": visit.browser},
                link="/profile/security#sessions",
                now=now,
            )

    def _repeat(self, attempt: LoginAttempt, membership: Membership, secret: str, continue_to: str) -> SignedIn | None:
        if (
            attempt.finished_at is None
            or attempt.handover_session is None
            or self.clock.now() - attempt.finished_at > REPEATED_FOR
        ):
            return None
        session_secret = handover.unwrap(secret, attempt.handover_session, where=f"attempt/session/{attempt.id}")
        wrapped = attempt.handover_device
        cookie = handover.unwrap(secret, wrapped, where=f"attempt/device/{attempt.id}") if wrapped else None
        return SignedIn(membership, session_secret, cookie, continue_to)


def _claim(device: RememberedDevice, state: str) -> dict[str, object]:
    """The remember-device claim as the session keeps it (claims.md); tokens add version and binding."""
    return {
        "state": state,
        "mfa_at": epoch_s(device.mfa_at),
        "mfa_amr": device.mfa_amr,
        "exp": epoch_s(device.expires_at),
    }
