"""What mailed links do: a new password, a verified address, "this was not me". Takes an open transaction, never commits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.accounts import contacts
from authsvc.accounts.links import Links
from authsvc.accounts.models import EmailAddress, MailedLink, User
from authsvc.accounts.queries import canonical_email, data_access_holders
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.devices.remember import Devices
from authsvc.login.password import lane_of
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.policy.schema import SessionPolicy
from authsvc.sessions.browsers import Browsers
from authsvc.sessions.session import Sessions
from authsvc.throttle import Throttle, Wait, WrongPasswords


@dataclass(frozen=True)
class Recovery:
    """The ways back in."""

    policy: SessionPolicy
    links: Links
    sessions: Sessions
    devices: Devices
    browsers: Browsers
    codes: OneTimeCodes
    throttle: Throttle
    wrong: WrongPasswords
    courier: Courier
    clock: Clock
    audit: AuditLog

    def ask(self, tx: Session, typed: str, *, account_id: str | None, browser: str) -> Wait | None:
        """Mail a link for a new password to whoever has this address; None when asked.

        The same statements for everybody and for nobody: the worker finds out who gets one (security.md RC-09). It goes to
        the address as it is stored (RC-05). `account_id`: of the page that asked, in whose name the mail is then.
        """
        canonical = canonical_email(typed)
        if (wait := self.throttle.take(tx, "reset_per_user", canonical)) is not None:
            self.audit.record(tx, Event.SIGN_IN_THROTTLED, limit=wait.limit)
            return wait
        user_id = tx.scalar(select(EmailAddress.user_id).where(EmailAddress.canonical == canonical))
        self._mail_reset(tx, user_id, account_id=account_id, browser=browser)
        self.audit.record(tx, Event.PASSWORD_RESET_REQUESTED, user_id=user_id)
        return None

    def choose(self, tx: Session, secret: str, new_hash: str, *, browser: str) -> User | None:
        """Spend the link and set the password; None when the link is not usable. Whose it is, the link alone says (RC-03).

        Everything that rested on the old one ends, the address is proved, and nobody is signed in (MF-14, RC-07, D15).
        """
        link = self.links.use(tx, secret, "reset")
        if link is None:
            return None
        user, now = link.user, self.clock.now()
        self._end_everything(tx, user, "password_reset")
        user.password_hash, user.password_changed_at = new_hash, now
        user.sensitive_acts_from = now + self.policy.sensitive_acts_frozen
        contacts.verify_email(tx, user, address=link.address, by="reset_link", clock=self.clock, audit=self.audit)
        canonical = user.email.canonical
        lanes = [lane_of(canonical, digest) for digest in self.browsers.digests(tx, user.id)]
        self.wrong.clear(tx, canonical, *lanes)
        tx.flush()
        self.audit.record(tx, Event.PASSWORD_CHANGED, user_id=user.id, by="reset_link")
        self.courier.send_notice(
            tx, "notice_password_changed", user_id=user.id, account_id=_named(link), at=now, browser=browser
        )
        self._tell_holders(tx, user, what="reset by email", browser=browser)
        return user

    def verify(self, tx: Session, secret: str) -> bool:
        """Spend the link and prove the address it was mailed to; False when it is not usable (RC-10)."""
        link = self.links.use(tx, secret, "verify_email")
        return link is not None and contacts.verify_email(
            tx, link.user, address=link.address, by="link", clock=self.clock, audit=self.audit
        )

    def disown(self, tx: Session, secret: str, *, browser: str) -> bool:
        """ "This was not me": end what somebody else may hold, stop the password, and mail a link for a new one.

        False when the link is not usable. To an address that is not the person's any more nothing is mailed: whoever
        changed it must not be helped.
        """
        link = self.links.use(tx, secret, "not_me")
        if link is None:
            return False
        user, now = link.user, self.clock.now()
        self._end_everything(tx, user, "not_me")
        # Somebody knows it. A new one alone opens again, and whoever reads this mail can choose it.
        user.password_hash, user.password_changed_at = None, now
        user.sensitive_acts_from = now + self.policy.sensitive_acts_frozen
        tx.flush()
        self.audit.record(tx, Event.NOT_ME, user_id=user.id, notice=str((link.about or {}).get("notice", "")))
        if link.address == user.email.address:
            self._mail_reset(tx, user.id, account_id=link.account_id, browser=browser)
        self._tell_holders(tx, user, what="stopped at their wish", browser=browser)
        return True

    def _mail_reset(self, tx: Session, user_id: str | None, *, account_id: str | None, browser: str) -> None:
        self.courier.send_link(
            tx, "reset", user_id=user_id, account_id=account_id, at=self.clock.now(), browser=browser
        )

    def _end_everything(self, tx: Session, user: User, reason: str) -> None:
        """Sessions and with them token families, remembered devices, codes that are out, other links, a change under way.

        Sign-ins under way count only for the password they proved (login/attempt.py).
        """
        self.sessions.end_all(tx, reason, user_id=user.id)
        self.devices.forget_all(tx, reason=reason, user_id=user.id)
        self.codes.void_all(tx, user.id)
        self.links.void(tx, user.id, "reset")
        if contacts.cancel_email_change(tx, user.id) is not None:
            self.audit.record(tx, Event.EMAIL_CHANGE_CANCELLED, user_id=user.id)

    def _tell_holders(self, tx: Session, user: User, *, what: str, browser: str) -> None:
        """Whoever answers for sensitive data in the person's accounts learns of it (domain D15)."""
        accounts = sorted({m.account_id for m in user.memberships if m.is_active})
        for account_id in accounts:
            for holder in data_access_holders(tx, account_id):
                if holder.user_id != user.id:
                    self.courier.send_notice(
                        tx,
                        "notice_member_reset",
                        user_id=holder.user_id,
                        account_id=account_id,
                        at=self.clock.now(),
                        browser=browser,
                        about_name=user.name,
                        what=what,
                    )


def _named(link: MailedLink) -> str:
    """In which account's name a person is written to: the link's, else any that they are in."""
    active = [m.account_id for m in link.user.memberships if m.is_active]
    return link.account_id or (active[0] if active else "")
