"""The pages between the password and the session: account, address, method, code, phone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account
from authsvc.accounts.phone import PhoneProblem
from authsvc.login import journey
from authsvc.login.flow import CodeThrottled, Sending, SendOutcome, Visit
from authsvc.login.journey import Onward, Purpose, Stale
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import ChooseAccount, EnrolPhone, EnterCode, Step, VerifyEmail
from authsvc.mfa.challenge import CodeCheck, CodeOutcome
from authsvc.mfa.models import Challenge
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT
from authsvc.web.text import Time, clock_time, day, exact_time, mask_email, mask_phone, phone_ending

bp = Blueprint("login_steps", __name__, template_folder="templates")

PHONE_PROBLEMS = {
    PhoneProblem.NOT_A_NUMBER: "Enter a 10-digit US number",
    PhoneProblem.WRONG_REGION: "Enter a US number. Numbers from other countries aren’t supported at this time.",
    PhoneProblem.NOT_TEXTABLE: "We can’t text that number. Enter a mobile number.",
}


@dataclass(frozen=True)
class Choice:
    """One radio card or link: what is posted, what is shown."""

    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True)
class Here:
    """One tab at one step, as read in the page's own transaction."""

    attempt: LoginAttempt
    bound_for: Purpose
    coming: Visit
    step: Step


def _here(tx: Session) -> Here:
    """Where this tab stands, for showing; the device was looked at when the person got here. Raises: Stale."""
    attempt = journey.current_attempt(tx)
    bound_for = journey.purpose(tx)
    if bound_for.lost or attempt.finished_at is not None:
        raise Stale
    coming = Visit(bound_for.request, bound_for.continue_to, None, "")
    step, _ = services().flow.step(tx, attempt, coming)
    return Here(attempt, bound_for, coming, step)


def _posted(tx: Session) -> tuple[LoginAttempt, Purpose, Visit, str]:
    """The attempt of a form, locked: one step at a time. Raises: Stale."""
    attempt = journey.current_attempt(tx, lock=True)
    bound_for = journey.purpose(tx)
    if bound_for.lost:
        raise Stale
    secret = services().cookies.read(request, ATTEMPT) or ""
    return attempt, bound_for, journey.visit(bound_for, attempt.membership), secret


def _elsewhere(here: Here) -> Response:
    """This tab shows a step that is over: go to the one that is on."""
    return redirect(journey.address_of(here.step, here.bound_for.query), 303)


@bp.get("/sign-in/method")
def method() -> Response:
    """Which way the code should come; also the way back to choose again."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        rules = services().flow.rules(here.attempt, here.coming)
        if not isinstance(here.step, EnterCode | EnrolPhone) and journey.address_of(here.step, {}) != url_for("login_steps.method"):
            return _elsewhere(here)
        if rules is None or len(rules.methods) < 2:
            return _elsewhere(here)
        return _method_page(here.attempt, here.bound_for, rules.methods)


@bp.post("/sign-in/method")
def submit_method() -> Response:
    """Take the choice and send the code."""
    s = services()
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = _posted(tx)
        if attempt.finished_at is None:
            rules = s.flow.rules(attempt, coming)
            if not s.flow.choose_method(tx, attempt, request.form.get("method", ""), coming) and rules is not None:
                errors = {"method": "Choose text message or email"}
                return _method_page(attempt, bound_for, rules.methods, errors=errors, status=422)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


@bp.get("/sign-in/code")
def code() -> Response:
    """Where the code is typed."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        here = _here(tx)
        if not isinstance(here.step, EnterCode):
            return _elsewhere(here)
        return _code_page(tx, here)


