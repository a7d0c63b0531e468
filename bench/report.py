"""From rounds to a table: medians with their range, CPU first, and rows with failures marked invalid. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

INVALID = "invalid"
NOTHING = "–"


@dataclass(frozen=True)
class Sample:
    """One measured round. `requests` counts units: requests, or whole sign-ins. CPU in seconds, latency in ms."""

    requests: int
    elapsed_s: float
    #: Of the server's whole process tree.
    cpu_s: float
    #: The part of `cpu_s` that processes used which answer no request.
    aside_s: float = 0.0
    #: Of the database server, apart from `cpu_s`; None where it is not seen.
    store_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    http_requests: int | None = None
    #: Share of the server's core that others used during the round.
    foreign: float | None = None
    #: CPU of one password verification, measured beside the round.
    verify_s: float | None = None


@dataclass(frozen=True)
class Spread:
    """A median and the range it stands in."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Of the values there are; None when there is none."""
        known = [value for value in values if value is not None]
        return cls(statistics.median(known), min(known), max(known)) if known else None

    @property
    def range(self) -> str:
        """`[0.38..0.52]`."""
        return f"[{short(self.low)}..{short(self.high)}]"

    def __str__(self) -> str:
        """`0.41 [0.38..0.52]`, with the digits that mean something."""
        return f"{short(self.median)} {self.range}"


@dataclass(frozen=True)
class Row:
    """One operation over all rounds. Spreads are None where no round has a figure."""

    name: str
    title: str
    rounds: int
    requests: int
    errors: Mapping[str, int]
    cpu_ms: Spread | None
    aside_ms: Spread | None
    store_ms: Spread | None
    per_s: Spread | None
    p50_ms: Spread | None
    p99_ms: Spread | None
    http_per_unit: float | None
    #: CPU of a unit as a multiple of one password verification of the same round.
    verifications: Spread | None

    @property
    def is_valid(self) -> bool:
        """Whether every answer was the wanted one: a refusal costs less than an answer and would flatter the row."""
        return not self.errors and self.cpu_ms is not None


@dataclass(frozen=True)
class Report:
    """Everything of one run."""

    target: str
    date: str
    facts: Mapping[str, str]
    rows: Sequence[Row]
    samples: Mapping[str, Sequence[Sample]]

    def as_json(self) -> dict[str, Any]:
        """Every round, and the rows made of them."""
        rows = [asdict(row) | {"valid": row.is_valid} for row in self.rows]
        rounds = {name: [asdict(sample) for sample in samples] for name, samples in self.samples.items()}
        return {"target": self.target, "date": self.date, "facts": dict(self.facts), "rows": rows, "rounds": rounds}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of `values` does not exceed (nearest rank). Raises: ValueError when there are none."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 10_000) * len(ranked) // 10_000) - 1)]


def summarize(name: str, title: str, samples: Sequence[Sample]) -> Row:
    """The row of one operation."""
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update({kind: count for kind, count in sample.errors.items() if count})
    done = [sample for sample in samples if sample.requests]
    sent = sum(sample.http_requests or 0 for sample in done)
    units = sum(sample.requests for sample in done)
    return Row(
        name=name,
        title=title,
        rounds=len(samples),
        requests=units,
        errors=dict(errors),
        cpu_ms=Spread.of(s.cpu_s / s.requests * 1000 for s in done),
        aside_ms=Spread.of(s.aside_s / s.requests * 1000 for s in done),
        store_ms=Spread.of(None if s.store_s is None else s.store_s / s.requests * 1000 for s in done),
        per_s=Spread.of(s.requests / s.elapsed_s for s in done),
        p50_ms=Spread.of(s.p50_ms for s in done),
        p99_ms=Spread.of(s.p99_ms for s in done),
        http_per_unit=sent / units if sent else None,
        verifications=Spread.of(s.cpu_s / s.requests / s.verify_s if s.verify_s else None for s in done),
    )


def columns_of(rows: Sequence[Row]) -> dict[str, list[Spread | None]]:
    """The figures by column, a spread for each row; none of an invalid row. No store, no column for one."""
    columns = {
        "CPU ms": [row.cpu_ms for row in rows],
        "of it aside": [row.aside_ms for row in rows],
        "store CPU ms": [row.store_ms for row in rows],
        "per second": [row.per_s for row in rows],
        "p50 ms": [row.p50_ms for row in rows],
        "p99 ms": [row.p99_ms for row in rows],
    }
    if not any(columns["store CPU ms"]):
        del columns["store CPU ms"]
    return {
        name: [figure if row.is_valid else None for row, figure in zip(rows, figures, strict=True)]
        for name, figures in columns.items()
    }


def notes_of(rows: Sequence[Row]) -> list[str]:
    """What the table has no column for, a sentence each."""
    notes = []
    for row in rows:
        if row.errors:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(row.errors.items()))
            notes.append(f"{row.title} is invalid: {kinds} beside {row.requests} good answers.")
        elif row.cpu_ms is None:
            notes.append(f"{row.title} is invalid: no answer at all.")
        if row.is_valid and row.verifications:
            notes.append(f"{row.title} costs {row.verifications} times one password verification.")
        if row.is_valid and row.http_per_unit and row.http_per_unit > 1.5:
            notes.append(f"{row.title} takes {row.http_per_unit:.1f} requests.")
    return notes


def terminal_table(rows: Sequence[Row], *, title: str) -> Table:
    """For the terminal: the range stands below its median."""
    columns = columns_of(rows)
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("operation", no_wrap=True)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right", no_wrap=True, style="bold" if number == 0 else None)
    table.add_column("errors", justify="right")
    for number, row in enumerate(rows):
        figures = [figures[number] for figures in columns.values()]
        shown = [f"{short(f.median)}\n[not bold dim]{escape(f.range)}[/]" if f else NOTHING for f in figures]
        if not row.is_valid:
            shown[0] = INVALID
        table.add_row(row.name, *shown, str(sum(row.errors.values())), style=None if row.is_valid else "red")
    return table


def markdown(report: Report) -> str:
    """The page kept in bench/results/."""
    columns = columns_of(report.rows)
    lines = [
        f"# {report.target}, {report.date}",
        "",
        "Medians over the rounds with [lowest..highest]. CPU is the whole process tree's, for each request or sign-in.",
        "",
        _line(["operation", *columns, "errors"]),
        _line(["---", *["---:"] * (len(columns) + 1)]),
    ]
    for number, row in enumerate(report.rows):
        shown = [str(figures[number] or NOTHING) for figures in columns.values()]
        if not row.is_valid:
            shown[0] = INVALID
        lines.append(_line([row.title, *shown, str(sum(row.errors.values()))]))
    lines.append("")
    lines += [f"- {note}" for note in notes_of(report.rows)]
    lines += [f"- {name}: {value}" for name, value in report.facts.items()]
    return "\n".join(lines) + "\n"


def short(value: float) -> str:
    """Three digits, but whole numbers in full."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
