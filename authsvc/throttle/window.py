"""Coarse windows per network address: Redis when there is one, else this process's memory."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address, ip_network

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from authsvc.cache import Cache
from authsvc.policy.throttle import LimitName, ThrottlePolicy
from authsvc.policy.values import Rate


class AddressWindows:
    """Counts tries per address. Never the reason why something is safe: whatever is secret-bearing is counted in SQL too."""

    def __init__(self, policy: ThrottlePolicy, cache: Cache, *, processes: int = 1) -> None:
        """`processes`: how many share this machine's work, and so a limit while there is no Redis."""
        self._policy = policy
        self._processes = processes
        self._cache = cache
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(storage) if (storage := cache.limits_storage()) else None

    def admit(self, limit: LimitName, key: str) -> bool:
        """Whether one more try of `key` fits; counts it. For `..._per_address` the key is an address (v4 /32, v6 /64)."""
        return self._ask(limit, key, count=True)

    def has_room(self, limit: LimitName, key: str) -> bool:
        """Whether one more would fit, without counting it: for limits that count failures only."""
        return self._ask(limit, key, count=False)

    def admit_distinct(self, limit: LimitName, key: str, who: str) -> None:
        """Count one more of `key`, unless `who` was counted for it within the time of `limit`. `who` is a digest."""
        key = network_of(key) if limit.endswith("_per_address") else key
        for rate in self._policy.rates(limit):
            item, once = _item(rate), _item(Rate(1, rate.per))

            def counted(
                limiter: MovingWindowRateLimiter, item: RateLimitItem = item, once: RateLimitItem = once
            ) -> bool:
                return limiter.hit(once, limit, key, who) and limiter.hit(item, limit, key)

            if self._shared is None or self._cache.attempt(partial(counted, self._shared)) is None:
                counted(self._local)

    def _ask(self, limit: LimitName, key: str, *, count: bool) -> bool:
        key = network_of(key) if limit.endswith("_per_address") else key
        rates = self._policy.rates(limit)
        whole, share = [_item(rate) for rate in rates], [_item(rate, among=self._processes) for rate in rates]

        def asked(limiter: MovingWindowRateLimiter, items: list[RateLimitItemPerSecond]) -> bool:
            return all((limiter.hit if count else limiter.test)(item, limit, key) for item in items)

        answer = self._cache.attempt(partial(asked, self._shared, whole)) if self._shared is not None else None
        if answer is None:
            return asked(self._local, share)
        # Counted here as well: whatever Redis forgets, this process remembers what it let pass itself (security.md 4.1).
        if count and answer and share != whole:
            asked(self._local, share)
        return answer and asked(self._local, whole)


def _item(rate: Rate, *, among: int = 1) -> RateLimitItemPerSecond:
    """The rate as a window. A burst is a longer window at the same pace: 50 a second with a burst of 100 is 100 in 2 s.

    `among`: so many processes share it.
    """
    most = rate.burst or rate.count
    return RateLimitItemPerSecond(max(1, most // among), int(rate.per.total_seconds()) * most // rate.count)


def network_of(remote_address: str) -> str:
    """The address as limits see it: a v6 host owns its /64. Unparsable text is one shared key, never a way past (LG-05)."""
    try:
        address = ip_address(remote_address)
    except ValueError:
        return "unparsable"
    if address.version == 6:
        return str(ip_network((address, 64), strict=False))
    return str(address)
