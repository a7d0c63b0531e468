"""The tables of exact counters."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Digest


class FailureStreak(Base):
    """Failures in a row of one key; a success ends the row. See throttle/streaks.py."""

    __tablename__ = "failure_streak"
    __table_args__ = (Index(None, "last_at"),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_digest: Mapped[Digest] = mapped_column(primary_key=True)
    consecutive: Mapped[int]
    #: Those of the present spell, which decide how long the next pause is.
    spell: Mapped[int]
    last_at: Mapped[datetime]
    paused_until: Mapped[datetime]


class ThrottleBucket(Base):
    """One rate for one key: the instant at which its bucket is empty again (GCRA's theoretical arrival time)."""

    __tablename__ = "throttle_bucket"
    __table_args__ = (Index(None, "empty_at_us"),)

    rate: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_digest: Mapped[Digest] = mapped_column(primary_key=True)
    empty_at_us: Mapped[int] = mapped_column(BigInteger)


class TextTally(Base):
    """What one day's text messages come to: the money of all, or the messages to one phone prefix. See throttle/texts.py."""

    __tablename__ = "text_tally"

    #: UTC.
    day: Mapped[date] = mapped_column(primary_key=True)
    #: Empty: the money.
    prefix_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Millionths of a dollar, or messages.
    spent: Mapped[int] = mapped_column(BigInteger)
    #: How many of the messages were answered with their code.
    verified: Mapped[int] = mapped_column(default=0)
