"""The password step, in two transactions with the hashing between them (spikes.md, correction 1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership, User
from authsvc.accounts.queries import canonical_email, user_by_email
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.login.attempt import Attempts
from authsvc.login.models import LoginAttempt
from authsvc.policy.schema import LimitName
from authsvc.sessions.browsers import Browsers
from authsvc.throttle import Throttle, Wait


@dataclass(frozen=True)
class Begun:
    """A try whose slots are taken. `stored` is the hash to verify against: for an unknown address, of a password nobody has."""

    user_id: str | None
    stored: str
    slots: tuple[tuple[LimitName, str], ...]
    #: When that password was set: one changed while it is compared proves nothing any more.
    password_changed_at: datetime | None = None


@dataclass(frozen=True)
class Wrong:
    """Unknown address, wrong password, or invited and not yet accepted: one answer for all."""


@dataclass(frozen=True)
class NoAccess:
    """The password was right, and the person may not enter. `reason`: deactivated, closed or not_a_member."""

    reason: str
    account_name: str


@dataclass(frozen=True)
class Proved:
    """The password was right: the attempt and the secret for the browser's cookie."""

    attempt: LoginAttempt
    secret: str


@dataclass(frozen=True)
class PasswordStep:
    """Takes a try, and answers for it."""

    attempts: Attempts
    browsers: Browsers
    throttle: Throttle
    clock: Clock
    audit: AuditLog
    dummy_hash: str

    def begin(self, tx: Session, typed_email: str, *, browser_secret: str | None) -> Begun | Wait:
        """Take the slots of the limits and read the hash. The slot comes first, so that parallel guesses cannot outrun it.

        A browser the person has used before has a bucket of its own: a stranger cannot lock the owner out (LG-06).
        """
        user = user_by_email(tx, typed_email)
        canonical = canonical_email(typed_email)
        if user and self.browsers.is_known(tx, user.id, browser_secret):
            wanted: list[tuple[LimitName, str]] = [("password_per_user", f"{canonical} {browser_secret}")]
        else:
            accounts = {membership.account_id for membership in user.memberships} if user else set()
            wanted = [
                ("password_per_user", canonical),
                *(("password_per_account", account) for account in sorted(accounts)),
            ]
        taken: list[tuple[LimitName, str]] = []
        for limit, key in wanted:
            if (wait := self.throttle.take(tx, limit, key)) is not None:
                for earlier in taken:
                    self.throttle.give_back(tx, *earlier)
                self.audit.record(tx, Event.SIGN_IN_THROTTLED, user_id=user.id if user else None, limit=limit)
                return wait
            taken.append((limit, key))
        stored = (user.password_hash if user else None) or self.dummy_hash
        if user is None:
            return Begun(None, stored, tuple(taken))
        return Begun(user.id, stored, tuple(taken), user.password_changed_at)

    def finish(
        self,
        tx: Session,
        begun: Begun,
        *,
        right: bool,
        new_hash: str | None,
        account_slug: str | None,
    ) -> Wrong | NoAccess | Proved:
        """Record what the comparison said. `new_hash`: the same password under the present costs, where they changed."""
        user = tx.get(User, begun.user_id) if begun.user_id else None
        if user is not None and user.password_changed_at != begun.password_changed_at:
            right = False
        if not right or user is None or user.password_hash is None:
            self.audit.record(
                tx, Event.PASSWORD_WRONG, user_id=begun.user_id, reason="wrong" if user else "unknown_person"
            )
            return Wrong()
        entered = [m for m in user.memberships if m.accepted_at is not None]
        if not entered:
            self.audit.record(tx, Event.PASSWORD_WRONG, user_id=user.id, reason="invitation_not_accepted")
            return Wrong()
        for slot in begun.slots:
            self.throttle.give_back(tx, *slot)
        if new_hash is not None and user.password_hash == begun.stored:
            user.password_hash = new_hash
            self.audit.record(tx, Event.PASSWORD_REHASHED, user_id=user.id)
        candidates = [m for m in entered if account_slug in (None, m.account.slug)]
        active = [m for m in candidates if m.is_active]
        if not active:
            refusal = _no_access(candidates, account_slug)
            entered_at = candidates[0].account_id if candidates else None
            self.audit.record(tx, Event.SIGN_IN_REFUSED, user_id=user.id, account_id=entered_at, reason=refusal.reason)
            return refusal
        attempt, secret = self.attempts.open(
            tx,
            user,
            membership=active[0] if len(active) == 1 else None,
            password_at=self.clock.now(),
        )
        return Proved(attempt, secret)

    def confirm(self, tx: Session, begun: Begun, *, right: bool) -> bool:
        """Record what the comparison said of somebody who is signed in already. A slot is given back for a right one."""
        user = tx.get(User, begun.user_id) if begun.user_id else None
        if not right or user is None or user.password_changed_at != begun.password_changed_at:
            self.audit.record(tx, Event.PASSWORD_WRONG, user_id=begun.user_id, reason="wrong")
            return False
        for slot in begun.slots:
            self.throttle.give_back(tx, *slot)
        return True


def _no_access(candidates: list[Membership], slug: str | None) -> NoAccess:
    if not candidates:
        return NoAccess("not_a_member", slug or "")
    account = candidates[0].account
    return NoAccess("closed" if account.closed_at else "deactivated", account.name)
