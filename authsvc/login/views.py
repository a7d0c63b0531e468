"""The sign-in page, where it ends, and signing out."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from authsvc.crypto.passwords import Busy
from authsvc.login import journey, notes
from authsvc.login.journey import Onward, Purpose
from authsvc.login.password import NoAccess, Proved, Wrong
from authsvc.sessions import levels
from authsvc.sessions.models import SignInRequest
from authsvc.throttle import Wait
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT, BROWSER, SESSION
from authsvc.web.problems import unusable_link
from authsvc.web.text import day

bp = Blueprint("login", __name__, template_folder="templates")
bp.before_request(journey.look_at_window)

#: Enough to catch a slip; whether the address exists is never said.
ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


@bp.get("/sign-in")
def sign_in() -> Response:
    """The password page; or straight on, for whoever is signed in already."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        bound_for, session = journey.purpose(tx), journey.signed_in(tx)
        acr = s.families.effective_acr(tx, session) if session else ""
        note = notes.note(tx, bound_for) if session is None and not bound_for.lost else None
    if bound_for.lost:
        return unusable_link()
    someone_else = request.args.get("as") == "other"
    if session is not None and not someone_else:
        parked = bound_for.request
        if parked is None:
            return redirect(bound_for.continue_to or "/", 303)
        if bound_for.confirms:
            confirmed = session.code_at is not None and session.code_at > parked.created_at
            return redirect(parked.continue_to, 303) if confirmed else _step_up(bound_for)
        if not parked.password_after or session.password_at > parked.password_after:
            # Another tab has finished meanwhile: this one goes on to its own portal (ux.md, rule 5).
            here = parked.account_slug in (None, session.membership.account.slug)
            if (
                here
                and not _must_choose(parked)
                and (parked.wanted_acr is None or levels.at_least(acr, parked.wanted_acr))
            ):
                return redirect(parked.continue_to, 303)
            return _step_up(bound_for)
    hint = bound_for.request.login_hint if bound_for.request else None
    present = session.user.email.address if session and not someone_else else ""
    return password_page(bound_for, email=hint or present, note=note)


def _must_choose(parked: SignInRequest | None) -> bool:
    """Whether the account to enter must be chosen, whichever the person is in (prompt=select_account), and was not yet."""
    return parked is not None and parked.choose_account and parked.signed_in_at is None


def _step_up(bound_for: Purpose) -> Response:
    """Go on from a live session: the password counts as shown, and whatever else is wanted is asked for."""
    s = services()
    with s.database.transaction() as tx:
        bound_for, session = journey.purpose(tx), journey.signed_in(tx)
        if session is None:
            return redirect(bound_for.url("login.sign_in"), 303)
        changed_at = session.user.password_changed_at
        if changed_at is not None and changed_at > session.password_at:
            # It was changed in another session: what was shown then is not the password any more.
            return password_page(bound_for, email=session.user.email.address)
        here = session.membership
        chooses = _must_choose(bound_for.request)
        stays = not chooses and (bound_for.account is None or bound_for.account.id == here.account_id)
        open_to = [here] if stays else journey.may_enter(session.user, bound_for)
        if not open_to:
            return _refused(bound_for, NoAccess("not_a_member", ""), email=session.user.email.address)
        membership = open_to[0] if len(open_to) == 1 and not chooses else None
        attempt, secret = s.attempts.open(tx, session.user, membership=membership, password_at=session.password_at)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


@bp.post("/sign-in")
def submit_password() -> Response:
    """Check the password: slot, hash outside any transaction, outcome (architecture 2.4)."""
    s = services()
    email, password = request.form.get("email", "").strip(), request.form.get("password", "")
    with s.database.transaction(read_only=True) as tx:
        bound_for = journey.purpose(tx)
    if bound_for.lost:
        return unusable_link()
    if errors := _field_errors(email, password):
        return password_page(bound_for, email=email, errors=errors, status=422)
    here = request.remote_addr or ""
    full, browser_secret = s.password_step.full_address(here), s.cookies.read(request, BROWSER)
    try:
        with s.lane.place() as run:
            with s.database.transaction() as tx:
                begun = s.password_step.begin(tx, email, browser_secret=browser_secret, full_address=full)
            if isinstance(begun, Wait):
                return _throttled(bound_for, email, begun)
            right = bool(run(s.passwords.verify, begun.stored, password))
            outdated = right and s.passwords.needs_rehash(begun.stored)
            new_hash = str(run(s.passwords.hash, password)) if outdated else None
    except Busy as busy:
        # Met before a try is charged; no wrong password, and what was typed stays.
        response = password_page(bound_for, email=email, heading=str(busy), status=503)
        response.headers["Retry-After"] = "5"
        return response
    onward: Onward | None = None
    with s.database.transaction() as tx:
        bound_for = journey.purpose(tx)
        slug = bound_for.request.account_slug if bound_for.request else request.args.get("account")
        outcome = s.password_step.finish(
            tx, begun, password=password, right=right, new_hash=new_hash, account_slug=slug or None
        )
        if isinstance(outcome, Proved):
            onward = journey.go_on(tx, outcome.attempt, outcome.secret, bound_for)
    if onward is not None:
        return journey.answer(onward)
    if isinstance(outcome, NoAccess):
        return _refused(bound_for, outcome, email=email)
    assert isinstance(outcome, Wrong)  # noqa: S101 - for the type checker
    s.password_step.note_wrong(here, email)
    return password_page(bound_for, email=email, failed=True, status=401)


