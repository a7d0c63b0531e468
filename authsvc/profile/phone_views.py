"""Adding, changing and removing one's own phone number (ux.md S17)."""

from __future__ import annotations

from flask import Blueprint, g, redirect, request
from werkzeug.wrappers import Response

from authsvc.account_settings.own_phone import Bound
from authsvc.accounts.phone import WORDS, PhoneProblem
from authsvc.mfa import words
from authsvc.mfa.challenge import CodeCheck, CodeOutcome
from authsvc.mfa.exchange import SendOutcome
from authsvc.profile import navigation, pages
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.web.context import services
from authsvc.web.problems import error_page
from authsvc.web.text import mask_phone

bp = Blueprint("profile_phone", __name__, template_folder="templates")
bp.before_request(pages.look_at_windows)

BACK = ("Change the number", navigation.PHONE)


@bp.before_request
def only_where_texts_are_sent() -> Response | None:
    """An installation without a text gateway has no use for numbers."""
    if services().own_phone.is_offered:
        return None
    return error_page(404, button=("Go to My Profile", navigation.DETAILS))


@bp.get(navigation.PHONE)
def change() -> Response:
    """Which number. Whoever binds one gets codes, so a code is asked for first, whatever the account asks (domain D2)."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require_recent_proof("phone", code=True)
        return _page(visitor, "")


@bp.post(navigation.PHONE)
def begin() -> Response:
    """Text the number a code."""
    typed = request.form.get("phone", "")
    with guards.visitor() as visitor:
        visitor.require_recent_proof("phone", code=True)
        begun = services().own_phone.begin(
            visitor.tx,
            visitor.membership,
            visitor.session.id,
            typed,
            browser=pages.browser(),
            may_send=g.may_send,
        )
        if isinstance(begun, PhoneProblem):
            return _page(visitor, typed[:40], error=WORDS[begun], status=422)
        if begun.outcome not in (SendOutcome.SENT, SendOutcome.ALREADY_OUT):
            return pages.until(begun, _page(visitor, typed[:40], error=words.wait(begun, visitor.zone), status=429))
    return redirect(navigation.PHONE_CODE, 303)


@bp.get(navigation.PHONE_CODE)
def code() -> Response:
    """Where the code is typed."""
    with guards.visitor(read_only=True) as visitor:
        waiting = services().own_phone.waiting(visitor.tx, visitor.membership, visitor.session.id)
        if waiting is None:
            return redirect(navigation.SECURITY, 303)
        return pages.code_page(visitor, waiting, back=BACK)


@bp.post(navigation.PHONE_CODE)
def submit_code() -> Response:
    """Take the code and bind the number; or send a newer one."""
    s = services()
    with guards.visitor() as visitor:
        waiting = s.own_phone.waiting(
            visitor.tx, visitor.membership, visitor.session.id, browser=pages.browser(), may_send=g.may_send
        )
        if waiting is None:
            return _over(visitor)
        if (answer := pages.before_the_code(visitor, waiting, back=BACK)) is not None:
            return answer
        outcome = s.own_phone.confirm(visitor.tx, visitor.membership, waiting, request.form.get("code", ""))
        if isinstance(outcome, Bound):
            return redirect(f"{navigation.SECURITY}?done=phone-{outcome.value}", 303)
        if isinstance(outcome, CodeCheck) and outcome.outcome is CodeOutcome.GONE:
            return _over(visitor)
        return pages.not_taken(visitor, waiting, outcome, back=BACK)


@bp.get(navigation.PHONE_REMOVE)
def to_remove() -> Response:
    """The question."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require_recent_proof("phone")
        user = visitor.user
        if user.phone is None:
            return redirect(navigation.SECURITY, 303)
        if (needing := services().own_phone.needed_by(visitor.membership)) is not None:
            return _needed(visitor, needing.short_name)
        return pages.sure(
            visitor,
            "Remove your phone number?",
            f"Codes will no longer go to your phone {mask_phone(user.phone.e164)}. Your remembered devices end.",
            label="Remove",
            busy="Removing…",
        )


@bp.post(navigation.PHONE_REMOVE)
def remove() -> Response:
    """Take it away, where no account needs it."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("phone")
        if (needing := s.own_phone.needed_by(visitor.membership)) is not None:
            return _needed(visitor, needing.short_name)
        s.own_phone.remove(visitor.tx, visitor.membership, browser=pages.browser())
    return redirect(f"{navigation.SECURITY}?done=phone-removed", 303)


def _needed(visitor: Visitor, account_short: str) -> Response:
    text = f"{account_short} sends codes by text message, so you need a number. Change it instead."
    return pages.task(visitor, "profile/phone_needed.html", status=409, text=text)


def _over(visitor: Visitor) -> Response:
    """Nothing waits any more: a second press of the right code is answered as the first was (ux.md, rule 3)."""
    visitor.tx.refresh(visitor.user, ["phone"])
    phone = visitor.user.phone
    is_theirs = phone is not None and request.form.get("subject") == mask_phone(phone.e164)
    return redirect(f"{navigation.SECURITY}{'?done=phone-changed' if is_theirs else ''}", 303)


def _page(visitor: Visitor, typed: str, *, error: str | None = None, status: int = 200) -> Response:
    return pages.task(
        visitor,
        "profile/phone.html",
        status=status,
        title="Change your phone number" if visitor.user.phone else "Add a phone number",
        phone=typed,
        errors={"tel": error} if error else {},
    )
