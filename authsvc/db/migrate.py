"""Bring the database to this version: Alembic, with timeouts and one runner at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from authsvc.db import revision
from authsvc.db.engine import Database, DatabaseUnavailable

FOLDER = Path(__file__).parent / "migrations"


def config(url: str) -> Config:
    """Alembic's configuration for `url`; there is no ini file."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = url
    return made


def upgrade(url: str) -> None:
    """Apply every migration that is missing. Raises: DatabaseUnavailable."""
    _run(url, lambda made: command.upgrade(made, "head"))


def downgrade(url: str, to: str) -> None:
    """Go back to the migration `to` ("base": an empty database)."""
    _run(url, lambda made: command.downgrade(made, to))


def missing(url: str) -> list[str]:
    """The migrations that are not applied yet, oldest first. Raises: DatabaseUnavailable."""
    database = Database(url, pool=1)
    try:
        with database.transaction(read_only=True) as tx:
            return revision.missing(tx)
    finally:
        database.dispose()


def _run(url: str, act: Callable[[Config], object]) -> None:
    try:
        act(config(url))
    except OperationalError as exc:
        raise DatabaseUnavailable(detail=type(exc).__name__) from exc


if __name__ == "__main__":
    # `make migration name=...`: compares the models with a database that has every present migration.
    scratch = "sqlite:///var/migration-scratch.db"
    Path("var/migration-scratch.db").unlink(missing_ok=True)
    upgrade(scratch)
    command.revision(config(scratch), message=sys.argv[-1], autogenerate=True)
