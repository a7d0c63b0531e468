"""The pages where a person lets a device in (RFC 8628 3.3): enter the code, look at who asks, decide.

Opening a page changes nothing, and nobody is let in without being asked: whoever sends the link with the code in it is
perhaps not the one who holds the device (5.4, device-code phishing).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.audit import Event
from authsvc.crypto.tokens import new_secret
from authsvc.oauth.clients import Client
from authsvc.oauth.consent import in_plain_words
from authsvc.oauth.device import user_code
from authsvc.oauth.models import DeviceAuthorization
from authsvc.sessions import levels
from authsvc.sessions.models import BrowserSession
from authsvc.throttle import Wait
from authsvc.throttle.window import network_of
from authsvc.web import csrf
from authsvc.web.context import services
from authsvc.web.cookies import BROWSER, SESSION
from authsvc.web.page import page_for
from authsvc.web.text import Time, clock_time

bp = Blueprint("device", __name__, template_folder="../templates")

WRONG = "Check the code and enter it again. A code works for a few minutes, and once."
MISSHAPEN = "Enter the 8 letters that your device shows."


@dataclass(frozen=True)
class Asked:
    """A request that this person may decide: the device, its client, the code as it is shown."""

    row: DeviceAuthorization
    client: Client
    code: str

    @property
    def params(self) -> dict[str, str]:
        """What the confirm page's address says."""
        return {"id": self.row.id, "user_code": self.code}

    @property
    def url(self) -> str:
        """The confirm page."""
        return f"{url_for('device.confirm')}?{urlencode(self.params)}"


@bp.get("/device")
def enter() -> Response:
    """Ask for the code; what a link brought along is filled in and never sent by itself."""
    s = services()
    typed = request.args.get("user_code", "")
    with s.database.transaction(read_only=True) as tx:
        session = _signed_in(tx)
    if session is None:
        letters = user_code.read(typed)
        brought = f"?user_code={user_code.shown(letters)}" if letters else ""
        return _to_sign_in(url_for("device.enter") + brought)
    return _enter_page(session, typed=typed[:100])


@bp.post("/device")
def submit() -> Response:
    """Look the code up: a slot of the person's limit first, given back when the code is right (RFC 8628 5.1)."""
    s, here = services(), request.remote_addr or ""
    typed = request.form.get("user_code", "")[:100]
    has_room = s.windows.has_room("user_code_per_address", here)
    with s.database.transaction() as tx:
        session = _signed_in(tx)
        if session is None:
            return _to_sign_in(url_for("device.enter"))
        if user_code.read(typed) is None:
            return _enter_page(session, typed=typed, error=MISSHAPEN, status=422)
        wait = s.throttle.take(tx, "user_code_per_user", session.user_id)
        if wait is None and not has_room:
            rate = s.policies.throttle.rates("user_code_per_address")[0]
            wait = Wait("user_code_per_address", s.clock.now() + rate.per)
        asked = None if wait is not None else _asked(tx, typed)
        if asked is not None:
            s.throttle.give_back(tx, "user_code_per_user", session.user_id)
            return redirect(asked.url, 303)
        s.audit.record(
            tx,
            Event.DEVICE_USER_CODE_WRONG,
            user_id=session.user_id,
            account_id=session.membership.account_id,
            session_id=session.id,
            reason=wait.limit if wait is not None else "unknown",
        )
    if wait is not None:
        return _too_many(session, wait, typed=typed)
    s.windows.admit("user_code_per_address", here)
    return _enter_page(session, typed=typed, error=WRONG, status=422)


@bp.get("/device/confirm")
def confirm() -> Response:
    """Who asks, for what, from where; after a step up where the client wants more than the session has shown."""
    s = services()
    browser_secret = s.cookies.read(request, BROWSER)
    fresh = browser_secret or new_secret()
    with s.database.transaction() as tx:
        session, asked = _signed_in(tx), _asked(tx, request.args.get("user_code", ""), request.args.get("id", ""))
        if session is None:
            return _to_sign_in(asked.url if asked else url_for("device.enter"))
        if asked is None:
            return redirect(url_for("device.over"), 303)
        if not _shows_enough(tx, session, asked.client):
            if _is_back(tx, browser_secret):
                return _lacking(session, asked.client)
            return _to_step_up(tx, asked, fresh, is_new=browser_secret is None)
    account = session.membership.account
    zone = ZoneInfo(account.time_zone)
    return _show(
        "device/confirm.html",
        session,
        client=asked.client.client_name,
        code=asked.code,
        asks=in_plain_words(asked.row.scope.split()),
        email=session.user.email.address,
        account=account.name,
        asked_at=Time.clock(asked.row.created_at, zone),
        address=asked.row.remote_address,
        is_near=network_of(asked.row.remote_address) == network_of(request.remote_addr or ""),
        hidden=asked.params,
        action=url_for("device.decide"),
        someone_else_url=url_for("login.sign_out"),
    )


