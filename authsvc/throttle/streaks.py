"""Wrong passwords in a row: some are free, then pauses grow, and in the end only a reset by mail helps (security.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.policy.throttle import ThrottlePolicy, WrongPasswordPolicy
from authsvc.throttle.counters import Wait
from authsvc.throttle.models import FailureStreak

NAME = "password"
#: What is said of a refusal, in the trail.
PAUSED, STOPPED = "wrong_passwords", "wrong_passwords_stopped"
#: A row that nobody has added to for so long is forgotten: by then a guesser has had a hundred tries a season.
KEPT = timedelta(days=90)


@dataclass(frozen=True)
class WrongPasswords:
    """Counts tries by key, wrong until they are cleared. Unknown people have rows like known ones.

    As with `Throttle`, the try is taken BEFORE the comparison, so two hundred simultaneous ones get no more than the
    policy gives (security.md LG-04).
    """

    policy: ThrottlePolicy
    digester: Digester
    clock: Clock

    def take(self, tx: Session, key: str) -> Wait | None:
        """Take one try of `key`; None: taken. One statement counts it and begins the pause that follows it."""
        now, rules, digest = self.clock.now(), self.policy.wrong_passwords, self._digest(key)
        row = FailureStreak
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(row)
        # A pause is part of its spell: whoever only waits for its end goes on where they were.
        spell = case((row.paused_until < now - rules.within, 1), else_=row.spell + 1)
        pauses = [(spell < rules.tries, now), *((spell == at, now + lasts) for at, lasts in _pauses(rules))]
        taken = tx.execute(
            insert.values(
                name=NAME,
                key_digest=digest,
                consecutive=1,
                spell=1,
                last_at=now,
                paused_until=now if rules.tries > 1 else now + rules.first_pause,
            )
            .on_conflict_do_update(
                index_elements=["name", "key_digest"],
                set_={
                    "consecutive": row.consecutive + 1,
                    "spell": spell,
                    "last_at": now,
                    "paused_until": case(*pauses, else_=now + rules.longest_pause),
                },
                where=(row.paused_until <= now) & (row.consecutive < rules.stop_after),
            )
            .returning(row.consecutive)
        ).one_or_none()
        return None if taken else self._wait(tx, digest, now)

    def give_back(self, tx: Session, key: str) -> None:
        """Undo one `take`: nothing was compared."""
        row = FailureStreak
        tx.execute(
            update(row)
            .where(row.name == NAME, row.key_digest == self._digest(key))
            .values(consecutive=row.consecutive - 1, spell=row.spell - 1, paused_until=self.clock.now())
        )

    def clear(self, tx: Session, *keys: str) -> None:
        """Forget the tries of these keys: the password was right, or is a new one."""
        digests = [self._digest(key) for key in keys]
        tx.execute(delete(FailureStreak).where(FailureStreak.name == NAME, FailureStreak.key_digest.in_(digests)))

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget rows that say nothing any more: of one spell that is over, or untouched for a season."""
        rules = self.policy.wrong_passwords
        is_over = (FailureStreak.consecutive < rules.tries) & (FailureStreak.paused_until < now - timedelta(days=1))
        tx.execute(delete(FailureStreak).where(or_(is_over, FailureStreak.last_at < now - KEPT)))

    def _wait(self, tx: Session, digest: str, now: datetime) -> Wait:
        row = tx.get_one(FailureStreak, (NAME, digest), populate_existing=True)
        rules = self.policy.wrong_passwords
        if row.consecutive >= rules.stop_after:
            return Wait(STOPPED, now + rules.longest_pause, only_reset=True)
        return Wait(PAUSED, row.paused_until)

    def _digest(self, key: str) -> str:
        return self.digester.digest(f"streak/{NAME}", key)


def _pauses(rules: WrongPasswordPolicy) -> list[tuple[int, timedelta]]:
    """After which try of a spell which pause follows, while it still grows."""
    found, at, lasts = [], rules.tries, rules.first_pause
    while lasts < rules.longest_pause:
        found.append((at, lasts))
        at, lasts = at + 1, lasts * 2
    return found
