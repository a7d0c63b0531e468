"""What a settings page may ask of its visitor: signed in, allowed, and lately proved.

A view opens `visitor()`, which is also its transaction, and says what it needs; a refusal is raised, rolls the transaction
back and becomes a redirect or a page here, in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Flask, redirect, request
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account, Membership, User
from authsvc.accounts.permissions import Permission, Refusal, refusal
from authsvc.errors import AuthsvcError, Kind
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import SEEN_EVERY
from authsvc.web.context import services
from authsvc.web.cookies import SESSION
from authsvc.web.problems import error_page


class SignInFirst(AuthsvcError):
    """Nobody is signed in."""

    kind = Kind.REFUSED


class ConfirmFirst(AuthsvcError):
    """The password, or a code, was not shown lately."""

    kind = Kind.REFUSED

    def __init__(self, to: str, *, code: bool, continue_to: str) -> None:
        super().__init__()
        self.to, self.code, self.continue_to = to, code, continue_to


class NotAllowed(AuthsvcError):
    """This person may not do that here."""

    kind = Kind.REFUSED

    def __init__(self, reason: Refusal, *, email: str) -> None:
        super().__init__(detail=reason.value)
        self.reason, self.email = reason, email


@dataclass(frozen=True)
class Visitor:
    """Who is at the browser, and the transaction in which that is known."""

    tx: Session
    session: BrowserSession
    now: datetime

    @property
    def user(self) -> User:
        """The person."""
        return self.session.user

    @property
    def membership(self) -> Membership:
        """As whom they are signed in: exactly one account and audience."""
        return self.session.membership

    @property
    def account(self) -> Account:
        """The account they are in."""
        return self.session.membership.account

    @property
    def zone(self) -> ZoneInfo:
        """In which times are written for them."""
        return self.user.zone_in(self.account)

    def may(self, permission: Permission) -> Refusal | None:
        """Why they may not, or None: for what a page shows."""
        return refusal(self.membership, permission, services().policies.permissions, now=self.now)

    def require(self, permission: Permission, *, lock: bool = False) -> None:
        """Go on only if they may. `lock`: for a change; the membership is held until the transaction ends (TN-05).

        Raises: NotAllowed.
        """
        if lock:
            held = select(Membership).where(Membership.id == self.membership.id).with_for_update(of=Membership)
            self.tx.scalars(held.execution_options(populate_existing=True)).one()
        if (reason := self.may(permission)) is not None:
            raise NotAllowed(reason, email=self.user.email.address)

    def has_recent_proof(self, *, code: bool | None = None) -> bool:
        """Whether they showed the password lately, and a code where one is due.

        `code`: True, always; None, where the account requires codes (ux.md S2, domain D9, D10).
        """
        since = self.now - services().policies.sessions.recent_proof
        if code is None:
            code = asks_for_codes(self.membership)
        if code:
            return self.session.code_at is not None and self.session.code_at > since
        changed_at = self.user.password_changed_at
        # One that was changed since, in another session, proves nothing any more.
        return self.session.password_at > since and (changed_at is None or changed_at <= self.session.password_at)

    def require_recent_proof(self, to: str, *, code: bool | None = None, continue_to: str | None = None) -> None:
        """Go on only with a recent proof; else S2 is shown, and leads back. `to`: a key of login/confirm.py's WORDS.

        `continue_to`: where to return; without it this page by GET. Raises: ConfirmFirst.
        """
        if not self.has_recent_proof(code=code):
            needs_code = asks_for_codes(self.membership) if code is None else code
            here = request.full_path.rstrip("?") if request.method == "GET" else request.path
            raise ConfirmFirst(to, code=needs_code, continue_to=continue_to or here)


def asks_for_codes(membership: Membership) -> bool:
    """Whether this account asks this audience for codes."""
    switch = membership.account.mfa_for(membership.audience)
    policy = services().policies.mfa.for_audience(membership.audience)
    return switch.enabled if switch else policy.enforced_by_default


@contextmanager
def visitor(*, read_only: bool = False, asked_by_script: bool = False) -> Iterator[Visitor]:
    """The signed-in person of this request, in a transaction that ends with the block. Raises: SignInFirst.

    `asked_by_script`: nobody pressed anything, so the session's idle time goes on (domain D20).
    """
    s = services()
    now, seen = s.clock.now(), None
    with s.database.transaction(read_only=read_only) as tx:
        session = s.sessions.find(tx, s.cookies.read(request, SESSION))
        if session is None:
            raise SignInFirst
        if not read_only:
            s.sessions.touch(session)
        elif not asked_by_script and now - session.last_seen_at >= SEEN_EVERY:
            seen = session.id
        yield Visitor(tx, session, now)
    if seen is not None:
        # A page that only reads keeps the person signed in all the same; once a minute, never in its own transaction.
        with s.database.transaction() as tx:
            tx.execute(update(BrowserSession).where(BrowserSession.id == seen).values(last_seen_at=now))


def install(app: Flask) -> None:
    """Answer what the guards raise."""

    @app.errorhandler(SignInFirst)
    def sign_in_first(_: SignInFirst) -> Response:
        # After a form there is nothing to return to but its page.
        here = request.full_path.rstrip("?") if request.method == "GET" else request.path
        return redirect(f"/sign-in?{urlencode({'continue': here})}", 303)

    @app.errorhandler(ConfirmFirst)
    def confirm_first(error: ConfirmFirst) -> Response:
        wanted = {"continue": error.continue_to, "for": error.to, **({"code": "1"} if error.code else {})}
        return redirect(f"/confirm?{urlencode(wanted)}", 303)

    @app.errorhandler(NotAllowed)
    def not_allowed(error: NotAllowed) -> Response:
        text = f"You’re signed in as {error.email}. An account admin can give you access."
        if error.reason is Refusal.FROZEN:
            text = "Your password was reset by email. For safety, acts that need Sensitive Data Access wait a day."
        return error_page(403, text=text, button=("Go to My Profile", "/profile"))
