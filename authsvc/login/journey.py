"""What the sign-in pages share: who is at the browser, where they are going, and the answer that sends them on.

The one place where a step becomes an address.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

from flask import g, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Account, Membership, User
from authsvc.accounts.queries import account_by_slug
from authsvc.crypto.tokens import new_secret
from authsvc.devices.remember import KEPT
from authsvc.login.finish import SignedIn
from authsvc.login.flow import Visit
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import (
    AskPassword,
    ChooseAccount,
    ChooseMethod,
    EnrolApp,
    EnrolPhone,
    EnterAppCode,
    EnterCode,
    SignIn,
    Step,
    VerifyEmail,
)
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.throttle import Wait
from authsvc.web import csrf, headers
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT, BROWSER, SESSION, TYPED
from authsvc.web.page import page_for
from authsvc.web.redirects import local_path
from authsvc.web.text import browser_label, clock_time, exact_time

#: The zone of a page that belongs to no account.
NEUTRAL_ZONE = "America/New_York"
SHORT = timedelta(minutes=2)


class Stale(Exception):
    """The sign-in this page belongs to is gone."""


def look_at_window() -> None:
    """Before a form is worked on, and outside any transaction: may this address cause another message?"""
    if request.method == "POST":
        g.may_send = services().windows.has_room("send_per_address", request.remote_addr or "")


@dataclass(frozen=True)
class Purpose:
    """What this tab signs in for, read from the page's own address, so that each tab keeps its own."""

    request: SignInRequest | None
    continue_to: str | None
    account: Account | None
    #: The address named a parked request that this browser cannot have: too old, or somebody else's (LG-11).
    lost: bool = False

    @property
    def confirms(self) -> bool:
        """Whether somebody who is signed in confirms that it is them, rather than signing in."""
        return self.request is not None and self.request.params.get("kind") == "confirm"

    @property
    def query(self) -> dict[str, str]:
        """What every address of this sign-in carries."""
        if self.request is not None:
            return {"request": self.request.id}
        found = {"continue": self.continue_to, "account": self.account.slug if self.account else None}
        return {name: value for name, value in found.items() if value}

    def url(self, endpoint: str, **more: str) -> str:
        """The address of a page of this sign-in."""
        query = urlencode({**self.query, **more})
        return url_for(endpoint) + (f"?{query}" if query else "")


#: What the sign-in pages serve: a client's request, a device's, and "Confirm it's you" (ux.md S2).
SIGN_IN = frozenset({"authorization", "device", "confirm"})


def purpose(tx: Session, kinds: Collection[str] = SIGN_IN) -> Purpose:
    """Read this tab's purpose. `kinds`: of the parked requests that this page serves; another one's id is worth nothing."""
    s = services()
    request_id = request.args.get("request")
    if request_id:
        parked = s.sessions.parked(tx, request_id, browser_secret=s.cookies.read(request, BROWSER))
        if parked is not None and parked.params.get("kind") not in kinds:
            parked = None
        account = account_by_slug(tx, parked.account_slug) if parked and parked.account_slug else None
        return Purpose(parked, None, account, lost=parked is None)
    slug = request.args.get("account", "")
    account = account_by_slug(tx, slug) if 0 < len(slug) < 64 else None
    return Purpose(None, local_path(request.args.get("continue")), account)


def visit(tx_purpose: Purpose, membership: Membership | None) -> Visit:
    """What the flow needs to know of this request."""
    cookie = services().cookies.read(request, device_cookie(membership)) if membership else None
    browser = browser_label(request.headers.get("User-Agent"))
    return Visit(tx_purpose.request, tx_purpose.continue_to, cookie, browser, may_send=g.get("may_send", True))


def may_enter(user: User, bound_for: Purpose) -> list[Membership]:
    """The memberships among which this person may choose here: of the account asked for, if one is."""
    wanted = bound_for.account.id if bound_for.account else None
    return [m for m in user.memberships if m.is_active and wanted in (None, m.account_id)]


def device_cookie(membership: Membership) -> str:
    """The name of the cookie that remembers this browser for a membership."""
    return services().devices.cookie_name(membership.id)


def signed_in(tx: Session) -> BrowserSession | None:
    """The live session of this browser."""
    s = services()
    return s.sessions.find(tx, s.cookies.read(request, SESSION))


def current_attempt(tx: Session, *, lock: bool = False) -> LoginAttempt:
    """The attempt of this browser. Raises: Stale."""
    s = services()
    attempt = s.attempts.find(tx, s.cookies.read(request, ATTEMPT), lock=lock)
    if attempt is None:
        raise Stale
    return attempt