@bp.post("/device/confirm")
def decide() -> Response:
    """Let it in or not: one UPDATE, so it is decided once, whoever presses when."""
    s = services()
    browser_secret = s.cookies.read(request, BROWSER)
    fresh = browser_secret or new_secret()
    with s.database.transaction() as tx:
        session, asked = _signed_in(tx), _asked(tx, request.form.get("user_code", ""), request.form.get("id", ""))
        if session is None:
            return _to_sign_in(asked.url if asked else url_for("device.enter"))
        if asked is None:
            return redirect(url_for("device.over"), 303)
        if request.form.get("decision") != "allow":
            ended = "device.denied" if s.device_codes.deny(tx, asked.row, session) else "device.over"
        elif not _shows_enough(tx, session, asked.client):
            return _to_step_up(tx, asked, fresh, is_new=browser_secret is None)
        else:
            s.sessions.touch(session)
            ended = "device.done" if s.device_codes.approve(tx, asked.row, session) else "device.over"
    return redirect(url_for(ended), 303)


@bp.get("/device/done")
def done() -> Response:
    """The device is let in."""
    return _end("Your device is signed in", "Go back to your device. It goes on by itself in a few seconds.")


@bp.get("/device/denied")
def denied() -> Response:
    """It is not."""
    return _end("You said no", "The device was not signed in. If somebody sent you the code, you did the right thing.")


@bp.get("/device/over")
def over() -> Response:
    """Nothing is left to decide: late, or decided already. Nothing of it is said."""
    return _end(
        "This code has expired",
        "Nothing was changed. It was used already, or it took too long. Get a new code on your device.",
        status=410,
    )


def _signed_in(tx: Session) -> BrowserSession | None:
    s = services()
    return s.sessions.find(tx, s.cookies.read(request, SESSION))


def _asked(tx: Session, typed: str, row_id: str | None = None) -> Asked | None:
    s = services()
    row = s.device_codes.asked(tx, typed, row_id=row_id)
    client = s.registry.client(row.client_id, tx) if row is not None else None
    letters = user_code.read(typed)
    return Asked(row, client, user_code.shown(letters)) if row and client and letters else None


def _shows_enough(tx: Session, session: BrowserSession, client: Client) -> bool:
    """Whether the session meets what the client asks at least; no parameter lowers it (claims.md)."""
    wanted = client.minimum_acr
    return wanted is None or levels.at_least(services().families.effective_acr(tx, session), wanted)


def _is_back(tx: Session, browser_secret: str | None) -> bool:
    """Whether this comes from the sign-in that was asked for more: nobody is sent there twice, and no request runs in circles."""
    parked = services().sessions.parked(tx, request.args.get("request"), browser_secret=browser_secret)
    return parked is not None and parked.params.get("kind") == "device"


def _lacking(session: BrowserSession, client: Client) -> Response:
    heading = "This device can’t be let in"
    text = f"{client.client_name} asks for a safer sign-in than yours can be here. Ask an account admin to turn it on."
    return _show("device/end.html", session, status=403, heading=heading, text=text)


def _to_step_up(tx: Session, asked: Asked, browser_secret: str, *, is_new: bool) -> Response:
    """Parked as an authorization request is; the sign-in asks for what is missing and leads back to the question."""
    s = services()
    parked = s.sessions.park(
        tx,
        browser_secret=browser_secret,
        continue_to=asked.url + "&request={id}",
        params={"kind": "device"},
        wanted_acr=asked.client.minimum_acr,
        client_id=asked.client.client_id,
        client_name=asked.client.client_name,
    )
    response = redirect(url_for("login.sign_in", request=parked.id), 303)
    if is_new:
        s.cookies.write(response, BROWSER, browser_secret, lasts=s.browser_lasts)
    return response


def _to_sign_in(continue_to: str) -> Response:
    return redirect(f"{url_for('login.sign_in')}?{urlencode({'continue': continue_to})}", 303)


def _enter_page(session: BrowserSession, *, typed: str, error: str | None = None, status: int = 200) -> Response:
    return _show(
        "device/enter.html",
        session,
        status=status,
        typed=typed,
        errors={"user_code": error} if error else {},
        email=session.user.email.address,
        action=url_for("device.submit"),
    )


def _too_many(session: BrowserSession, wait: Wait, *, typed: str) -> Response:
    s = services()
    at = clock_time(wait.until, ZoneInfo(session.membership.account.time_zone))
    response = _enter_page(session, typed=typed, error=f"Too many tries. You can try again at {at}.", status=429)
    response.headers["Retry-After"] = str(max(1, round((wait.until - s.clock.now()).total_seconds())))
    return response


def _end(heading: str, text: str, *, status: int = 200) -> Response:
    with services().database.transaction(read_only=True) as tx:
        session = _signed_in(tx)
    return _show("device/end.html", session, status=status, heading=heading, text=text)


def _show(template: str, session: BrowserSession | None, *, status: int = 200, **values: object) -> Response:
    page = page_for(session.membership.account if session else None, services().assets)
    body = render_template(template, page=page, csrf_field=csrf.field() if session else "", **values)
    return Response(body, status=status, mimetype="text/html")
