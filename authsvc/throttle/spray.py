"""Wrong passwords over many people: who sprays stays below every limit of one person (security.md LG-07 and section 5).

Three counts, each a limit of policies/throttle.yaml. Over everybody and over one account: above them, browsers that the person
has not used before wait first, so that owners go on. And the same wrong password again and again, whoever it is tried for,
which tells a slow spray from many addresses and stops nobody, for a pause would tell which password was meant.

Of a password tried only 16 bits of a keyed digest are counted, for an hour or so: enough that thirty of a kind are no
chance, and too little to find the password by, even with the database and the secret in hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.audit import AuditLog, Event
from authsvc.crypto.tokens import Digester
from authsvc.db import after_commit
from authsvc.policy.throttle import LimitName
from authsvc.throttle.counters import Throttle, Wait

EVERYBODY = "everybody"
#: Hex digits of the digest that are kept: 16 bits.
_KEPT = 4

log = logs.logger(__name__)


@dataclass(frozen=True)
class SprayAlarm:
    """Counts wrong passwords whoever they are for, and says once a window that there are too many."""

    throttle: Throttle
    digester: Digester
    audit: AuditLog

    def shedding(self, tx: Session) -> Wait | None:
        """Whether there are so many over the whole service that unknown browsers wait; counts nothing."""
        return self.throttle.full(tx, "password_everywhere", EVERYBODY)

    def note(self, tx: Session, password: str) -> None:
        """Count a wrong one."""
        alike = self.digester.digest("spray", password)[:_KEPT]
        counted: tuple[tuple[LimitName, str], ...] = (("password_everywhere", EVERYBODY), ("same_password", alike))
        for limit, key in counted:
            if self.throttle.take(tx, limit, key) is not None:
                self.sound(tx, limit, key)

    def sound(self, tx: Session, limit: LimitName, key: str, *, account_id: str | None = None) -> None:
        """Tell operators, in the trail and as an error in the log: once in the time of the limit, whoever comes first."""
        if self.throttle.first(tx, limit, key):
            self.audit.record(tx, Event.SPRAY_SUSPECTED, account_id=account_id, limit=limit)
            after_commit(tx, partial(log.error, "sign_in.spray_suspected", limit=limit, account_id=account_id))
