"""One run: start the server, take the operations in turn for some rounds, and read its CPU time around each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from argon2 import PasswordHasher

from bench.operations import OPERATIONS, Fired
from bench.processes import Cores, core_busy_s, cpu_reading, pinned, pss_mib, spent, tree
from bench.report import Report, Sample, Spread, summarize
from bench.site import Site
from bench.targets import ROOT, Started, TargetFailed

WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
WARM_UP_S = 1.0
IDLE_S = 3.0
VERIFICATIONS = 3
#: Share of the server's core that others may use before a run is worth little.
DISTURBED = 0.1


class MeasurementFailed(Exception):
    """A tool of the benchmark itself failed; the text says which."""


@dataclass(frozen=True)
class Plan:
    """What to measure. `seconds`: of one round; `connections`: kept ones, side by side."""

    operations: Sequence[str]
    rounds: int = 5
    seconds: float = 2.0
    connections: int = 4


class DriverProcess:
    """bench/driver.py in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer. Raises: MeasurementFailed when it died."""
        self.tell(command)
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementFailed(f"the driver ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a line."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@contextmanager
def driver(site: Site, *, connections: int, core: int | None) -> Iterator[DriverProcess]:
    """A driver for `site`, ended on leaving."""
    with (
        pinned(core),
        subprocess.Popen(
            [sys.executable, "-m", "bench.driver"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        started = DriverProcess(process)
        started.tell({"site": site.as_plain(), "connections": connections})
        try:
            yield started
        finally:
            process.terminate()


def run(
    plan: Plan, started: Started, cores: Cores, *, say: Callable[[str], None]
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """The samples by operation, and facts found on the way. Raises: MeasurementFailed, TargetFailed."""
    samples: dict[str, list[Sample]] = {name: [] for name in plan.operations}
    idle = idle_share(started)
    with driver(started.site, connections=plan.connections, core=cores.load) as load:
        bench = _Bench(plan, started, cores, load)
        for name in plan.operations:
            say(f"warming up: {name}")
            bench.measure(name, min(WARM_UP_S, plan.seconds))
        for number in range(plan.rounds):
            verify_s = bench.verify_s()
            # Each round begins with another operation, so that none always follows the same one.
            shift = number % len(plan.operations)
            for name in (*plan.operations[shift:], *plan.operations[:shift]):
                say(f"round {number + 1} of {plan.rounds}: {name}")
                samples[name].append(bench.measure(name, plan.seconds, verify_s=verify_s))
    facts = {"idle": f"{idle * 1000:.0f} ms of CPU a second without any request", **memory_facts(started)}
    if verified := Spread.of(sample.verify_s for rounds in samples.values() for sample in rounds):
        ms = Spread(verified.median * 1000, verified.low * 1000, verified.high * 1000)
        facts["password verification"] = f"{ms} ms of CPU (argon2, in the same run)"
    if foreign := Spread.of(sample.foreign for rounds in samples.values() for sample in rounds):
        words = f"{foreign.median:.0%} of the server's core in the median round, {foreign.high:.0%} in the worst"
        facts["neighbors"] = words + ("; disturbed, to be repeated" if foreign.median > DISTURBED else "")
    return samples, facts


def report(
    plan: Plan, target: str, date: str, samples: Mapping[str, Sequence[Sample]], facts: Mapping[str, str]
) -> Report:
    """The report of a run."""
    rows = [summarize(name, OPERATIONS[name].title, samples[name]) for name in plan.operations]
    return Report(target, date, facts, rows, samples)


class _Bench:
    def __init__(self, plan: Plan, started: Started, cores: Cores, load: DriverProcess) -> None:
        self._plan, self._started, self._cores, self._load = plan, started, cores, load

    def measure(self, name: str, seconds: float, *, verify_s: float | None = None) -> Sample:
        """One round of one operation."""
        prepared = self._load.ask({"do": "prepare", "operation": name, "seconds": seconds})
        if "failed" in prepared:
            return Sample(0, seconds, 0.0, errors={f"before the round: {prepared['failed']}": 1})
        started, store = self._started, self._started.store_pid
        processes = tree(started.pid)
        if not processes:
            raise TargetFailed("the server has ended")
        aside = [process for process in processes if started.is_aside(process)]
        before, before_aside = cpu_reading(processes), cpu_reading(aside)
        before_store = cpu_reading(tree(store)) if store else {}
        busy, began = core_busy_s(self._cores.server), time.perf_counter()
        if isinstance(OPERATIONS[name], Fired):
            outcome = self._wrk(prepared, seconds)
        else:
            outcome = self._load.ask({"do": "run", "seconds": seconds})
        took, busy = time.perf_counter() - began, core_busy_s(self._cores.server) - busy
        used = spent(before, cpu_reading(tree(started.pid)))
        errors = {kind: count for kind, count in outcome["errors"].items() if count}
        if used.ended:
            errors["a process of the server ended"] = used.ended
        return Sample(
            requests=outcome["requests"],
            elapsed_s=outcome["elapsed_s"],
            cpu_s=used.cpu_s,
            aside_s=spent(before_aside, cpu_reading(aside)).cpu_s,
            store_s=spent(before_store, cpu_reading(tree(store))).cpu_s if store else None,
            p50_ms=outcome["p50_ms"],
            p99_ms=outcome["p99_ms"],
            errors=errors,
            http_requests=outcome.get("http_requests"),
            foreign=max(0.0, busy - used.cpu_s) / took if busy else None,
            verify_s=verify_s if name == "sign-in" else None,
        )

    def verify_s(self) -> float | None:
        """CPU seconds of one password verification on the server's core, while the server is idle."""
        stored, password = self._started.password_hash, self._started.site.people[0].password
        if stored is None:
            return None
        hasher = PasswordHasher()  # the costs stand in the hash
        with pinned(self._cores.server):
            hasher.verify(stored, password)
            began = time.thread_time()
            for _ in range(VERIFICATIONS):
                hasher.verify(stored, password)
            return (time.thread_time() - began) / VERIFICATIONS

    def _wrk(self, shot: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        command = ["wrk", "--threads", "1", "--connections", str(self._plan.connections), "--timeout", "10s"]
        command += ["--duration", f"{max(1, round(seconds))}s", "--script", str(WRK_SCRIPT)]
        for name, value in shot["headers"]:
            command += ["--header", f"{name}: {value}"]
        environment = {**os.environ, "BENCH_METHOD": shot["method"], "BENCH_BEARERS": " ".join(shot["bearers"])}
        if shot["body"]:
            environment["BENCH_BODY"] = shot["body"]
        with pinned(self._cores.load):
            done = subprocess.run([*command, shot["url"]], env=environment, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise MeasurementFailed(f"wrk ended with status {done.returncode}: {done.stderr or done.stdout}")
        outcome: dict[str, Any] = json.loads(lines[-1])
        return outcome


def missing_tools(plan: Plan) -> str | None:
    """What to install before this plan can be run, in one sentence; None when everything is there."""
    fired = [name for name in plan.operations if isinstance(OPERATIONS[name], Fired)]
    if fired and shutil.which("wrk") is None:
        return "wrk is missing, which makes the load: install it with `apt-get install wrk` (or from https://github.com/wg/wrk)."
    return None


def idle_share(started: Started) -> float:
    """CPU seconds the server uses in a second when nobody asks for anything."""
    before, began = cpu_reading(tree(started.pid)), time.perf_counter()
    time.sleep(IDLE_S)
    return spent(before, cpu_reading(tree(started.pid))).cpu_s / (time.perf_counter() - began)


def memory_facts(started: Started) -> dict[str, str]:
    """Memory after the run."""
    processes = tree(started.pid)
    try:
        sizes = [pss_mib(process) for process in processes]
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return {"memory": "not to be read"}
    asides = sum(size for process, size in zip(processes, sizes, strict=True) if started.is_aside(process))
    largest = f"largest process {max(sizes):.0f}"
    return {"memory": f"{sum(sizes):.0f} MiB PSS after the run ({largest}, aside {asides:.0f}), {len(sizes)} processes"}
