"""Authorization codes: issued once, spent once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_secret
from authsvc.oauth.families import Families
from authsvc.oauth.models import AuthorizationCode, TokenFamily

PURPOSE = "authorization-code"


@dataclass(frozen=True)
class CodeGrant:
    """What a code was issued for; the form Authlib asks for it in."""

    family: TokenFamily
    redirect_uri: str
    code_challenge: str

    def get_redirect_uri(self) -> str:
        """Where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What was granted."""
        return self.family.scope


@dataclass(frozen=True)
class Codes:
    """Issues and spends codes."""

    lifetime: timedelta
    families: Families
    digester: Digester
    clock: Clock
    audit: AuditLog

    def issue(self, tx: Session, family: TokenFamily, *, redirect_uri: str, code_challenge: str) -> str:
        """A code for this family."""
        now, code = self.clock.now(), new_secret()
        tx.add(
            AuthorizationCode(
                code_digest=self.digester.digest(PURPOSE, code),
                family_id=family.id,
                client_id=family.client_id,
                redirect_uri=redirect_uri,
                code_challenge=code_challenge,
                created_at=now,
                expires_at=now + self.lifetime,
            )
        )
        tx.flush()
        return code

    def consume(self, tx: Session, code: str, *, client_id: str) -> CodeGrant | None:
        """Spend a code and say what it was issued for; None when it is unknown, another client's, expired or spent.

        One UPDATE, so of simultaneous calls one wins; every other one ends the family, the winner's tokens included
        (RFC 6749 4.1.2 and 10.5). There is no second try for codes, so no grace either.
        """
        now, digest = self.clock.now(), self.digester.digest(PURPOSE, code)
        spent = tx.scalars(
            update(AuthorizationCode)
            .where(
                AuthorizationCode.code_digest == digest,
                AuthorizationCode.client_id == client_id,
                AuthorizationCode.consumed_at.is_(None),
                AuthorizationCode.expires_at > now,
            )
            .values(consumed_at=now)
            .returning(AuthorizationCode)
        ).one_or_none()
        if spent is None:
            self._end_reused(tx, digest, client_id)
            return None
        family = tx.get(TokenFamily, spent.family_id, populate_existing=True)
        if family is None or self.families.problem(tx, family) is not None:
            return None
        return CodeGrant(family, spent.redirect_uri, spent.code_challenge)

    def _end_reused(self, tx: Session, digest: str, client_id: str) -> None:
        known = tx.get(AuthorizationCode, digest, populate_existing=True)
        if known is not None and known.client_id == client_id and known.consumed_at is not None:
            self.audit.record(tx, Event.CODE_REUSED, client_id=client_id, family_id=known.family_id)
            self.families.revoke(tx, known.family_id, "authorization_code_reused")
