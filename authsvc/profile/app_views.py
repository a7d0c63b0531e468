"""My Profile > Security > Authenticator app: set up, replace, recovery codes, remove.

Every step wants the password and a code shown lately, whatever the account asks at sign-in: otherwise whoever has a password
could bind an app of their own (as domain D2 has it for phones), or take the owner's away.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from authsvc.mfa import words
from authsvc.mfa.challenge import clean
from authsvc.mfa.enrolment import DIGITS, OwnCode
from authsvc.mfa.recovery_codes import HOW_MANY
from authsvc.sessions import guards, shell
from authsvc.sessions.guards import Visitor
from authsvc.web import qr as pictures
from authsvc.web.context import services
from authsvc.web.text import browser_label, day, full_time

if TYPE_CHECKING:
    from collections.abc import Iterator

bp = Blueprint("profile_app", __name__, template_folder="templates")

DONE = {
    "replaced": "Your new authenticator app is set up. The one before no longer works.",
    "removed": "Your authenticator app and its recovery codes are removed.",
    "none": "There is no authenticator app to remove.",
}


@bp.get("/profile/security/app")
def overview() -> Response:
    """Whether there is an app, how many recovery codes are left, and what can be done."""
    with _proved(read_only=True) as visitor:
        return _overview(visitor)


@bp.post("/profile/security/app")
def begin() -> Response:
    """Make a key for a new app. The one in use, if there is one, stays until the new one is proved."""
    with _proved() as visitor:
        if not _is_open(visitor):
            return _overview(visitor, status=403)
        services().apps.begin(visitor.tx, visitor.user.id, subject_id=visitor.session.id)
    return redirect(url_for("profile_app.setup"), 303)


@bp.get("/profile/security/app/setup")
def setup() -> Response:
    """The key, as a picture and as text, and the field for the first code."""
    with _proved(read_only=True) as visitor:
        return _setup(visitor)


@bp.get("/profile/security/app/qr.svg")
def qr() -> Response:
    """The key as a QR code, for the session that has begun."""
    with guards.visitor(read_only=True) as visitor:
        found = services().apps.setup(visitor.tx, visitor.user, subject_id=visitor.session.id)
        if found is None or not visitor.has_recent_proof(code=True):
            raise NotFound
    return Response(pictures.svg(found.uri), mimetype="image/svg+xml")


@bp.post("/profile/security/app/setup")
def confirm() -> Response:
    """Take the new app into use, when a code of it is right."""
    s, typed = services(), request.form.get("code", "")
    with _proved() as visitor:
        if (problem := words.unlike_a_code(typed, DIGITS)) is not None:
            return _setup(visitor, error=problem, status=422)
        outcome = s.apps.confirm(
            visitor.tx,
            visitor.user,
            subject_id=visitor.session.id,
            typed=clean(typed) or "",
            account_id=visitor.account.id,
            browser=_browser(),
        )
        if outcome is None:
            return redirect(url_for("profile_app.overview"), 303)
        if outcome is not OwnCode.ACCEPTED:
            return _setup(visitor, error=words.OF_THE_APP[outcome], status=401)
        if not s.recovery_codes.left(visitor.tx, visitor.user.id):
            codes = s.recovery_codes.make(visitor.tx, visitor.user.id, account_id=visitor.account.id)
            return _codes(visitor, codes, flash="Your authenticator app is set up.")
    return redirect(url_for("profile_app.overview", done="replaced"), 303)


@bp.post("/profile/security/app/codes")
def make_codes() -> Response:
    """Ten new recovery codes; the old ones are void."""
    s = services()
    with _proved() as visitor:
        if s.apps.current(visitor.tx, visitor.user.id) is None:
            return redirect(url_for("profile_app.overview"), 303)
        codes = s.recovery_codes.make_anew(
            visitor.tx, visitor.user.id, account_id=visitor.account.id, browser=_browser()
        )
        return _codes(visitor, codes, flash="Your old recovery codes no longer work.")


@bp.get("/profile/security/app/remove")
def removal() -> Response:
    """The question before removing."""
    with _proved(read_only=True) as visitor:
        if services().apps.current(visitor.tx, visitor.user.id) is None:
            return redirect(url_for("profile_app.overview"), 303)
        return shell.show(visitor, "profile/app_remove.html", refusal=_needed_by(visitor))


@bp.post("/profile/security/app/remove")
def remove() -> Response:
    """Remove the app and its recovery codes, unless an account of the person asks for an app and for nothing else."""
    s = services()
    with _proved() as visitor:
        if (refusal := _needed_by(visitor)) is not None:
            return shell.show(visitor, "profile/app_remove.html", refusal=refusal, status=409)
        removed = s.apps.remove(visitor.tx, visitor.user, account_id=visitor.account.id, browser=_browser())
    return redirect(url_for("profile_app.overview", done="removed" if removed else "none"), 303)


@contextmanager
def _proved(*, read_only: bool = False) -> Iterator[Visitor]:
    """The visitor, who has shown password and code lately. A form that comes too late begins at the overview again."""
    with guards.visitor(read_only=read_only) as visitor:
        back = None if request.method == "GET" else url_for("profile_app.overview")
        visitor.require_recent_proof("app", code=True, continue_to=back)
        yield visitor


def _overview(visitor: Visitor, *, status: int = 200) -> Response:
    s = services()
    app, zone = (
        s.apps.current(visitor.tx, visitor.user.id),
        ZoneInfo(visitor.user.time_zone or visitor.account.time_zone),
    )
    return shell.show(
        visitor,
        "profile/app.html",
        status=status,
        flash=DONE.get(request.args.get("done", "")) if request.method == "GET" else None,
        is_set_up=app is not None,
        is_open=_is_open(visitor),
        account_short=visitor.account.short_name,
        added=day(app.created_at, zone) if app else None,
        last_used=full_time(app.last_used_at, zone) if app and app.last_used_at else None,
        left=s.recovery_codes.left(visitor.tx, visitor.user.id),
        how_many=HOW_MANY,
        security_url="/profile/security",
    )


def _setup(visitor: Visitor, *, error: str | None = None, status: int = 200) -> Response:
    found = services().apps.setup(visitor.tx, visitor.user, subject_id=visitor.session.id)
    if found is None:
        return redirect(url_for("profile_app.overview"), 303)
    return shell.show(
        visitor,
        "profile/app_setup.html",
        status=status,
        digits=DIGITS,
        key=found.key,
        qr_url=url_for("profile_app.qr"),
        errors={"code": error} if error else {},
    )


def _codes(visitor: Visitor, codes: tuple[str, ...], *, flash: str) -> Response:
    # Shown in the answer to the form: a redirect to them would mean keeping them readable somewhere.
    return shell.show(visitor, "profile/app_recovery_codes.html", codes=codes, flash=flash)


def _is_open(visitor: Visitor) -> bool:
    """Whether this account lets its people use an app."""
    return "totp" in services().flow.open_methods(visitor.membership)


def _needed_by(visitor: Visitor) -> str | None:
    """Why the app cannot be removed: an account that asks for an app alone would ask for a new one at the next sign-in."""
    flow = services().flow
    for membership in visitor.user.memberships:
        if membership.is_active and guards.asks_for_codes(membership) and flow.open_methods(membership) == {"totp"}:
            name = membership.account.short_name
            return f"{name} asks for a code from an authenticator app, so you need one. Replace it instead."
    return None


def _browser() -> str:
    return browser_label(request.headers.get("User-Agent"))
