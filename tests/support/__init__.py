"""Real servers and tools for the tests: databases, Redis, mail, browser, processes."""

from __future__ import annotations

from authsvc.db.migrate import upgrade


def migrate(url: str) -> None:
    """Bring the database at `url` to the present schema: the one place where the tests say how that is done."""
    upgrade(url)
