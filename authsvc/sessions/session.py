"""Start, find, raise and end sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, is_id, new_id, new_secret
from authsvc.jobs import Queue
from authsvc.policy.schema import SessionPolicy
from authsvc.sessions.browsers import PURPOSE as BROWSER_PURPOSE
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.web import facts

PURPOSE = "session"
#: The job that says which sessions ended; whoever gave tokens out for them tells their holders (oauth/backchannel_logout.py).
SESSION_ENDED = "session_ended"
#: Sessions a job.
AT_ONCE = 500
#: How stale last_seen_at may be: one write a minute and browser, not one a page.
SEEN_EVERY = timedelta(minutes=1)
#: For how long a parked request is answered again.
ANSWERED_AGAIN = timedelta(seconds=60)
#: How long a finished or ended row is kept for support.
KEPT = timedelta(days=30)


class SessionState(StrEnum):
    """What became of a session."""

    LIVE = "live"
    TIMED_OUT = "timed_out"
    ENDED = "ended"


@dataclass(frozen=True)
class Standing:
    """What a sign-in has shown: goes into the session as it is, and from there into tokens."""

    acr: str
    amr: list[str]
    auth_time: datetime
    password_at: datetime
    code_at: datetime | None = None
    device_id: str | None = None
    remembered: dict[str, Any] | None = None


@dataclass(frozen=True)
class Sessions:
    """Sessions are rows; a revoked one is gone at the next request."""

    policy: SessionPolicy
    digester: Digester
    clock: Clock
    audit: AuditLog
    queue: Queue

    def find(self, tx: Session, secret: str | None) -> BrowserSession | None:
        """The live session behind a cookie: not ended, within idle and absolute time, its membership still active."""
        if not secret or len(secret) > 64:
            return None
        session = tx.scalars(
            select(BrowserSession).where(BrowserSession.secret_digest == self.digester.digest(PURPOSE, secret))
        ).one_or_none()
        return session if session and self.is_live(session) else None

    def state(self, tx: Session, sid: str) -> SessionState:
        """What became of the session with this sid: three columns, for the token paths."""
        row = tx.execute(
            select(BrowserSession.ended_at, BrowserSession.expires_at, BrowserSession.last_seen_at).where(
                BrowserSession.id == sid
            )
        ).one_or_none()
        if row is None or row.ended_at is not None:
            return SessionState.ENDED
        return SessionState.LIVE if self._is_in_time(row.expires_at, row.last_seen_at) else SessionState.TIMED_OUT

    def is_live(self, session: BrowserSession) -> bool:
        """Whether the person is still signed in there; idle time counts from what the server saw."""
        in_time = self._is_in_time(session.expires_at, session.last_seen_at)
        return session.ended_at is None and in_time and session.membership.is_active

    def was_idle(self, tx: Session, secret: str | None) -> bool:
        """Whether the session behind a cookie ended for want of use: neither signed out nor at its absolute end."""
        if not secret or len(secret) > 64:
            return False
        row = tx.execute(
            select(BrowserSession.ended_at, BrowserSession.expires_at, BrowserSession.last_seen_at).where(
                BrowserSession.secret_digest == self.digester.digest(PURPOSE, secret)
            )
        ).one_or_none()
        now = self.clock.now()
        idle = row is not None and row.ended_at is None and now - row.last_seen_at >= self.policy.idle
        return idle and row is not None and now < row.expires_at

    def touch(self, session: BrowserSession) -> None:
        """Note that the browser was seen; at most once a minute is worth a write."""
        if self.clock.now() - session.last_seen_at >= SEEN_EVERY:
            session.last_seen_at, session.remote_address = self.clock.now(), facts.current().remote_address[:64]

    def start(
        self, tx: Session, membership: Membership, standing: Standing, *, browser: str, previous: BrowserSession | None
    ) -> tuple[BrowserSession, str]:
        """Sign a person in: answers the session and its secret.

        `previous` is what this browser was signed in as. The same membership is raised: same sid, new secret, the old one
        dead (security.md LG-10). Another one's session ends. Either way the absolute time begins again only with the password
        typed anew. Beyond `per_user` sessions the oldest ends.
        """
        now, secret = self.clock.now(), new_secret()
        digest = self.digester.digest(PURPOSE, secret)
        raised_from = None
        typed_anew = previous is None or standing.password_at > previous.password_at
        if previous is not None and previous.membership_id == membership.id:
            session, raised_from = previous, previous.acr
            session.secret_digest = digest
        else:
            if previous is not None:
                self.end(tx, previous, "replaced")
            session = BrowserSession(
                id=new_id(),
                secret_digest=digest,
                user_id=membership.user_id,
                membership_id=membership.id,
                created_at=now,
            )
            session.membership, session.user = membership, membership.user
            tx.add(session)
        session.acr, session.amr = standing.acr, standing.amr
        session.auth_time, session.password_at = standing.auth_time, standing.password_at
        session.code_at = standing.code_at
        session.device_id, session.remembered = standing.device_id, standing.remembered
        session.browser, session.last_seen_at = browser, now
        session.remote_address = facts.current().remote_address[:64]
        # Going from account to account and back must not keep a password alive beyond its absolute time.
        session.expires_at = now + self.policy.absolute if typed_anew or previous is None else previous.expires_at
        tx.flush()
        self.audit.record(
            tx,
            Event.SESSION_STARTED,
            user_id=membership.user_id,
            account_id=membership.account_id,
            session_id=session.id,
            acr=standing.acr,
            amr=standing.amr,
            device_id=standing.device_id,
            raised_from=raised_from,
        )
        self._end_oldest(tx, session)
        return session, secret

    def password_shown(self, tx: Session, session: BrowserSession) -> str:
        """Note that the password was typed again in this session; answers its new secret, the old one is dead (LG-10).

        `auth_time` stays: beside an `acr` with a code it would tell services that a code was entered now (claims.md).
        """
        secret = new_secret()
        session.secret_digest = self.digester.digest(PURPOSE, secret)
        session.password_at = session.last_seen_at = self.clock.now()
        tx.flush()
        return secret

    def end(self, tx: Session, session: BrowserSession, reason: str) -> bool:
        """Sign out; False when it had ended already."""
        if not self._end(tx, session, reason):
            return False
        self._announce(tx, [session], everywhere=False)
        return True

    def end_all(
        self,
        tx: Session,
        reason: str,
        *,
        user_id: str | None = None,
        membership_id: str | None = None,
        but: str | None = None,
    ) -> int:
        """Sign a person out everywhere, or everywhere but in the session `but`; answers how many were live until now."""
        who = BrowserSession.user_id == user_id if user_id else BrowserSession.membership_id == membership_id
        open_ones = tx.scalars(
            select(BrowserSession).where(who, BrowserSession.ended_at.is_(None), BrowserSession.id != (but or ""))
        ).all()
        live = {session.id for session in open_ones if self.is_live(session)}
        ended = [session for session in open_ones if self._end(tx, session, reason)]
        if ended:
            self._announce(tx, ended, everywhere=user_id is not None and but is None)
        return len(live & {session.id for session in ended})

    def _end(self, tx: Session, session: BrowserSession, reason: str) -> bool:
        """One UPDATE, so it is recorded once."""
        ended = tx.execute(
            update(BrowserSession)
            .where(BrowserSession.id == session.id, BrowserSession.ended_at.is_(None))
            .values(ended_at=self.clock.now(), ended_reason=reason)
            .returning(BrowserSession.id)
        ).one_or_none()
        if ended is None:
            return False
        tx.refresh(session, ["ended_at", "ended_reason"])
        account_id = session.membership.account_id
        self.audit.record(
            tx,
            Event.SESSION_ENDED,
            user_id=session.user_id,
            account_id=account_id,
            session_id=session.id,
            reason=reason,
        )
        return True

    def _announce(self, tx: Session, ended: list[BrowserSession], *, everywhere: bool) -> None:
        """In the transaction that ends them. `everywhere`: they are all that the person had."""
        announce_ended(tx, self.queue, [session.id for session in ended], everywhere=everywhere)

    def end_all_of_account(
        self, tx: Session, reason: str, *, account_id: str, audience: str, but: str | None = None
    ) -> int:
        """Sign out everybody of an account and audience, except the session `but`; answers how many ended. One UPDATE."""
        ended = tx.execute(
            update(BrowserSession)
            .where(_of_account(account_id, audience), BrowserSession.id != but, BrowserSession.ended_at.is_(None))
            .values(ended_at=self.clock.now(), ended_reason=reason)
            .returning(BrowserSession.id, BrowserSession.user_id),
            execution_options={"synchronize_session": "fetch"},
        ).all()
        for session_id, user_id in ended:
            self.audit.record(
                tx, Event.SESSION_ENDED, user_id=user_id, account_id=account_id, session_id=session_id, reason=reason
            )
        announce_ended(tx, self.queue, [session_id for session_id, _ in ended])
        return len(ended)

    def people_signed_in(self, tx: Session, *, account_id: str, audience: str, but: str | None = None) -> int:
        """How many people of an account and audience are signed in, not counting the session `but`."""
        now = self.clock.now()
        found = tx.scalar(
            select(func.count(BrowserSession.user_id.distinct())).where(
                _of_account(account_id, audience),
                BrowserSession.id != but,
                BrowserSession.ended_at.is_(None),
                BrowserSession.expires_at > now,
                BrowserSession.last_seen_at > now - self.policy.idle,
            )
        )
        return found or 0

    def live_of(self, tx: Session, user_id: str) -> list[BrowserSession]:
        """Where a person is signed in, in any account; lately used ones first."""
        open_ones = tx.scalars(
            select(BrowserSession)
            .where(BrowserSession.user_id == user_id, BrowserSession.ended_at.is_(None))
            .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id)
        )
        return [session for session in open_ones if self.is_live(session)]

    def of(self, tx: Session, user_id: str, sid: str) -> BrowserSession | None:
        """This person's session with that sid, ended or not; None for anybody else's (security.md TN-01)."""
        session = tx.get(BrowserSession, sid) if is_id(sid) else None
        return session if session and session.user_id == user_id else None

    def park(
        self, tx: Session, *, browser_secret: str, continue_to: str, params: dict[str, Any], **known: Any
    ) -> SignInRequest:
        """Keep a request until the person has signed in; `continue_to` may hold `{id}`. Bound to the browser's secret."""
        now, request_id = self.clock.now(), new_id()
        request = SignInRequest(
            id=request_id,
            browser_digest=self.digester.digest(BROWSER_PURPOSE, browser_secret),
            continue_to=continue_to.format(id=request_id),
            params=params,
            created_at=now,
            expires_at=now + self.policy.authorization_request,
            **known,
        )
        tx.add(request)
        tx.flush()
        return request

    def parked(self, tx: Session, request_id: str | None, *, browser_secret: str | None) -> SignInRequest | None:
        """The parked request, for the browser that parked it (security.md LG-11); None for anyone else or too late."""
        # isalnum: a NUL in a link would be an error of PostgreSQL, not an unknown request.
        if not request_id or not browser_secret or len(request_id) != 32 or not request_id.isalnum():
            return None
        request = tx.get(SignInRequest, request_id)
        if request is None or request.expires_at <= self.clock.now():
            return None
        return request if request.browser_digest == self.digester.digest(BROWSER_PURPOSE, browser_secret) else None

    def was_answered(self, request: SignInRequest) -> bool:
        """Whether it was answered long enough ago that asking again is no double press and no lost answer."""
        return request.answered_at is not None and self.clock.now() - request.answered_at > ANSWERED_AGAIN

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget requests that expired and sessions that ended a month ago."""
        tx.execute(delete(SignInRequest).where(SignInRequest.expires_at < now))
        tx.execute(delete(BrowserSession).where(BrowserSession.expires_at < now - KEPT))

    def _is_in_time(self, expires_at: datetime, last_seen_at: datetime) -> bool:
        now = self.clock.now()
        return now < expires_at and now - last_seen_at < self.policy.idle

    def _end_oldest(self, tx: Session, started: BrowserSession) -> None:
        # Never the one just started, whatever another replica's clock says.
        live = tx.scalars(
            select(BrowserSession)
            .where(
                BrowserSession.user_id == started.user_id,
                BrowserSession.id != started.id,
                BrowserSession.ended_at.is_(None),
                BrowserSession.expires_at > self.clock.now(),
            )
            .order_by(BrowserSession.last_seen_at.desc())
            .offset(self.policy.per_user - 1)
        ).all()
        for session in live:
            self.end(tx, session, "too_many_sessions")


def announce_ended(tx: Session, queue: Queue, sids: Sequence[str], *, everywhere: bool = False) -> None:
    """Queue the word that these sessions ended; also for whoever ends many by one statement."""
    for start in range(0, len(sids), AT_ONCE):
        some = list(sids[start : start + AT_ONCE])
        queue.enqueue(tx, SESSION_ENDED, event=new_id(), sids=some, everywhere=int(everywhere))


def _of_account(account_id: str, audience: str) -> ColumnElement[bool]:
    theirs = select(Membership.id).where(Membership.account_id == account_id, Membership.audience == audience)
    return BrowserSession.membership_id.in_(theirs)
