"""Changing one's own password (ux.md S17): the present one and the new one, on one form."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from authsvc.accounts import passwords
from authsvc.accounts.passwords import PasswordProblem
from authsvc.crypto.passwords import Busy
from authsvc.profile import navigation, pages
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor, asks_for_codes
from authsvc.throttle import Wait
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.text import clock_time

bp = Blueprint("profile_password", __name__, template_folder="templates")

WRONG = "That isn’t your password. Check it and try again."


@bp.get(navigation.PASSWORD)
def change() -> Response:
    """The form."""
    with guards.visitor(read_only=True) as visitor:
        _require_code(visitor)
        return _page(visitor)


@bp.post(navigation.PASSWORD)
def submit() -> Response:
    """Compare and hash in the lane, outside any transaction; a wrong password counts as one of signing in (LG-08)."""
    s = services()
    current, new = request.form.get("current", ""), request.form.get("password", "")
    with guards.visitor(read_only=True) as visitor:
        _require_code(visitor)
        if errors := _errors(visitor, current, new):
            return _page(visitor, errors=errors, status=422)
        email, user_id = visitor.user.email.address, visitor.user.id
    new_hash = None
    try:
        with s.lane.place() as run:
            with s.database.transaction() as tx:
                begun = s.password_step.begin(tx, email, browser_secret=s.cookies.read(request, BROWSER))
            if isinstance(begun, Wait):
                return _throttled(begun)
            right = bool(run(s.passwords.verify, begun.stored, current)) and begun.user_id == user_id
            if right and new != current:
                new_hash = str(run(s.passwords.hash, new))
    except Busy as busy:
        with guards.visitor(read_only=True) as visitor:
            response = _page(visitor, errors={"current": str(busy)}, status=503)
        response.headers["Retry-After"] = "5"
        return response
    with guards.visitor() as visitor:
        _require_code(visitor)
        if not s.password_step.confirm(visitor.tx, begun, right=right):
            errors, status = {"current": WRONG}, 401
        elif new_hash is None:
            errors, status = {"password": "This is your current password. Choose a different one."}, 422
        else:
            changed = s.own_password.change(
                visitor.tx,
                visitor.membership,
                visitor.session,
                new_hash,
                instead_of=begun.stored,
                sign_out_others=bool(request.form.get("sign_out")),
                browser=pages.browser(),
            )
            if changed is not None:
                response = redirect(f"{navigation.SECURITY}?done=password", 303)
                s.cookies.write(response, SESSION, changed.session_secret)
                return response
            errors, status = {"current": WRONG}, 401
    with guards.visitor(read_only=True) as visitor:
        return _page(visitor, errors=errors, status=status)


def _require_code(visitor: Visitor) -> None:
    """Where the account asks for codes, a fresh one; the password itself is on the form (ux.md S2, 3.3.7)."""
    if asks_for_codes(visitor.membership):
        visitor.require_recent_proof("password", code=True)


def _errors(visitor: Visitor, current: str, new: str) -> dict[str, str]:
    policy, errors = services().policies.password, {}
    if not current:
        errors["current"] = "Enter your current password"
    elif len(current) > policy.max_length:
        errors["current"] = passwords.Refused(PasswordProblem.TOO_LONG, len(current)).words(policy)
    context = (visitor.user.name, visitor.user.email.address, visitor.account.name)
    if not new:
        errors["password"] = "Enter a new password"
    elif (refused := services().password_rules.refuse(new, context=context)) is not None:
        errors["password"] = refused.words(policy)
    return errors


def _page(visitor: Visitor, *, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    return pages.task(
        visitor,
        "profile/password.html",
        status=status,
        email=visitor.user.email.address,
        min_length=services().policies.password.min_length,
        # Ticked until somebody unticks it (ASVS 7.4.3).
        sign_out=request.method == "GET" or bool(request.form.get("sign_out")),
        errors=errors or {},
    )


def _throttled(wait: Wait) -> Response:
    with guards.visitor(read_only=True) as visitor:
        at = clock_time(wait.until, visitor.zone)
        response = _page(visitor, errors={"current": f"Too many tries. You can try again at {at}."}, status=429)
    response.headers.update(pages.retry_after(wait.until))
    return response
