"""Accepting an invitation (ux.md S10): somebody new, somebody who signs in already, somebody who is signed in.

Whoever accepts goes on through the sign-in with the password just shown, so the account's code is never skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flask import Blueprint, redirect, request, url_for
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.invitations import Accepted, Found, InvitationState
from authsvc.accounts.models import Account, Invitation, User
from authsvc.audit import Event
from authsvc.crypto.passwords import Busy
from authsvc.login import journey, link_pages
from authsvc.login.journey import Onward, Purpose
from authsvc.login.recovery_views import context_of, password_error
from authsvc.sessions.models import BrowserSession
from authsvc.throttle import Wait
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT, BROWSER, SESSION
from authsvc.web.text import browser_label

bp = Blueprint("invitations", __name__, template_folder="templates")
bp.before_request(journey.look_at_window)

LONGEST_NAME = 200
AS = {"team": "a Team Member", "investors": "an investor"}


class Who(StrEnum):
    """Who is at the browser, as far as this invitation is concerned."""

    NEW = "new"
    KNOWN = "known"
    SIGNED_IN = "signed_in"
    SOMEBODY_ELSE = "somebody_else"


@dataclass(frozen=True)
class Guest:
    """An invitation that can be used, as read in one transaction."""

    invitation: Invitation
    inviter: str | None
    who: Who
    signed_in_as: str | None

    @property
    def user(self) -> User:
        """Who is invited."""
        return self.invitation.membership.user

    @property
    def account(self) -> Account:
        """Where to."""
        return self.invitation.membership.account


@bp.get("/invite/<secret>")
def land(secret: str) -> Response:
    """The mailed address: its secret moves into a cookie, and the address is cleaned."""
    return link_pages.land("invitation", secret, "invitations.invite")


@bp.get("/invite")
def invite() -> Response:
    """Who invited whom to what, and what is needed. Opening it accepts nothing (security.md RC-06)."""
    with services().database.transaction(read_only=True) as tx:
        guest = _guest(tx)
    return guest if isinstance(guest, Response) else _page(guest)


@bp.post("/invite")
def accept() -> Response:
    """Join, and go on signing in."""
    with services().database.transaction(read_only=True) as tx:
        guest = _guest(tx)
        context = [*context_of(guest.user), guest.account.name] if isinstance(guest, Guest) else []
    if isinstance(guest, Response):
        return guest
    match guest.who:
        case Who.SOMEBODY_ELSE:
            return _page(guest)
        case Who.SIGNED_IN:
            return _join(guest)
        case Who.NEW:
            return _create(guest, context)
        case Who.KNOWN:
            return _with_password(guest)


@bp.post("/invite/sign-out")
def sign_out() -> Response:
    """ "Sign out and continue": for whoever is signed in as somebody else (security.md RC-11)."""
    s = services()
    with s.database.transaction() as tx:
        session = journey.signed_in(tx)
        if session is not None:
            s.sessions.end(tx, session, "signed_out")
    response = redirect(url_for("invitations.invite"), 303)
    s.cookies.drop(response, SESSION)
    s.cookies.drop(response, ATTEMPT)
    return response


@bp.post("/invite/ask")
def ask() -> Response:
    """ "Ask for a new invitation": tell whoever invited, once."""
    s = services()
    with s.database.transaction() as tx:
        found = s.invitations.find(tx, link_pages.secret_of("invitation"))
        invitation = found.invitation
        if invitation is not None and found.state is InvitationState.EXPIRED and _is_first_wish(tx, invitation):
            membership = invitation.membership
            s.audit.record(tx, Event.INVITATION_WANTED, user_id=membership.user_id, account_id=membership.account_id)
            if invitation.invited_by:
                s.courier.send_notice(
                    tx,
                    "notice_invitation_wanted",
                    user_id=invitation.invited_by,
                    account_id=membership.account_id,
                    at=s.clock.now(),
                    browser=browser_label(request.headers.get("User-Agent")),
                    about_name=membership.invited_as or "somebody",
                )
    return redirect(url_for("invitations.invite"), 303)


def _is_first_wish(tx: Session, invitation: Invitation) -> bool:
    """One UPDATE: a double press mails once."""
    return (
        tx.execute(
            update(Invitation)
            .where(Invitation.id == invitation.id, Invitation.wanted_at.is_(None))
            .values(wanted_at=services().clock.now())
            .returning(Invitation.id)
        ).one_or_none()
        is not None
    )


def _guest(tx: Session) -> Guest | Response:
    s = services()
    found = s.invitations.find(tx, link_pages.secret_of("invitation"))
    invitation = found.invitation
    if invitation is None or found.state is not InvitationState.USABLE:
        return _unusable(found)
    session = journey.signed_in(tx)
    return Guest(invitation, found.inviter, _who(found, session), session.user.email.address if session else None)


def _who(found: Found, session: BrowserSession | None) -> Who:
    if session is not None and found.invitation is not None:
        if session.user_id != found.invitation.membership.user_id:
            return Who.SOMEBODY_ELSE
        return Who.NEW if found.sets_password else Who.SIGNED_IN
    return Who.NEW if found.sets_password else Who.KNOWN


def _create(guest: Guest, context: list[str]) -> Response:
    """Somebody new: a name and a password, hashed outside any transaction."""
    s, name, password = services(), request.form.get("name", "").strip(), request.form.get("password", "")
    errors = {}
    if not name or not name.isprintable():
        errors["name"] = "Enter your name"
    elif len(name) > LONGEST_NAME:
        errors["name"] = f"Names have {LONGEST_NAME} characters at most. This one is longer."
    if error := password_error(password, [*context, name]):
        errors["password"] = error
    if errors:
        return _page(guest, name=name[:LONGEST_NAME], errors=errors, status=422)
    try:
        with s.lane.place() as run:
            new_hash = str(run(s.passwords.hash, password))
    except Busy as busy:
        return _busy(guest, busy, name=name)
    return _join(guest, name=name, password_hash=new_hash)


def _with_password(guest: Guest) -> Response:
    """Somebody who signs in already: their password, with the limits of signing in (security.md LG-08)."""
    s, password, here = services(), request.form.get("password", ""), request.remote_addr or ""
    longest = s.policies.password.max_length
    if not password:
        return _page(guest, errors={"password": "Enter your password"}, status=422)
    if len(password) > longest:
        too_long = f"Passwords have {longest} characters at most. This one is longer."
        return _page(guest, errors={"password": too_long}, status=422)
    full = s.password_step.full_address(here)
    try:
        with s.lane.place() as run:
            with s.database.transaction() as tx:
                email, browser_secret = guest.user.email.address, s.cookies.read(request, BROWSER)
                begun = s.password_step.begin(tx, email, browser_secret=browser_secret, full_address=full)
            if isinstance(begun, Wait):
                return _throttled(guest, begun)
            right = bool(run(s.passwords.verify, begun.stored, password)) and begun.user_id == guest.user.id
    except Busy as busy:
        return _busy(guest, busy)
    with s.database.transaction() as tx:
        right = s.password_step.confirm(tx, begun, right=right)
    if right:
        return _join(guest)
    s.password_step.note_wrong(here, guest.user.email.address)
    return _page(guest, errors={"password": "That isn’t your password. Check it and try again."}, status=401)


def _join(guest: Guest, *, name: str | None = None, password_hash: str | None = None) -> Response:
    """Spend the invitation and go on to whatever the account asks for."""
    s = services()
    onward: Onward | None = None
    with s.database.transaction() as tx:
        session = journey.signed_in(tx)
        if session is not None and session.user_id != guest.user.id:
            return redirect(url_for("invitations.invite"), 303)
        password_at = session.password_at if session is not None and guest.who is Who.SIGNED_IN else s.clock.now()
        secret = link_pages.secret_of("invitation")
        joined = s.joining.accept(tx, secret, name=name, password_hash=password_hash)
        if isinstance(joined, Accepted):
            membership = joined.membership
            attempt, attempt_secret = s.attempts.open(
                tx, membership.user, membership=membership, password_at=password_at
            )
            onward = journey.go_on(tx, attempt, attempt_secret, Purpose(None, None, membership.account))
    # Used, withdrawn or changed meanwhile: the page says which.
    return journey.answer(onward) if onward is not None else redirect(url_for("invitations.invite"), 303)


def _unusable(found: Found) -> Response:
    account = found.invitation.membership.account if found.invitation else None
    if found.state is not InvitationState.EXPIRED or found.invitation is None:
        return link_pages.unusable("invitation", found.state.value, account=account)
    return journey.show(
        "login/invitation_expired.html",
        Purpose(None, None, account),
        status=410,
        inviter=found.inviter,
        is_wanted=found.invitation.wanted_at is not None,
        action=url_for("invitations.ask"),
        sign_in_url="/sign-in",
    )


def _busy(guest: Guest, busy: Busy, *, name: str = "") -> Response:
    response = _page(guest, name=name, errors={"password": str(busy)}, status=503)
    response.headers["Retry-After"] = "5"
    return response


def _throttled(guest: Guest, wait: Wait) -> Response:
    said = journey.try_again(wait, guest.account)
    response = _page(guest, errors={"password": said}, status=429)
    response.headers.update(journey.retry_after(wait.until))
    return response


def _page(guest: Guest, *, name: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response:
    elsewhere = guest.who is Who.SOMEBODY_ELSE
    return journey.show(
        "login/invite.html",
        Purpose(None, None, guest.account),
        status=status,
        who=guest.who.value,
        email=guest.invitation.address,
        signed_in_as=guest.signed_in_as,
        inviter=guest.inviter,
        joins_as=AS[guest.invitation.membership.audience],
        name=name,
        min_length=services().policies.password.min_length,
        errors=errors or {},
        action=url_for("invitations.sign_out" if elsewhere else "invitations.accept"),
        forgot_url=url_for("recovery.forgot", account=guest.account.slug),
    )
