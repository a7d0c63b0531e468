"""The one table of exact counters."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base, Digest


class ThrottleBucket(Base):
    """One rate for one key: the instant at which its bucket is empty again (GCRA's theoretical arrival time)."""

    __tablename__ = "throttle_bucket"
    __table_args__ = (Index(None, "empty_at_us"),)

    rate: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_digest: Mapped[Digest] = mapped_column(primary_key=True)
    empty_at_us: Mapped[int] = mapped_column(BigInteger)
