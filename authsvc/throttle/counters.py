"""Exact limits per person, destination or challenge: one conditional statement takes the slot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.policy.throttle import LimitName, ThrottlePolicy
from authsvc.policy.values import Rate
from authsvc.throttle.models import ThrottleBucket

_US = timedelta(microseconds=1)


@dataclass(frozen=True)
class Wait:
    """The limit is reached; the next try is accepted at `until`. `only_reset`: by then none is, only a new password helps."""

    limit: str
    until: datetime
    only_reset: bool = False


@dataclass(frozen=True)
class Throttle:
    """Takes slots of the limits of policies/throttle.yaml.

    Take the slot BEFORE the costly or secret-dependent work and give it back on success (security.md 5, LG-04):
    two hundred simultaneous guesses then verify no more than the limit. Unknown people have buckets like known ones.
    """

    policy: ThrottlePolicy
    digester: Digester
    clock: Clock

    def take(self, tx: Session, limit: LimitName, key: str, *, times: int = 1) -> Wait | None:
        """Take one slot of every rate of `limit` for `key`, or none of them. None: taken.

        `times`: the key stands for so many, each with those rates.
        """
        now_us = (self.clock.now() - datetime.fromtimestamp(0, UTC)) // _US
        digest = self.digester.digest(f"throttle/{limit}", key)
        taken: list[Rate] = []
        for rate in (_times(rate, times) for rate in self.policy.rates(limit)):
            if not _take(tx, limit, rate, digest, now_us):
                for earlier in taken:
                    _give_back(tx, limit, earlier, digest)
                bucket = tx.get_one(ThrottleBucket, (_name(limit, rate), digest), populate_existing=True)
                return Wait(limit, datetime.fromtimestamp(0, UTC) + (bucket.empty_at_us - _tolerance_us(rate)) * _US)
            taken.append(rate)
        return None

    def full(self, tx: Session, limit: LimitName, key: str) -> Wait | None:
        """What `take` would answer, without taking: for limits that count failures only, where a few too many do no harm."""
        now_us = (self.clock.now() - datetime.fromtimestamp(0, UTC)) // _US
        digest = self.digester.digest(f"throttle/{limit}", key)
        for rate in self.policy.rates(limit):
            bucket = tx.get(ThrottleBucket, (_name(limit, rate), digest), populate_existing=True)
            if bucket is not None and bucket.empty_at_us - _tolerance_us(rate) > now_us:
                return Wait(limit, datetime.fromtimestamp(0, UTC) + (bucket.empty_at_us - _tolerance_us(rate)) * _US)
        return None

    def first(self, tx: Session, limit: LimitName, key: str) -> bool:
        """Whether this is the first call for `key` within the (first) time of `limit`: for what is told once a window."""
        now_us = (self.clock.now() - datetime.fromtimestamp(0, UTC)) // _US
        once = Rate(1, self.policy.rates(limit)[0].per)
        return _take(tx, f"first/{limit}", once, self.digester.digest(f"first/{limit}", key), now_us)

    def give_back(self, tx: Session, limit: LimitName, key: str) -> None:
        """Undo one `take`: the try was a success, and successes do not count."""
        digest = self.digester.digest(f"throttle/{limit}", key)
        for rate in self.policy.rates(limit):
            _give_back(tx, limit, rate, digest)


def _times(rate: Rate, times: int) -> Rate:
    return Rate(rate.count * times, rate.per, rate.burst and rate.burst * times)


def _interval_us(rate: Rate) -> int:
    return rate.per // _US // rate.count


def _tolerance_us(rate: Rate) -> int:
    return _interval_us(rate) * ((rate.burst or rate.count) - 1)


def _name(limit: str, rate: Rate) -> str:
    return f"{limit}/{rate.per // timedelta(seconds=1)}s"


def _take(tx: Session, limit: str, rate: Rate, digest: str, now_us: int) -> bool:
    insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(ThrottleBucket)
    stored = ThrottleBucket.empty_at_us
    statement = insert.values(
        rate=_name(limit, rate), key_digest=digest, empty_at_us=now_us + _interval_us(rate)
    ).on_conflict_do_update(
        index_elements=["rate", "key_digest"],
        set_={"empty_at_us": case((stored > now_us, stored), else_=now_us) + _interval_us(rate)},
        where=stored <= now_us + _tolerance_us(rate),
    )
    return tx.execute(statement.returning(stored)).one_or_none() is not None


def _give_back(tx: Session, limit: str, rate: Rate, digest: str) -> None:
    tx.execute(
        update(ThrottleBucket)
        .where(ThrottleBucket.rate == _name(limit, rate), ThrottleBucket.key_digest == digest)
        .values(empty_at_us=ThrottleBucket.empty_at_us - _interval_us(rate))
    )