@bp.get("/sign-in/verify")
def verify() -> Response:
    """Where the code that proves the address is typed."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        if not isinstance(here.step, VerifyEmail):
            return _elsewhere(here)
        return _code_page(tx, here)


@bp.post("/sign-in/code")
@bp.post("/sign-in/verify")
def submit_code() -> Response:
    """Check the code, or send a newer one, or skip where that is offered. The window per address counts failures."""
    s = services()
    address = request.remote_addr or ""
    if not s.windows.has_room("code_per_address", address):
        return _too_many(None, s.clock.now() + s.policies.throttle.rates("code_per_address")[0].per)
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = _posted(tx)
        if attempt.finished_at is not None:
            onward = journey.go_on(tx, attempt, secret, bound_for)
        elif request.form.get("skip"):
            s.flow.skip_verification(tx, attempt, coming)
            onward = journey.go_on(tx, attempt, secret, bound_for)
        elif request.form.get("resend"):
            return _resend(tx, attempt, bound_for, coming)
        else:
            found = _try_code(tx, attempt, bound_for, coming, secret)
            if isinstance(found, Response):
                if found.status_code in (401, 429):
                    s.windows.admit("code_per_address", address)
                return found
            onward = found
    return journey.answer(onward)


def _try_code(tx: Session, attempt: LoginAttempt, bound_for: Purpose, coming: Visit, secret: str) -> Response | Onward:
    s = services()
    step, _ = s.flow.step(tx, attempt, coming)
    here = Here(attempt, bound_for, coming, step)
    if not isinstance(step, EnterCode | VerifyEmail):
        return journey.go_on(tx, attempt, secret, bound_for)
    digits = s.policies.mfa.code.digits
    typed = request.form.get("code", "")
    if len("".join(filter(str.isalnum, typed))) != digits:
        return _code_page(tx, here, errors={"code": f"Enter all {digits} digits"}, status=422)
    remember = bool(request.form.get("remember"))
    challenge = s.flow.open_challenge(tx, attempt, step)
    check = s.flow.submit_code(tx, attempt, typed, remember=remember, visit=coming)
    if isinstance(check, CodeThrottled):
        return _too_many(here, check.until)
    if check.outcome is CodeOutcome.ACCEPTED:
        return journey.go_on(tx, attempt, secret, bound_for)
    if check.outcome is CodeOutcome.EXHAUSTED:
        until = s.flow.paused_until(tx, attempt.user_id)
        return _too_many(here, until or s.clock.now())
    return _code_page(tx, here, errors=_said(check, challenge, here), status=401)


def _said(check: CodeCheck, challenge: Challenge | None, here: Here) -> dict[str, str]:
    zone = journey.zone_of(_account(here))
    if check.outcome is CodeOutcome.EXPIRED:
        return {"expired": "That code has expired. Send a new one."}
    if check.outcome is CodeOutcome.SUPERSEDED and challenge is not None:
        return {"code": f"We sent a newer code at {clock_time(challenge.sent_at, zone)}. Use that one."}
    if challenge is None:
        return {"expired": "There is no code to check. Send a new one."}
    left = f" {check.tries_left} {'try' if check.tries_left == 1 else 'tries'} left." if check.tries_left else ""
    return {"code": f"Check the code and enter it again.{left}"}


def _resend(tx: Session, attempt: LoginAttempt, bound_for: Purpose, coming: Visit) -> Response:
    s = services()
    sending = s.flow.resend(tx, attempt, coming)
    if sending.outcome is SendOutcome.PAUSED and sending.until:
        step, _ = s.flow.step(tx, attempt, coming)
        return _too_many(Here(attempt, bound_for, coming, step), sending.until)
    step, _ = s.flow.step(tx, attempt, coming)
    here = Here(attempt, bound_for, coming, step)
    if not isinstance(step, EnterCode | VerifyEmail):
        return _elsewhere(here)
    if sending.outcome is SendOutcome.SENT:
        # See Other, so that a refresh never sends again.
        return redirect(journey.address_of(step, bound_for.query | {"sent": "again"}), 303)
    response = _code_page(tx, here, warning=_wait_words(sending, here), status=429)
    if sending.until:
        response.headers.update(journey.retry_after(sending.until))
    return response


def _wait_words(sending: Sending, here: Here) -> str:
    zone = journey.zone_of(_account(here))
    if sending.until is None:
        return "The code we sent still works."
    if sending.outcome is SendOutcome.TOO_SOON:
        return f"You can ask for a new code at {exact_time(sending.until, zone)}."
    return f"We’ve sent as many codes as we can for now. Try again at {clock_time(sending.until, zone)}."


@bp.get("/sign-in/phone")
def phone() -> Response:
    """The first phone; or another number, while its code is awaited."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        changing = isinstance(here.step, EnterCode) and here.step.purpose == "enrol_phone"
        if not isinstance(here.step, EnrolPhone) and not changing:
            return _elsewhere(here)
        return _phone_page(here)