def endpoint_of(step: Step) -> str:
    """The page of a step: the only `match` on steps there is."""
    match step:
        case AskPassword():
            endpoint = "login.sign_in"
        case ChooseAccount():
            endpoint = "login_accounts.accounts"
        case VerifyEmail():
            endpoint = "login_steps.verify"
        case ChooseMethod():
            endpoint = "login_steps.method"
        case EnrolPhone():
            endpoint = "login_steps.phone"
        case EnterAppCode():
            endpoint = "login_app.code"
        case EnrolApp():
            endpoint = "login_app.setup"
        case EnterCode():
            endpoint = "login_steps.code"
        case SignIn():
            endpoint = "login.done"
    return endpoint


@dataclass(frozen=True)
class Onward:
    """Where to go next, and what the browser is given on the way."""

    location: str
    attempt_secret: str | None = None
    signed_in: SignedIn | None = None


def go_on(tx: Session, attempt: LoginAttempt, secret: str, bound_for: Purpose) -> Onward:
    """Finish the sign-in if nothing more is needed, else send its code and go to the next page."""
    s = services()
    coming = visit(bound_for, attempt.membership)
    browser_secret = s.cookies.read(request, BROWSER) or new_secret()
    done = s.finish.finish(tx, attempt, secret, visit=coming, previous=signed_in(tx), browser_secret=browser_secret)
    if done is not None:
        return Onward(done.continue_to, secret, done)
    if attempt.finished_at is not None:
        raise Stale
    step = s.flow.advance(tx, attempt, coming)
    return Onward(bound_for.url(endpoint_of(step)), secret)


def answer(onward: Onward) -> Response:
    """See Other, with the cookies of where the person stands now."""
    s = services()
    response = redirect(onward.location, 303)
    done = onward.signed_in
    if done is None:
        if onward.attempt_secret:
            s.cookies.write(response, ATTEMPT, onward.attempt_secret)
        return response
    s.cookies.write(response, SESSION, done.session_secret)
    s.cookies.drop(response, ATTEMPT)
    if done.device_cookie:
        s.cookies.write(
            response,
            device_cookie(done.membership),
            done.device_cookie,
            lasts=s.policies.mfa.remembered_device.lifetime + KEPT,
        )
    return response


def show(
    template: str, bound_for: Purpose, *, status: int = 200, account: Account | None = None, **values: Any
) -> Response:
    """Render a page of this sign-in. Its form may end at the one origin its parked request names."""
    s = services()
    headers.may_end_at(bound_for.request.portal_origin if bound_for.request else None)
    fresh = None
    if not s.cookies.read(request, ATTEMPT) and not s.cookies.read(request, SESSION):
        fresh = new_secret()
    body = render_template(
        template, page=page_for(account or bound_for.account, s.assets), csrf_field=csrf.field(fresh), **values
    )
    response = Response(body, status=status, mimetype="text/html")
    if fresh is not None:
        s.cookies.write(response, ATTEMPT, fresh)
    remember_browser(response)
    return response


def remember_browser(response: Response) -> None:
    """Give a browser that has none its id cookie: parked requests are bound to it (LG-11); it proves nothing else."""
    s = services()
    if not s.cookies.read(request, BROWSER):
        s.cookies.write(response, BROWSER, new_secret(), lasts=s.browser_lasts)


def keep_address(response: Response, typed: str) -> None:
    """Keep the address that was typed, in the browser alone, for the page that mails a new password's link (ux.md S7)."""
    services().cookies.write(response, TYPED, quote(typed))


def kept_address() -> str:
    """What was typed before, or nothing."""
    return unquote(services().cookies.read(request, TYPED) or "")


def try_again(wait: Wait, account: Account | None) -> str:
    """What is said of too many wrong passwords: when another one is looked at, and what helps at once (ux.md S1)."""
    if wait.only_reset:
        return "Too many tries. Choose a new password to sign in again."
    # A pause of seconds is said to the second, or it would seem to be over.
    is_short = wait.until - services().clock.now() < SHORT
    at = (exact_time if is_short else clock_time)(wait.until, zone_of(account))
    return f"Too many tries. You can try again at {at}, or choose a new password now."


def zone_of(account: Account | None) -> ZoneInfo:
    """The account's zone."""
    return ZoneInfo(account.time_zone if account else NEUTRAL_ZONE)


def retry_after(until: datetime) -> dict[str, str]:
    """The header that goes with a wait."""
    seconds: timedelta = until - services().clock.now()
    return {"Retry-After": str(max(1, round(seconds.total_seconds())))}
