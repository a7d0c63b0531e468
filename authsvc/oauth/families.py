"""Token families: begun by an authorization, ended as a whole, alive only while what they rest on is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.devices.remember import Devices
from authsvc.mfa.rules import floor, switch_of
from authsvc.oauth.models import AuthorizationCode, RefreshToken, TokenFamily
from authsvc.policy.load import Policies
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import Sessions, SessionState


@dataclass(frozen=True)
class Families:
    """The life of families."""

    policies: Policies
    sessions: Sessions
    devices: Devices
    clock: Clock
    audit: AuditLog

    def begin(
        self,
        tx: Session,
        session: BrowserSession,
        *,
        client_id: str,
        scope: str,
        resource: str,
        nonce: str | None,
        acr: str,
        asked_claims: dict[str, list[str]] | None = None,
    ) -> TokenFamily:
        """A family that says what the session showed. `acr`: the session's effective level at this moment."""
        now = self.clock.now()
        remembered = session.remembered if acr == session.acr else None
        family = TokenFamily(
            id=new_id(),
            client_id=client_id,
            user_id=session.user_id,
            membership_id=session.membership_id,
            session_id=session.id,
            scope=scope,
            resource=resource,
            nonce=nonce,
            acr=acr,
            amr=session.amr,
            auth_time=session.auth_time,
            device_id=session.device_id if remembered else None,
            remembered=remembered,
            asked_claims=asked_claims,
            created_at=now,
            expires_at=now + self.policies.tokens.refresh.lifetime,
        )
        family.membership = session.membership
        tx.add(family)
        tx.flush()
        return family

    def effective_acr(self, tx: Session, session: BrowserSession) -> str:
        """The session's level now: a remembered sign-in counts as `password` once its device has ended (claims.md)."""
        if session.acr != levels.REMEMBERED:
            return session.acr
        device = self.devices.live(tx, session.device_id) if session.device_id else None
        return session.acr if device else levels.PASSWORD

    def problem(self, tx: Session, family: TokenFamily) -> str | None:
        """Why nothing more may be issued from this family, or None. Everything is looked up live; nothing is cached."""
        now = self.clock.now()
        if family.revoked_at is not None:
            return "revoked"
        if family.expires_at <= now:
            return "expired"
        if not family.membership.is_active:
            return "membership_ended"
        session = self.sessions.state(tx, family.session_id)
        if session is SessionState.ENDED:
            return "session_ended"
        if session is SessionState.TIMED_OUT and "offline_access" not in family.scope.split():
            return "session_timed_out"
        if family.acr == levels.REMEMBERED and (
            family.device_id is None or self.devices.live(tx, family.device_id) is None
        ):
            return "device_ended"
        if now - family.created_at > self.policies.sessions.absolute and self._below_what_the_account_asks(family):
            return "account_asks_for_more"
        return None

    def revoke(self, tx: Session, family_id: str, reason: str) -> bool:
        """End a family; False when it had ended. One UPDATE, so it is recorded once."""
        ended = tx.execute(
            update(TokenFamily)
            .where(TokenFamily.id == family_id, TokenFamily.revoked_at.is_(None))
            .values(revoked_at=self.clock.now(), revoked_reason=reason)
            .returning(TokenFamily.user_id, TokenFamily.client_id)
        ).one_or_none()
        if ended is None:
            return False
        self.audit.record(
            tx,
            Event.FAMILY_REVOKED,
            user_id=ended.user_id,
            client_id=ended.client_id,
            family_id=family_id,
            reason=reason,
        )
        return True

    def end_client(self, tx: Session, client_id: str, reason: str) -> int:
        """End every family of a client, and its codes with them; answers how many families ended."""
        ended = tx.scalars(
            update(TokenFamily)
            .where(TokenFamily.client_id == client_id, TokenFamily.revoked_at.is_(None))
            .values(revoked_at=self.clock.now(), revoked_reason=reason)
            .returning(TokenFamily.id)
            .execution_options(synchronize_session=False)
        ).all()
        # Gone, not spent: a code that comes later is unknown, and no theft.
        tx.execute(delete(AuthorizationCode).where(AuthorizationCode.client_id == client_id))
        return len(ended)

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget families that ran out, and with them their codes and refresh tokens."""
        for table in (AuthorizationCode, RefreshToken):
            tx.execute(delete(table).where(table.expires_at < now - self.policies.tokens.refresh.lifetime))
        tx.execute(delete(TokenFamily).where(TokenFamily.expires_at < now))

    def _below_what_the_account_asks(self, family: TokenFamily) -> bool:
        membership = family.membership
        asked = floor(
            self.policies.mfa.for_audience(membership.audience),
            switch_of(membership.account.mfa_for(membership.audience)),
        )
        return levels.rank(family.acr) < asked
