"""My Profile > Details (ux.md S16): name, time zone, and the email address with what waits to be verified."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response

from authsvc.audit import Event
from authsvc.profile import navigation, pages, time_zones
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.web import csrf
from authsvc.web.context import services
from authsvc.web.problems import error_page

bp = Blueprint("profile_details", __name__, template_folder="templates")

LONGEST_NAME = 200
#: What was done, by the word in the address.
DONE = {
    "saved": "Saved.",
    "email": "Your email address is changed. Sign in with it from now on.",
    "cancelled": "Nothing was changed.",
}


@bp.get(navigation.DETAILS)
def details() -> Response:
    """The page."""
    with guards.visitor(read_only=True) as visitor:
        return _page(visitor, visitor.user.name, visitor.user.time_zone or "")


@bp.post(navigation.DETAILS)
def save() -> Response:
    """Take the name and the time zone, and nothing else that a form may hold (security.md TN-03)."""
    name, zone = request.form.get("name", "").strip(), request.form.get("time_zone", "")
    with guards.visitor() as visitor:
        if errors := _errors(name, zone):
            return _page(visitor, name, zone, errors=errors, status=422)
        user = visitor.user
        wanted = {"name": name, "time_zone": zone or None}
        changed = [field for field, value in wanted.items() if getattr(user, field) != value]
        user.name, user.time_zone = name, zone or None
        if changed:
            services().audit.record(
                visitor.tx,
                Event.MEMBER_CHANGED,
                user_id=user.id,
                account_id=visitor.account.id,
                session_id=visitor.session.id,
                fields=changed,
            )
    return redirect(f"{navigation.DETAILS}?done=saved", 303)


@bp.errorhandler(CSRFError)
def stale(error: CSRFError) -> Response:
    """A form from before the password was last shown in another tab keeps what was typed (ux.md, rule 6).

    One that we did not sign is answered without a word of it: what stands there is somebody else's.
    """
    again = error_page(400, button=("Start again", navigation.DETAILS))
    if error.description != csrf.OF_ANOTHER_COOKIE:
        return again
    try:
        with guards.visitor(read_only=True) as visitor:
            errors = {"name": "This page was open too long. Nothing was changed. Check it and save again."}
            name, zone = request.form.get("name", ""), request.form.get("time_zone", "")
            return _page(visitor, name[:LONGEST_NAME], zone, errors=errors, status=400)
    except guards.SignInFirst:
        return again


def _errors(name: str, zone: str) -> dict[str, str]:
    errors = {}
    if not name:
        errors["name"] = "Enter your name"
    elif len(name) > LONGEST_NAME:
        errors["name"] = f"Names have {LONGEST_NAME} characters at most. This one is longer."
    elif not name.isprintable():
        errors["name"] = "Enter your name in letters and spaces, on one line"
    if zone and not time_zones.is_one(zone):
        errors["time_zone"] = "Choose a time zone from the list"
    return errors


def _page(
    visitor: Visitor, name: str, zone: str, *, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    change = services().own_email.waiting(visitor.tx, visitor.membership)
    chosen = zone if time_zones.is_one(zone) else ""
    return pages.tab(
        visitor,
        "profile/details.html",
        navigation.DETAILS,
        status=status,
        flash=DONE.get(request.args.get("done", "")) if not errors else None,
        name=name,
        zone=chosen,
        zones=time_zones.groups(chosen),
        account_zone=visitor.account.time_zone.replace("_", " "),
        email=visitor.user.email.address,
        is_verified=visitor.user.email.verified_at is not None,
        waiting=change.address if change else None,
        errors=errors or {},
    )
