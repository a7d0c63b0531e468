"""The table of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Id


class Job(Base):
    """One piece of work. `args` holds ids only: no code, no address, no secret."""

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "ix_job_open",
            "run_at",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    args: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    #: When it may next be tried; while a worker holds it, the end of the lease.
    run_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]
    failed: Mapped[bool] = mapped_column(default=False)
    last_error: Mapped[str] = mapped_column(String(200), default="")
