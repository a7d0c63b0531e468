"""The pages between the password and the session: address, method, code, phone."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.phone import WORDS
from authsvc.db import after_commit
from authsvc.login import journey, pages
from authsvc.login.flow import Visit
from authsvc.login.journey import Onward, Purpose
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import ChooseMethod, EnrolPhone, EnterAppCode, EnterCode, VerifyEmail
from authsvc.login.pages import Here
from authsvc.login.tab import elsewhere as _elsewhere
from authsvc.login.tab import here as _here
from authsvc.login.tab import posted as _posted
from authsvc.mfa import words
from authsvc.mfa.challenge import CodeOutcome
from authsvc.mfa.exchange import CodeThrottled, SendOutcome
from authsvc.web.context import services

bp = Blueprint("login_steps", __name__, template_folder="templates")
bp.before_request(journey.look_at_window)


@bp.get("/sign-in/method")
def method() -> Response:
    """Which way the code should come; also the way back to choose again."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        rules = services().flow.rules(here.attempt, here.coming)
        may_choose = isinstance(here.step, ChooseMethod | EnterCode | EnterAppCode | EnrolPhone)
        if not may_choose or rules is None or len(rules.methods) < 2:
            return _elsewhere(here)
        return pages.method_page(tx, here, rules.methods)


@bp.post("/sign-in/method")
def submit_method() -> Response:
    """Take the choice and send the code."""
    s = services()
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = _posted(tx)
        if attempt.finished_at is None:
            rules = s.flow.rules(attempt, coming)
            if not s.flow.choose_method(attempt, request.form.get("method", ""), coming) and rules is not None:
                here = Here(attempt, bound_for, coming, ChooseMethod(rules.methods))
                errors = {"method": pages.choose_words(rules.methods)}
                return pages.method_page(tx, here, rules.methods, errors=errors, status=422)
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
        return pages.code_page(tx, here)


@bp.get("/sign-in/verify")
def verify() -> Response:
    """Where the code that proves the address is typed."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        if not isinstance(here.step, VerifyEmail):
            return _elsewhere(here)
        return pages.code_page(tx, here)


@bp.post("/sign-in/code")
@bp.post("/sign-in/verify")
def submit_code() -> Response:
    """Check the code, or send a newer one, or skip where that is offered. The window per address counts failures."""
    s = services()
    address = request.remote_addr or ""
    if not s.windows.has_room("code_per_address", address):
        return pages.too_many(None, s.clock.now() + s.policies.throttle.rates("code_per_address")[0].per)
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
                    after_commit(tx, partial(s.windows.admit, "code_per_address", address))
                return found
            onward = found
    return journey.answer(onward)


def _try_code(tx: Session, attempt: LoginAttempt, bound_for: Purpose, coming: Visit, secret: str) -> Response | Onward:
    s = services()
    step, _ = s.flow.step(tx, attempt, coming)
    here = Here(attempt, bound_for, coming, step)
    if not isinstance(step, EnterCode | VerifyEmail):
        return journey.go_on(tx, attempt, secret, bound_for)
    typed = request.form.get("code", "")
    if (problem := words.unlike_a_code(typed, s.policies.mfa.code.digits)) is not None:
        return pages.code_page(tx, here, errors={"code": problem}, status=422)
    remember = bool(request.form.get("remember"))
    challenge = s.exchange.open(tx, s.flow.question(attempt, step, coming))
    check = s.flow.submit_code(tx, attempt, typed, remember=remember, visit=coming)
    if isinstance(check, CodeThrottled):
        return pages.too_many(here, check.until)
    if check.outcome is CodeOutcome.ACCEPTED:
        return journey.go_on(tx, attempt, secret, bound_for)
    if check.outcome is CodeOutcome.EXHAUSTED:
        until = s.exchange.paused_until(tx, attempt.user_id)
        return pages.too_many(here, until or s.clock.now())
    return pages.code_page(tx, here, errors=words.errors(check, challenge, pages.zone_of(here)), status=401)


def _resend(tx: Session, attempt: LoginAttempt, bound_for: Purpose, coming: Visit) -> Response:
    s = services()
    sending = s.flow.resend(tx, attempt, coming)
    if sending.outcome is SendOutcome.PAUSED and sending.until:
        step, _ = s.flow.step(tx, attempt, coming)
        return pages.too_many(Here(attempt, bound_for, coming, step), sending.until)
    step, _ = s.flow.step(tx, attempt, coming)
    here = Here(attempt, bound_for, coming, step)
    if not isinstance(step, EnterCode | VerifyEmail):
        return _elsewhere(here)
    if sending.outcome is SendOutcome.SENT:
        # See Other, so that a refresh never sends again.
        return redirect(bound_for.url(journey.endpoint_of(step), sent="again"), 303)
    response = pages.code_page(tx, here, warning=words.wait(sending, pages.zone_of(here)), status=429)
    if sending.until:
        response.headers.update(journey.retry_after(sending.until))
    return response


@bp.get("/sign-in/phone")
def phone() -> Response:
    """The first phone; or another number, while its code is awaited."""
    with services().database.transaction(read_only=True) as tx:
        here = _here(tx)
        changing = isinstance(here.step, EnterCode) and here.step.purpose == "enrol_phone"
        if not isinstance(here.step, EnrolPhone) and not changing:
            return _elsewhere(here)
        return pages.phone_page(here)


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
                return pages.phone_page(here, typed=typed[:40], errors={"phone": WORDS[problem]}, status=422)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)
