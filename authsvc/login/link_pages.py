"""What pages behind mailed links share: the secret moves into a cookie, and a link that cannot be used says why (ux.md S11)."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from authsvc.accounts.links import LinkState, is_whole
from authsvc.accounts.models import Account
from authsvc.login import journey
from authsvc.login.journey import Purpose
from authsvc.policy.values import length_in_words
from authsvc.web.context import services
from authsvc.web.cookies import LINK

SIGN_IN, FORGOT = ("Go to sign in", "/sign-in"), ("Send me a new link", "/forgot")


@dataclass(frozen=True)
class Words:
    """One row of the table in S11."""

    heading: str
    text: str
    button: tuple[str, str] = SIGN_IN
    second: tuple[str, str] | None = None


_CUT = "Your email program may have cut it. Copy the whole address, or ask for a new link."
_NEWER = "We sent you a newer link. Use that one."
TABLE = {
    ("reset", LinkState.EXPIRED): Words(
        "This link has expired",
        "Password links work for {reset} and only once. Your current password hasn’t changed.",
        FORGOT,
        SIGN_IN,
    ),
    ("reset", LinkState.USED): Words(
        "This link was already used",
        "If you changed your password, sign in with the new one. If you didn’t, reset it now.",
        ("Sign in", "/sign-in"),
        ("Reset password", "/forgot"),
    ),
    ("reset", LinkState.SUPERSEDED): Words(
        "This link was replaced", "A newer link counts now, or this one was called off.", FORGOT, SIGN_IN
    ),
    ("reset", LinkState.DAMAGED): Words("This link isn’t complete", _CUT, FORGOT, SIGN_IN),
    ("verify_email", LinkState.EXPIRED): Words("This link has expired", "Sign in and we’ll send a new one."),
    ("verify_email", LinkState.USED): Words("This link was already used", "Sign in and we’ll send a new one."),
    ("verify_email", LinkState.SUPERSEDED): Words("This link was replaced", _NEWER),
    ("verify_email", LinkState.DAMAGED): Words(
        "This link isn’t complete", "Your email program may have cut it. Copy the whole address, or sign in."
    ),
    ("not_me", LinkState.EXPIRED): Words(
        "This link has expired",
        "It worked for {not_me}. If somebody else uses your sign-in, choose a new password now.",
        ("Reset password", "/forgot"),
        SIGN_IN,
    ),
    ("not_me", LinkState.DAMAGED): Words(
        "This link isn’t complete",
        "Your email program may have cut it. Copy the whole address, or choose a new password now.",
        ("Reset password", "/forgot"),
        SIGN_IN,
    ),
    ("invitation", "used"): Words("This link was already used", "You have joined. Sign in to go on."),
    ("invitation", "withdrawn"): Words(
        "This invitation was withdrawn", "Ask your account admin if you still need access."
    ),
    ("invitation", "damaged"): Words(
        "This link isn’t complete",
        "Your email program may have cut it. Copy the whole address, or ask for a new invitation.",
    ),
}


def land(kind: str, secret: str, endpoint: str) -> Response:
    """Take the secret out of the address: into a cookie, and on by redirect. Changes nothing here (security.md RC-06)."""
    if not is_whole(secret):
        return unusable(kind, "damaged")
    response = redirect(url_for(endpoint), 303)
    services().cookies.write(response, f"{LINK}-{kind}", secret)
    return response


def secret_of(kind: str) -> str:
    """What the cookie holds, or nothing."""
    return services().cookies.read(request, f"{LINK}-{kind}") or ""


def unusable(kind: str, state: str, *, account: Account | None = None) -> Response:
    """410, with what happened to it and what helps."""
    links = services().policies.sessions.links
    words = TABLE[kind, state]
    label, url = words.button
    second_label, second_url = words.second or (None, None)
    return journey.show(
        "link_unusable.html",
        Purpose(None, None, account),
        status=410,
        heading=words.heading,
        text=words.text.format(reset=length_in_words(links.reset), not_me=length_in_words(links.not_me)),
        button_label=label,
        button_url=url,
        second_label=second_label,
        second_url=second_url,
    )
