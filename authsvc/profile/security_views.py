"""My Profile > Security (ux.md S17, S18): what signs this person in, and where they are signed in."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from authsvc.devices.models import RememberedDevice
from authsvc.profile import navigation, pages
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor, asks_for_codes
from authsvc.sessions.models import BrowserSession
from authsvc.web.context import services
from authsvc.web.text import date, day, moment, phone_ending

bp = Blueprint("profile_security", __name__, template_folder="templates")

#: What was done, by the word in the address: at the top, or in the section that it concerns.
DONE = {
    "password": "Your password is changed.",
    "phone-added": "Your phone number is added.",
    "phone-changed": "Your phone number is changed.",
    "phone-removed": "Your phone number is removed.",
}
DEVICES_DONE = {
    "device": "Removed. That device will be asked for a code at its next sign-in.",
    "device-over": "That device was no longer remembered.",
    "devices": "Removed all. Every device will be asked for a code at its next sign-in.",
}
SESSIONS_DONE = {
    "session": "Signed out there.",
    "session-over": "That session had already ended.",
}


@dataclass(frozen=True)
class Line:
    """One device or one session of the list."""

    id: str
    kind: str
    name: str
    detail: str
    is_this: bool


@bp.get("/.well-known/change-password")
def change_password_url() -> Response:
    """Where password managers lead people (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(navigation.PASSWORD, 303)


@bp.get(navigation.SECURITY)
def security() -> Response:
    """The page."""
    s = services()
    with guards.visitor(read_only=True) as visitor:
        user, done = visitor.user, request.args.get("done", "")
        devices = s.devices.live_of(visitor.tx, user.id)
        sessions = s.sessions.live_of(visitor.tx, user.id)
        sessions.sort(key=lambda session: session.id != visitor.session.id)
        changed_at = user.password_changed_at
        methods: tuple[str, ...] = s.policies.mfa.for_audience(visitor.membership.audience).methods
        return pages.tab(
            visitor,
            "profile/security.html",
            navigation.SECURITY,
            flash=DONE.get(done),
            email=user.email.address,
            is_verified=user.email.verified_at is not None,
            password_changed=date(changed_at, visitor.zone) if changed_at else None,
            phone_ending=phone_ending(user.phone.e164) if user.phone else None,
            phone_verified=user.phone is not None and user.phone.verified_at is not None,
            can_text=s.own_phone.is_offered,
            has_app="totp" in methods,
            devices_done=DEVICES_DONE.get(done),
            devices=[_device(visitor, device, m.account.name, m.id) for device, m in devices],
            asks_for_codes=asks_for_codes(visitor.membership),
            account_short=visitor.account.short_name,
            sessions_done=SESSIONS_DONE.get(done) or _signed_out_words(done),
            sessions=[_session(visitor, session) for session in sessions],
            has_places=s.places.are_known,
        )


def _device(visitor: Visitor, device: RememberedDevice, account_name: str, membership_id: str) -> Line:
    s, zone = services(), visitor.zone
    cookie = s.cookies.read(request, s.devices.cookie_name(membership_id)) or ""
    elsewhere = f"{account_name}. " if membership_id != visitor.membership.id else ""
    elsewhere += _place(device.remote_address)
    until = date(device.expires_at, zone)
    return Line(
        id=device.id,
        kind=_kind(device.browser),
        name=device.browser or "A browser",
        detail=f"{elsewhere}Remembered {day(device.created_at, zone)}, skips the code until {until}",
        # For showing alone: what the cookie opens is decided where it is used.
        is_this=cookie.partition(".")[0] == device.id,
    )


def _session(visitor: Visitor, session: BrowserSession) -> Line:
    is_this, zone, now = session.id == visitor.session.id, visitor.zone, visitor.now
    elsewhere = f"{session.membership.account.name}. " if session.membership_id != visitor.membership.id else ""
    elsewhere += _place(session.remote_address)
    if is_this:
        detail = f"{elsewhere}Active now. Signed in {moment(session.created_at, zone, now=now)}"
    else:
        detail = f"{elsewhere}Last active {moment(session.last_seen_at, zone, now=now)}"
    return Line(session.id, _kind(session.browser), session.browser or "A browser", detail, is_this)


def _place(remote_address: str | None) -> str:
    place = services().places.of(remote_address)
    return f"{place}. " if place else ""


def _kind(browser: str) -> str:
    return "phone" if browser.endswith(("iPhone", "Android")) else "computer"


def _signed_out_words(done: str) -> str | None:
    """ "others-2" is what signing out everywhere else leads back with."""
    word, _, count = done.partition("-")
    if word != "others" or not count.isascii() or not count.isdigit() or len(count) > 3:
        return None
    number = int(count)
    if not number:
        return "There were no other sessions."
    return f"Signed out of {number} other {'session' if number == 1 else 'sessions'}."
