"""argon2id password hashes, and the lane in which they are computed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from authsvc.errors import AuthsvcError, Kind


class Busy(AuthsvcError):
    """Too many people are signing in at this moment. Try again in a few seconds."""

    kind = Kind.UNAVAILABLE


class Passwords:
    """Hashes and verifies with one set of argon2id costs; `memory_kib` in KiB."""

    def __init__(self, *, memory_kib: int, iterations: int, parallelism: int) -> None:
        self._hasher = PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=parallelism)
        #: What an unknown address is verified against, so that it costs what a known one costs (security.md LG-02).
        self.dummy = self._hasher.hash(os.urandom(16).hex())

    def hash(self, password: str) -> str:
        """A hash of the exact characters given; lone surrogates are kept apart from real text."""
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def verify(self, stored: str, password: str) -> bool:
        """Whether `password` is the one that was hashed, compared whole (ASVS 6.2.8)."""
        try:
            return self._hasher.verify(stored, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False

    def needs_rehash(self, stored: str) -> bool:
        """Whether the costs have changed since `stored` was made."""
        return self._hasher.check_needs_rehash(stored)


class HashingLane:
    """One low-priority thread a process, with a bounded queue, so that a storm of sign-ins never starves token traffic.

    spikes.md 7 has the figures: token p50 592 ms without a lane, 1.5 ms with it, at the same rate of sign-ins.
    """

    def __init__(self, *, waiting: int) -> None:
        self.places = waiting
        #: How many of them are taken now.
        self.taken = 0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hashing", initializer=_nice)

    @contextmanager
    def place(self) -> Iterator[Callable[..., object]]:
        """A place in the queue; yields `run(function, *arguments)`, which waits for the result.

        Raises: Busy when the queue is full. Never enter it inside a transaction.
        """
        with self._lock:
            if self.taken >= self.places:
                raise Busy
            self.taken += 1
        try:
            yield lambda function, *arguments: self._thread.submit(function, *arguments).result()
        finally:
            with self._lock:
                self.taken -= 1


def _nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
