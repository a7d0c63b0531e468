"""The table of a ring that lies in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from authsvc.db.base import Base


class SigningKeyRow(Base):
    """One key of the ring. Rows are never deleted: what has signed stays on record.

    The database holds the rule as well that one key of an algorithm has no end: of two rotations at once, one fails.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        Index(
            "uq_signing_key_open_ended",
            "algorithm",
            unique=True,
            sqlite_where=text("use_until IS NULL"),
            postgresql_where=text("use_until IS NULL"),
        ),
        CheckConstraint("use = 'sign'", name="use"),
        CheckConstraint("algorithm IN ('ES256', 'RS256', 'EdDSA')", name="algorithm"),
        CheckConstraint(
            "publish_from <= use_from AND (use_until IS NULL) = (publish_until IS NULL)"
            " AND (use_until IS NULL OR (use_from <= use_until AND use_until <= publish_until))",
            name="instants",
        ),
    )

    kid: Mapped[str] = mapped_column(String(43), primary_key=True)
    #: The order of making.
    position: Mapped[int] = mapped_column(unique=True)
    use: Mapped[str] = mapped_column(String(10))
    algorithm: Mapped[str] = mapped_column(String(10))
    #: A name, or the ARN of a key in AWS KMS.
    private: Mapped[str] = mapped_column(String(300))
    #: The private JWK, or where KMS has it and its public half, sealed with AUTHSVC_SECRET: nobody can swap it unseen.
    sealed: Mapped[str] = mapped_column(Text)
    publish_from: Mapped[datetime]
    use_from: Mapped[datetime]
    use_until: Mapped[datetime | None]
    publish_until: Mapped[datetime | None]
    #: Counts the changes of this row, so that a replica sees one without reading it whole.
    revision: Mapped[int]
