"""The line that says why a code is asked for now, as it comes about (issue 3; the sentences: tests/unit/test_why_a_code.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authsvc.accounts.models import Membership
from authsvc.sessions import levels
from tests.support.authenticator import app_of
from tests.support.databases import ON_SQLITE
from tests.support.journey import Person
from tests.support.service import DANA, Service, pkce

pytestmark = ON_SQLITE


def remembered(service: Service) -> tuple[Person, Membership]:
    """Dana, signed out again on a browser that is remembered."""
    dana = service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    person.submit(code=service.code_for(DANA), remember="1")
    sign_out(person)
    return person, dana


def sign_out(person: Person) -> None:
    """Leave."""
    person.open("/sign-out")
    person.submit(form=0)


def change(reason: str) -> Callable[[Service, Membership], None]:
    """What raises the epoch of a person, as whoever does it does it."""

    def act(service: Service, dana: Membership) -> None:
        with service.services.database.transaction() as tx:
            service.services.devices.forget_all(tx, reason=reason, user_id=dana.user_id)

    return act


def thirty_days(service: Service, _: Membership) -> None:
    """Time passes."""
    service.pass_time(days=30)


CASES = {
    "30 days over": (thirty_days, "It has been 30 days since your last code on this browser."),
    "phone": (change("phone_changed"), "Your phone number has changed since your last code here."),
    "password": (change("password_changed"), "Your password has changed since your last code here."),
    "policy": (change("mfa_policy_changed"), "Northgate has changed how it asks for codes."),
}


@pytest.mark.parametrize("case", CASES)
def test_what_ended_remembering_is_said_at_the_next_sign_in(service: Service, case: str) -> None:
    """Computed from the device behind the cookie and the reason of the last epoch."""
    act, said = CASES[case]
    person, dana = remembered(service)
    act(service, dana)
    service.sign_in(person)
    assert person.here.h1 == "Enter your code"
    assert said in person.here.text


def test_a_browser_that_is_new_or_known_is_told_apart(service: Service) -> None:
    """New: never signed in here. Known: signed in before, and not remembered."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    assert "You haven’t signed in on this browser before." in person.here.text
    person.submit(code=service.code_for(DANA))
    sign_out(person)
    service.sign_in(person)
    assert "This browser isn’t remembered, so Northgate asks for a code." in person.here.text


def test_a_forgotten_device_is_said(service: Service) -> None:
    """Removed on the sign-out page of this very browser."""
    person, _ = remembered(service)
    service.sign_in(person)
    person.open("/sign-out")
    person.submit(button="forget")
    sign_out(person)
    service.sign_in(person)
    assert "This browser was removed from your remembered devices." in person.here.text


def test_an_old_generation_is_said(service: Service) -> None:
    """A copy of the cookie comes after the browser has renewed it (domain D5)."""
    person, _ = remembered(service)
    copy = {cookie.key: cookie.value for cookie in person.client._cookies.values() if "remember-" in cookie.key}
    service.sign_in(person)
    sign_out(person)
    service.pass_time(minutes=5)
    for name, value in copy.items():
        person.client.set_cookie(name, value, domain="login.ims.test", secure=True)
    service.sign_in(person)
    assert "We couldn’t be sure that this is still the browser you asked us to remember." in person.here.text


def test_a_service_that_wants_more_is_named(service: Service) -> None:
    """Step-up: signed in by a remembered device, the portal asks for a code now."""
    service.client()
    person, _ = remembered(service)
    service.sign_in(person)
    _, challenge = pkce()
    person.open("/oauth/authorize", **service.authorization_request(challenge, acr_values=levels.TWO_STEP))
    assert "IMS portal asks for a code before you go on." in person.here.text


def test_the_line_stands_where_the_way_is_chosen_too(service: Service) -> None:
    """S3: the account asks, and why now."""
    service.member(service.account(mfa="email+sms"))
    person = service.person()
    service.sign_in(person)
    assert (
        "Northgate asks for a code as well as your password. You haven’t signed in on this browser before."
        in person.here.text
    )


def test_nothing_is_said_of_one_person_to_another(service: Service) -> None:
    """The cookie of somebody else's memory says nothing about this person's."""
    person, _ = remembered(service)
    service.member(service.account("westgate", mfa="email"), "sam@westgate.example")
    service.pass_time(days=31)
    service.sign_in(person, "sam@westgate.example")
    assert "You haven’t signed in on this browser before." in person.here.text


def test_an_app_that_changed_is_said(service: Service) -> None:
    """D6: the methods have changed."""
    person, dana = remembered(service)
    app_of(service, dana)
    service.sign_in(person)
    assert "Your authenticator app has changed since your last code here." in person.here.text
