"""My Profile > Notifications (ux.md S23), and what the bell in the top bar asks for by itself."""

from __future__ import annotations

import json

from flask import Blueprint, request
from werkzeug.wrappers import Response

from authsvc.crypto.tokens import is_id
from authsvc.profile import navigation, pages
from authsvc.profile.navigation import NOTIFICATIONS
from authsvc.sessions import guards
from authsvc.sessions.guards import SignInFirst
from authsvc.sessions.shell import timed
from authsvc.web.context import services
from authsvc.web.problems import error_page

bp = Blueprint("profile_notifications", __name__, template_folder="templates")

#: On one page.
PAGE = 20


@bp.get(NOTIFICATIONS)
def notifications() -> Response:
    """The page. Whoever visits it has seen them; this once they are still shown as new."""
    s, before = services(), request.args.get("before", "")
    with guards.visitor() as visitor:
        of = visitor.membership.id
        found = s.notifications.page(visitor.tx, of, before=before if is_id(before) else None, limit=PAGE + 1)
        shown = found[:PAGE]
        if shown and request.method == "GET":
            s.notifications.mark_seen(visitor.tx, of, up_to=shown[0].id, now=visitor.now)
        return pages.tab(
            visitor,
            "profile/notifications.html",
            NOTIFICATIONS,
            lines=timed(visitor, shown),
            kept_days=s.policies.sessions.notifications.kept.days,
            newest_url=NOTIFICATIONS if before else None,
            older_url=f"{NOTIFICATIONS}?before={shown[-1].id}" if len(found) > PAGE else None,
        )


@bp.get(f"{NOTIFICATIONS}/latest")
def latest() -> Response:
    """The bell as JSON, asked for every minute. It keeps nobody signed in."""
    try:
        with guards.visitor(read_only=True, asked_by_script=True) as visitor:
            bell = services().notifications.bell(visitor.tx, visitor.membership.id)
            items = [
                {
                    "id": item.id,
                    "title": item.words.title,
                    "text": item.words.text,
                    "label": item.words.label,
                    "link": item.link,
                    "time": when.text,
                    "iso": when.iso,
                    "is_new": item.is_new,
                }
                for item, when in timed(visitor, bell.latest)
            ]
    except SignInFirst:
        return Response("{}", 401, mimetype="application/json")
    return Response(json.dumps({"unread": bell.unread, "items": items}), mimetype="application/json")


@bp.post(f"{NOTIFICATIONS}/seen")
def seen() -> Response:
    """The bell was opened: what it showed, and what is older, is seen."""
    up_to = request.form.get("up_to", "")
    with guards.visitor() as visitor:
        if not is_id(up_to):
            return error_page(400, button=("Go to Notifications", navigation.NOTIFICATIONS))
        services().notifications.mark_seen(visitor.tx, visitor.membership.id, up_to=up_to, now=visitor.now)
    return Response(status=204)
