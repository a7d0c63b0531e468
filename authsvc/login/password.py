"""The password step, in two transactions with the hashing between them (spikes.md, correction 1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership, User
from authsvc.accounts.queries import canonical_email, credentials_of
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.login.attempt import Attempts
from authsvc.login.models import LoginAttempt
from authsvc.policy.throttle import LimitName
from authsvc.sessions.browsers import Browsers
from authsvc.throttle import AddressWindows, SprayAlarm, Throttle, Wait, WrongPasswords

#: What one network address may do, all of it in wrong passwords.
OF_ADDRESS: tuple[LimitName, ...] = ("password_per_address", "password_users_per_address")


@dataclass(frozen=True)
class Begun:
    """A try whose slots are taken. `stored` is the hash to verify against: for an unknown address, of a password nobody has."""

    user_id: str | None
    stored: str
    #: Whose wrong passwords it counts among: the person's everywhere, or on one browser of theirs.
    lane: str
    slots: tuple[tuple[LimitName, str], ...] = ()
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
    wrong: WrongPasswords
    windows: AddressWindows
    spray: SprayAlarm
    clock: Clock
    audit: AuditLog
    dummy_hash: str

    def full_address(self, remote_address: str) -> Wait | None:
        """Whether too many wrong passwords came from this network address. Ask before the transaction: Redis may answer."""
        for limit in OF_ADDRESS:
            if not self.windows.has_room(limit, remote_address):
                return Wait(limit, self.clock.now() + self.throttle.policy.rates(limit)[0].per)
        return None

    def note_wrong(self, remote_address: str, typed_email: str) -> None:
        """Count a wrong password for the network address it came from; after the transaction."""
        self.windows.admit("password_per_address", remote_address)
        who = self.throttle.digester.digest("password_users_per_address", canonical_email(typed_email))
        self.windows.admit_distinct("password_users_per_address", remote_address, who)

    def begin(
        self, tx: Session, typed_email: str, *, browser_secret: str | None, full_address: Wait | None = None
    ) -> Begun | Wait:
        """Take the slots of the limits and read the hash. The slot comes first, so that parallel guesses cannot outrun it.

        A browser the person has used before has a bucket of its own: a stranger cannot lock the owner out (LG-06), and
        neither can a colleague behind the same address or a spray over everybody (promise P12, LG-07).
        """
        user = credentials_of(tx, typed_email)
        lane, user_id = canonical_email(typed_email), user.user_id if user else None
        # Asked for nobody as well: what an unknown address costs is what a known one costs (LG-02).
        if is_known := self.browsers.is_known(tx, user_id or "", browser_secret):
            lane = lane_of(lane, self.browsers.digest(browser_secret or ""))
        if not is_known and (wait := full_address or self.spray.shedding(tx)) is not None:
            return self._throttled(tx, wait, user_id)
        if (wait := self.wrong.take(tx, lane)) is not None:
            return self._throttled(tx, wait, user_id)
        taken: list[tuple[LimitName, str]] = []
        # An address that nobody has counts for an account of its own.
        for key in () if is_known else (user.account_ids if user else ()) or (lane,):
            if (wait := self.throttle.take(tx, "password_per_account", key)) is not None:
                self.wrong.give_back(tx, lane)
                for earlier in taken:
                    self.throttle.give_back(tx, *earlier)
                self.spray.sound(tx, "password_per_account", key, account_id=key if key != lane else None)
                return self._throttled(tx, wait, user_id)
            taken.append(("password_per_account", key))
        stored = (user.password_hash if user else None) or self.dummy_hash
        return Begun(user_id, stored, lane, tuple(taken), user.password_changed_at if user else None)

    def _throttled(self, tx: Session, wait: Wait, user_id: str | None) -> Wait:
        self.audit.record(tx, Event.SIGN_IN_THROTTLED, user_id=user_id, limit=wait.limit)
        return wait

    def _give_back(self, tx: Session, begun: Begun) -> None:
        """The try was a success: it ends the row of wrong ones, and counts nowhere."""
        self.wrong.clear(tx, begun.lane)
        for slot in begun.slots:
            self.throttle.give_back(tx, *slot)

    def finish(
        self,
        tx: Session,
        begun: Begun,
        *,
        password: str,
        right: bool,
        new_hash: str | None,
        account_slug: str | None,
    ) -> Wrong | NoAccess | Proved:
        """Record what the comparison said. `new_hash`: the same password under the present costs, where they changed."""
        # Read only for a right one, so that a wrong one costs the same for everybody (LG-02).
        user = tx.get(User, begun.user_id) if right and begun.user_id else None
        if user is None or user.password_hash is None or user.password_changed_at != begun.password_changed_at:
            reason = "wrong" if begun.user_id else "unknown_person"
            self.audit.record(tx, Event.PASSWORD_WRONG, user_id=begun.user_id, reason=reason)
            self.spray.note(tx, password)
            return Wrong()
        entered = [m for m in user.memberships if m.accepted_at is not None]
        if not entered:
            self.audit.record(tx, Event.PASSWORD_WRONG, user_id=user.id, reason="invitation_not_accepted")
            return Wrong()
        self._give_back(tx, begun)
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
        self._give_back(tx, begun)
        return True


def lane_of(canonical: str, browser_digest: str) -> str:
    """The lane of one person on a browser they have used before (security.md LG-06)."""
    return f"{canonical} {browser_digest}"


def _no_access(candidates: list[Membership], slug: str | None) -> NoAccess:
    if not candidates:
        return NoAccess("not_a_member", slug or "")
    account = candidates[0].account
    return NoAccess("closed" if account.closed_at else "deactivated", account.name)
