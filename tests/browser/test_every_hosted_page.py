"""The hosted pages behind links, steps and errors: axe in light and dark, 320 px, twice the text, few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Page

from authsvc.accounts.models import Membership
from authsvc.clock import FixedClock
from authsvc.db import DatabaseUnavailable
from tests.support.here import served_here
from tests.support.links import NEW_PASSWORD, newest_link
from tests.support.looking import problems, statements
from tests.support.service import DANA, DANAS_PHONE, Service, make_ring
from tests.support.team import PRIYA, THEO
from tests.support.walk import Walk

#: The sign-in under way, its person with what they have, the account, the code that is out, and why it is asked for.
A_HANDFUL = 12
JO = "jo@northgate.example"


@pytest.fixture
def service(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server; two addresses fail as parts of it may."""

    def broken() -> str:
        raise RuntimeError("on purpose")

    def away() -> str:
        raise DatabaseUnavailable

    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        started.app.add_url_rule("/broken", view_func=broken)
        started.app.add_url_rule("/away", view_func=away)
        yield started


@dataclass(frozen=True)
class Stop:
    """One page: what it is called, its heading, how a person gets there. `again`: it has an address, and costs little."""

    name: str
    h1: str
    go: Callable[[Walk], object]
    again: bool = True


def at(path: str) -> Callable[[Walk], object]:
    """By an address."""
    return lambda walk: walk.open(path)


def by_mail(kind: str, to: str = DANA) -> Callable[[Walk], object]:
    """By the newest link of a mail."""
    return lambda walk: walk.open(newest_link(walk.service, kind, to=to))


def typing(field: str, text: str, button: str) -> Callable[[Walk], object]:
    """By a form with one field."""

    def go(walk: Walk) -> None:
        walk.page.fill(field, text)
        walk.press(button)

    return go


def pressing(button: str) -> Callable[[Walk], object]:
    """By a button."""
    return lambda walk: walk.press(button)


def signing_in(email: str, account: str) -> Callable[[Walk], object]:
    """As somebody else, with the password."""

    def go(walk: Walk) -> None:
        walk.page.context.clear_cookies()
        walk.sign_in(email, account=account)

    return go


def with_code(to: str, button: str = "Continue") -> Callable[[Walk], object]:
    """With the code that was sent."""
    return lambda walk: walk.enter(to, button=button)


def with_app_code(walk: Walk) -> None:
    """With the code of the app whose key the page shows."""
    key = walk.page.locator(".key").inner_text().replace(" ", "")
    walk.page.fill("#code", pyotp.TOTP(key).at(walk.service.clock.now()))
    walk.press("Continue")


def choosing_text(walk: Walk) -> None:
    """A text message."""
    walk.page.get_by_text("Text message (SMS)", exact=True).click()
    walk.press("Continue")


def without_cookies(walk: Walk) -> None:
    """A form whose cookies are gone."""
    walk.open("/sign-in")
    walk.page.context.clear_cookies()
    walk.page.fill("#email", DANA)
    walk.page.fill("#password", "whatever it was")
    walk.press("Sign in")


def guessing(walk: Walk) -> None:
    """All tries of a code."""
    walk.page.context.clear_cookies()
    walk.sign_in(JO, NEW_PASSWORD)
    for number in range(5):
        walk.page.fill("#code", f"00000{number}")
        walk.press("Continue")


STOPS = (
    Stop("forgot", "Reset your password", at("/forgot?account=northgate")),
    Stop("forgot-empty", "Reset your password", typing("#email", "", "Send link"), again=False),
    Stop("forgot-sent", "Check your email", typing("#email", DANA, "Send link")),
    Stop("reset", "Choose a new password", by_mail("reset")),
    Stop("reset-refused", "Choose a new password", typing("#password", "short one", "Reset Password"), again=False),
    Stop("reset-done", "Sign in", typing("#password", NEW_PASSWORD, "Reset Password")),
    Stop("link-used", "This link was already used", by_mail("reset")),
    Stop("link-damaged", "This link isn’t complete", at("/reset/0123")),
    Stop("not-me", "Was this not you?", by_mail("not-me")),
    Stop("not-me-done", "Your sign-in is secured", pressing("This was not me"), again=False),
    Stop("invite", "Join Northgate Capital Partners", by_mail("invite", JO)),
    Stop("invite-refused", "Join Northgate Capital Partners", pressing("Create my sign-in"), again=False),
    Stop("joined", "Enter your code", lambda walk: _join(walk)),
    Stop("verify", "Verify your email", signing_in(PRIYA, "westgate")),
    Stop("verify-wrong", "Verify your email", typing("#code", "000000", "Verify Email"), again=False),
    Stop("method-verified", "Choose how to get your code", with_code(PRIYA, "Verify Email")),
    Stop("phone", "Add your phone number", choosing_text),
    Stop("phone-foreign", "Add your phone number", typing("#tel", "+44 7700 900123", "Text me a code"), again=False),
    Stop("check-phone", "Check your phone", typing("#tel", "(512) 555-0142", "Text me a code")),
    Stop("signed-in", "You’re signed in", with_code(DANAS_PHONE)),
    Stop("forbidden", "You don’t have access to this page", at("/admin/team")),
    Stop("app-first-an-email", "Enter your code", signing_in(THEO, "eastgate")),
    Stop("app-setup", "Set up your authenticator app", with_code(THEO)),
    Stop("app-setup-wrong", "Set up your authenticator app", typing("#code", "000000", "Continue"), again=False),
    Stop("app-recovery-codes", "Save your recovery codes", with_app_code, again=False),
    Stop("too-many-codes", "Too many wrong codes", guessing, again=False),
    Stop("no-cookies", "Sign in", without_cookies, again=False),
    Stop("not-found", "Page not found", at("/nothing-here")),
    Stop("request-expired", "This link has expired", at("/sign-in?request=0123456789abcdef0123456789abcdef")),
    Stop("wrong-link", "This sign-in link is wrong", at("/oauth/authorize?client_id=nobody")),
    Stop("crashed", "Something went wrong on our side", at("/broken")),
    Stop("away", "Sign-in is briefly unavailable", at("/away")),
)


def _join(walk: Walk) -> None:
    walk.page.fill("#name", "Jo Okafor")
    walk.page.fill("#password", NEW_PASSWORD)
    walk.press("Create my sign-in")


def test_every_hosted_page(service: Service, open_page: Callable[..., Page]) -> None:
    """S4 to S12 in one walk of several people (ux.md section 5)."""
    account = service.account(mfa="email")
    service.member(account, DANA)
    jo = service.member(account, JO, accepted=False, verified=False, password=None, phone=None)
    service.member(service.account("westgate", mfa="email+sms", accent="#ffd400"), PRIYA, verified=False, phone=None)
    service.member(service.account("eastgate", mfa="totp"), THEO, phone=None)
    with service.services.database.transaction() as tx:
        invitation = service.services.invitations.issue(tx, tx.get_one(Membership, jo.id), invited_by=None)
        service.services.courier.send_invitation(tx, invitation.id)
    walk, found = Walk(open_page(viewport={"width": 1280, "height": 900}), service), []
    for stop in STOPS:
        stop.go(walk)
        assert (stop.name, walk.h1) == (stop.name, stop.h1)
        if stop.again:
            with statements(service) as sent:
                walk.page.reload()
            assert (stop.name, walk.h1) == (stop.name, stop.h1)
            if len(sent) > A_HANDFUL:
                found.append(f"{stop.name}: {len(sent)} statements")
        found += problems(walk.page, stop.name)
    assert found == []
