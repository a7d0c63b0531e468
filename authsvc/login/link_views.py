"""Two mailed links that need no sign-in: verifying an address (S6), and "this was not me"."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from authsvc.accounts.links import LinkState, Look
from authsvc.accounts.models import MailedLink
from authsvc.login import journey, link_pages
from authsvc.login.journey import Purpose
from authsvc.policy.values import length_in_words
from authsvc.web.context import services
from authsvc.web.text import browser_label, full_time, mask_email

bp = Blueprint("links", __name__, template_folder="templates")

#: What a notice told of, for whoever comes by its link.
HAPPENED = {
    "notice_new_device": "Somebody signed in as you on {at} from {browser}.",
    "notice_phone_added": "The phone number ending in {phone_ending} was added for your sign-in codes on {at} from {browser}.",
    "notice_phone_changed": "Your sign-in codes now go to the number ending in {phone_ending}; changed on {at} from {browser}.",
    "notice_phone_removed": "The phone number ending in {phone_ending} was removed on {at} from {browser}.",
    "notice_email_changed": "Your email address was changed to {new_address} on {at} from {browser}.",
    "notice_app_added": "An authenticator app was set up for your sign-in on {at} from {browser}.",
    "notice_app_removed": "Your authenticator app was removed on {at} from {browser}.",
    "notice_recovery_codes": "New recovery codes were made on {at} from {browser}.",
    "notice_recovery_code_used": "A recovery code of yours was used on {at} from {browser}.",
    "notice_password_changed": "Your password was changed on {at} from {browser}.",
}
SOMETHING = "Something about your sign-in was changed on {at}."


@bp.get("/verify/<secret>")
def land_verify(secret: str) -> Response:
    """The mailed address: its secret moves into a cookie, and the address is cleaned."""
    return link_pages.land("verify_email", secret, "links.verify")


@bp.get("/verify")
def verify() -> Response:
    """Ask for the press of a button: a scanner that opens the link verifies nothing (ux.md 1)."""
    look = _look("verify_email")
    link = look.link
    if link is not None and _is_verified(link):
        heading = "Email verified" if request.args.get("done") else "This email is already verified"
        return _verified_page(link, heading)
    if link is None or look.state is not LinkState.USABLE:
        return link_pages.unusable("verify_email", look.state)
    return journey.show(
        "login/verify_link.html",
        Purpose(None, None, link.account),
        email=link.address,
        action=url_for("links.submit_verify"),
    )


@bp.post("/verify")
def submit_verify() -> Response:
    """Verify the address. Whoever presses twice reads that it is done, never an error."""
    s = services()
    with s.database.transaction() as tx:
        done = s.recovery.verify(tx, link_pages.secret_of("verify_email"))
    return redirect(url_for("links.verify", done="1" if done else None), 303)


@bp.get("/not-me/<secret>")
def land_not_me(secret: str) -> Response:
    """The mailed address: its secret moves into a cookie, and the address is cleaned."""
    return link_pages.land("not_me", secret, "links.not_me")


@bp.get("/not-me")
def not_me() -> Response:
    """What happened, and what the button does. Opening it does nothing."""
    look = _look("not_me")
    link = look.link
    if link is not None and look.state is LinkState.USED:
        return _disowned_page(link)
    if link is None or look.state is not LinkState.USABLE:
        return link_pages.unusable("not_me", look.state)
    return journey.show(
        "login/not_me.html",
        Purpose(None, None, link.account),
        email=link.address,
        happened=_happened(link),
        action=url_for("links.submit_not_me"),
    )


@bp.post("/not-me")
def submit_not_me() -> Response:
    """Sign everybody out, stop the password, mail a link for a new one. A second press finds it done."""
    s = services()
    with s.database.transaction() as tx:
        browser = browser_label(request.headers.get("User-Agent"))
        s.recovery.disown(tx, link_pages.secret_of("not_me"), browser=browser)
    return redirect(url_for("links.not_me"), 303)


def _look(kind: Any) -> Look:
    s = services()
    with s.database.transaction(read_only=True) as tx:
        return s.links.look(tx, link_pages.secret_of(kind), kind)


def _is_verified(link: MailedLink) -> bool:
    return link.user.email.verified_at is not None and link.user.email.address == link.address


def _verified_page(link: MailedLink, heading: str) -> Response:
    slug = link.account.slug if link.account else None
    return journey.show(
        "login/link_done.html",
        Purpose(None, None, link.account),
        heading=heading,
        texts=["You can close this page or sign in."],
        button_label="Sign in",
        button_url=url_for("login.sign_in", account=slug),
    )


def _disowned_page(link: MailedLink) -> Response:
    texts = ["You’re signed out everywhere, no browser is remembered, and the old password doesn’t work any more."]
    if link.address == link.user.email.address:
        works_for = length_in_words(services().policies.sessions.links.reset)
        texts.append(f"We sent a link to choose a new one to {mask_email(link.address)}. It works for {works_for}.")
    else:
        texts.append(
            "Your sign-in has another email address now, so we sent nothing there. Email support@imscre.com to get it back."
        )
    return journey.show(
        "login/link_done.html",
        Purpose(None, None, link.account),
        heading="Your sign-in is secured",
        texts=texts,
        button_label="Send the link again",
        button_url=url_for("recovery.forgot"),
    )


def _happened(link: MailedLink) -> str:
    about = {"browser": "a browser", **(link.about or {})}
    zone = journey.zone_of(link.account)
    at = full_time(datetime.fromisoformat(about["at"]) if "at" in about else link.created_at, zone)
    return HAPPENED.get(about.get("notice", ""), SOMETHING).format(**{**about, "at": at})
