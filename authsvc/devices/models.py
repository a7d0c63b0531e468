"""The table of remembered devices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Digest, Id


class RememberedDevice(Base):
    """A browser that passed the second step and was asked to be remembered. Only digests of its secrets are kept."""

    __tablename__ = "remembered_device"
    __table_args__ = (Index(None, "membership_id"), Index(None, "expires_at"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    secret_digest: Mapped[Digest]
    previous_digest: Mapped[str | None] = mapped_column(String(64))
    generation: Mapped[int] = mapped_column(default=1)
    renewed_at: Mapped[datetime]
    #: Membership.security_epoch when it was remembered; a higher one there voids it (domain D6).
    epoch: Mapped[int]
    mfa_at: Mapped[datetime]
    mfa_amr: Mapped[list[str]]
    expires_at: Mapped[datetime]
    browser: Mapped[str] = mapped_column(String(60))
    #: Where it was remembered, or used since.
    remote_address: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(40))
