"""Initial access tokens (RFC 7591 1.2): who may register clients, how many, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_secret
from authsvc.oauth.models import InitialAccessToken

PURPOSE = "initial-access-token"


@dataclass(frozen=True)
class InitialAccess:
    """Issues them and counts their uses."""

    digester: Digester
    clock: Clock
    audit: AuditLog

    def issue(self, tx: Session, *, uses: int, lifetime: timedelta) -> str:
        """A token for so many registrations; shown this once."""
        now, token = self.clock.now(), new_secret()
        tx.add(
            InitialAccessToken(
                digest=self.digester.digest(PURPOSE, token), uses_left=uses, created_at=now, expires_at=now + lifetime
            )
        )
        tx.flush()
        until = (now + lifetime).isoformat(timespec="seconds")
        self.audit.record(tx, Event.REGISTRATION_OPENED, uses=uses, until=until)
        return token

    def is_usable(self, tx: Session, token: str) -> bool:
        """Whether it would do now; asked before anything that its bearer sent is looked at."""
        return tx.scalar(select(InitialAccessToken.digest).where(*self._usable(token))) is not None

    def take(self, tx: Session, token: str) -> bool:
        """Spend one use; False when none is left. One UPDATE, so of simultaneous calls no more win than there are uses."""
        taken = tx.scalars(
            update(InitialAccessToken)
            .where(*self._usable(token))
            .values(uses_left=InitialAccessToken.uses_left - 1)
            .returning(InitialAccessToken.digest)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        return taken is not None

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget those that ran out."""
        tx.execute(delete(InitialAccessToken).where(InitialAccessToken.expires_at < now))

    def _usable(self, token: str) -> tuple[ColumnElement[bool], ...]:
        digest = self.digester.digest(PURPOSE, token)
        return (
            InitialAccessToken.digest == digest,
            InitialAccessToken.uses_left > 0,
            InitialAccessToken.expires_at > self.clock.now(),
        )
