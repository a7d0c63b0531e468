"""The table of codes that are out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Id


class Challenge(Base):
    """One pending question: a sealed HOTP secret and a counter. The code itself is nowhere (domain D8, security.md MF-10)."""

    __tablename__ = "challenge"
    __table_args__ = (Index(None, "subject_id"), Index(None, "expires_at"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    #: The sign-in attempt (or later another task) that asked; a code counts nowhere else (MF-08).
    subject_id: Mapped[Id]
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    account_id: Mapped[Id] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(10))
    target: Mapped[str] = mapped_column(String(320))
    secret_sealed: Mapped[str] = mapped_column(String(200))
    counter: Mapped[int]
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    #: queued, sent or refused, for the newest code.
    delivery: Mapped[str] = mapped_column(String(10), default="queued")
    consumed_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]
    #: Where it was asked for, for the message: "Chrome on macOS".
    browser: Mapped[str] = mapped_column(String(60), default="")
