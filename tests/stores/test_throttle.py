"""Exact limits (security.md 5): counted in SQL, by one statement."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from authsvc.clock import FixedClock
from authsvc.crypto.tokens import Digester
from authsvc.db import Database
from authsvc.policy.load import load
from authsvc.throttle import Throttle, Wait
from authsvc.throttle.lockout import Pauses

DIGESTER = Digester(b"k" * 32)


@pytest.fixture
def throttle(clock: FixedClock) -> Throttle:
    """The shipped limits."""
    return Throttle(load(None).throttle, DIGESTER, clock)


def take(database: Database, throttle: Throttle, limit: str = "send_per_user", key: str = "dana") -> Wait | None:
    """One try in a transaction of its own."""
    with database.transaction() as tx:
        return throttle.take(tx, limit, key)  # type: ignore[arg-type]


def test_lg_04_of_200_simultaneous_tries_ten_are_let_through(database_url: str, throttle: Throttle) -> None:
    """The slot is taken before the work, by one conditional statement: never more than the limit."""
    database = Database(database_url, pool=16)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: take(database, throttle), range(200)))
    database.dispose()
    assert sum(outcome is None for outcome in outcomes) == 10


def test_the_wait_ends_exactly_when_it_says(database: Database, throttle: Throttle, clock: FixedClock) -> None:
    """A refused try learns the instant of the next one, and that instant is true."""
    for _ in range(10):
        assert take(database, throttle) is None
    wait = take(database, throttle)
    assert wait is not None
    clock.advance(wait.until - clock.now() - timedelta(microseconds=1))
    assert take(database, throttle) is not None
    clock.advance(timedelta(microseconds=1))
    assert take(database, throttle) is None


def test_a_success_gives_its_slot_back(database: Database, throttle: Throttle) -> None:
    """Failures are counted, not sign-ins."""
    for _ in range(40):
        assert take(database, throttle) is None
        with database.transaction() as tx:
            throttle.give_back(tx, "send_per_user", "dana")


def test_every_rate_of_a_limit_holds_at_once(database: Database, throttle: Throttle, clock: FixedClock) -> None:
    """Codes: 5 in 5 minutes and 20 in an hour. What one rate refuses costs nothing at the other."""
    let_through = 0
    for _ in range(12):
        while take(database, throttle, "code_per_user") is None:
            let_through += 1
        clock.advance(timedelta(minutes=5))
    # 20 at once, and one more every 3 minutes of the 55 that passed before the last tries.
    assert 20 <= let_through <= 20 + 55 // 3 + 1


def test_keys_and_limits_have_buckets_of_their_own(database: Database, throttle: Throttle) -> None:
    """One person's failures are nobody else's; an unknown person has a bucket like a known one."""
    for _ in range(10):
        take(database, throttle)
    assert take(database, throttle) is not None
    assert take(database, throttle, key="priya") is None
    assert take(database, throttle, "send_per_destination") is None


def test_keys_are_kept_as_digests(database: Database, throttle: Throttle) -> None:
    """A dump names nobody."""
    take(database, throttle, key="dana@northgate.example")
    from authsvc.throttle.models import ThrottleBucket

    with database.transaction(read_only=True) as tx:
        rows = tx.query(ThrottleBucket).all()
    assert rows
    assert all("dana" not in row.key_digest for row in rows)


def test_a_pause_holds_until_its_end_and_survives_a_restart(database_url: str, clock: FixedClock) -> None:
    """Pauses are rows."""
    first, pauses = Database(database_url), Pauses(DIGESTER, clock)
    with first.transaction() as tx:
        until = pauses.begin(tx, "codes", "dana", lasts=timedelta(minutes=15))
    first.dispose()
    second = Database(database_url)
    with second.transaction(read_only=True) as tx:
        assert Pauses(DIGESTER, clock).until(tx, "codes", "dana") == until
        assert pauses.until(tx, "codes", "priya") is None
    clock.advance(timedelta(minutes=15))
    with second.transaction(read_only=True) as tx:
        assert pauses.until(tx, "codes", "dana") is None
    second.dispose()


def test_empty_buckets_are_swept_and_full_ones_stay(database: Database, throttle: Throttle, clock: FixedClock) -> None:
    """Sweeping forgets only what decides nothing any more."""
    pauses = Pauses(DIGESTER, clock)
    for _ in range(10):
        take(database, throttle)
    with database.transaction() as tx:
        pauses.sweep(tx, now=clock.now())
    assert take(database, throttle) is not None
    clock.advance(timedelta(days=2))
    with database.transaction() as tx:
        pauses.sweep(tx, now=clock.now())
    assert take(database, throttle) is None


def test_what_is_told_once_a_window_is_told_by_one(database_url: str, throttle: Throttle, clock: FixedClock) -> None:
    """LG-07: of many who find the limit full at once, one sounds the alarm; looking whether it is full takes nothing."""
    database = Database(database_url, pool=8)

    def first(_: int) -> bool:
        with database.transaction() as tx:
            return throttle.first(tx, "password_everywhere", "everybody")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(first, range(24))) == 1
    clock.advance(timedelta(minutes=5))
    assert [first(0), first(0)] == [True, False]
    for _ in range(10):
        with database.transaction(read_only=True) as tx:
            assert throttle.full(tx, "send_per_user", "dana") is None
        assert take(database, throttle) is None
    with database.transaction(read_only=True) as tx:
        wait = throttle.full(tx, "send_per_user", "dana")
    assert wait == take(database, throttle) is not None
    database.dispose()
