"""Why this process may not take traffic: asked by /readyz, by `authsvc doctor` and by /metrics. Redis is never a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from authsvc.clock import Clock
from authsvc.db import Database, DatabaseUnavailable, revision

Reason = Literal["database", "migrations", "clock", "keys", "draining"]
REASONS: tuple[Reason, ...] = get_args(Reason)
#: Beyond it codes of authenticator apps fail and tokens look expired, or not yet valid, to others (security.md 4.4).
CLOCK_TOLERANCE = timedelta(seconds=30)


@dataclass(frozen=True)
class Problem:
    """One reason, and one sentence for whoever reads the probe. No address and no secret: the probe answers everybody."""

    reason: Reason
    says: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.says}"


class Ring(Protocol):
    """What is asked of the key ring."""

    @property
    def problem(self) -> str | None: ...


class Stopping(Protocol):
    """Set once this process has been told to stop."""

    def is_set(self) -> bool: ...


class Needs(Protocol):
    """What readiness looks at."""

    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def ring(self) -> Ring: ...
    @property
    def stopping(self) -> Stopping: ...


def problems(needs: Needs) -> list[Problem]:
    """Every reason there is now; empty: ready."""
    found = [*of_database(needs.database, needs.clock)]
    if problem := needs.ring.problem:
        found.append(Problem("keys", problem))
    if needs.stopping.is_set():
        found.append(Problem("draining", "this process was told to stop and finishes what it has begun"))
    return found


def of_database(database: Database, clock: Clock) -> list[Problem]:
    """What is wrong with the database: that alone where it cannot answer, else its migrations and its clock."""
    try:
        with database.transaction() as tx:
            asked_at = clock.now()
            theirs = database.look(tx)
            ours = asked_at + (clock.now() - asked_at) / 2
            missing = revision.missing(tx)
    except DatabaseUnavailable as exc:
        return [Problem("database", exc.detail or "it cannot answer")]
    found = []
    if missing:
        found.append(Problem("migrations", f"{', '.join(missing)} not applied; `authsvc migrate` applies them"))
    if differs := clock_difference(ours, theirs):
        found.append(Problem("clock", differs))
    return found


def clock_difference(ours: datetime, theirs: datetime) -> str | None:
    """One sentence where the two clocks differ by more than the tolerance."""
    by = ours - theirs
    if abs(by) <= CLOCK_TOLERANCE:
        return None
    how = "ahead of" if by > timedelta() else "behind"
    return f"this machine is {abs(by) // timedelta(seconds=1)} s {how} the database; 30 s are tolerated"
