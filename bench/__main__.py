"""`python -m bench`: the command line."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console

from bench import harness
from bench.operations import OPERATIONS
from bench.processes import Cores
from bench.report import Report, markdown, notes_of, terminal_table
from bench.targets import ROOT, TARGETS, TargetFailed

RESULTS = Path(__file__).with_name("results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 when something could not be measured; 2 for wrong usage or a missing tool."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if options.list:
        for name, operation in OPERATIONS.items():
            console.print(f"{name:20} {operation.title}", markup=False, highlight=False)
        return 0
    plan = harness.Plan(options.operations, rounds=options.rounds, seconds=options.seconds)
    if (sentence := harness.missing_tools(plan)) is not None:
        console.print(sentence, highlight=False)
        return 2
    cores = Cores.of_this_machine()
    console.print(f"{options.target}: {plan.rounds} rounds of {plan.seconds:g} s; {cores}.", highlight=False)
    try:
        report = _measure(plan, options.target, options.database, cores, console)
    except (TargetFailed, harness.MeasurementFailed, AssertionError) as exc:
        console.print(
            f"Nothing was measured: {exc}", *getattr(exc, "__notes__", ()), sep="\n", markup=False, highlight=False
        )
        return 1
    console.print(terminal_table(report.rows, title=f"{report.target}, {report.date}: medians [lowest..highest]"))
    for sentence in (*notes_of(report.rows), *(f"{name}: {value}" for name, value in report.facts.items())):
        console.print(f"- {sentence}", markup=False, highlight=False)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        name = f"{report.date}-{report.target}"
        (RESULTS / f"{name}.md").write_text(markdown(report))
        (RESULTS / f"{name}.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
        console.print(f"Written: bench/results/{name}.md and .json", highlight=False)
    return 0 if all(row.is_valid for row in report.rows) else 1


def _measure(plan: harness.Plan, target: str, database: str | None, cores: Cores, console: Console) -> Report:
    facts = _machine(cores, plan)
    with (
        tempfile.TemporaryDirectory(prefix="authsvc-bench-") as folder,
        TARGETS[target](database).started(Path(folder), core=cores.server) as started,
        console.status("") as status,
    ):
        samples, found = harness.run(plan, started, cores, say=status.update)
        facts |= {**started.facts, "start to first answer": f"{started.first_answer_s:.2f} s", **found}
    return harness.report(plan, target, datetime.now(UTC).date().isoformat(), samples, facts)


def _machine(cores: Cores, plan: harness.Plan) -> dict[str, str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    dirty = " with uncommitted changes" if changed.stdout.strip() else ""
    return {
        "commit": (commit.stdout.strip() or "unknown") + dirty,
        "machine": f"{_processor()}, {psutil.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}",
        "rounds": f"{plan.rounds} of {plan.seconds:g} s each, {plan.connections} kept connections, after a warm-up; interleaved",
        "cores": str(cores),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="What a request costs the server, CPU first. bench/README.md explains the figures.",
    )
    parser.add_argument(
        "--target", choices=sorted(TARGETS), default="authsvc", help="server to measure (default: %(default)s)"
    )
    parser.add_argument(
        "--operations",
        type=_operations,
        default=list(OPERATIONS),
        metavar="NAME,NAME",
        help="only these (default: all); --list names them",
    )
    parser.add_argument(
        "--rounds", type=_at_least_one, default=5, metavar="N", help="measured rounds (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=_at_least_one, default=2, metavar="S", help="whole seconds of a round (default: %(default)s)"
    )
    parser.add_argument(
        "--database",
        metavar="postgresql://...",
        help="PostgreSQL server to make a scratch database on (default: SQLite)",
    )
    parser.add_argument("--write", action="store_true", help="keep the result in bench/results/")
    parser.add_argument("--list", action="store_true", help="name the operations and end")
    return parser


def _operations(text: str) -> list[str]:
    names = list(dict.fromkeys(filter(None, text.split(","))))
    if not names or (unknown := [name for name in names if name not in OPERATIONS]):
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown) if names else 'nothing'} is no operation; there are {', '.join(OPERATIONS)}"
        )
    return names


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
