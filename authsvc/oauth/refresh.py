"""Refresh tokens: rotated at every use, reuse ends the family, a lost answer may be asked for again (security.md 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto import handover
from authsvc.crypto.tokens import Digester, new_secret
from authsvc.oauth.families import Families
from authsvc.oauth.models import RefreshToken, TokenFamily
from authsvc.policy.schema import RefreshPolicy

PURPOSE = "refresh-token"


@dataclass(frozen=True)
class Presented:
    """A refresh token that may be used: the secret, its row, its family. `retry`: used a moment ago, and answered again."""

    secret: str
    row: RefreshToken
    family: TokenFamily
    retry: bool

    def check_client(self, client: object) -> bool:
        """Whether the family is this client's; for Authlib, which asks again."""
        return getattr(client, "client_id", None) == self.family.client_id

    def get_scope(self) -> str:
        """What was granted."""
        return self.family.scope


@dataclass(frozen=True)
class RefreshTokens:
    """Issues and rotates."""

    policy: RefreshPolicy
    families: Families
    digester: Digester
    clock: Clock
    audit: AuditLog

    def first(self, tx: Session, family: TokenFamily) -> str:
        """The first refresh token of a family."""
        secret = new_secret()
        self._add(tx, family, secret)
        return secret

    def present(self, tx: Session, secret: str, *, client_id: str) -> Presented | None:
        """The token this client presented, locked until commit; None when it is worth nothing.

        A spent token outside the retry window, or whose successor is in use, is a copy: its family ends (RFC 9700 4.14.2).
        Another client's token is left alone: a stranger must not be able to end a family (security.md TK-16).
        """
        row = tx.scalars(
            select(RefreshToken).where(RefreshToken.digest == self.digester.digest(PURPOSE, secret)).with_for_update()
        ).one_or_none()
        family = tx.get(TokenFamily, row.family_id, populate_existing=True) if row else None
        if row is None or family is None or family.client_id != client_id:
            return None
        if row.expires_at <= self.clock.now() or self.families.problem(tx, family) is not None:
            return None
        if row.consumed_at is None:
            return Presented(secret, row, family, retry=False)
        if self._may_repeat(tx, row):
            return Presented(secret, row, family, retry=True)
        self.audit.record(tx, Event.REFRESH_REUSED, user_id=family.user_id, client_id=client_id, family_id=family.id)
        self.families.revoke(tx, family.id, "refresh_token_reused")
        return None

    def rotate(self, tx: Session, presented: Presented) -> str:
        """The successor: a new one, once, by one conditional UPDATE; the same one again on a retry."""
        row = presented.row
        if not presented.retry:
            successor = new_secret()
            claimed = tx.execute(
                update(RefreshToken)
                .where(RefreshToken.digest == row.digest, RefreshToken.consumed_at.is_(None))
                .values(
                    consumed_at=self.clock.now(),
                    successor_digest=self.digester.digest(PURPOSE, successor),
                    successor_wrapped=handover.wrap(presented.secret, successor, where=_where(row)),
                )
                .returning(RefreshToken.digest)
            ).one_or_none()
            if claimed is not None:
                self._add(tx, presented.family, successor)
                return successor
            tx.refresh(row)
        return handover.unwrap(presented.secret, row.successor_wrapped or "", where=_where(row))

    def _may_repeat(self, tx: Session, row: RefreshToken) -> bool:
        if row.consumed_at is None or row.successor_digest is None:
            return False
        if self.clock.now() - row.consumed_at > self.policy.retry_window:
            return False
        successor = tx.get(RefreshToken, row.successor_digest)
        return successor is not None and successor.consumed_at is None

    def _add(self, tx: Session, family: TokenFamily, secret: str) -> None:
        now = self.clock.now()
        # The end of the family is fixed at its beginning, however often it is refreshed (ASVS 10.4.8).
        tx.add(
            RefreshToken(
                digest=self.digester.digest(PURPOSE, secret),
                family_id=family.id,
                created_at=now,
                expires_at=family.expires_at,
            )
        )
        tx.flush()


def _where(row: RefreshToken) -> str:
    return f"refresh_token/successor/{row.digest}"
