"""What the pages of the authenticator app show while somebody signs in."""

from __future__ import annotations

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.login import journey, pages
from authsvc.login.next_step import EnterAppCode
from authsvc.login.pages import Here
from authsvc.mfa.enrolment import DIGITS
from authsvc.mfa.recovery_codes import LENGTH
from authsvc.web.context import services
from authsvc.web.text import day

NOT_A_RECOVERY_CODE = f"Enter all {LENGTH} letters and digits"


def code_page(tx: Session, here: Here, *, error: str | None = None, status: int = 200) -> Response:
    """S4 for the app: nothing is sent, so there is nothing to send again."""
    s, attempt = services(), here.attempt
    assert isinstance(here.step, EnterAppCode)  # noqa: S101 - the callers looked
    if (until := s.exchange.paused_until(tx, attempt.user_id)) is not None:
        return pages.too_many(here, until)
    rules = s.flow.rules(attempt, here.coming)
    return journey.show(
        "login/app_code.html",
        here.bound_for,
        account=pages.account_of(here),
        status=status,
        digits=DIGITS,
        why=pages.why(tx, here),
        errors={"code": error} if error else {},
        **remember_box(here),
        others=pages.other_ways(here.step, rules.methods if rules else ()),
        has_recovery_codes=s.recovery_codes.left(tx, attempt.user_id) > 0,
        recovery_url=here.bound_for.url("login_app.recovery"),
        action=here.bound_for.url("login_app.submit_code"),
        method_action=here.bound_for.url("login_steps.submit_method"),
        restart_url=None if attempt.steps_up else here.bound_for.url("login.sign_in"),
    )


def recovery_page(tx: Session, here: Here, *, error: str | None = None, status: int = 200) -> Response:
    """Where a recovery code is typed."""
    s = services()
    if (until := s.exchange.paused_until(tx, here.attempt.user_id)) is not None:
        return pages.too_many(here, until)
    return journey.show(
        "login/recovery_code.html",
        here.bound_for,
        account=pages.account_of(here),
        status=status,
        errors={"recovery": error} if error else {},
        left=s.recovery_codes.left(tx, here.attempt.user_id),
        action=here.bound_for.url("login_app.submit_recovery"),
        back_url=here.bound_for.url("login_app.code"),
    )


def setup_page(tx: Session, here: Here, *, error: str | None = None, status: int = 200) -> Response:
    """The key, as a picture and as text, and the field for the first code."""
    s = services()
    setup = s.apps.setup(tx, here.attempt.user, subject_id=here.attempt.id)
    return journey.show(
        "login/app_setup.html",
        here.bound_for,
        account=pages.account_of(here),
        status=status,
        digits=DIGITS,
        key=setup.key if setup else None,
        qr_url=here.bound_for.url("login_app.qr"),
        errors={"code": error} if error else {},
        **remember_box(here),
        action=here.bound_for.url("login_app.submit_setup"),
    )


def codes_page(here: Here, codes: tuple[str, ...]) -> Response:
    """The recovery codes, shown once: a redirect to them would mean keeping them readable somewhere."""
    return journey.show(
        "login/app_recovery_codes.html",
        here.bound_for,
        account=pages.account_of(here),
        codes=codes,
        action=here.bound_for.url("login_app.submit_setup"),
    )


def remember_box(here: Here) -> dict[str, object]:
    """Remember Me, as on every page where a code is entered."""
    s = services()
    rules, lifetime = s.flow.rules(here.attempt, here.coming), s.policies.mfa.remembered_device.lifetime
    return {
        "can_remember": rules is not None and rules.may_remember and not here.bound_for.confirms,
        "remember_checked": bool(request.form.get("remember")),
        "remember_days": lifetime.days,
        "remember_until": day(s.clock.now() + lifetime, journey.zone_of(pages.account_of(here))),
    }
