"""Tables of the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, BigId, Digest


class AuditEvent(Base):
    """One thing that happened. Rows are added in the transaction of the act and never changed."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index(None, "user_id", "id"),
        Index(None, "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    account_id: Mapped[str | None] = mapped_column(String(64))
    session_id: Mapped[str | None] = mapped_column(String(64))
    client_id: Mapped[str | None] = mapped_column(String(64))
    remote_address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(256))
    request_id: Mapped[str] = mapped_column(String(64))
    operator: Mapped[str] = mapped_column(String(64))
    policy_hash: Mapped[str] = mapped_column(String(16))
    fields: Mapped[dict[str, Any]]


class AuditSeal(Base):
    """A link of the hash chain over the events first_id..last_id. The number is the key, so two workers cannot both add it."""

    __tablename__ = "audit_seal"

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(BigId)
    last_id: Mapped[int] = mapped_column(BigId, unique=True)
    events: Mapped[int]
    previous: Mapped[Digest]
    digest: Mapped[Digest]
    sealed_at: Mapped[datetime]
