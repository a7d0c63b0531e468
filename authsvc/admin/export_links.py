"""The button "Export" on the pages whose data can be exported (domain X1)."""

from __future__ import annotations

from authsvc.accounts.permissions import Permission, Refusal
from authsvc.admin.team_pages import address
from authsvc.exports.models import Kind
from authsvc.exports.requests import NAMES
from authsvc.sessions.guards import Visitor

NEW = "/profile/exports/new"


def export_url(visitor: Visitor, what: Kind, **filters: str) -> str | None:
    """Where an export of this page is asked for; None: this person has no Data Access, and sees no button."""
    if visitor.may(Permission.EXPORT_SENSITIVE) not in (None, Refusal.FROZEN):
        return None
    return address(NEW, export=what.value, **filters)


def details_exports(visitor: Visitor) -> tuple[tuple[str, str], ...]:
    """What can be exported from the page Details: (what, address)."""
    kinds = (Kind.MFA_STATUS, Kind.DEVICES_AND_SESSIONS)
    links = ((NAMES[kind], export_url(visitor, kind)) for kind in kinds)
    return tuple((name, url) for name, url in links if url)
