"""S2, "Confirm it's you": the password again, and a code where one is due."""

from __future__ import annotations

import pytest

from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service

PLACE = "/confirm?continue=%2Fsign-out&for=phone"


@pytest.fixture
def dana(service: Service) -> Person:
    """Signed in with a password alone, sixteen minutes ago."""
    account = service.account(mfa="")
    service.member(account)
    person = service.person()
    service.sign_in(person)
    service.pass_time(minutes=16)
    return person


def test_it_says_what_for_and_leads_back(dana: Person) -> None:
    """ "Enter your password to change your phone number"; then back to the exact place, under a new session secret (LG-10)."""
    before, page = dana.cookie("sid"), dana.open(PLACE)
    assert page.h1 == "Confirm it’s you"
    assert "Enter your password to change your phone number." in page.text
    assert dana.submit(password=PASSWORD).h1 == "Sign out?"
    assert dana.cookie("sid") != before


def test_a_wrong_password_is_said_and_counted(dana: Person, service: Service) -> None:
    """The same limit as signing in (security.md LG-08): ten tries, and the eleventh is not compared."""
    for _ in range(10):
        dana.open(PLACE)
        assert dana.submit(password="wrong horse battery").status == 401
    assert dana.submit(password=PASSWORD).status == 429
    assert len(service.events("password.wrong")) == 10


def test_a_recent_password_is_not_asked_for_again(service: Service) -> None:
    """WCAG 2.2 3.3.7: nothing is asked twice."""
    service.member(service.account(mfa=""))
    person = service.person()
    service.sign_in(person)
    assert person.open(PLACE).h1 == "Sign out?"


@pytest.mark.parametrize("mfa", ["", "email"])
def test_a_fresh_code_is_asked_although_one_was_entered_before(service: Service, mfa: str) -> None:
    """D9, D10: switching Multi-Factor Authentication needs a code entered now, whatever the account asks at sign-in."""
    service.member(service.account(mfa=mfa))
    person = service.person()
    service.sign_in(person)
    if mfa == "email":
        person.submit(code=service.code_for(DANA))
    service.pass_time(minutes=16)
    person.open(PLACE + "&code=1")
    page = person.submit(password=PASSWORD)
    if not mfa:  # no method was chosen for this account: any that the policy allows will do
        page = person.submit(method="email")
    assert page.h1 == "Enter your code"
    assert "Remember Me" not in page.text
    assert person.submit(code=service.code_for(DANA)).h1 == "Sign out?"


def test_nobody_signed_in_is_sent_to_sign_in_first(service: Service) -> None:
    """And comes back to the same question."""
    service.member(service.account(mfa=""))
    person = service.person()
    assert person.open(PLACE).h1 == "Sign in"


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a{id}b"])
def test_lg14_it_leads_nowhere_else(dana: Person, place: str) -> None:
    """Local paths only, and braces are no template of ours."""
    dana.client.get("/confirm", query_string={"continue": place, "for": "x"})
    answer = dana.post(f"/confirm?continue={place}&for=x", {"password": PASSWORD, "csrf_token": "forged"})
    assert "evil" not in answer.headers.get("Location", "")
