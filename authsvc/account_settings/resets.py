"""A colleague who lost the phone or the password (domain D18). Nobody sets or sees either of another (security.md RC-12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.account_settings.acting import DONE, Actor, Outcome, Result, hold, why_not_active
from authsvc.account_settings.second_step import forget_second_step
from authsvc.accounts.models import Membership
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.mfa.enrolment import AuthenticatorApps
from authsvc.throttle import Throttle


@dataclass(frozen=True)
class Resets:
    """Resets a member's second step and phone, or sends a password link. `end_attempts`: as for Members."""

    apps: AuthenticatorApps
    codes: OneTimeCodes
    devices: Devices
    courier: Courier
    throttle: Throttle
    clock: Clock
    audit: AuditLog
    end_attempts: Callable[[Session, str, str | None], None]

    def reset_second_step(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Phone, authenticator app, recovery codes and remembered devices go; the person is told, and asked anew next time.

        They belong to the person, not to the account: while somebody is active in another account too, an admin of one has
        no say over what guards the other (security.md TN-02), and support does it.
        """
        if (refused := hold(tx, membership, actor) or why_not_active(membership)) is not None:
            return refused
        if actor.membership is not None and _belongs_elsewhere(tx, membership):
            return Result(Outcome.BELONGS_ELSEWHERE)
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        forget_second_step(tx, membership.user, apps=self.apps, codes=self.codes)
        self.end_attempts(tx, membership.user_id, None)
        self.audit.record(tx, Event.SECOND_STEP_RESET, **about, by=actor.by)
        self.devices.forget_all(tx, reason="mfa_reset", user_id=membership.user_id)
        self.courier.send_notice(
            tx, "notice_second_step_reset", **about, at=self.clock.now(), browser=actor.browser, by=actor.name
        )
        return DONE

    def send_password_link(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Mail the person a link to choose a new password: all that an admin can do about one (RC-12, ux.md S22)."""
        if (refused := hold(tx, membership, actor) or why_not_active(membership)) is not None:
            return refused
        if (wait := self.throttle.take(tx, "send_per_destination", membership.user.email.address)) is not None:
            return Result(Outcome.TOO_MANY, until=wait.until)
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        self.audit.record(tx, Event.PASSWORD_LINK_WANTED, **about, by=actor.by)
        self.courier.send_link(tx, "reset", **about, at=self.clock.now(), browser=actor.browser)
        return DONE


def _belongs_elsewhere(tx: Session, membership: Membership) -> bool:
    others = select(Membership.id).where(
        Membership.user_id == membership.user_id,
        Membership.account_id != membership.account_id,
        Membership.accepted_at.is_not(None),
        Membership.deactivated_at.is_(None),
    )
    return tx.scalars(others.limit(1)).first() is not None
