"""The authenticator app while signing in: its code, a recovery code in its place, and setting it up where it is the only way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from flask import Blueprint, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from authsvc.db import after_commit
from authsvc.login import app_pages, journey, pages, tab
from authsvc.login.next_step import EnrolApp, EnterAppCode
from authsvc.login.pages import Here
from authsvc.mfa import words
from authsvc.mfa.enrolment import DIGITS, OwnCode
from authsvc.mfa.exchange import CodeThrottled
from authsvc.mfa.recovery_codes import clean as clean_recovery
from authsvc.web import qr as pictures
from authsvc.web.context import services

bp = Blueprint("login_app", __name__, template_folder="templates")
bp.before_request(journey.look_at_window)


@bp.get("/sign-in/app")
def code() -> Response:
    """Where the app's code is typed."""
    with services().database.transaction(read_only=True) as tx:
        here = tab.here(tx)
        return app_pages.code_page(tx, here) if isinstance(here.step, EnterAppCode) else tab.elsewhere(here)


@bp.post("/sign-in/app")
def submit_code() -> Response:
    """Check the app's code."""
    typed, remember = request.form.get("code", ""), bool(request.form.get("remember"))
    take = services().own_codes.submit_app_code
    return _submit(
        words.unlike_a_code(typed, DIGITS),
        lambda tx, here: take(tx, here.attempt, typed, remember=remember, visit=here.coming),
        words.OF_THE_APP,
        app_pages.code_page,
    )


@bp.get("/sign-in/app/recovery")
def recovery() -> Response:
    """Where a recovery code is typed."""
    with services().database.transaction(read_only=True) as tx:
        here = tab.here(tx)
        return app_pages.recovery_page(tx, here) if isinstance(here.step, EnterAppCode) else tab.elsewhere(here)


@bp.post("/sign-in/app/recovery")
def submit_recovery() -> Response:
    """Take a recovery code in place of the app."""
    typed = request.form.get("recovery", "")
    take = services().own_codes.submit_recovery_code
    return _submit(
        app_pages.NOT_A_RECOVERY_CODE if clean_recovery(typed) is None else None,
        lambda tx, here: take(tx, here.attempt, typed, visit=here.coming),
        words.OF_RECOVERY,
        app_pages.recovery_page,
    )


@bp.get("/sign-in/app/setup")
def setup() -> Response:
    """The key for the app, and the field for its first code."""
    with services().database.transaction(read_only=True) as tx:
        here = tab.here(tx)
        return app_pages.setup_page(tx, here) if isinstance(here.step, EnrolApp) else tab.elsewhere(here)


@bp.post("/sign-in/app/setup")
def submit_setup() -> Response:
    """Take the app into use and show its recovery codes; or, once they are saved, go on."""
    s, typed = services(), request.form.get("code", "")
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = tab.posted(tx)
        step, _ = s.flow.step(tx, attempt, coming)
        if attempt.finished_at is None and isinstance(step, EnrolApp):
            here = Here(attempt, bound_for, coming, step)
            if (problem := words.unlike_a_code(typed, DIGITS)) is not None:
                return app_pages.setup_page(tx, here, error=problem, status=422)
            remember = bool(request.form.get("remember"))
            outcome = s.own_codes.confirm_app(tx, attempt, typed, remember=remember, visit=coming)
            if isinstance(outcome, tuple):
                return app_pages.codes_page(here, outcome)
            if outcome is not None:
                return app_pages.setup_page(tx, here, error=words.OF_THE_APP[outcome], status=401)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


@bp.get("/sign-in/app/setup/qr.svg")
def qr() -> Response:
    """The key as a QR code, for this sign-in alone."""
    s = services()
    with s.database.transaction(read_only=True) as tx:
        here = tab.here(tx)
        is_here = isinstance(here.step, EnrolApp)
        found = s.apps.setup(tx, here.attempt.user, subject_id=here.attempt.id) if is_here else None
    if found is None:
        raise NotFound
    return Response(pictures.svg(found.uri), mimetype="image/svg+xml")


def _submit(
    problem: str | None,
    take: Callable[[Session, Here], OwnCode | CodeThrottled],
    said: Mapping[OwnCode, str],
    page: Callable[..., Response],
) -> Response:
    """Check what the person holds. The window of a network address counts failures; a `problem` is no try."""
    s, address = services(), request.remote_addr or ""
    if not s.windows.has_room("code_per_address", address):
        return pages.too_many(None, s.clock.now() + s.policies.throttle.rates("code_per_address")[0].per)
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = tab.posted(tx)
        step, _ = s.flow.step(tx, attempt, coming)
        if attempt.finished_at is None and isinstance(step, EnterAppCode):
            here = Here(attempt, bound_for, coming, step)
            if problem is not None:
                return page(tx, here, error=problem, status=422)
            outcome = take(tx, here)
            if outcome is not OwnCode.ACCEPTED:
                after_commit(tx, partial(s.windows.admit, "code_per_address", address))
                if isinstance(outcome, CodeThrottled):
                    return pages.too_many(here, outcome.until)
                return page(tx, here, error=said[outcome], status=401)
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)
