"""The one source of time. Passed in everywhere, so tests set it and replicas can be compared with the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved; for tests and rehearsals."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """The instant it was last set to."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move the clock forward by `by`."""
        self._at += by


def epoch_s(instant: datetime) -> int:
    """`instant` as a NumericDate: whole seconds since 1970 (RFC 7519 section 2)."""
    return int(instant.timestamp())
