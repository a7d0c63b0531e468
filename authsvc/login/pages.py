"""What the pages between the password and the session show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account
from authsvc.login import journey
from authsvc.login.flow import Visit
from authsvc.login.journey import Purpose
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import EnterAppCode, EnterCode, Step, VerifyEmail
from authsvc.login.why import Memory, Situation, why_a_code
from authsvc.mfa import words
from authsvc.mfa.models import Challenge
from authsvc.mfa.rules import Person
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER
from authsvc.web.text import Time, clock_time, day, mask_email, mask_phone, phone_ending


@dataclass(frozen=True)
class Choice:
    """One radio card or link: what is posted, what is shown."""

    value: str
    label: str
    hint: str = ""
    #: A sentence about the risk of this way.
    risk: str = ""


@dataclass(frozen=True)
class Here:
    """One tab at one step, as read in the page's own transaction."""

    attempt: LoginAttempt
    bound_for: Purpose
    coming: Visit
    step: Step


def zone_of(here: Here) -> ZoneInfo:
    """The zone in which this tab's times are told."""
    return journey.zone_of(account_of(here))


def account_of(here: Here) -> Account | None:
    return here.attempt.membership.account if here.attempt.membership else here.bound_for.account


METHODS = {"sms": "text message", "totp": "authenticator app", "email": "email"}


def choose_words(methods: tuple[str, ...]) -> str:
    """What is said when nothing was chosen: "Choose text message or email"."""
    *others, last = (METHODS[method] for method in methods)
    return f"Choose {', '.join(others)} or {last}" if others else f"Choose {last}"


