"""The frame of settings pages (ux.md S15): whose they are, and the ways from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import render_template
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Permission
from authsvc.sessions.guards import Visitor
from authsvc.web import csrf
from authsvc.web.context import services
from authsvc.web.page import page_for
from authsvc.web.text import Time

if TYPE_CHECKING:
    from authsvc.notifications import Item

#: My Profile > Notifications; below it, what the bell asks for.
NOTIFICATIONS = "/profile/notifications"


@dataclass(frozen=True)
class Shell:
    """What the top bar shows."""

    portal_url: str
    person: str
    initials: str
    entries: tuple[tuple[str, str], ...]
    #: The bell (ux.md S23): how many are new, and the latest with their times.
    bell_url: str
    unread: int
    latest: tuple[tuple[Item, Time], ...]


def show(visitor: Visitor, template: str, *, status: int = 200, flash: str | None = None, **values: Any) -> Response:
    """Render a settings page for this visitor. `flash`: what was just done, in one sentence."""
    body = render_template(
        template,
        page=page_for(visitor.account, services().assets),
        shell=_shell(visitor),
        csrf_field=csrf.field(),
        flash=flash,
        **values,
    )
    return Response(body, status=status, mimetype="text/html")


def _shell(visitor: Visitor) -> Shell:
    entries = [("My Profile", "/profile")]
    if visitor.may(Permission.ADMINISTER) is None:
        entries += [("Admin Settings", "/admin/settings"), ("Investor Settings", "/admin/investors")]
    if _belongs_to_several(visitor):
        entries.append(("Switch account", "/accounts"))
    entries.append(("Sign out", "/sign-out"))
    name = visitor.user.name
    bell = services().notifications.bell(visitor.tx, visitor.membership.id)
    return Shell(
        visitor.account.portal_url,
        name,
        _initials(name),
        tuple(entries),
        NOTIFICATIONS,
        bell.unread,
        timed(visitor, bell.latest),
    )


def timed(visitor: Visitor, items: Iterable[Item]) -> tuple[tuple[Item, Time], ...]:
    """Notifications with their times as this visitor reads them."""
    return tuple((item, Time.exact(item.at, visitor.zone, now=visitor.now)) for item in items)


def _belongs_to_several(visitor: Visitor) -> bool:
    mine = select(func.count()).where(
        Membership.user_id == visitor.user.id, Membership.accepted_at.is_not(None), Membership.deactivated_at.is_(None)
    )
    return (visitor.tx.scalar(mine) or 0) > 1


def _initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"
