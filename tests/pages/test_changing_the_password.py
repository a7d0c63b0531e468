"""Changing one's password (ux.md S17), and what that ends (domain D6)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Account
from tests.support.journey import Person
from tests.support.profile import (
    EDGE,
    IPHONE,
    NEW,
    NEW_PASSWORD,
    asked_for_a_code,
    enter,
    is_signed_in,
    refreshes,
    stored,
    subjects,
    tokens,
)
from tests.support.service import DANA, PASSWORD, Service

PLACE = "/profile/security/password"


@pytest.fixture
def account(service: Service) -> Account:
    """Northgate, which asks for no codes."""
    return service.account(mfa="")


@pytest.fixture
def dana(service: Service, account: Account) -> Person:
    """Signed in."""
    service.member(account)
    return enter(service)


def change(person: Person, current: str = PASSWORD, new: str = NEW_PASSWORD, **more: str | None):
    """Fill in the form."""
    person.open(PLACE)
    return person.submit(current=current, password=new, **more)


def test_the_new_password_signs_in_and_the_old_one_does_not(dana: Person, service: Service) -> None:
    """The page says so, the row says when, and a mail says where."""
    service.pass_time(hours=1, minutes=-31)
    page = change(dana)
    assert "Your password is changed." in page.text
    assert "Last changed Nov 22, 2026." in page.text
    assert stored(service).password_changed_at == service.clock.now()
    assert subjects(service, DANA) == ["Your Northgate password was changed"]
    assert "on Nov 22, 2026, 5:00 PM EST from Chrome on macOS" in service.emails.to(DANA)[-1].text
    other = service.person()
    service.sign_in(other)
    assert "We couldn’t sign you in" in other.here.text
    service.sign_in(other, password=NEW_PASSWORD)
    assert other.here.h1 == "You’re signed in"
    assert service.events("password.changed")[-1].fields == {"by": "person"}


def test_lg10_this_session_goes_on_with_a_new_secret(dana: Person) -> None:
    """LG-10: the secret of before is dead, so a copy of the cookie is worth nothing."""
    before = dana.cookie("sid")
    change(dana)
    assert dana.cookie("sid") != before
    assert is_signed_in(dana)


def test_lg08_a_wrong_current_password_counts_as_one_of_signing_in(dana: Person, service: Service) -> None:
    """LG-08: the same limit for every way of asking for the password."""
    for _ in range(9):
        page = change(dana, current="not the password of dana")
        assert page.status == 401
    assert "That isn’t your password. Check it and try again." in page.text
    token = dana.here.forms[0].fields["csrf_token"]
    assert dana.post("/confirm", {"password": "nor this one", "csrf_token": token}).status_code == 401
    page = change(dana)
    assert page.status == 429
    assert "Too many tries. You can try again at" in page.text
    assert "Retry-After" in page.response.headers
    assert len(service.events("password.wrong")) == 10


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("", "Enter a new password"),
        ("too short", "Use at least 15 characters. This has 9."),
        ("x" * 300, "Passwords have 256 characters at most. This one is longer."),
        ("password12345678", "This password is easy to guess. Choose a different one."),
        ("dana northgate 2026", "Choose something that isn’t your name, email or company."),
        (PASSWORD, "This is your current password. Choose a different one."),
    ],
)
def test_d21_a_password_that_will_not_do_is_said_at_its_field(dana: Person, new: str, said: str) -> None:
    """S9's errors; neither password is given back to the page."""
    page = change(dana, new=new)
    assert (page.status, said in page.text) == (422, True)
    assert page.title.startswith("Error: ")
    assert PASSWORD not in page.response.text
    assert dana.here.forms[0].fields["current"] == ""


@pytest.mark.parametrize("current", ["", "x" * 300, "\x00", "\udcff"])
def test_a_hostile_current_password_is_no_error_of_ours(dana: Person, current: str) -> None:
    """Empty, too long, NUL, not text: each is said, none is a 500."""
    form = dana.open(PLACE).forms[0].fields
    answered = dana.post(
        PLACE, {**form, "current": current.encode("utf-8", "surrogateescape"), "password": NEW_PASSWORD}
    )
    assert answered.status_code in (401, 422)


def test_the_box_is_ticked_and_signs_out_the_other_devices(dana: Person, service: Service) -> None:
    """S17: ticked by default; the other sessions and their refresh families end, this one's go on."""
    service.client()
    other, here = enter(service, user_agent=EDGE), tokens(service, dana)
    there = tokens(service, other)
    dana.open(PLACE)
    assert dana.here.forms[0].fields["sign_out"] == "1"
    change(dana)
    assert not is_signed_in(other)
    assert is_signed_in(dana)
    assert (refreshes(service, here), refreshes(service, there)) == (True, False)
    ended = service.events("session.ended")
    assert [event.fields["reason"] for event in ended] == ["password_changed"]


