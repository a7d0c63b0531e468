"""What the sign-in page says at first: what brought the person there (ux.md S1)."""

from __future__ import annotations

from flask import request
from sqlalchemy.orm import Session

from authsvc.login.journey import Purpose
from authsvc.policy.values import length_in_words
from authsvc.web.context import services
from authsvc.web.cookies import SESSION

NOTES = {
    "signed-out": "You’re signed out.",
    "new-password": "Your password is changed. Sign in with the new one.",
}
#: Pages of ours that somebody may have been on the way to; the longest beginning that fits names the place.
PLACES = {
    "/profile": "My Profile",
    "/profile/exports": "Exports",
    "/profile/security": "Security",
    "/profile/notifications": "Notifications",
    "/admin": "Admin Settings",
    "/admin/investors": "Investor Settings",
}


def note(tx: Session, bound_for: Purpose) -> str | None:
    """The one sentence, or None."""
    if (said := NOTES.get(request.args.get("note", ""))) is not None:
        return said
    s = services()
    if s.sessions.was_idle(tx, s.cookies.read(request, SESSION)):
        idle = length_in_words(s.policies.sessions.idle)
        return f"You were signed out because nothing happened for {idle}. Nothing was lost on the server."
    place = _place(bound_for.continue_to)
    return f"Sign in to continue to {place}." if place else None


def _place(path: str | None) -> str | None:
    plain = (path or "").partition("?")[0]
    fitting = [known for known in PLACES if plain == known or plain.startswith(known + "/")]
    return PLACES[max(fitting, key=len)] if fitting else None
