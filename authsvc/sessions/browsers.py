"""Browsers a person has used before (domain D31): a lane of their own for wrong passwords, and a notice for a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.sessions.models import KnownBrowser

PURPOSE = "browser"
KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Browsers:
    """Knows which browser belongs to whom, by the digest of a cookie that lasts a year."""

    digester: Digester
    clock: Clock

    def digest(self, secret: str) -> str:
        """What is kept of the cookie."""
        return self.digester.digest(PURPOSE, secret)

    def is_known(self, tx: Session, user_id: str, secret: str | None) -> bool:
        """Whether this person signed in on this browser before."""
        return bool(secret) and tx.get(KnownBrowser, (user_id, self.digest(secret or ""))) is not None

    def digests(self, tx: Session, user_id: str) -> list[str]:
        """The browsers this person has used, as they are kept."""
        return list(tx.scalars(select(KnownBrowser.browser_digest).where(KnownBrowser.user_id == user_id)))

    def note(self, tx: Session, user_id: str, secret: str) -> bool:
        """Note a finished sign-in; True when the browser is new to a person who has used others."""
        now, digest = self.clock.now(), self.digest(secret)
        if (row := tx.get(KnownBrowser, (user_id, digest))) is not None:
            row.last_seen_at = now
            return False
        others = tx.scalar(select(exists().where(KnownBrowser.user_id == user_id)))
        tx.merge(KnownBrowser(user_id=user_id, browser_digest=digest, first_seen_at=now, last_seen_at=now))
        tx.flush()
        return bool(others)

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget browsers not seen for over a year."""
        tx.execute(delete(KnownBrowser).where(KnownBrowser.last_seen_at < now - KEPT))