def test_unticked_the_other_devices_stay_signed_in(dana: Person, service: Service) -> None:
    """And a tick survives an error, as its absence does."""
    service.client()
    other = enter(service, user_agent=EDGE)
    there = tokens(service, other)
    assert "sign_out" not in change(dana, new="too short", sign_out=None).forms[0].fields
    dana.submit(current=PASSWORD, password=NEW_PASSWORD)
    assert is_signed_in(other)
    assert refreshes(service, there)


def test_a_session_left_signed_in_must_show_the_new_password_before_a_change(dana: Person, service: Service) -> None:
    """What was typed there was another password: it proves nothing any more, and no page goes round in a circle."""
    other = enter(service, user_agent=EDGE)
    service.pass_time(minutes=1)
    change(dana, sign_out=None)
    page = other.open("/profile/email")
    assert page.h1 == "Confirm it’s you"
    assert other.submit(password=PASSWORD).status == 401
    assert other.submit(password=NEW_PASSWORD).h1 == "Change your email address"


def test_a_service_that_asks_for_more_gets_the_new_password_first(dana: Person, service: Service) -> None:
    """A step-up from a session whose password was changed elsewhere asks for it, and then goes on."""
    service.client()
    other = enter(service, user_agent=EDGE)
    service.pass_time(minutes=1)
    change(dana, sign_out=None)
    request = service.authorization_request("x" * 43, acr_values="urn:ims:acr:two-step")
    assert other.open("/oauth/authorize", **request).h1 == "Sign in"
    other.submit(email=DANA, password=NEW_PASSWORD)
    assert other.submit(method="email").h1 == "Enter your code"


@pytest.mark.parametrize("sign_out", ["1", None])
def test_d6_remembered_devices_end_either_way(service: Service, sign_out: str | None) -> None:
    """D6: a password change ends remembering, whatever becomes of the sessions."""
    service.member(service.account(mfa="email"))
    dana, phone = enter(service, remember=True), enter(service, remember=True, user_agent=IPHONE)
    change(dana, sign_out=sign_out)
    assert asked_for_a_code(service, dana, password=NEW_PASSWORD)
    assert asked_for_a_code(service, phone, password=NEW_PASSWORD)


def test_a_sign_in_under_way_with_the_old_password_ends(service: Service) -> None:
    """Whoever knew the old password and waits at the code goes no further."""
    service.member(service.account(mfa="email"))
    dana, thief = enter(service), service.person(user_agent=EDGE)
    service.sign_in(thief)
    assert thief.here.h1 == "Enter your code"
    service.pass_time(seconds=31)
    change(dana)
    thief.submit(code=service.code_for(DANA))
    assert thief.here.h1 != "You’re signed in"
    assert not is_signed_in(thief)


def test_rc07_an_email_change_that_waits_ends(dana: Person, service: Service) -> None:
    """RC-07: whoever knew the old password may have begun it."""
    dana.open("/profile/email")
    dana.submit(email=NEW)
    code, form = service.code_for(NEW), dana.here.forms[0].fields
    change(dana)
    form["csrf_token"] = dana.open("/profile").forms[0].fields["csrf_token"]
    assert dana.post("/profile/email/code", {**form, "code": code}).headers["Location"] == "/profile"
    assert stored(service).email.address == DANA


def test_where_the_account_asks_for_codes_a_fresh_one_is_asked_first(service: Service) -> None:
    """S2: the code, then the form with the present password; a form sent past it is sent there too."""
    service.member(service.account(mfa="email"))
    dana = enter(service)
    form = dana.open(PLACE).forms[0].fields
    service.pass_time(minutes=16)
    answered = dana.post(PLACE, {**form, "current": PASSWORD, "password": NEW_PASSWORD})
    assert answered.headers["Location"].startswith(
        "/confirm?continue=%2Fprofile%2Fsecurity%2Fpassword&for=password&code=1"
    )
    dana.open(PLACE)
    dana.submit(password=PASSWORD)
    assert dana.submit(code=service.code_for(DANA)).h1 == "Change your password"


def test_the_well_known_address_leads_to_the_form(dana: Person, service: Service) -> None:
    """W3C: a redirect to the change form; unknown well-known paths answer 404, so that tools can trust the status."""
    answered = dana.client.get("/.well-known/change-password", base_url=dana.issuer)
    assert (answered.status_code, answered.headers["Location"]) == (303, PLACE)
    assert dana.open("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").status == 404
    stranger = service.person()
    assert stranger.open("/.well-known/change-password").h1 == "Sign in"
