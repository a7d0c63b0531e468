"""Where one tab of a sign-in stands, for showing and for forms."""

from __future__ import annotations

from flask import redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.login import journey
from authsvc.login.flow import Visit
from authsvc.login.journey import Purpose, Stale
from authsvc.login.models import LoginAttempt
from authsvc.login.pages import Here
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT


def here(tx: Session) -> Here:
    """Where this tab stands, for showing; the device was looked at when the person got here. Raises: Stale."""
    attempt = journey.current_attempt(tx)
    bound_for = journey.purpose(tx)
    if bound_for.lost or attempt.finished_at is not None:
        raise Stale
    coming = Visit(bound_for.request, bound_for.continue_to, None, "")
    step, _ = services().flow.step(tx, attempt, coming)
    return Here(attempt, bound_for, coming, step)


def posted(tx: Session) -> tuple[LoginAttempt, Purpose, Visit, str]:
    """The attempt of a form, locked: one step at a time. Raises: Stale."""
    attempt = journey.current_attempt(tx, lock=True)
    bound_for = journey.purpose(tx)
    if bound_for.lost:
        raise Stale
    secret = services().cookies.read(request, ATTEMPT) or ""
    return attempt, bound_for, journey.visit(bound_for, attempt.membership), secret


def elsewhere(at: Here) -> Response:
    """This tab shows a step that is over: go to the one that is on."""
    return redirect(at.bound_for.url(journey.endpoint_of(at.step)), 303)
