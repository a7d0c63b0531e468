"""What the pages between the password and the session show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account
from authsvc.login import journey
from authsvc.login.flow import Sending, SendOutcome, Visit
from authsvc.login.journey import Purpose
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import EnterCode, Step, VerifyEmail
from authsvc.mfa.challenge import CodeCheck, CodeOutcome
from authsvc.mfa.models import Challenge
from authsvc.web.context import services
from authsvc.web.text import Time, clock_time, day, exact_time, mask_email, mask_phone, phone_ending


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


def said(check: CodeCheck, challenge: Challenge | None, here: Here) -> dict[str, str]:
    zone = journey.zone_of(account_of(here))
    if check.outcome is CodeOutcome.EXPIRED:
        return {"expired": "That code has expired. Send a new one."}
    if check.outcome is CodeOutcome.SUPERSEDED and challenge is not None:
        return {"code": f"We sent a newer code at {clock_time(challenge.sent_at, zone)}. Use that one."}
    if challenge is None:
        return {"expired": "There is no code to check. Send a new one."}
    left = f" {check.tries_left} {'try' if check.tries_left == 1 else 'tries'} left." if check.tries_left else ""
    return {"code": f"Check the code and enter it again.{left}"}


def wait_words(sending: Sending, here: Here) -> str:
    zone = journey.zone_of(account_of(here))
    if sending.until is None:
        return "The code we sent still works."
    if sending.outcome is SendOutcome.TOO_SOON:
        return f"You can ask for a new code at {exact_time(sending.until, zone)}."
    return f"We’ve sent as many codes as we can for now. Try again at {clock_time(sending.until, zone)}."


def account_of(here: Here) -> Account | None:
    return here.attempt.membership.account if here.attempt.membership else here.bound_for.account


def method_page(
    attempt: LoginAttempt,
    bound_for: Purpose,
    methods: tuple[str, ...],
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    user = attempt.user
    has_phone = services().flow.person(user).phone_usable
    sms_hint = (
        f"To your phone ending in {phone_ending(user.phone.e164)}"
        if has_phone and user.phone
        else "You’ll add a US mobile number first."
    )
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
        action=bound_for.url("login_steps.submit_method"),
        why=_why(bound_for),
        restart_url=None if attempt.steps_up else bound_for.url("login.sign_in"),
    )


def code_page(
    tx: Session, here: Here, *, errors: dict[str, str] | None = None, warning: str | None = None, status: int = 200
) -> Response:
    s = services()
    attempt, step = here.attempt, here.step
    assert isinstance(step, EnterCode | VerifyEmail)  # noqa: S101 - the callers looked
    challenge = s.flow.open_challenge(tx, attempt, step)
    account = account_of(here)
    zone, now, policy = journey.zone_of(account), s.clock.now(), s.policies.mfa
    if (until := s.flow.paused_until(tx, attempt.user_id)) is not None:
        return too_many(here, until)
    rules = s.flow.rules(attempt, here.coming)
    other = _other_method(step, rules.methods if rules else ())
    earliest = challenge.sent_at + policy.code.resend_after if challenge else now
    common = {
        "works_until": Time.clock(challenge.expires_at, zone) if challenge else None,
        "digits": policy.code.digits,
        "errors": errors or {},
        "notice": "We sent a new code. Only the newest one works." if request.args.get("sent") and not errors else None,
        "warning": warning or _delivery_words(challenge, other),
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
            action=here.bound_for.url("login_steps.verify"),
            **common,
        )
    enrolling = step.purpose == "enrol_phone"
    target = attempt.pending_phone if enrolling else (attempt.user.phone.e164 if attempt.user.phone else "")
    return journey.show(
        "login/code.html",
        here.bound_for,
        account=account,
        status=status,
        title="Check your phone" if enrolling else "Enter your code",
        why=_why(here.bound_for),
        channel=step.channel,
        target=mask_email(attempt.user.email.address)
        if step.channel == "email"
        else "your phone " + mask_phone(target or ""),
        can_remember=rules is not None and rules.may_remember and not here.bound_for.confirms,
        remember_checked=bool(request.form.get("remember")),
        remember_days=policy.remembered_device.lifetime.days,
        remember_until=day(now + policy.remembered_device.lifetime, zone),
        other_method=other,
        change_phone_url=here.bound_for.url("login_steps.phone") if enrolling else None,
        action=here.bound_for.url("login_steps.code"),
        method_action=here.bound_for.url("login_steps.submit_method"),
        restart_url=None if attempt.steps_up else here.bound_for.url("login.sign_in"),
        **common,
    )


def _why(bound_for: Purpose) -> str | None:
    """Why a code is asked of someone who is signed in: a service wants more than the sign-in showed."""
    parked = bound_for.request
    if parked is None or parked.wanted_acr is None or not parked.client_name:
        return None
    return f"{parked.client_name} asks for a code before you go on."


def _other_method(step: EnterCode | VerifyEmail, methods: tuple[str, ...]) -> Choice | None:
    if isinstance(step, VerifyEmail) or step.purpose == "enrol_phone":
        return None
    other = next((m for m in methods if m != step.channel), None)
    if other is None:
        return None
    return Choice(other, "Get it by text message" if other == "sms" else "Get it by email")


def _delivery_words(challenge: Challenge | None, other: Choice | None) -> str | None:
    """What became of the message, and the ways on that are open: success is never claimed for a refused one."""
    if challenge is None:
        return "We couldn’t send a code just now. Send a new one in a moment."
    if challenge.delivery != "refused":
        return None
    if challenge.purpose == "enrol_phone":
        return "We couldn’t send the text. Check the number, or try again in a minute."
    if challenge.channel == "sms":
        return "We couldn’t send the text. Try again" + (", or get the code by email." if other else " in a minute.")
    if other is not None:
        return "Our email came back. Try again, or get the code by text message."
    return f"Our email to {mask_email(challenge.target)} came back. Ask an account admin to check your address."


def phone_page(here: Here, *, typed: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response:
    s = services()
    rules = s.flow.rules(here.attempt, here.coming)
    can_use_email = rules is not None and "email" in rules.methods
    return journey.show(
        "login/phone.html",
        here.bound_for,
        account=account_of(here),
        status=status,
        phone=typed,
        errors=errors or {},
        can_use_email=can_use_email,
        may_decline=not can_use_email,
        action=here.bound_for.url("login_steps.submit_phone"),
        method_action=here.bound_for.url("login_steps.submit_method"),
    )


def accounts_page(here: Here, *, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    names: dict[str, int] = {}
    active = journey.may_enter(here.attempt.user, here.bound_for)
    for membership in active:
        names[membership.account_id] = names.get(membership.account_id, 0) + 1
    portals = {"team": "Team Member", "investors": "Investor"}
    listed = [
        {"id": m.id, "name": m.account.name, "detail": portals[m.audience] if names[m.account_id] > 1 else None}
        for m in active
    ]
    return journey.show(
        "login/accounts.html",
        here.bound_for,
        status=status,
        email=here.attempt.user.email.address,
        accounts=listed,
        errors=errors or {},
        action=here.bound_for.url("login_steps.submit_account"),
        restart_url=here.bound_for.url("login.sign_in"),
    )


def too_many(here: Here | None, until: datetime) -> Response:
    account = account_of(here) if here else None
    bound_for = here.bound_for if here else Purpose(None, None, None)
    response = journey.show(
        "login/too_many_codes.html",
        bound_for,
        account=account,
        status=429,
        again_at=clock_time(until, journey.zone_of(account)),
        restart_url=bound_for.url("login.sign_in"),
        forgot_url=bound_for.url("recovery.forgot"),
    )
    response.headers.update(journey.retry_after(until))
    return response
