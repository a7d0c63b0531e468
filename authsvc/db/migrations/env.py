"""How migrations run: lock and statement timeouts, an advisory lock, one transaction a migration."""

from importlib import import_module
from typing import Literal

from alembic import context
from sqlalchemy import text

from authsvc.db.base import UtcDateTime
from authsvc.db.engine import PATIENT_S, make_engine

#: Any number; the same in every release, so that two deployments never migrate at once.
LOCK = 7_204_511


def render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Migrations name plain SQLAlchemy types, so that they still run when our own are renamed."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Run what was asked for."""
    engine = make_engine(context.config.attributes["url"], pool=1, statement_s=PATIENT_S)
    # By name: the tables stand above this package, and only this run needs them all.
    metadata = import_module("authsvc.tables").metadata
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET lock_timeout = '4s'"))
                connection.execute(text("SET statement_timeout = '30s'"))
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
                connection.execute(text("SET statement_timeout = '5s'"))
                connection.commit()
            context.configure(
                connection=connection,
                target_metadata=metadata,
                render_as_batch=True,
                render_item=render,
                transaction_per_migration=True,
                compare_type=False,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
    finally:
        engine.dispose()


run()
