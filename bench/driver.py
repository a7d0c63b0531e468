"""The process that drives what wrk cannot: answers decide the next request. Commands and outcomes are lines of JSON.

`prepare` makes ready what a round needs and is not measured; `run` is the round. The harness reads the server's CPU time
between the two.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.browser import UnexpectedAnswer
from bench.operations import OPERATIONS, Chained, Fired, Lane
from bench.party import RelyingParty
from bench.report import percentile
from bench.site import Site
from bench.targets import TARGETS

#: Before a rate is known: units made ready for each second.
FIRST_GUESS_PER_S = 200.0
#: A lane that fails that often has lost its chain; going on would only count the same failure.
MOST_FAILURES = 20


class Driver:
    """Keeps connections, cookies and chains from one round to the next."""

    def __init__(self, site: Site, *, connections: int) -> None:
        self._party = RelyingParty(site, TARGETS[site.target].sign_in_pages)
        self._connections = connections
        self._rates: dict[str, float] = {}
        self._name = ""
        self._lanes: list[Lane] = []

    def prepare(self, name: str, seconds: float) -> dict[str, Any]:
        """Make the next round ready; for wrk, answers the request to repeat. Raises: UnexpectedAnswer."""
        operation = OPERATIONS[name]
        if isinstance(operation, Fired):
            return asdict(operation.shot(self._party))
        assert isinstance(operation, Chained)  # noqa: S101 - the other of two
        expected = int(self._rates.get(name, FIRST_GUESS_PER_S) * seconds * 1.15) + self._connections
        self._name, self._lanes = name, operation.lanes(self._party, count=self._connections, expected=expected)
        return {}

    def run(self, seconds: float) -> dict[str, Any]:
        """Run the lanes side by side for `seconds`, or until they have nothing left."""
        sent = self._party.requests_sent()
        outcome = run_lanes(self._lanes, seconds)
        outcome["http_requests"] = self._party.requests_sent() - sent
        if outcome["requests"]:
            self._rates[self._name] = outcome["requests"] / outcome["elapsed_s"]
        return outcome


def run_lanes(lanes: Sequence[Lane], seconds: float) -> dict[str, Any]:
    """One thread a lane; answers units done, time, latencies (of a unit, in ms) and failures by kind."""
    taken_ms: list[float] = []
    errors: Counter[str] = Counter()
    start = threading.Barrier(len(lanes) + 1)

    def work(lane: Lane) -> None:
        start.wait()
        end, failures, more = time.perf_counter() + seconds, 0, True
        while more and failures < MOST_FAILURES and (began := time.perf_counter()) < end:
            try:
                if more := lane():
                    taken_ms.append((time.perf_counter() - began) * 1000)
            except UnexpectedAnswer as exc:
                failures += 1
                errors[str(exc)] += 1

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began
    p50, p99 = (percentile(taken_ms, share) if taken_ms else None for share in (0.5, 0.99))
    return {"requests": len(taken_ms), "elapsed_s": elapsed_s, "p50_ms": p50, "p99_ms": p99, "errors": dict(errors)}


def main() -> None:
    """Read the site, then one command a line, until the harness closes the pipe."""
    first = json.loads(sys.stdin.readline())
    driver = Driver(Site.from_plain(first["site"]), connections=first["connections"])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if command["do"] == "prepare":
                answer = driver.prepare(command["operation"], command["seconds"])
            else:
                answer = driver.run(command["seconds"])
        except UnexpectedAnswer as exc:
            answer = {"failed": str(exc)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