def method_page(
    tx: Session, here: Here, methods: tuple[str, ...], *, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    attempt, bound_for = here.attempt, here.bound_for
    user = attempt.user
    has_phone = services().flow.person(user, app_ready=attempt.app_ready).phone_usable
    sms_hint = (
        f"To your phone ending in {phone_ending(user.phone.e164)}"
        if has_phone and user.phone
        else "You’ll add a US mobile number first."
    )
    # Who has just verified their address by a code of today has shown email already; no second one goes out.
    is_shown, email_hint = "email" in attempt.proofs, f"To {mask_email(user.email.address)}"
    known = {
        "sms": Choice("sms", "Text message (SMS)", sms_hint, risk=_sms_risk(here, methods)),
        "totp": Choice("totp", "Authenticator app", "The code that your app shows."),
        "email": Choice("email", "Email", "You’ve just entered its code." if is_shown else email_hint),
    }
    selected = attempt.method or user.last_method
    return journey.show(
        "login/method.html",
        bound_for,
        account=account_of(here),
        status=status,
        methods=[known[m] for m in methods],
        selected=selected if selected in methods else methods[0],
        errors=errors or {},
        notice=None,
        sends="totp" not in methods and not is_shown,
        action=bound_for.url("login_steps.submit_method"),
        why=why(tx, here),
        account_asks=_account_asks(here),
        restart_url=None if attempt.steps_up else bound_for.url("login.sign_in"),
    )


def _sms_risk(here: Here, methods: tuple[str, ...]) -> str:
    """One sentence about the risk, beside the choice; a stronger way is named where the account opens one (claims.md)."""
    if "totp" in methods:
        return "Texts can be intercepted or rerouted; your authenticator app is safer."
    if here.attempt.membership is not None and "totp" in services().flow.open_methods(here.attempt.membership):
        return "Texts can be intercepted or rerouted; an authenticator app, set up in My Profile, is safer."
    return "Texts can be intercepted or rerouted by someone else."


def code_page(
    tx: Session, here: Here, *, errors: dict[str, str] | None = None, warning: str | None = None, status: int = 200
) -> Response:
    s = services()
    attempt, step = here.attempt, here.step
    assert isinstance(step, EnterCode | VerifyEmail)  # noqa: S101 - the callers looked
    challenge = s.exchange.open(tx, s.flow.question(attempt, step, here.coming))
    account = account_of(here)
    zone, now, policy = journey.zone_of(account), s.clock.now(), s.policies.mfa
    if (until := s.exchange.paused_until(tx, attempt.user_id)) is not None:
        return too_many(here, until)
    rules = s.flow.rules(attempt, here.coming)
    others = other_ways(step, rules.methods if rules else ()) if isinstance(step, EnterCode) else ()
    earliest = challenge.sent_at + policy.code.resend_after if challenge else now
    common = {
        "works_until": Time.clock(challenge.expires_at, zone) if challenge else None,
        "digits": policy.code.digits,
        "errors": errors or {},
        "notice": words.SENT_AGAIN if request.args.get("sent") and not errors else None,
        "warning": warning or _delivery_words(challenge, {other.value for other in others}),
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
        why=why(tx, here),
        channel=step.channel,
        target=mask_email(attempt.user.email.address)
        if step.channel == "email"
        else "your phone " + mask_phone(target or ""),
        can_remember=rules is not None and rules.may_remember and not here.bound_for.confirms,
        remember_checked=bool(request.form.get("remember")),
        remember_days=policy.remembered_device.lifetime.days,
        remember_until=day(now + policy.remembered_device.lifetime, zone),
        others=others,
        change_phone_url=here.bound_for.url("login_steps.phone") if enrolling else None,
        action=here.bound_for.url("login_steps.code"),
        method_action=here.bound_for.url("login_steps.submit_method"),
        restart_url=None if attempt.steps_up else here.bound_for.url("login.sign_in"),
        **common,
    )


def why(tx: Session, here: Here) -> str:
    """Why a code is asked for now: read from the request, from this browser's cookies, and from what became of its memory."""
    s, attempt, parked = services(), here.attempt, here.bound_for.request
    membership, rules = attempt.membership, s.flow.rules(attempt, here.coming)
    assert membership is not None and rules is not None  # noqa: S101, PT018 - codes are asked for inside an account
    cookie = s.cookies.read(request, journey.device_cookie(membership))
    device = s.devices.known(tx, membership, cookie) if cookie else None
    memory = None
    if device is not None:
        voided = device.epoch != membership.security_epoch
        memory = Memory(device.mfa_at, device.expires_at, device.ended_reason, voided, membership.epoch_reason)
    return why_a_code(
        Situation(
            account=membership.account.short_name,
            now=s.clock.now(),
            client=parked.client_name if parked and parked.wanted_acr else None,
            confirms=here.bound_for.confirms,
            own_choice=rules.own_choice,
            may_remember=rules.may_remember,
            browser_known=s.browsers.is_known(tx, attempt.user_id, s.cookies.read(request, BROWSER)),
            memory=memory,
        )
    )


def _account_asks(here: Here) -> bool:
    """Whether it is the account that asks, rather than a service or the person's own choice."""
    membership = here.attempt.membership
    return (
        membership is not None
        and not (here.bound_for.request and here.bound_for.request.wanted_acr)
        and services().flow.rules_in(membership, Person(phone_usable=False)).code_required
    )


def other_ways(step: EnterCode | EnterAppCode, methods: tuple[str, ...]) -> tuple[Choice, ...]:
    """The links to the other methods that are open."""
    if isinstance(step, EnterCode) and step.purpose == "enrol_phone":
        return ()
    here = step.channel if isinstance(step, EnterCode) else "totp"
    labels = {"sms": "Get it by text message", "totp": "Use your authenticator app", "email": "Get it by email"}
    return tuple(Choice(method, labels[method]) for method in methods if method != here)


def _delivery_words(challenge: Challenge | None, others: set[str]) -> str | None:
    """What became of the message, and the ways on that are open: success is never claimed for a refused one."""
    if challenge is None:
        return words.NOT_SENT
    if challenge.delivery != "refused":
        return None
    if challenge.purpose == "enrol_phone":
        return "We couldn’t send the text. Check the number, or try again in a minute."
    if challenge.channel == "sms":
        return "We couldn’t send the text. Try again" + (
            ", or get the code by email." if "email" in others else " in a minute."
        )
    if "sms" in others:
        return "Our email came back. Try again, or get the code by text message."
    if "totp" in others:
        return "Our email came back. Try again, or use your authenticator app."
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
