"""What text messages may cost a day, and phone prefixes whose codes nobody answers (security.md 5: pumping, MF-25).

Whoever earns by the messages that a number range receives asks for many codes and enters few. Days are UTC's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Update, delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.policy.throttle import TextPolicy
from authsvc.throttle.counters import Wait
from authsvc.throttle.models import TextTally

BUDGET, PREFIX = "text_budget", "text_prefix"
#: Country code, area code and exchange of a US number: +1 NPA NXX.
PREFIX_LENGTH = 8
#: Per cent of the day's money at which operators hear of it.
ALARMS = (50, 80, 100)
KEPT = timedelta(days=90)
_MONEY = ""

log = logs.logger(__name__)


def prefix_of(number: str) -> str:
    """What numbers of one exchange begin with."""
    return number[:PREFIX_LENGTH]


class TextLimits:
    """Counts text messages in SQL, exactly: each by one conditional statement, before it is queued."""

    def __init__(self, policy: TextPolicy, digester: Digester, clock: Clock, audit: AuditLog) -> None:
        self.policy = policy
        self._digester, self._clock, self._audit = digester, clock, audit
        self._spent_on: date | None = None

    @property
    def is_spent(self) -> bool:
        """Whether this process knows that today's money is gone, so that the method need not be shown. The rows decide."""
        return self._spent_on == self._today

    def take(self, tx: Session, number: str) -> Wait | None:
        """Count one message to `number`, and its price; None: it may be sent."""
        digest, policy = self._digest(number), self.policy
        answered = TextTally.verified * 100 >= TextTally.spent * policy.least_answered
        if self._add(tx, digest, 1, where=or_(TextTally.spent < policy.judged_after, answered)) is None:
            log.error("texts.prefix_blocked", judged_after=policy.judged_after)
            return Wait(PREFIX, self._tomorrow)
        price, budget = policy.price, policy.daily_budget
        spent = self._add(tx, _MONEY, price, where=TextTally.spent + price <= budget)
        if spent is None:
            self._spent_on = self._today
            tx.execute(_of(self._today, digest).values(spent=TextTally.spent - 1))
            return Wait(BUDGET, self._tomorrow)
        # Each sum is reached by one message alone, so each alarm is raised once.
        passed = [percent for percent in ALARMS if (spent - price) * 100 < budget * percent <= spent * 100]
        if spent + price > budget and 100 not in passed:
            passed.append(100)  # what is left pays for none
        for percent in passed:
            log.error("texts.budget_reached", percent=percent)
            self._audit.record(tx, Event.TEXT_BUDGET_REACHED, percent=percent)
        return None

    def answered(self, tx: Session, number: str) -> None:
        """A code that was texted to `number` was entered."""
        tx.execute(_of(self._today, self._digest(number)).values(verified=TextTally.verified + 1))

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget days long past."""
        tx.execute(delete(TextTally).where(TextTally.day < (now - KEPT).date()))

    def _add(self, tx: Session, digest: str, amount: int, *, where: ColumnElement[bool]) -> int | None:
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(TextTally)
        statement = insert.values(
            day=self._today, prefix_digest=digest, spent=amount, verified=0
        ).on_conflict_do_update(
            index_elements=["day", "prefix_digest"], set_={"spent": TextTally.spent + amount}, where=where
        )
        return tx.execute(statement.returning(TextTally.spent)).scalar_one_or_none()

    @property
    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()

    @property
    def _tomorrow(self) -> datetime:
        return datetime.combine(self._today + timedelta(days=1), time(tzinfo=UTC))

    def _digest(self, number: str) -> str:
        return self._digester.digest(PREFIX, prefix_of(number))


def _of(day: date, digest: str) -> Update:
    return update(TextTally).where(TextTally.day == day, TextTally.prefix_digest == digest)
