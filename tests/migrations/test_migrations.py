"""What migrations make is what the models declare, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from authsvc.db import Database
from authsvc.db.migrate import downgrade, missing, upgrade
from authsvc.tables import metadata
from tests.support.postgres import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database that nothing was done to."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    worker: Path = request.getfixturevalue("worker_folder")
    with new_database(request.getfixturevalue("postgres_server"), f"empty-{worker.parent.name}-{worker.name}") as url:
        yield url


def test_migrated_equals_declared(empty_url: str) -> None:
    """Alembic finds no difference between the migrated database and the models."""
    upgrade(empty_url)
    database = Database(empty_url, pool=1)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.dispose()


def test_what_is_missing_is_said_before_and_nothing_after(empty_url: str) -> None:
    """`authsvc migrate --check` reads this."""
    assert missing(empty_url)[0] == "0001"
    upgrade(empty_url)
    assert missing(empty_url) == []
    upgrade(empty_url)


def test_every_migration_can_be_undone(empty_url: str) -> None:
    """Down to the empty database and up again."""
    upgrade(empty_url)
    downgrade(empty_url, "base")
    database = Database(empty_url, pool=1)
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    database.dispose()
    upgrade(empty_url)
