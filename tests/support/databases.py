"""Which database a test needs. Rules, races and queries run on both; words and headers of pages, and tables of inputs, on one."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.replicas import REPLICAS

#: What the suite runs on. Replicas do not share a SQLite file: with AUTHSVC_TEST_REPLICAS all of it runs on PostgreSQL.
KINDS = ["sqlite", "postgresql"] if REPLICAS == 1 else ["postgresql"]
#: For a module whose pages say and send the same whatever stores them.
ON_SQLITE = pytest.mark.parametrize("database_url", KINDS[:1], indirect=True)
#: For hostile values: it refuses what SQLite stores, a NUL character or a lone surrogate.
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
#: From so many rows on, parameters are a table of inputs.
A_TABLE = 4
#: Where every row runs on both.
RACES = ("tests/stores/", "tests/faults/")


def spared(items: list[pytest.Item]) -> set[pytest.Item]:
    """The rows of tables that need not run on SQLite: all but the first, for each runs on PostgreSQL, the stricter one."""
    on_sqlite = [item for item in items if _params(item).get("database_url") == "sqlite" and _is_a_pair(item)]
    rows = Counter(_name(item) for item in on_sqlite)
    return {item for item in on_sqlite if rows[_name(item)] >= A_TABLE and not _is_first(item)}


def _name(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _params(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def _is_a_pair(item: pytest.Item) -> bool:
    return not item.nodeid.startswith(RACES) and not any(
        mark.args[0] == "database_url" for mark in item.iter_markers("parametrize")
    )


def _is_first(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    return not any(index for name, index in item.callspec.indices.items() if name != "database_url")
