"""Windows per network address: shared through Redis, local without it, never open and never closed."""

from __future__ import annotations

from authsvc.cache import Cache
from authsvc.policy.load import load
from authsvc.throttle import AddressWindows

POLICY = load(None).throttle
LIMIT = POLICY.rates("password_per_address")[0].count


def tries(windows: AddressWindows, count: int, address: str = "198.51.100.7") -> int:
    """How many of `count` tries are admitted."""
    return sum(windows.admit("password_per_address", address) for _ in range(count))


def test_replicas_count_together_through_redis(redis_url: str) -> None:
    """Two processes, one window."""
    one, other = AddressWindows(POLICY, Cache(redis_url)), AddressWindows(POLICY, Cache(redis_url))
    assert tries(one, LIMIT - 5) == LIMIT - 5
    assert tries(other, 10) == 5
    assert not one.has_room("password_per_address", "198.51.100.7")
    assert other.has_room("password_per_address", "198.51.100.8")


def test_without_redis_each_process_counts_for_itself() -> None:
    """A single machine needs nothing else."""
    windows = AddressWindows(POLICY, Cache(""))
    assert tries(windows, LIMIT + 10) == LIMIT


def test_a_dead_redis_makes_no_limit_wider_and_shuts_nobody_out() -> None:
    """architecture 2.5: degrade, never open, never closed."""
    windows = AddressWindows(POLICY, Cache("redis://127.0.0.1:1/0"))
    assert tries(windows, LIMIT + 10) == LIMIT


def test_looking_does_not_count(redis_url: str) -> None:
    """Limits that count failures are looked at first and counted on failure."""
    windows = AddressWindows(POLICY, Cache(redis_url))
    assert all(windows.has_room("password_per_address", "198.51.100.7") for _ in range(LIMIT * 2))
    assert tries(windows, LIMIT + 1) == LIMIT


def test_a_neighbour_in_the_same_64_shares_the_window() -> None:
    """Rotating through one's own addresses is one caller."""
    windows = AddressWindows(POLICY, Cache(""))
    assert tries(windows, LIMIT, "2001:db8::1") == LIMIT
    assert tries(windows, 1, "2001:db8::2") == 0
    assert tries(windows, 1, "2001:db8:0:1::2") == 1


def test_a_burst_may_come_at_once_and_no_more() -> None:
    """policies/throttle.yaml: a client's 50 a second with a burst of 100."""
    windows = AddressWindows(POLICY, Cache(""))
    assert sum(windows.admit("token_per_client", "ims-portal") for _ in range(200)) == 100
    assert windows.admit("token_per_client", "another")
