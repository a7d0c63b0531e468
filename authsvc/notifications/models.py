"""Table: what a person is told in one account, newest last by id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.crypto.tokens import new_id
from authsvc.db.base import Base, Id

_US = timedelta(microseconds=1)


class Notification(Base):
    """One entry of one bell: of a person in one account for one audience, and of no other (security.md TN-14)."""

    __tablename__ = "notification"
    __table_args__ = (Index(None, "membership_id", "id"), UniqueConstraint("client_id", "client_key"))

    #: Begins with the time, so ids sort as the bell does, and one column is the keyset.
    id: Mapped[Id] = mapped_column(primary_key=True)
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    #: Short texts by name: what the kind's words have braces for.
    told: Mapped[dict[str, Any]]
    #: A path of ours, or an address of the account's portal.
    link: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    #: Which service added it; None: this one. `client_key`: its own name for it, so that adding it twice is adding it once.
    client_id: Mapped[str | None] = mapped_column(String(64))
    client_key: Mapped[str | None] = mapped_column(String(64))


def first_id(instant: datetime) -> str:
    """No id made at or after `instant` sorts before this."""
    return f"{(instant - datetime.fromtimestamp(0, UTC)) // _US:016x}{'0' * 16}"


def id_at(instant: datetime) -> str:
    """A fresh id: 16 hex digits of microseconds, then 64 random bits."""
    return first_id(instant)[:16] + new_id()[:16]
