"""Switch Multi-Factor Authentication of an account, for its team or its investors (domain D1, D3, D6, D7, D10, D13).

Whoever calls has made sure that the person may, in the same transaction and after `lock_account` (security.md TN-05).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.accounts.models import AccountMfa, Audience, User
from authsvc.accounts.permissions import Permission, refusal
from authsvc.accounts.queries import data_access_holders, lock_account
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.mfa import switch as switches
from authsvc.mfa.readiness import Readiness, readiness
from authsvc.mfa.rules import Switch
from authsvc.mfa.switch import Change, NotChoosable
from authsvc.notifications import Kind, Notifications
from authsvc.policy.schema import MfaPolicy, PermissionPolicy

#: How methods are called in settings, in mails and in refusals.
LABELS = {"email": "Email", "sms": "SMS", "totp": "Authenticator app"}
EVENTS = {
    Change.TURNED_ON: Event.MFA_TURNED_ON,
    Change.TURNED_OFF: Event.MFA_TURNED_OFF,
    Change.CHANGED: Event.MFA_CHANGED,
}
KINDS = {Change.TURNED_ON: Kind.MFA_TURNED_ON, Change.TURNED_OFF: Kind.MFA_TURNED_OFF}
#: Where an admin reads more.
PAGES = {Audience.TEAM: "/admin/settings", Audience.INVESTORS: "/admin/investors"}
DID = {Change.TURNED_ON: "turned on", Change.TURNED_OFF: "turned off", Change.CHANGED: "changed"}


@dataclass(frozen=True)
class Standing:
    """The switch as it stands. `revision` 0: nobody has touched it. `changed_by`: None for an operator."""

    switch: Switch
    revision: int
    changed_by: str | None
    changed_at: datetime | None


@dataclass(frozen=True)
class Saved:
    """It is so now."""

    change: Change
    standing: Standing


@dataclass(frozen=True)
class ChangedMeanwhile:
    """Somebody saved since the form was opened; nothing was changed."""

    standing: Standing


@dataclass(frozen=True)
class NotReady:
    """Somebody has not verified their email; nothing was changed (domain D1)."""

    readiness: Readiness


@dataclass(frozen=True)
class MfaSwitch:
    """The account's switch: looked at and changed."""

    policy: MfaPolicy
    permissions: PermissionPolicy
    devices: Devices
    courier: Courier
    notifications: Notifications
    clock: Clock
    audit: AuditLog

    def standing(self, tx: Session, account_id: str, audience: str) -> Standing:
        """What the account has chosen, and who did last. One statement."""
        row = tx.execute(
            select(AccountMfa, User.name)
            .outerjoin(User, User.id == AccountMfa.changed_by)
            .where(AccountMfa.account_id == account_id, AccountMfa.audience == audience)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if row is None:
            return Standing(switches.default(self.policy.for_audience(audience)), 0, None, None)
        stored, name = row
        return Standing(switch_of(stored), stored.revision, name, stored.changed_at)

    def readiness(self, tx: Session, account_id: str, audience: str) -> Readiness:
        """Who would be locked out, and what each method would do to whom."""
        return readiness(tx, account_id, audience, regions=self.policy.phone.regions)

    def check(
        self, tx: Session, account_id: str, audience: str, wish: Switch, *, revision: int
    ) -> tuple[Change, Switch, Standing] | ChangedMeanwhile | NotReady | NotChoosable:
        """What saving `wish` would do, or why it may not be; writes nothing.

        A wish that is fulfilled already is no conflict, whoever fulfilled it: the second press of a button finds its first.
        """
        standing = self.standing(tx, account_id, audience)
        settled = switches.settle(wish, self.policy.for_audience(audience), present=standing.switch)
        if isinstance(settled, NotChoosable):
            return settled
        change = switches.change(standing.switch, settled)
        if change is not Change.NOTHING and revision != standing.revision:
            return ChangedMeanwhile(standing)
        if change is Change.TURNED_ON:
            found = self.readiness(tx, account_id, audience)
            if not found.is_ready:
                return NotReady(found)
        return change, settled, standing

    def save(
        self, tx: Session, account_id: str, audience: str, wish: Switch, *, revision: int, by: User | None, browser: str
    ) -> Saved | ChangedMeanwhile | NotReady | NotChoosable:
        """Save what somebody chose. `revision`: of the form they chose it in. `by`: None for an operator.

        Under the account's lock the check that everybody is verified and the switch are one act (security.md TN-06).
        """
        lock_account(tx, account_id)
        found = self.check(tx, account_id, audience, wish, revision=revision)
        if not isinstance(found, tuple):
            return found
        change, settled, standing = found
        if change is Change.NOTHING:
            return Saved(change, standing)
        now = self.clock.now()
        row = tx.get(AccountMfa, (account_id, audience))
        if row is None:
            row = AccountMfa(account_id=account_id, audience=audience, revision=0)
            tx.add(row)
        row.enabled, row.methods, row.remember_device = (
            settled.enabled,
            list(settled.methods),
            settled.remember_device,
        )
        row.changed_at, row.changed_by, row.revision = now, by.id if by else None, row.revision + 1
        tx.flush()
        self.audit.record(
            tx,
            EVENTS[change],
            user_id=by.id if by else None,
            account_id=account_id,
            audience=audience,
            methods=list(settled.methods),
            remember_device=settled.remember_device,
        )
        if (reason := switches.ends_remembering(standing.switch, settled)) is not None:
            self.devices.forget_all(tx, reason=reason, account_id=account_id, audience=audience)
        self._tell(tx, account_id, audience, change, settled, by=by, browser=browser, at=now)
        return Saved(change, Standing(settled, row.revision, by.name if by else None, now))

    def _tell(
        self,
        tx: Session,
        account_id: str,
        audience: str,
        change: Change,
        settled: Switch,
        *,
        by: User | None,
        browser: str,
        at: datetime,
    ) -> None:
        """By mail to everybody who may change it (domain D10), and in their bells when it was turned on or off."""
        words = {
            "by": by.name if by else "IMS support",
            "audience": "Team Members" if audience == Audience.TEAM else "investors",
            "methods": listed([LABELS[method] for method in settled.methods]),
        }
        for holder in data_access_holders(tx, account_id):
            if change in KINDS:
                may_look = refusal(holder, Permission.ADMINISTER, self.permissions, now=at) is None
                self.notifications.notify(
                    tx,
                    membership=holder,
                    kind=KINDS[change],
                    values=words if settled.enabled else {name: words[name] for name in ("by", "audience")},
                    link=PAGES[Audience(audience)] if may_look else None,
                    now=at,
                )
            self.courier.send_notice(
                tx,
                "notice_mfa",
                user_id=holder.user_id,
                account_id=account_id,
                at=at,
                browser=browser,
                did=DID[change],
                state="on" if settled.enabled else "off",
                **words,
            )


def switch_of(stored: AccountMfa) -> Switch:
    """The row as the rules read it."""
    return Switch(stored.enabled, tuple(stored.methods), stored.remember_device)


def listed(words: list[str]) -> str:
    """ "Email, SMS and Authenticator app"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
