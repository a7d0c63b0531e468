"""`make faults` ends with the figures of the promises, one line each."""

from __future__ import annotations

import re

import pytest

FIGURE = re.compile(r"^P\d+: .*", re.MULTILINE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests that kept a promise, or did not, have said of it."""
    ended = [report for word in ("passed", "failed") for report in terminalreporter.getreports(word)]
    figures = [line for report in ended if report.when == "call" for line in FIGURE.findall(report.capstdout)]
    if figures:
        terminalreporter.section("promises of security.md 4.5")
        for line in sorted(figures, key=lambda line: int(line[1:].partition(":")[0])):
            terminalreporter.write_line(line)
