"""tests/pages/README.md: every promise of the domain and every attack case of these pages has a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"\| ([A-Z]+-?\d+) \| (.+?) \| (?:`(.+?)::(.+?)`|–) \|")
#: Out of scope, or not built: said in the table with the reason, and nowhere else.
WITHOUT_TEST = {"D28"}
PROMISED = {
    *(f"M{number}" for number in range(1, 17)),
    *(f"R{number}" for number in range(1, 4)),
    *(f"E{number}" for number in range(1, 9)),
    *(f"P{number}" for number in (1, 3, 4, 6)),
    *(f"D{number}" for number in range(1, 35)),
    *(f"X{number}" for number in range(1, 5)),
    *(f"J{number}" for number in range(1, 11)),
    *(f"MF-{number:02}" for number in range(1, 26)),
    *(f"RC-{number:02}" for number in range(1, 13)),
    *(f"TN-{number:02}" for number in range(1, 15)),
    *(f"LG-{number:02}" for number in range(1, 19)),
}


def rows() -> dict[str, tuple[str, str]]:
    """Row -> file and name of its test; both empty where there is none."""
    found = [ROW.fullmatch(line) for line in (TESTS / "pages/README.md").read_text().splitlines()]
    return {row[1]: (row[3] or "", row[4] or "") for row in found if row}


def test_every_promise_has_its_row() -> None:
    """None is forgotten, none is made up."""
    assert rows().keys() == PROMISED
    assert {row for row, (file, _) in rows().items() if not file} == WITHOUT_TEST


def test_every_named_test_exists() -> None:
    """A renamed test takes its row along."""
    missing = []
    for row, (file, name) in rows().items():
        if not file:
            continue
        path = TESTS / file
        tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
        if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            missing.append(row)
    assert missing == []
