"""S2, "Confirm it's you": the password again, and a code where one is due, before a sensitive change.

The code is the sign-in's own: a parked request that wants a second step leads through the same pages, with their limits,
and raises the session. Whoever strips the wish from the address comes back to a page that asks again (sessions/guards.py).
"""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from authsvc.crypto.passwords import Busy
from authsvc.crypto.tokens import new_secret
from authsvc.login import journey
from authsvc.login.journey import Purpose
from authsvc.sessions import guards, levels
from authsvc.sessions.guards import Visitor
from authsvc.throttle import Wait
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.redirects import local_path

bp = Blueprint("confirm", __name__, template_folder="templates")

KIND = "confirm"
#: What is about to be done, by the key in the address: "Enter your password to …".
WORDS = {
    "app": "change your authenticator app",
    "data_access": "change Sensitive Data Access",
    "download": "download an export",
    "email": "change your email address",
    "export": "export Sensitive Information",
    "member": "change a Team Member",
    "mfa": "change Multi-Factor Authentication",
    "password": "change your password",
    "phone": "change your phone number",
    "sessions": "end sessions and remembered devices",
}


@bp.get("/confirm")
def confirm() -> Response:
    """The password page; straight on to the code when the password was shown lately."""
    with guards.visitor(read_only=True) as visitor:
        shown = visitor.has_recent_proof(code=False)
        if shown and not _wants_code():
            return redirect(_continue_to(), 303)
        if not shown:
            return _page(visitor)
    with guards.visitor() as visitor:
        return _on_to_the_code(visitor)


@bp.post("/confirm")
def submit() -> Response:
    """Check the password as signing in does: same limits, same lane, no hash inside a transaction (security.md LG-08)."""
    s, password = services(), request.form.get("password", "")
    longest = s.policies.password.max_length
    with guards.visitor(read_only=True) as visitor:
        email, user_id = visitor.user.email.address, visitor.user.id
        if not password:
            return _page(visitor, error="Enter your password", status=422)
        if len(password) > longest:
            return _page(visitor, error=f"Passwords have {longest} characters at most. This one is longer.", status=422)
    browser_secret = s.cookies.read(request, BROWSER)
    try:
        with s.lane.place() as run:
            with s.database.transaction() as tx:
                begun = s.password_step.begin(tx, email, browser_secret=browser_secret)
            if isinstance(begun, Wait):
                return _throttled(begun)
            right = bool(run(s.passwords.verify, begun.stored, password)) and begun.user_id == user_id
    except Busy as busy:
        with guards.visitor(read_only=True) as visitor:
            response = _page(visitor, error=str(busy), status=503)
        response.headers["Retry-After"] = "5"
        return response
    with guards.visitor() as visitor:
        if not s.password_step.confirm(visitor.tx, begun, right=right):
            answer = None
        else:
            secret = s.sessions.password_shown(visitor.tx, visitor.session)
            answer = _on_to_the_code(visitor) if _wants_code() else redirect(_continue_to(), 303)
            s.cookies.write(answer, SESSION, secret)
    if answer is not None:
        return answer
    with guards.visitor(read_only=True) as visitor:
        return _page(visitor, error="That isn’t your password. Check it and try again.", status=401)


def _on_to_the_code(visitor: Visitor) -> Response:
    """Park the wish for a second step and go through the sign-in's own pages."""
    s = services()
    browser_secret = s.cookies.read(request, BROWSER) or new_secret()
    parked = s.sessions.park(
        visitor.tx,
        browser_secret=browser_secret,
        continue_to=_continue_to().replace("{", "%7B").replace("}", "%7D"),
        params={"kind": KIND},
        account_slug=visitor.account.slug,
        login_hint=visitor.user.email.address,
        wanted_acr=levels.TWO_STEP,
    )
    response = redirect(f"/sign-in?request={parked.id}", 303)
    s.cookies.write(response, BROWSER, browser_secret, lasts=s.browser_lasts)
    return response


def _wants_code() -> bool:
    return request.args.get("code") == "1"


def _continue_to() -> str:
    return local_path(request.args.get("continue")) or "/profile"


def _page(visitor: Visitor, *, error: str | None = None, status: int = 200) -> Response:
    return journey.show(
        "login/confirm.html",
        Purpose(None, None, visitor.account),
        status=status,
        email=visitor.user.email.address,
        words=WORDS.get(request.args.get("for", ""), "go on"),
        errors={"password": error} if error else {},
        action=request.full_path.rstrip("?"),
        cancel_url=_continue_to(),
    )


def _throttled(wait: Wait) -> Response:
    with guards.visitor(read_only=True) as visitor:
        response = _page(visitor, error=journey.try_again(wait, visitor.account), status=429)
    response.headers.update(journey.retry_after(wait.until))
    return response
