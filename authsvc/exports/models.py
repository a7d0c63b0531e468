"""The table of exports. The row outlives its file, so that who took what can still be told (domain D22)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from authsvc.accounts.models import Membership
from authsvc.db.base import Base, Id


class Status(StrEnum):
    """Where an export is. REQUESTED and PROCESSING are open, and read "Processing" on the page."""

    REQUESTED = "requested"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    #: No file any more: its time was over, or whoever asked may not have it any more (`reason`).
    EXPIRED = "expired"


OPEN = (Status.REQUESTED.value, Status.PROCESSING.value)


class Kind(StrEnum):
    """What is in it. All but the last are built by this service."""

    TEAM_MEMBERS = "team_members"
    SIGN_IN_ACTIVITY = "sign_in_activity"
    MFA_STATUS = "mfa_status"
    DEVICES_AND_SESSIONS = "devices_and_sessions"
    #: Built by a client, which says what it is called and hands the file over (handover.py).
    HANDED_OVER = "handed_over"


class Reason(StrEnum):
    """Why there is no file."""

    #: Kept as long as it is kept.
    TIME_OVER = "time_over"
    #: Sensitive Data Access taken, or inactive, or the account closed (domain D23, security.md TN-11).
    ACCESS_LOST = "access_lost"
    #: The store does not have it any more.
    FILE_GONE = "file_gone"
    #: Support deleted it.
    PURGED = "purged"
    #: Building it failed more often than it is tried.
    COULD_NOT_BUILD = "could_not_build"
    #: The client that was to hand it over gave up, or never came.
    NOT_HANDED_OVER = "not_handed_over"
    TOO_LARGE = "too_large"
    #: What came was not what the client had announced.
    NOT_AS_ANNOUNCED = "not_as_announced"


class Export(Base):
    """One export of one person in one account."""

    __tablename__ = "export"
    __table_args__ = (
        CheckConstraint("status IN ('requested', 'processing', 'ready', 'failed', 'expired')", name="status"),
        # A person's list, newest first, and how many they asked for today; the sweep.
        Index(None, "user_id", "requested_at"),
        Index(None, "membership_id", "requested_at"),
        Index(None, "status", "expires_at"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    # No cascade: as long as there may be a file, whose it is must not be forgotten.
    account_id: Mapped[Id] = mapped_column(ForeignKey("account.id"))
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id"))
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id"))
    #: The client that hands it over; None: this service builds it.
    client_id: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(40))
    #: As the page and the file call it.
    name: Mapped[str] = mapped_column(String(200))
    #: The line below the name: of what, or filtered how.
    scope: Mapped[str] = mapped_column(String(200), default="")
    media_type: Mapped[str] = mapped_column(String(100))
    #: What to build it from, for kinds of this service: the filters of the page it was asked for on.
    filters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(20), default=Status.REQUESTED.value)
    reason: Mapped[str | None] = mapped_column(String(40))
    #: What a client announced; the file must be that.
    expected_size: Mapped[int | None] = mapped_column(BigInteger)
    expected_sha256: Mapped[str | None] = mapped_column(String(64))
    #: Rows built, or bytes received, of how many; None: nobody knows.
    progress: Mapped[int] = mapped_column(BigInteger, default=0)
    progress_of: Mapped[int | None] = mapped_column(BigInteger)
    #: The file's name in the store: another one for each try, so that a half file of a killed worker is never the file.
    file_id: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    #: The file's own key, sealed. Cleared with the status: what is expired cannot be read even while its file still lies there.
    sealed_key: Mapped[str] = mapped_column(String(1000), default="")
    requested_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    downloaded_at: Mapped[datetime | None]
    #: When the file was gone from the store.
    purged_at: Mapped[datetime | None]

    membership: Mapped[Membership] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_open(self) -> bool:
        """Whether there may still come a file."""
        return self.status in OPEN

    @property
    def is_ours(self) -> bool:
        """Whether this service builds it, and can try again."""
        return self.client_id is None
