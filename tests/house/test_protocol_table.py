"""tests/protocol/README.md says which test proves which line of the protocol: it must not say more than the tree does."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
TEXT = (TESTS / "protocol" / "README.md").read_text()
#: Beside tests: what is not offered and why, what comes later, and what is asked and not done.
REASONS = re.compile(r"not offered, because \S.*|later|no: \S.*")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def sections() -> dict[str, str]:
    """Heading -> what stands under it, for those with a table."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[tuple[str, str, str]]:
    """The rows of its table, without the head."""
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")][2:]
    return [(one, two, three) for one, two, three in cells]


def group(row_id: str) -> str:
    """What stands before the first dot, or before the dash of an attack case."""
    return re.split(r"[.]|-(?=[0-9]{2}$)", row_id)[0]


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the test functions in a file; a parametrized one is there under its name."""
    file = TESTS / path
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", sections())
def test_every_row_has_its_proof_or_one_of_the_reasons(name: str) -> None:
    """A test that was renamed or deleted leaves its row without a proof."""
    wrong = []
    for row_id, asked, proof in rows(sections()[name]):
        named = TEST.findall(proof)
        is_tests = bool(named) and TEST.sub("", proof).strip() == ""
        there = all(test in names_in(path) for path, test in named)
        if not asked or (not (is_tests and there) and not REASONS.fullmatch(proof)):
            wrong.append(row_id)
    assert wrong == []


@pytest.mark.parametrize("name", sections())
def test_no_row_vanishes(name: str) -> None:
    """The head says how many rows each group has; whoever deletes one must say so there too."""
    said = re.search(r"^Rows: (.+?)\.\n\n", sections()[name], flags=re.MULTILINE | re.DOTALL)
    assert said is not None
    counted = {word.split()[0]: int(word.split()[1]) for word in said[1].replace("\n", " ").split(", ")}
    assert Counter(group(row_id) for row_id, _, _ in rows(sections()[name])) == counted


def test_no_line_is_there_twice() -> None:
    """Else one of them could change unseen; and later is for what no client can have yet."""
    every = [row for section in sections().values() for row in rows(section)]
    assert [row_id for row_id, n in Counter(row[0] for row in every).items() if n > 1] == []
    assert {group(row_id) for row_id, _, proof in every if proof == "later"} <= {"fapi2", "DPoP", "ApiEndpoint"}


def test_every_attack_on_authorization_and_tokens_has_a_test() -> None:
    """AZ-01 to AZ-20 and TK-01 to TK-23: no excuse counts there."""
    found = {row_id: proof for section in sections().values() for row_id, _, proof in rows(section)}
    cases = [f"AZ-{n:02}" for n in range(1, 21)] + [f"TK-{n:02}" for n in range(1, 24)]
    assert [case for case in cases if not TEST.search(found.get(case, ""))] == []
