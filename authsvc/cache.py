"""Redis: rate windows and wake-ups. It makes things fast and never makes them right: absent or dead, everything goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from authsvc import logs

if TYPE_CHECKING:
    from limits.storage import Storage

PREFIX = "authsvc:"
T = TypeVar("T")
WAKE = PREFIX + "wake"
#: Black-holed Redis with redis-py's defaults blocks one command 59.9 s; with these 0.2 s (security.md 4.3).
TIMEOUT_S = 0.2
OPEN_S = 5.0

log = logs.logger(__name__)


class Cache:
    """A Redis that may be missing. After a failure nobody asks it for 5 s (a breaker), so a dead Redis costs 0.2 s once."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._closed_until = 0.0
        self._lock = threading.Lock()
        self._url = url
        self._client: Any = self._connect(socket_timeout=TIMEOUT_S) if url else None
        self._waiter: Any = None

    def limits_storage(self) -> Storage | None:
        """Storage for the `limits` library, or None without Redis."""
        if not self._url:
            return None
        from limits.storage import RedisStorage
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        address = self._url.replace("unix://", "redis+unix://", 1)
        return RedisStorage(
            address,
            key_prefix=PREFIX + "window",
            wrap_exceptions=False,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # passed on to redis-py, which would try three times
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )

    def attempt(self, ask: Callable[[], T]) -> T | None:
        """What `ask` answers; None when Redis cannot be asked now."""
        if self._monotonic() < self._closed_until:
            return None
        from redis import RedisError

        try:
            return ask()
        except (RedisError, OSError) as exc:
            with self._lock:
                self._closed_until = self._monotonic() + OPEN_S
            log.warning("redis.unavailable", reason=type(exc).__name__, pause_s=OPEN_S)
            return None

    def wake_worker(self) -> None:
        """Tell a worker that a job was queued; it would find it by itself within a second."""
        if (client := self._client) is not None:
            self.attempt(lambda: client.pipeline().lpush(WAKE, 1).ltrim(WAKE, 0, 9).expire(WAKE, 60).execute())

    def wait_for_wake(self, seconds: float) -> bool:
        """Sleep until woken or for `seconds`; False at once when there is no Redis to wait on, so the caller sleeps by itself."""
        if not self._url:
            return False
        if self._waiter is None:
            self._waiter = self._connect(socket_timeout=seconds + 1)
        client, waiter = self._client, self._waiter
        # Asked first whether it is there: a frozen one would hold the worker, and the codes it has to send, for seconds.
        return self.attempt(lambda: (client.ping(), waiter.blpop([WAKE], timeout=seconds))) is not None

    def answers(self) -> bool | None:
        """Whether Redis answers just now; None where none is configured."""
        if (client := self._client) is None:
            return None
        return self.attempt(lambda: bool(client.ping())) is True

    def _connect(self, *, socket_timeout: float) -> Any:
        import redis  # optional at run time: without AUTHSVC_REDIS_URL it is never loaded
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(
            self._url, retry=Retry(NoBackoff(), 0), socket_timeout=socket_timeout, socket_connect_timeout=TIMEOUT_S
        )
