"""A forgotten password: asking for a link (S7, S8), and choosing a new password behind it (S9)."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from authsvc.accounts.links import LinkState
from authsvc.accounts.models import MailedLink, User
from authsvc.crypto.passwords import Busy
from authsvc.login import journey, link_pages
from authsvc.login.journey import Purpose
from authsvc.login.views import ADDRESS
from authsvc.policy.values import MINUTE, length_in_words
from authsvc.throttle import Wait
from authsvc.web.context import services
from authsvc.web.text import browser_label, clock_time, exact_time

bp = Blueprint("recovery", __name__, template_folder="templates")


@bp.get("/forgot")
def forgot() -> Response:
    """S7: whose password, prefilled with what was typed on the sign-in page."""
    bound_for = _bound_for()
    hint = bound_for.request.login_hint if bound_for.request else None
    return _forgot_page(bound_for, email=journey.kept_address() or hint or "")


@bp.post("/forgot")
def ask() -> Response:
    """Ask for a link. Whether anybody has the address, neither the answer nor its time tells (security.md RC-09)."""
    bound_for, email = _bound_for(), request.form.get("email", "").strip()
    if error := _address_error(email):
        return _forgot_page(bound_for, email=email, errors={"email": error}, status=422)
    wait = _ask(bound_for, email)
    if wait is not None and wait.limit == "reset_per_address":
        return _too_many(bound_for, email, wait)
    # A second press, or the fourth this hour: what was sent before is on its way, and nothing more is said.
    response = redirect(bound_for.url("recovery.sent"), 303)
    journey.keep_address(response, email)
    return response


@bp.get("/forgot/sent")
def sent() -> Response:
    """S8: the same for everybody. Opening it again sends nothing."""
    notice = "We sent a new link. Only the newest one works." if request.args.get("sent") else None
    return _sent_page(_bound_for(), notice=notice)


@bp.post("/forgot/sent")
def ask_again() -> Response:
    """ "Send again", as often as codes are: the wait is the same whether or not anybody has the address."""
    bound_for, email = _bound_for(), journey.kept_address()
    if _address_error(email):
        return redirect(bound_for.url("recovery.forgot"), 303)
    wait = _ask(bound_for, email)
    if wait is None:
        return redirect(bound_for.url("recovery.sent", sent="again"), 303)
    zone, is_short = journey.zone_of(bound_for.account), wait.until - services().clock.now() <= MINUTE
    said = f"You can ask for a new link at {exact_time(wait.until, zone)}."
    if not is_short:
        said = f"We’ve sent as many links as we can for now. Try again at {clock_time(wait.until, zone)}."
    response = _sent_page(bound_for, warning=said, status=429)
    response.headers.update(journey.retry_after(wait.until))
    return response


@bp.get("/reset/<secret>")
def land(secret: str) -> Response:
    """The mailed address: its secret moves into a cookie, and the address is cleaned."""
    return link_pages.land("reset", secret, "recovery.reset")


@bp.get("/reset")
def reset() -> Response:
    """S9. Opening it changes nothing, however often a scanner does."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        look = s.links.look(tx, link_pages.secret_of("reset"), "reset")
    if look.link is None or look.state is not LinkState.USABLE:
        return link_pages.unusable("reset", look.state)
    return _reset_page(look.link)


