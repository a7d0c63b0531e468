"""What the pages of My Profile share: the frame, the code page, the question before an act."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from flask import g, redirect, request
from werkzeug.wrappers import Response

from authsvc.audit import Event
from authsvc.db import after_commit
from authsvc.mfa import words
from authsvc.mfa.challenge import CodeCheck
from authsvc.mfa.exchange import CodeThrottled, Question, Sending, SendOutcome
from authsvc.profile import navigation
from authsvc.sessions import shell
from authsvc.sessions.guards import Visitor
from authsvc.web.context import services
from authsvc.web.problems import error_page
from authsvc.web.text import Time, browser_label, clock_time, mask_phone


def tab(visitor: Visitor, template: str, current: str, **values: Any) -> Response:
    """One of the tabs."""
    return shell.show(visitor, template, tabs=navigation.tabs(current), at=navigation.AT, **values)


def task(visitor: Visitor, template: str, **values: Any) -> Response:
    """A page that does one thing and goes back to its tab."""
    return shell.show(visitor, template, tabs=(), at=navigation.AT, **values)


def browser() -> str:
    """Where this is asked from, for messages."""
    return browser_label(request.headers.get("User-Agent"))


def look_at_windows() -> None:
    """Before a form is worked on, and outside any transaction: may this address cause a message, or try a code?"""
    if request.method == "POST":
        windows, address = services().windows, request.remote_addr or ""
        g.may_send = windows.has_room("send_per_address", address)
        g.may_try = windows.has_room("code_per_address", address)


def sure(
    visitor: Visitor,
    heading: str,
    text: str,
    *,
    label: str,
    busy: str,
    box: tuple[str, str] | None = None,
) -> Response:
    """The question before an act: what will happen, one button, one way back. `box`: name and label of a checkbox."""
    return task(
        visitor,
        "profile/sure.html",
        title=heading,
        text=text,
        label=label,
        busy=busy,
        back_url=navigation.SECURITY,
        box=box,
        action=request.path,
    )


def code_page(
    visitor: Visitor,
    question: Question,
    *,
    back: tuple[str, str],
    errors: dict[str, str] | None = None,
    warning: str | None = None,
    status: int = 200,
) -> Response:
    """Where the code is typed that proves a new address or number. `back`: label and address of the way to another one."""
    s = services()
    if (paused_until := s.exchange.paused_until(visitor.tx, visitor.user.id)) is not None:
        return too_many(visitor, paused_until)
    challenge = s.exchange.open(visitor.tx, question)
    earliest = challenge.sent_at + s.policies.mfa.code.resend_after if challenge else visitor.now
    by_text = question.channel == "sms"
    if warning is None and challenge is None:
        warning = words.NOT_SENT
    elif warning is None and challenge is not None and challenge.delivery == "refused":
        tried = "We couldn’t send the text. Check the number" if by_text else "Our email came back. Check the address"
        warning = f"{tried}, or try again in a minute."
    return task(
        visitor,
        "profile/code.html",
        status=status,
        title="Check your phone" if by_text else "Check your email",
        by_text=by_text,
        # Their own words of a moment ago; a number is shown as everywhere else.
        target="your phone " + mask_phone(question.target) if by_text else question.target,
        works_until=Time.clock(challenge.expires_at, visitor.zone) if challenge else None,
        digits=s.policies.mfa.code.digits,
        errors=errors or {},
        notice=words.SENT_AGAIN if request.args.get("sent") and not errors else None,
        warning=warning,
        wait_s=max(0, round((earliest - visitor.now).total_seconds())),
        action=request.path,
        back_label=back[0],
        back_url=back[1],
        # A second press of the button that was right is answered as the first (rule 3).
        subject=mask_phone(question.target) if by_text else question.target,
    )


def before_the_code(visitor: Visitor, question: Question, *, back: tuple[str, str]) -> Response | None:
    """The answer to a form of the code page whose code is not compared: a newer one was wanted, or it is no code at all."""
    s = services()
    if request.form.get("resend"):
        sending = s.exchange.ask_again(visitor.tx, question)
        if sending.outcome is SendOutcome.SENT:
            # See Other, so that a refresh never sends again.
            return redirect(f"{request.path}?sent=again", 303)
        warning = words.wait(sending, visitor.zone)
        return until(sending, code_page(visitor, question, back=back, warning=warning, status=429))
    if (problem := words.unlike_a_code(request.form.get("code", ""), s.policies.mfa.code.digits)) is not None:
        return code_page(visitor, question, back=back, errors={"code": problem}, status=422)
    if not g.may_try:
        return too_many(visitor, visitor.now + s.policies.throttle.rates("code_per_address")[0].per)
    return None


def not_taken(
    visitor: Visitor, question: Question, check: CodeCheck | CodeThrottled, *, back: tuple[str, str]
) -> Response:
    """The code page again, saying what is wrong with the code; or that it is enough for now. The network address counts it."""
    s = services()
    after_commit(visitor.tx, partial(s.windows.admit, "code_per_address", request.remote_addr or ""))
    if isinstance(check, CodeThrottled):
        return too_many(visitor, check.until)
    found = words.errors(check, s.exchange.open(visitor.tx, question), visitor.zone)
    return code_page(visitor, question, back=back, errors=found, status=401)


def until(sending: Sending, response: Response) -> Response:
    """The page that says why no code was sent, with the header that goes with a wait."""
    if sending.until:
        response.headers.update(retry_after(sending.until))
    return response


def too_many(visitor: Visitor, until: datetime) -> Response:
    """So many wrong codes that nothing is compared for now; what was there before stays as it is."""
    response = task(
        visitor,
        "profile/too_many.html",
        status=429,
        title="Too many wrong codes",
        again_at=clock_time(until, visitor.zone),
    )
    response.headers.update(retry_after(until))
    return response


def retry_after(until: datetime) -> dict[str, str]:
    """The header that goes with a wait."""
    return {"Retry-After": str(max(1, round((until - services().clock.now()).total_seconds())))}


def not_theirs(visitor: Visitor, kind: str) -> Response:
    """404 for a row that is not this person's, whether or not it exists; noted in the trail (security.md TN-01)."""
    services().audit.record(
        visitor.tx,
        Event.ACCESS_REFUSED,
        user_id=visitor.user.id,
        account_id=visitor.account.id,
        session_id=visitor.session.id,
        what=kind,
    )
    return error_page(404, button=("Go to My Profile", navigation.DETAILS))
