"""Redis answers late: nobody waits for it, and nobody is given the answer that another asked for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from authsvc.cache import TIMEOUT_S, Cache
from authsvc.policy.load import load
from authsvc.throttle import AddressWindows
from tests.support.processes import poll
from tests.support.slow import held_up

POLICY = load(None).throttle
LIMIT = POLICY.rates("password_per_address")[0].count
FULL, FREE = "198.51.100.7", "198.51.100.8"
THREADS = 4


def test_pl_07_a_late_answer_never_reaches_another_question(redis_url: str) -> None:
    """CVE-2023-28858, CVE-2023-28859: a command that timed out leaves its answer in the connection for the next one.

    One address has used its window up, the other has not been seen. Whatever is late, the second is never refused: a
    connection is dropped at any time-out, and where Redis gave no answer the process counts for itself.
    """
    with held_up(Path(redis_url.removeprefix("unix://"))) as between:
        instants = iter(range(0, 10**9, 60))  # at each look a minute later, so the breaker never keeps a question back
        cache = Cache(f"redis://127.0.0.1:{between.port}/0", monotonic=lambda: float(next(instants)))
        windows = AddressWindows(POLICY, cache)
        # Of another process: this one remembers nothing of it, so a late answer shows.
        other = AddressWindows(POLICY, Cache(redis_url))
        for _ in range(LIMIT):
            assert other.admit("password_per_address", FULL)
        assert not windows.has_room("password_per_address", FULL)
        answers: dict[str, list[bool]] = {FULL: [], FREE: []}
        stop = threading.Event()

        def ask(address: str) -> None:
            while not stop.is_set():
                answers[address].append(windows.has_room("password_per_address", address))

        threads = [threading.Thread(target=ask, args=(address,)) for address in (FULL, FREE) * THREADS]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                for act, answer in ((between.hold, True), (between.release, False)):
                    act()
                    before = answers[FULL].count(answer)
                    poll(lambda a=answer, n=before: answers[FULL].count(a) > n, what="an answer late, or in time")
        finally:
            stop.set()
            between.release()
            for thread in threads:
                thread.join()
        assert set(answers[FREE]) == {True}
        assert not windows.has_room("password_per_address", FULL), "the window in Redis is what it was"


def test_a_question_waits_for_a_late_redis_once(redis_url: str) -> None:
    """security.md 4.3: 0.2 s, not four times 0.2 s; the breaker then keeps everybody else from waiting."""
    with held_up(Path(redis_url.removeprefix("unix://"))) as between:
        windows = AddressWindows(POLICY, Cache(f"redis://127.0.0.1:{between.port}/0"))
        assert windows.admit("password_per_address", FREE)
        between.hold()
        began = time.monotonic()
        assert windows.admit("password_per_address", FREE)
        assert TIMEOUT_S <= time.monotonic() - began < 4 * TIMEOUT_S
        began = time.monotonic()
        assert all(windows.has_room("password_per_address", FREE) for _ in range(20))
        assert time.monotonic() - began < 10 * TIMEOUT_S
