"""The authenticator app while signing in: its code, a recovery code in its place, and setting it up where it is the only way."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from authsvc.db import after_commit
from authsvc.login import app_pages, journey, pages, tab
from authsvc.login.next_step import EnrolApp, EnterAppCode
from authsvc.login.pages import Here
from authsvc.mfa.challenge import clean
from authsvc.mfa.enrolment import OwnCode
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
    s, typed = services(), request.form.get("code", "")
    if (crowded := _crowded()) is not None:
        return crowded
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = tab.posted(tx)
        step, _ = s.flow.step(tx, attempt, coming)
        if attempt.finished_at is None and isinstance(step, EnterAppCode):
            here = Here(attempt, bound_for, coming, step)
            if len(clean(typed) or "") != app_pages.DIGITS:
                return app_pages.code_page(tx, here, errors={"code": app_pages.NOT_A_CODE}, status=422)
            remember = bool(request.form.get("remember"))
            outcome = s.own_codes.submit_app_code(tx, attempt, typed, remember=remember, visit=coming)
            if isinstance(outcome, CodeThrottled):
                return _refused(tx, pages.too_many(here, outcome.until))
            if outcome is not OwnCode.ACCEPTED:
                said = {"code": app_pages.SAID[outcome]}
                return _refused(tx, app_pages.code_page(tx, here, errors=said, status=401))
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


@bp.get("/sign-in/app/recovery")
def recovery() -> Response:
    """Where a recovery code is typed."""
    with services().database.transaction(read_only=True) as tx:
        here = tab.here(tx)
        return app_pages.recovery_page(tx, here) if isinstance(here.step, EnterAppCode) else tab.elsewhere(here)


@bp.post("/sign-in/app/recovery")
def submit_recovery() -> Response:
    """Take a recovery code in place of the app."""
    s, typed = services(), request.form.get("recovery", "")
    if (crowded := _crowded()) is not None:
        return crowded
    with s.database.transaction() as tx:
        attempt, bound_for, coming, secret = tab.posted(tx)
        step, _ = s.flow.step(tx, attempt, coming)
        if attempt.finished_at is None and isinstance(step, EnterAppCode):
            here = Here(attempt, bound_for, coming, step)
            if clean_recovery(typed) is None:
                return app_pages.recovery_page(tx, here, error=app_pages.NOT_A_RECOVERY_CODE, status=422)
            outcome = s.own_codes.submit_recovery_code(tx, attempt, typed, visit=coming)
            if isinstance(outcome, CodeThrottled):
                return _refused(tx, pages.too_many(here, outcome.until))
            if outcome is not OwnCode.ACCEPTED:
                said = app_pages.SAID_OF_RECOVERY[outcome]
                return _refused(tx, app_pages.recovery_page(tx, here, error=said, status=401))
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


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
            if len(clean(typed) or "") != app_pages.DIGITS:
                return app_pages.setup_page(tx, here, error=app_pages.NOT_A_CODE, status=422)
            remember = bool(request.form.get("remember"))
            outcome = s.own_codes.confirm_app(tx, attempt, typed, remember=remember, visit=coming)
            if isinstance(outcome, tuple):
                return app_pages.codes_page(here, outcome)
            if outcome is not None:
                return app_pages.setup_page(tx, here, error=app_pages.SAID[outcome], status=401)
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


def _crowded() -> Response | None:
    """The refusal when too many wrong codes came from this network address."""
    s = services()
    if s.windows.has_room("code_per_address", request.remote_addr or ""):
        return None
    return pages.too_many(None, s.clock.now() + s.policies.throttle.rates("code_per_address")[0].per)


def _refused(tx: Session, response: Response) -> Response:
    """Count a failure against the network address, once it is kept."""
    after_commit(tx, partial(services().windows.admit, "code_per_address", request.remote_addr or ""))
    return response
