"""Changing one's own email address (domain E7, E8, D16): only the person can, and it counts once the new one is proved."""

from __future__ import annotations

from flask import Blueprint, g, redirect, request
from werkzeug.wrappers import Response

from authsvc.account_settings.own_email import Switch
from authsvc.accounts import addresses
from authsvc.accounts.models import EmailChange
from authsvc.accounts.queries import canonical_email
from authsvc.mfa import words
from authsvc.mfa.exchange import Question, SendOutcome
from authsvc.profile import navigation, pages
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.web.context import services

bp = Blueprint("profile_email", __name__, template_folder="templates")
bp.before_request(pages.look_at_windows)

CHANGED = f"{navigation.DETAILS}?done=email"
BACK = ("Use a different address", navigation.EMAIL)
TAKEN = "That address belongs to another sign-in. Use a different one, or email support@imscre.com."


@bp.get(navigation.EMAIL)
def change() -> Response:
    """Which address instead."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require_recent_proof("email")
        return _page(visitor, "", error=TAKEN if request.args.get("taken") else None)


@bp.post(navigation.EMAIL)
def begin() -> Response:
    """Send a code to the new address. Whether anybody else has it makes no difference here (security.md RC-09)."""
    typed = request.form.get("email", "").strip()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("email")
        address = addresses.parse(typed)
        if address is None:
            wrong = "Enter an email address like name@company.com" if typed else "Enter your new email address"
            return _page(visitor, typed[:254], error=wrong, status=422)
        if canonical_email(address) == canonical_email(visitor.user.email.address):
            return _page(visitor, typed, error="This is your email address already", status=422)
        sending = services().own_email.begin(
            visitor.tx, visitor.membership, address, browser=pages.browser(), may_send=g.may_send
        )
        if sending.outcome not in (SendOutcome.SENT, SendOutcome.ALREADY_OUT):
            return pages.until(sending, _page(visitor, typed, error=words.wait(sending, visitor.zone), status=429))
    return redirect(navigation.EMAIL_CODE, 303)


@bp.get(navigation.EMAIL_CODE)
def code() -> Response:
    """Where the code is typed."""
    with guards.visitor(read_only=True) as visitor:
        waiting = services().own_email.waiting(visitor.tx, visitor.membership)
        if waiting is None:
            return redirect(navigation.DETAILS, 303)
        return pages.code_page(visitor, _question(visitor, waiting), back=BACK)


@bp.post(navigation.EMAIL_CODE)
def submit_code() -> Response:
    """Take the code and switch; or send a newer one."""
    s = services()
    with guards.visitor() as visitor:
        waiting = s.own_email.waiting(visitor.tx, visitor.membership)
        if waiting is None:
            return _over(visitor)
        question = _question(visitor, waiting)
        if (answer := pages.before_the_code(visitor, question, back=BACK)) is not None:
            return answer
        outcome = s.own_email.confirm(
            visitor.tx, visitor.membership, request.form.get("code", ""), browser=pages.browser()
        )
        if outcome is Switch.DONE:
            return redirect(CHANGED, 303)
        if outcome is Switch.TAKEN:
            return redirect(f"{navigation.EMAIL}?taken=1", 303)
        if outcome is Switch.NOTHING_WAITS:
            return _over(visitor)
        return pages.not_taken(visitor, question, outcome, back=BACK)


@bp.get(navigation.EMAIL_CANCEL)
def to_cancel() -> Response:
    """Where a sign-in in between leads back to; nothing is asked here."""
    return redirect(navigation.DETAILS, 303)


@bp.post(navigation.EMAIL_CANCEL)
def cancel() -> Response:
    """Leave the address as it is."""
    with guards.visitor() as visitor:
        services().own_email.cancel(visitor.tx, visitor.membership)
    return redirect(f"{navigation.DETAILS}?done=cancelled", 303)


def _question(visitor: Visitor, waiting: EmailChange) -> Question:
    may_send = bool(g.get("may_send", True))
    return services().own_email.question(visitor.membership, waiting, browser=pages.browser(), may_send=may_send)


def _over(visitor: Visitor) -> Response:
    """Nothing waits any more: a second press of the right code is answered as the first was (ux.md, rule 3)."""
    visitor.tx.refresh(visitor.user.email)
    is_theirs = request.form.get("subject") == visitor.user.email.address
    return redirect(CHANGED if is_theirs else navigation.DETAILS, 303)


def _page(visitor: Visitor, typed: str, *, error: str | None = None, status: int = 200) -> Response:
    return pages.task(
        visitor,
        "profile/email.html",
        status=status,
        email=typed,
        current=visitor.user.email.address,
        errors={"email": error} if error else {},
    )
