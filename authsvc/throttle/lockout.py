"""Pauses: somebody used up all tries, so nothing more is accepted until an instant. Rows, so that a restart forgets none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.throttle.models import ThrottleBucket

_EPOCH, _US = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Pauses:
    """Pauses by name and key."""

    digester: Digester
    clock: Clock

    def begin(self, tx: Session, name: str, key: str, *, lasts: timedelta) -> datetime:
        """Pause `key` from now for `lasts`; answers its end."""
        until = self.clock.now() + lasts
        tx.merge(
            ThrottleBucket(
                rate=f"pause/{name}", key_digest=self._digest(name, key), empty_at_us=(until - _EPOCH) // _US
            )
        )
        tx.flush()
        return until

    def until(self, tx: Session, name: str, key: str) -> datetime | None:
        """When the pause ends, or None when there is none."""
        row = tx.get(ThrottleBucket, (f"pause/{name}", self._digest(name, key)), populate_existing=True)
        end = _EPOCH + row.empty_at_us * _US if row else None
        return end if end and end > self.clock.now() else None

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget buckets that are empty: they say nothing any more. Pauses share the table."""
        tx.execute(delete(ThrottleBucket).where(ThrottleBucket.empty_at_us < (now - _EPOCH) // _US))

    def _digest(self, name: str, key: str) -> str:
        return self.digester.digest(f"pause/{name}", key)