@bp.post("/reset")
def choose() -> Response:
    """Check the new password, hash it outside any transaction, spend the link. Nobody is signed in by it (MF-14)."""
    s, typed = services(), request.form.get("password", "")
    secret = link_pages.secret_of("reset")
    with s.database.transaction(read_only=True) as tx:
        look = s.links.look(tx, secret, "reset")
        link = look.link
        context = context_of(link.user) if link else []
        stored = link.user.password_hash if link else None
    if link is None or look.state is not LinkState.USABLE:
        return link_pages.unusable("reset", look.state)
    if error := password_error(typed, context):
        return _reset_page(link, error=error, status=422)
    try:
        with s.lane.place() as run:
            if stored and run(s.passwords.verify, stored, typed):
                error = "This is your current password. Choose a different one."
                return _reset_page(link, error=error, status=422)
            new_hash = str(run(s.passwords.hash, typed))
    except Busy as busy:
        response = _reset_page(link, error=str(busy), status=503)
        response.headers["Retry-After"] = "5"
        return response
    browser = browser_label(request.headers.get("User-Agent"))
    with s.database.transaction() as tx:
        user = s.recovery.choose(tx, secret, new_hash, browser=browser)
        look = s.links.look(tx, secret, "reset")
    if user is None:
        return link_pages.unusable("reset", look.state)
    slug = link.account.slug if link.account else None
    response = redirect(url_for("login.sign_in", note="new-password", account=slug), 303)
    journey.keep_address(response, link.address)
    return response


def password_error(typed: str, context: list[str]) -> str | None:
    """Why this cannot be the new password, in the words of S9."""
    rules = services().password_rules
    if not typed:
        return "Enter a new password"
    refused = rules.refuse(typed, context=context)
    return refused.words(rules.policy) if refused else None


def context_of(user: User) -> list[str]:
    """What a password may not be made of: the person's and their accounts' names, their address."""
    return [user.name, user.email.address, *(membership.account.name for membership in user.memberships)]


def _bound_for() -> Purpose:
    with services().database.transaction(read_only=True) as tx:
        return journey.purpose(tx)


def _address_error(email: str) -> str | None:
    if not email:
        return "Enter your email address"
    # PostgreSQL takes no NUL, and one address is one address (security.md RC-05).
    if not ADDRESS.fullmatch(email) or not email.isprintable():
        return "Enter an email address like name@company.com"
    return None


def _ask(bound_for: Purpose, email: str) -> Wait | None:
    s, here = services(), request.remote_addr or ""
    if not s.windows.has_room("reset_per_address", here):
        return Wait("reset_per_address", s.clock.now() + s.policies.throttle.rates("reset_per_address")[0].per)
    s.windows.admit("reset_per_address", here)
    account_id = bound_for.account.id if bound_for.account else None
    with s.database.transaction() as tx:
        browser = browser_label(request.headers.get("User-Agent"))
        return s.recovery.ask(tx, email, account_id=account_id, browser=browser)


def _too_many(bound_for: Purpose, email: str, wait: Wait) -> Response:
    at = clock_time(wait.until, journey.zone_of(bound_for.account))
    said = f"Too many links were asked for from your network. You can try again at {at}."
    response = _forgot_page(bound_for, email=email, errors={"email": said}, status=429)
    response.headers.update(journey.retry_after(wait.until))
    return response


def _forgot_page(
    bound_for: Purpose, *, email: str, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    return journey.show(
        "login/forgot.html",
        bound_for,
        status=status,
        email=email,
        errors=errors or {},
        action=bound_for.url("recovery.ask"),
        sign_in_url=bound_for.url("login.sign_in"),
    )


def _sent_page(
    bound_for: Purpose, *, notice: str | None = None, warning: str | None = None, status: int = 200
) -> Response:
    return journey.show(
        "login/forgot_sent.html",
        bound_for,
        status=status,
        works_for=length_in_words(services().policies.sessions.links.reset),
        notice=notice,
        warning=warning,
        can_send_again=bool(journey.kept_address()),
        action=bound_for.url("recovery.ask_again"),
        other_url=bound_for.url("recovery.forgot"),
    )


def _reset_page(link: MailedLink, *, error: str | None = None, status: int = 200) -> Response:
    return journey.show(
        "login/reset.html",
        Purpose(None, None, link.account),
        status=status,
        email=link.address,
        min_length=services().policies.password.min_length,
        errors={"password": error} if error else {},
        action=url_for("recovery.choose"),
    )
