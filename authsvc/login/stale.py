"""A form whose sign-in is gone, or that was forged: never a bare 400 (ux.md, rule 6)."""

from __future__ import annotations

from flask import redirect, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.login import journey, pages, views
from authsvc.login.flow import Visit
from authsvc.login.journey import Purpose
from authsvc.login.next_step import EnterCode, VerifyEmail
from authsvc.login.pages import Here
from authsvc.mfa import words
from authsvc.mfa.challenge import CodeCheck, CodeOutcome
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT, BROWSER, SESSION
from authsvc.web.csrf import OF_ANOTHER_COOKIE
from authsvc.web.problems import error_page

NO_COOKIES = "Your browser is blocking cookies for this site. Allow them, then try again."
#: The blueprints whose pages belong to a sign-in under way.
STEPS = frozenset({"login_steps", "login_app", "login_accounts"})


def answer(error: Exception) -> Response:
    """On to where this tab was going if the person has signed in meanwhile (another tab, a double press), else start again."""
    if isinstance(error, CSRFError) and not _has_cookies():
        return _without_cookies()
    is_sign_in = request.path.startswith("/sign-in") or request.path == "/accounts"
    with services().database.transaction(read_only=True) as tx:
        bound_for = journey.purpose(tx)
        session = journey.signed_in(tx) if is_sign_in else None
        if session is None and isinstance(error, CSRFError) and error.description == OF_ANOTHER_COOKIE:
            overtaken = _overtaken(tx, bound_for)
            if overtaken is not None:
                return overtaken
    if session is not None:
        return redirect(bound_for.request.continue_to if bound_for.request else bound_for.continue_to or "/", 303)
    if is_sign_in and request.method == "GET":
        return redirect(bound_for.url("login.sign_in"), 303)
    # Only an address of ours is offered: a path such as /%5Cevil.example is a link to another host.
    is_other_task = request.url_rule is not None and not is_sign_in
    restart = request.full_path.rstrip("?") if is_other_task else bound_for.url("login.sign_in")
    return error_page(400, button=("Start again", restart))


def _has_cookies() -> bool:
    """Whether the browser sent back what every page of ours gives it."""
    cookies = services().cookies
    return any(cookies.read(request, name) for name in (ATTEMPT, SESSION, BROWSER))


def _without_cookies() -> Response:
    """ux.md S1, "No cookies": said on the sign-in page with the address kept, and on a page of its own elsewhere."""
    if request.path == "/sign-in":
        with services().database.transaction(read_only=True) as tx:
            bound_for = journey.purpose(tx)
        typed = request.form.get("email", "").strip()
        return views.password_page(bound_for, email=typed, heading=NO_COOKIES, status=400)
    return error_page(400, heading="Nothing was changed", text=NO_COOKIES)


def _overtaken(tx: Session, bound_for: Purpose) -> Response | None:
    """This tab's answer when the password was typed again in another one: its newer code is the one to use (rule 5).

    Nothing is compared and nothing is changed, for the form is not of this sign-in.
    """
    s = services()
    attempt = s.attempts.find(tx, s.cookies.read(request, ATTEMPT))
    if attempt is None or attempt.finished_at is not None or bound_for.lost or request.blueprint not in STEPS:
        return None
    coming = Visit(bound_for.request, bound_for.continue_to)
    step, _ = s.flow.step(tx, attempt, coming)
    here = Here(attempt, bound_for, coming, step)
    challenge = None
    if isinstance(step, EnterCode | VerifyEmail):
        challenge = s.exchange.open(tx, s.flow.question(attempt, step, coming))
    if challenge is None:
        return redirect(bound_for.url(journey.endpoint_of(step)), 303)
    said = words.errors(CodeCheck(CodeOutcome.SUPERSEDED), challenge, pages.zone_of(here))
    return pages.code_page(tx, here, errors=said, status=401)