@bp.get("/")
def done() -> Response:
    """Where a sign-in without a destination ends: who is signed in, and the way to the portal."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        session = journey.signed_in(tx)
    if session is None:
        return redirect(url_for("login.sign_in"), 303)
    account = session.membership.account
    return journey.show(
        "login/signed_in.html",
        Purpose(None, None, account),
        email=session.user.email.address,
        portal_url=account.portal_url,
        sign_out_url=url_for("login.sign_out"),
    )


@bp.get("/sign-out")
def sign_out() -> Response:
    """The question. A client that already asked it (RP-Initiated Logout) may have it skipped."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        bound_for, session = journey.purpose(tx, {"logout"}), journey.signed_in(tx)
        membership = session.membership if session else None
        cookie = s.cookies.read(request, journey.device_cookie(membership)) if membership else None
        device = s.devices.behind(tx, membership, cookie) if membership and cookie else None
    if session is None or membership is None:
        return redirect(_after_sign_out(bound_for), 303)
    account = membership.account
    return journey.show(
        "login/sign_out.html",
        Purpose(bound_for.request, None, account),
        email=session.user.email.address,
        device_until=day(device.expires_at, journey.zone_of(account)) if device else None,
        stay_url=account.portal_url,
        hidden={},
        action=bound_for.url("login.submit_sign_out"),
    )


@bp.post("/sign-out")
def submit_sign_out() -> Response:
    """Sign out, on this browser; the remembered device stays remembered (domain D6), unless it is to be forgotten."""
    s, only_forget = services(), bool(request.form.get("forget"))
    with s.database.transaction() as tx:
        bound_for, session = journey.purpose(tx, {"logout"}), journey.signed_in(tx)
        if session is not None and only_forget:
            cookie = s.cookies.read(request, journey.device_cookie(session.membership))
            s.devices.forget(tx, session.membership, cookie or "")
        elif session is not None:
            s.sessions.end(tx, session, "signed_out")
    if only_forget:
        return redirect(bound_for.url("login.sign_out"), 303)
    response = redirect(_after_sign_out(bound_for), 303)
    s.cookies.drop(response, SESSION)
    s.cookies.drop(response, ATTEMPT)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _after_sign_out(bound_for: Purpose) -> str:
    parked = bound_for.request
    return parked.continue_to if parked is not None else url_for("login.sign_in", note="signed-out")


def _field_errors(email: str, password: str) -> dict[str, str]:
    errors = {}
    if not email:
        errors["email"] = "Enter your email address"
    elif not ADDRESS.fullmatch(email):
        errors["email"] = "Enter an email address like name@company.com"
    longest = services().policies.password.max_length
    if not password:
        errors["password"] = "Enter your password"
    elif len(password) > longest:
        # Before any hashing: a megabyte of password is work for us and none for the sender (LG-09).
        errors["password"] = f"Passwords have {longest} characters at most. This one is longer."
    return errors


def password_page(
    bound_for: Purpose,
    *,
    email: str,
    status: int = 200,
    errors: dict[str, str] | None = None,
    failed: bool = False,
    heading: str | None = None,
    note: str | None = None,
) -> Response:
    """S1, with what is to be said on it."""
    response = journey.show(
        "login/sign_in.html",
        bound_for,
        status=status,
        email=email,
        errors=errors or {},
        failed=failed,
        heading_error=heading,
        note=note,
        throttled=status == 429,
        forgot_url=bound_for.url("recovery.forgot"),
        action=bound_for.url("login.submit_password"),
    )
    if request.method == "POST":
        journey.keep_address(response, email)  # "Forgot your password?" knows it then
    return response


def _throttled(bound_for: Purpose, email: str, wait: Wait) -> Response:
    response = password_page(bound_for, email=email, heading=journey.try_again(wait, bound_for.account), status=429)
    response.headers.update(journey.retry_after(wait.until))
    return response


def _refused(bound_for: Purpose, refusal: NoAccess, *, email: str) -> Response:
    """Said only after a correct password (ux.md S1)."""
    name = refusal.account_name.split()[0] if refusal.account_name else ""
    heading = {
        "deactivated": f"Your access to {name} was turned off. Ask an account admin.",
        "closed": f"{name}’s account is closed. Email support@imscre.com.",
        "not_a_member": "This sign-in doesn’t belong to that account. Ask an account admin for an invitation.",
    }[refusal.reason]
    return password_page(bound_for, email=email, heading=heading, status=403)
