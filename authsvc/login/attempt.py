"""Rows of sign-ins under way: open, find, sweep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership, User
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_id, new_secret
from authsvc.login.models import LoginAttempt
from authsvc.policy.schema import SessionPolicy

PURPOSE = "attempt"


@dataclass(frozen=True)
class Attempts:
    """Opens and finds attempts. The row appears once the password was right; before that there is nothing to keep."""

    policy: SessionPolicy
    digester: Digester
    clock: Clock

    def open(
        self, tx: Session, user: User, *, membership: Membership | None, password_at: datetime
    ) -> tuple[LoginAttempt, str]:
        """A new attempt with the password proved; answers the row and the secret for the browser's cookie."""
        now, secret = self.clock.now(), new_secret()
        attempt = LoginAttempt(
            id=new_id(),
            secret_digest=self.digester.digest(PURPOSE, secret),
            user_id=user.id,
            proofs=["pwd"],
            password_at=password_at,
            created_at=now,
            expires_at=now + self.policy.attempt,
        )
        attempt.user, attempt.membership = user, membership
        attempt.skipped_verification = attempt.has_no_us_number = attempt.remember = False
        tx.add(attempt)
        tx.flush()
        return attempt, secret

    def find(self, tx: Session, secret: str | None, *, lock: bool = False) -> LoginAttempt | None:
        """The attempt behind a cookie, finished or not, while it counts. `lock`: one step at a time on PostgreSQL.

        It counts until it expires, until the password is changed that it proved, and while the person may enter.
        """
        if not secret:
            return None
        query = select(LoginAttempt).where(LoginAttempt.secret_digest == self.digester.digest(PURPOSE, secret))
        if lock:
            query = query.with_for_update(of=LoginAttempt)
        attempt = tx.scalars(query).one_or_none()
        return attempt if attempt and self._counts(attempt) else None

    def end_all(self, tx: Session, user_id: str, membership_id: str | None) -> None:
        """Forget a person's sign-ins under way: all, or those for one membership and those that have not chosen yet."""
        ended = delete(LoginAttempt).where(LoginAttempt.user_id == user_id)
        if membership_id is not None:
            undecided = LoginAttempt.membership_id.is_(None)
            ended = ended.where(or_(LoginAttempt.membership_id == membership_id, undecided))
        tx.execute(ended)

    def _counts(self, attempt: LoginAttempt) -> bool:
        changed_at, membership = attempt.user.password_changed_at, attempt.membership
        return (
            attempt.expires_at > self.clock.now()
            and (changed_at is None or changed_at <= attempt.password_at)
            and (membership is None or membership.is_active)
        )

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget attempts that ran out."""
        tx.execute(delete(LoginAttempt).where(LoginAttempt.expires_at < now))
