"""Which migrations a database has, told without Alembic: probes ask often, and web processes have no other use for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

VERSIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def known() -> tuple[str, ...]:
    """The migrations of this version, oldest first; a file's name begins with its revision."""
    return tuple(sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py")))


def missing(tx: Session) -> list[str]:
    """The migrations that the database lacks, oldest first.

    One that we do not know was made by a newer version, which is being rolled out: nothing of ours is missing then.
    """
    if not inspect(tx.connection()).has_table("alembic_version"):
        return list(known())
    present = tx.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if any(revision not in known() for revision in present):
        return []
    return [revision for revision in known() if not present or revision > max(present)]
