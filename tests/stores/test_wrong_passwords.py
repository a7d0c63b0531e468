"""Wrong passwords in a row (security.md 5; NIST SP 800-63B-4 3.2.2): free tries, growing pauses, and the end at a hundred."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from authsvc.clock import FixedClock
from authsvc.crypto.tokens import Digester
from authsvc.db import Database
from authsvc.policy.load import load
from authsvc.throttle import Wait, WrongPasswords
from authsvc.throttle.models import FailureStreak


@pytest.fixture
def wrong(clock: FixedClock) -> WrongPasswords:
    """As shipped: ten, then half a minute doubling to a quarter of an hour, a hundred in all."""
    return WrongPasswords(load(None).throttle, Digester(b"k" * 32), clock)


def take(database: Database, wrong: WrongPasswords, key: str = "dana") -> Wait | None:
    """One try in a transaction of its own."""
    with database.transaction() as tx:
        return wrong.take(tx, key)


def test_the_pauses_grow_from_half_a_minute_to_a_quarter_of_an_hour(
    database: Database, wrong: WrongPasswords, clock: FixedClock
) -> None:
    """Each wait ends exactly when it says."""
    for _ in range(10):
        assert take(database, wrong) is None
    pauses = []
    for _ in range(8):
        wait = take(database, wrong)
        assert wait is not None
        assert not wait.only_reset
        pauses.append((wait.until - clock.now()).total_seconds())
        clock.advance(wait.until - clock.now() - timedelta(microseconds=1))
        assert take(database, wrong) is not None
        clock.advance(timedelta(microseconds=1))
        assert take(database, wrong) is None
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]


def test_after_a_hundred_in_a_row_no_time_helps(database: Database, wrong: WrongPasswords, clock: FixedClock) -> None:
    """Pauses waited out, days in between: the hundredth is compared, the next one never."""
    for _ in range(100):
        assert take(database, wrong) is None
        clock.advance(timedelta(hours=7))
    for _ in range(3):
        wait = take(database, wrong)
        assert wait is not None
        assert wait.only_reset
        clock.advance(timedelta(days=10))
    with database.transaction() as tx:
        wrong.sweep(tx, now=clock.now())
    assert take(database, wrong) is not None


def test_lg_04_of_200_simultaneous_tries_ten_are_let_through(database_url: str, wrong: WrongPasswords) -> None:
    """The try is counted before the comparison, by one conditional statement: never one more."""
    database = Database(database_url, pool=16)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: take(database, wrong), range(200)))
    database.dispose()
    assert sum(outcome is None for outcome in outcomes) == 10


def test_lg_04_the_last_of_a_hundred_is_exact_too(database_url: str, wrong: WrongPasswords, clock: FixedClock) -> None:
    """Ninety-nine before, and two hundred at once: one."""
    database = Database(database_url, pool=16)
    for _ in range(99):
        assert take(database, wrong) is None
        clock.advance(timedelta(hours=1))
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: take(database, wrong), range(200)))
    database.dispose()
    assert sum(outcome is None for outcome in outcomes) == 1


def test_a_right_password_ends_the_row(database: Database, wrong: WrongPasswords) -> None:
    """Of its own lane alone."""
    for key in ("dana", "dana on her browser"):
        for _ in range(10):
            take(database, wrong, key)
    with database.transaction() as tx:
        wrong.clear(tx, "dana")
    assert take(database, wrong, "dana") is None
    assert take(database, wrong, "dana on her browser") is not None


def test_what_was_not_compared_is_given_back(database: Database, wrong: WrongPasswords) -> None:
    """Another limit refused it."""
    for _ in range(30):
        assert take(database, wrong) is None
        with database.transaction() as tx:
            wrong.give_back(tx, "dana")


def test_a_quiet_quarter_of_an_hour_begins_a_new_spell(
    database: Database, wrong: WrongPasswords, clock: FixedClock
) -> None:
    """Counted from the end of the pause, so that waiting it out is no way round it."""
    for _ in range(10):
        take(database, wrong)
    clock.advance(timedelta(seconds=30) + timedelta(minutes=15, seconds=1))
    for _ in range(10):
        assert take(database, wrong) is None
    assert take(database, wrong) is not None


def test_rows_are_digests_and_are_forgotten(database: Database, wrong: WrongPasswords, clock: FixedClock) -> None:
    """A dump names nobody; a slip of yesterday is gone, a long row stays for a season."""
    take(database, wrong, "priya@northgate.example")
    for _ in range(10):
        take(database, wrong, "dana@northgate.example")
    left = []
    for days in (0, 2, 89):
        clock.advance(timedelta(days=days))
        with database.transaction() as tx:
            wrong.sweep(tx, now=clock.now())
            rows = tx.scalars(select(FailureStreak)).all()
            left.append(len(rows))
            assert not [row for row in rows if "northgate" in row.key_digest]
    assert left == [2, 1, 0]