@bp.post("/sign-in/phone")
def submit_phone() -> Response:
    """Take the number and text it a code."""
    s = services()
    typed = request.form.get("phone", "")
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = _posted(tx)
        if attempt.finished_at is None:
            if request.form.get("no_us_number"):
                s.flow.say_no_us_number(tx, attempt, coming)
            elif (problem := s.flow.submit_phone(tx, attempt, typed, coming)) is not None:
                step, _ = s.flow.step(tx, attempt, coming)
                here = Here(attempt, bound_for, coming, step)
                return _phone_page(here, typed=typed[:40], errors={"phone": PHONE_PROBLEMS[problem]}, status=422)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


@bp.get("/accounts")
def accounts() -> Response:
    """Which account to enter, for a person who belongs to several (domain D14)."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        if here.attempt.membership is not None:
            return _elsewhere(here)
        return _accounts_page(here)


@bp.post("/accounts")
def submit_account() -> Response:
    """Enter the chosen account; its policy decides what comes next."""
    s = services()
    with s.database.transaction() as tx:
        attempt, bound_for, _, secret = _posted(tx)
        if attempt.membership is None and attempt.finished_at is None:
            chosen = next((m for m in attempt.user.memberships if m.is_active and m.id == request.form.get("account")), None)
            if chosen is None:
                here = Here(attempt, bound_for, Visit(bound_for.request), ChooseAccount())
                return _accounts_page(here, errors={"account": "Choose one of your accounts"}, status=422)
            attempt.membership = chosen
            tx.flush()
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


def _account(here: Here) -> Account | None:
    return here.attempt.membership.account if here.attempt.membership else here.bound_for.account


def _method_page(
    attempt: LoginAttempt, bound_for: Purpose, methods: tuple[str, ...], *, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    user = attempt.user
    has_phone = services().flow.person(user).phone_usable
    sms_hint = f"To your phone ending in {phone_ending(user.phone.e164)}" if has_phone and user.phone else "You’ll add a US mobile number first."
    known = {
        "sms": Choice("sms", "Text message (SMS)", sms_hint),
        "email": Choice("email", "Email", f"To {mask_email(user.email.address)}"),
    }
    selected = attempt.method or user.last_method
    return journey.show(
        "login/method.html",
        bound_for,
        account=attempt.membership.account if attempt.membership else None,
        status=status,
        methods=[known[m] for m in methods],
        selected=selected if selected in methods else methods[0],
        errors=errors or {},
        notice=None,
        action=url_for("login_steps.submit_method", **bound_for.query),
        restart_url=url_for("login.sign_in", **bound_for.query),
    )


def _code_page(
    tx: Session, here: Here, *, errors: dict[str, str] | None = None, warning: str | None = None, status: int = 200
) -> Response:
    s = services()
    attempt, step = here.attempt, here.step
    assert isinstance(step, EnterCode | VerifyEmail)  # noqa: S101 - the callers looked
    challenge = s.flow.open_challenge(tx, attempt, step)
    account = _account(here)
    zone, now, policy = journey.zone_of(account), s.clock.now(), s.policies.mfa
    if (until := s.flow.paused_until(tx, attempt.user_id)) is not None:
        return _too_many(here, until)
    query = here.bound_for.query
    earliest = challenge.sent_at + policy.code.resend_after if challenge else now
    common = {
        "works_until": Time.clock(challenge.expires_at, zone) if challenge else None,
        "digits": policy.code.digits,
        "errors": errors or {},
        "notice": "We sent a new code. Only the newest one works." if request.args.get("sent") and not errors else None,
        "warning": warning or _delivery_words(challenge),
        "wait_s": max(0, round((earliest - now).total_seconds())),
    }
    if isinstance(step, VerifyEmail):
        return journey.show(
            "login/verify.html",
            here.bound_for,
            account=account,
            status=status,
            target=attempt.user.email.address,
            skippable=step.skippable,
            action=url_for("login_steps.verify", **query),
            **common,
        )
    rules = s.flow.rules(attempt, here.coming)
    enrolling = step.purpose == "enrol_phone"
    target = attempt.pending_phone if enrolling else (attempt.user.phone.e164 if attempt.user.phone else "")
    return journey.show(
        "login/code.html",
        here.bound_for,
        account=account,
        status=status,
        title="Check your phone" if enrolling else "Enter your code",
        why=_why(here),
        channel=step.channel,
        target=mask_email(attempt.user.email.address) if step.channel == "email" else "your phone " + mask_phone(target or ""),
        can_remember=rules is not None and rules.may_remember,
        remember_checked=bool(request.form.get("remember")),
        remember_days=policy.remembered_device.lifetime.days,
        remember_until=day(now + policy.remembered_device.lifetime, zone),
        other_method=_other_method(step, rules.methods if rules else ()),
        change_phone_url=url_for("login_steps.phone", **query) if enrolling else None,
        action=url_for("login_steps.code", **query),
        method_action=url_for("login_steps.submit_method", **query),
        restart_url=url_for("login.sign_in", **query),
        **common,
    )


def _why(here: Here) -> str | None:
    """Why a code is asked of someone who is signed in: a service wants more than the sign-in showed."""
    parked = here.bound_for.request
    if parked is None or parked.wanted_acr is None or not parked.client_name:
        return None
    return f"{parked.client_name} asks for a code before you go on."


def _other_method(step: EnterCode, methods: tuple[str, ...]) -> Choice | None:
    other = next((m for m in methods if m != step.channel), None)
    if other is None or step.purpose == "enrol_phone":
        return None
    return Choice(other, "Get it by text message" if other == "sms" else "Get it by email")


def _delivery_words(challenge: Challenge | None) -> str | None:
    if challenge is None:
        return "We couldn’t send a code just now. Send a new one in a moment."
    if challenge.delivery != "refused":
        return None
    if challenge.channel == "sms":
        return "We couldn’t send the text. Try again, or get the code by email."
    return "Our email came back. Ask an account admin to check your address."


def _phone_page(here: Here, *, typed: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response:
    s = services()
    rules = s.flow.rules(here.attempt, here.coming)
    can_use_email = rules is not None and "email" in rules.methods
    return journey.show(
        "login/phone.html",
        here.bound_for,
        account=_account(here),
        status=status,
        phone=typed,
        errors=errors or {},
        can_use_email=can_use_email,
        may_decline=not can_use_email,
        action=url_for("login_steps.submit_phone", **here.bound_for.query),
        method_action=url_for("login_steps.submit_method", **here.bound_for.query),
    )


def _accounts_page(here: Here, *, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    names: dict[str, int] = {}
    active = [m for m in here.attempt.user.memberships if m.is_active]
    for membership in active:
        names[membership.account_id] = names.get(membership.account_id, 0) + 1
    portals = {"team": "Team Member", "investors": "Investor"}
    listed = [
        {"id": m.id, "name": m.account.name, "detail": portals[m.audience] if names[m.account_id] > 1 else None} for m in active
    ]
    return journey.show(
        "login/accounts.html",
        here.bound_for,
        status=status,
        email=here.attempt.user.email.address,
        accounts=listed,
        errors=errors or {},
        action=url_for("login_steps.submit_account", **here.bound_for.query),
        restart_url=url_for("login.sign_in", **here.bound_for.query),
    )


def _too_many(here: Here | None, until: datetime) -> Response:
    account = _account(here) if here else None
    bound_for = here.bound_for if here else Purpose(None, None, None)
    response = journey.show(
        "login/too_many_codes.html",
        bound_for,
        account=account,
        status=429,
        again_at=clock_time(until, journey.zone_of(account)),
        restart_url=url_for("login.sign_in", **bound_for.query),
        forgot_url=None,
    )
    response.headers.update(journey.retry_after(until))
    return response
