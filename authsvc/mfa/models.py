"""Tables: the codes that are out, authenticator apps, recovery codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Digest, Id


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


class AuthenticatorApp(Base):
    """A person's authenticator app: a sealed TOTP secret (RFC 6238). Counts once a first code has confirmed it."""

    __tablename__ = "authenticator_app"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    secret_sealed: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    #: The last time step that was accepted: it and earlier ones are spent (RFC 6238 5.2).
    last_step: Mapped[int] = mapped_column(default=0)
    last_used_at: Mapped[datetime | None]


class AppEnrolment(Base):
    """An authenticator app being set up: its key is shown to whoever began, and replaces nothing until a code proves it."""

    __tablename__ = "app_enrolment"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    #: The sign-in attempt or session that began; to any other it is not there.
    subject_id: Mapped[Id]
    secret_sealed: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RecoveryCode(Base):
    """A code for the day the phone is gone; used once."""

    __tablename__ = "recovery_code"
    __table_args__ = (Index(None, "user_id"),)

    code_digest: Mapped[Digest] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
