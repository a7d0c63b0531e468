"""A person's exports as the list shows them (ux.md S19). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from authsvc.exports import naming
from authsvc.exports.models import Export, Reason, Status
from authsvc.profile.navigation import EXPORTS
from authsvc.sessions.guards import Visitor
from authsvc.web.text import Time, date, day


class Act(StrEnum):
    """What stands at the end of a row."""

    WAIT = "wait"
    DOWNLOAD = "download"
    TRY_AGAIN = "try_again"
    PORTAL = "portal"
    NOTHING = ""


@dataclass(frozen=True)
class Row:
    """One export. `percent` None: nobody knows how much is left."""

    id: str
    name: str
    detail: str
    requested: Time
    status: str
    note: str
    act: Act
    percent: int | None = None
    is_first: bool = False
    was_downloaded: bool = False

    @property
    def url(self) -> str:
        """Where it is downloaded."""
        return f"{EXPORTS}/{self.id}/file"


def row(visitor: Visitor, export: Export, *, is_first: bool, may: bool, slow_after: timedelta) -> Row:
    """The export in words. `is_first`: the newest unread; `may`: they may ask for it again; `slow_after`: "taking longer"."""
    is_over = export.status == Status.READY and export.expires_at is not None and export.expires_at <= visitor.now
    status = Status.EXPIRED if is_over else Status(export.status)
    note, act, percent = "", Act.NOTHING, None
    match status:
        case Status.REQUESTED | Status.PROCESSING:
            act = Act.WAIT
            if visitor.now - export.requested_at > slow_after:
                note = "Taking longer than usual. You don’t need to wait here."
            if export.progress_of:
                percent = min(99, export.progress * 100 // export.progress_of)
        case Status.READY if export.expires_at:
            note, act = f"Until {date(export.expires_at, visitor.zone)}", Act.DOWNLOAD
        case Status.EXPIRED if export.expires_at:
            note = expired(visitor, export)
        case Status.FAILED:
            note = "Nothing was exported"
            if export.reason == Reason.TOO_LARGE:
                note = "Nothing was exported: too large. Choose less."
            if may and export.reason != Reason.ACCESS_LOST:
                act = Act.TRY_AGAIN if export.is_ours else Act.PORTAL
    kind, size = naming.kind_of_file(export.media_type), export.size if status is Status.READY else None
    detail = ", ".join(filter(None, (export.scope, kind, naming.size(size) if size is not None else "")))
    return Row(
        export.id,
        export.name,
        detail,
        Time.full(export.requested_at, visitor.zone),
        "processing" if status is Status.REQUESTED else status.value,
        note,
        act,
        percent,
        is_first,
        export.downloaded_at is not None,
    )


def expired(visitor: Visitor, export: Export) -> str:
    """When its file went: "File deleted Nov 17"."""
    return f"File deleted {day(export.expires_at or visitor.now, visitor.zone)}"
