"""Redis killed, emptied, frozen, slow: sign-in goes on, and no limit is wider than it says (security.md 4.1, P4)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from authsvc.cache import OPEN_S, TIMEOUT_S, Cache
from authsvc.clock import FixedClock
from authsvc.policy.load import load
from authsvc.throttle import AddressWindows
from tests.support.processes import Running
from tests.support.proxy import Mode, proxy_to
from tests.support.redis import forget_everything, redis_process
from tests.support.service import DANA, Service, make_ring

POLICY = load(None).throttle
LIMIT = POLICY.rates("password_per_address")[0].count
HERE = "198.51.100.7"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, Running]]:
    """A server of this test alone, and its process."""
    with redis_process(tmp_path) as started:
        yield started


class Seconds:
    """A clock for the breaker."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tries(windows: AddressWindows, count: int, address: str = HERE) -> int:
    """How many of `count` tries are admitted."""
    return sum(windows.admit("password_per_address", address) for _ in range(count))


@pytest.mark.parametrize("fate", ["killed", "emptied", "frozen"])
def test_p4_what_redis_forgets_makes_no_window_wider(redis: tuple[str, Running], fate: str) -> None:
    """P4: guesses at most 1.00 times the limit. What this process let pass it remembers itself; nobody waits for Redis."""
    url, process = redis
    windows = AddressWindows(POLICY, Cache(url))
    assert tries(windows, LIMIT - 5) == LIMIT - 5
    if fate == "killed":
        process.process.kill()
    elif fate == "frozen":
        process.process.send_signal(signal.SIGSTOP)
    else:
        forget_everything(url)
    began = time.monotonic()
    more = tries(windows, LIMIT)
    took_s = time.monotonic() - began
    print(  # noqa: T201 - the figure
        f"\nP4: Redis {fate}: {(LIMIT - 5 + more) / LIMIT:.2f} x the limit, the first {LIMIT} tries took {took_s:.2f} s"
    )
    assert more == 5
    assert took_s < 5 * TIMEOUT_S, "one time-out, then the breaker"
    assert tries(windows, 1, "198.51.100.8") == 1
    if fate == "frozen":
        process.process.send_signal(signal.SIGCONT)


def test_several_processes_share_a_limit_while_redis_is_away() -> None:
    """Four workers of one machine let pass together what one would (security.md 4.1: limit / replicas)."""
    workers = [AddressWindows(POLICY, Cache("redis://127.0.0.1:1/0"), processes=4) for _ in range(4)]
    assert sum(tries(worker, LIMIT) for worker in workers) == LIMIT


def test_with_redis_several_processes_are_not_held_to_their_share(redis: tuple[str, Running]) -> None:
    """One process may serve a whole office; when Redis then dies, its share is used up already."""
    url, process = redis
    worker = AddressWindows(POLICY, Cache(url), processes=4)
    assert tries(worker, LIMIT - 5) == LIMIT - 5
    process.process.kill()
    assert tries(worker, 5) == 0


def test_pl_07_a_slow_redis_never_answers_another_question(redis: tuple[str, Running], tmp_path: Path) -> None:
    """PL-07: answers that came too late are dropped with their connection; after the pause each key has its own again."""
    with proxy_to(tmp_path / "redis.sock") as proxy:
        now = Seconds()
        cache = Cache(f"redis://127.0.0.1:{proxy.port}/0", monotonic=now)
        windows = AddressWindows(POLICY, cache)
        assert tries(windows, LIMIT + 1) == LIMIT
        proxy.delay_s = 2 * TIMEOUT_S
        for number in range(3):
            assert tries(windows, 1, f"203.0.113.{number}") == 1
            assert tries(windows, 1) == 0
            now.now += OPEN_S + 1
        proxy.delay_s = 0
        for number in range(20):
            assert (tries(windows, 1, f"192.0.2.{number}"), tries(windows, 1)) == (1, 0), number
        asked = proxy.connections
        proxy.mode = Mode.BLACK_HOLE
        assert tries(windows, 1, "192.0.2.99") == 1
        assert tries(windows, 9, "192.0.2.99") == 9
        assert proxy.connections <= asked + 1


def test_a_frozen_redis_does_not_hold_the_worker(redis: tuple[str, Running]) -> None:
    """It has codes to send: it sees in one time-out that nobody will wake it, and looks for itself."""
    url, process = redis
    cache = Cache(url)
    assert cache.wait_for_wake(0.01)
    process.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert not cache.wait_for_wake(2)
        assert not cache.wait_for_wake(2)
        assert time.monotonic() - began < 5 * TIMEOUT_S
    finally:
        process.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_p4_sign_in_goes_on_while_redis_dies(
    redis: tuple[str, Running], database_url: str, clock: FixedClock, ring_folder: Path
) -> None:
    """P4 shortened: people in the middle of their sign-ins notice nothing, and five wrong codes are five (MF-04)."""
    url, process = redis
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), redis_url=url)
    account = service.account(mfa="email")
    people = [f"p{number}@northgate.example" for number in range(6)]
    for email in (DANA, *people):
        service.member(account, email)
    fates = [
        lambda: None,
        lambda: forget_everything(url),
        lambda: process.process.send_signal(signal.SIGSTOP),
        lambda: process.process.send_signal(signal.SIGCONT),
        lambda: process.process.kill(),
        lambda: None,
    ]
    took_s = []
    for email, fate in zip(people, fates, strict=True):
        person = service.person(address=f"203.0.113.{people.index(email)}")
        service.sign_in(person, email)
        code = service.code_for(email)
        fate()
        began = time.monotonic()
        assert person.submit(code=code).h1 == "You’re signed in"
        took_s.append(time.monotonic() - began)
        assert person.open("/profile").status == 200

    guesser = service.person()
    service.sign_in(guesser)
    code = service.code_for(DANA)
    statuses = [guesser.submit(code=f"{(int(code) + wrong) % 1_000_000:06}").status for wrong in range(1, 6)]
    print(  # noqa: T201 - the figure
        f"\nP4: {len(took_s)} of {len(fates)} sign-ins while Redis was emptied, frozen and killed: {took_s[0] * 1000:.0f} ms"
        f" before, {max(took_s[1:]) * 1000:.0f} ms at most after; {statuses.count(401) + 1} guesses of 5 let through"
    )
    assert statuses == [401] * 4 + [429]
    service.services.database.dispose()
