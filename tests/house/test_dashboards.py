"""The dashboard, the alert rules and the README's table name only metrics, labels and events that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from authsvc.audit import Event
from authsvc.keyring.schedule import Algorithm
from authsvc.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "helm" / "authsvc" / "files"
SELECTOR = re.compile(r"\b(authsvc_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
#: Prometheus adds these by itself.
FROM_THE_SCRAPE = {"instance", "job", "le"}


def alerts() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Every PromQL expression of both files."""
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])] + [a["expr"] for a in alerts()]


def known() -> dict[str, set[str]]:
    """Name in PromQL -> labels, read from the code that makes them."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if not hasattr(metric, "_labelnames"):
            continue
        [family] = metric.collect()
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}[family.type]
        found |= {family.name + suffix: set(metric._labelnames) for suffix in suffixes}
    source = (ROOT / "authsvc/metrics/measured.py").read_text()
    for name, rest in re.findall(r'_(?:gauge|figure)\(\s*"(authsvc_[a-z_]+)",\s*"[^"]*"(.*?)\)', source, re.DOTALL):
        found[name] = set(re.findall(r'"([a-z]+)"', rest))
    return found


def test_every_metric_and_label_that_is_named_exists() -> None:
    """A panel over a metric that was renamed is empty, and an alert on one never fires."""
    metrics, wrong = known(), []
    for expression in expressions():
        selected = SELECTOR.findall(expression)
        assert selected, expression
        labels = {label for name, _ in selected for label in metrics.get(name, set())} | FROM_THE_SCRAPE
        grouped = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
        wrong += [name for name, _ in selected if name not in metrics]
        wrong += [f"{name}.{m[0]}" for name, inside in selected for m in MATCHER.findall(inside) if m[0] not in labels]
        wrong += sorted(grouped - labels)
    assert wrong == []


def test_every_event_and_algorithm_that_is_named_exists() -> None:
    """Events are matched by name; one that was renamed would be a silent alert."""
    matched = [
        m for expression in expressions() for _, inside in SELECTOR.findall(expression) for m in MATCHER.findall(inside)
    ]
    patterns = [part for label, _, value in matched if label == "event" for part in value.split("|")]
    assert patterns
    assert [p for p in patterns if not any(re.fullmatch(p, event.value) for event in Event)] == []
    assert {value for label, _, value in matched if label == "algorithm"} <= set(Algorithm)


def test_every_alert_says_what_to_do() -> None:
    """A summary and a runbook of at least one sentence, and every command it names is one of ours."""
    from authsvc.cli import main

    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        summary, runbook = rule["annotations"]["summary"], rule["annotations"]["runbook"]
        assert summary
        assert runbook.endswith("."), rule["alert"]
        assert len(runbook.split()) >= 8, rule["alert"]
        for command in re.findall(r"`authsvc ([a-z]+)", runbook):
            assert command in main.commands, (rule["alert"], command)
    named = [rule["alert"] for rule in alerts()]
    assert len(named) == len(set(named))


def test_the_readme_has_every_metric_and_no_other() -> None:
    """Name, meaning, alarm: the operator's table."""
    rows = re.findall(r"^\| (`authsvc_[^|]+)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(authsvc_[a-z_]+)`", row)}
    assert told == {re.sub(r"_(bucket|count|sum)$", "", name) for name in known()}
