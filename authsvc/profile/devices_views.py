"""Ending one's own remembered devices and sessions (ux.md S18). Each act has its question as a page, for the way back."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from authsvc.profile import navigation, pages
from authsvc.profile.navigation import DEVICES, SESSIONS
from authsvc.sessions import guards
from authsvc.web.context import services

bp = Blueprint("profile_devices", __name__, template_folder="templates")


def _back(done: str, section: str) -> Response:
    """To the heading of the section, where the note is read next."""
    return redirect(f"{navigation.SECURITY}?done={done}#{section}-s", 303)


@bp.get(f"{DEVICES}/<device_id>/remove")
def to_remove(device_id: str) -> Response:
    """The question."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        found = s.devices.of(visitor.tx, visitor.user.id, device_id)
        if found is None:
            return pages.not_theirs(visitor, "remembered_device")
        name = found[0].browser or "A browser"
        text = f"{name} will be asked for a code at its next sign-in."
        return pages.sure(visitor, f"Remove {name}?", text, label="Remove", busy="Removing…")


@bp.post(f"{DEVICES}/<device_id>/remove")
def remove(device_id: str) -> Response:
    """ "Remove"."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        found = s.devices.of(visitor.tx, visitor.user.id, device_id)
        if found is None:
            return pages.not_theirs(visitor, "remembered_device")
        removed = s.devices.remove(visitor.tx, *found)
    return _back("device" if removed else "device-over", "devices")


@bp.get(f"{DEVICES}/remove-all")
def to_remove_all() -> Response:
    """The question."""
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        text = "Every device will be asked for a code at its next sign-in, in each of your accounts."
        return pages.sure(visitor, "Remove all remembered devices?", text, label="Remove all", busy="Removing…")


@bp.post(f"{DEVICES}/remove-all")
def remove_all() -> Response:
    """ "Remove all": by the epoch, so it does not matter how many there are."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        s.devices.forget_all(visitor.tx, reason="removed_all", user_id=visitor.user.id)
    return _back("devices", "devices")


@bp.get(f"{SESSIONS}/<sid>/sign-out")
def to_sign_out(sid: str) -> Response:
    """The question, with "and forget this device" where that session rests on one."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        session = s.sessions.of(visitor.tx, visitor.user.id, sid)
        if session is None:
            return pages.not_theirs(visitor, "session")
        if not s.sessions.is_live(session):
            return _back("session-over", "sessions")
        name = session.browser or "A browser"
        device = s.devices.live(visitor.tx, session.device_id) if session.device_id else None
        return pages.sure(
            visitor,
            f"Sign out {name}?",
            f"{name} will have to sign in again.",
            label="Sign out",
            busy="Signing out…",
            box=("forget", "and forget this device") if device else None,
        )


@bp.post(f"{SESSIONS}/<sid>/sign-out")
def sign_out(sid: str) -> Response:
    """ "Sign out" of one session; its refresh families end with it, its remembered device only if asked."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        session = s.sessions.of(visitor.tx, visitor.user.id, sid)
        if session is None:
            return pages.not_theirs(visitor, "session")
        was_live = s.sessions.is_live(session)
        ended = s.sessions.end(visitor.tx, session, "signed_out_from_profile") and was_live
        device = s.devices.of(visitor.tx, visitor.user.id, session.device_id or "")
        if device is not None and request.form.get("forget"):
            s.devices.remove(visitor.tx, *device)
    return _back("session" if ended else "session-over", "sessions")


@bp.get(f"{SESSIONS}/sign-out-others")
def to_sign_out_others() -> Response:
    """The question."""
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        text = "You stay signed in here. Everywhere else you will have to sign in again."
        return pages.sure(
            visitor, "Sign out everywhere else?", text, label="Sign out everywhere else", busy="Signing out…"
        )


@bp.post(f"{SESSIONS}/sign-out-others")
def sign_out_others() -> Response:
    """ "Sign out everywhere else"."""
    s = services()
    with guards.visitor() as visitor:
        visitor.require_recent_proof("sessions")
        ended = s.sessions.end_all(
            visitor.tx, "signed_out_everywhere_else", user_id=visitor.user.id, but=visitor.session.id
        )
    return _back(f"others-{min(ended, 999)}", "sessions")
