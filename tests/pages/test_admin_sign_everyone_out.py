""" "Sign everyone out now" and what goes on when it is not pressed (domain D9, security.md MF-18, MF-15)."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.mfa_settings import SETTINGS, admin, choose, signed_in
from tests.support.service import Service, pkce

PRIYA = "priya@northgate.example"


def to_portal(service: Service, person: Person, **params: str) -> str:
    """Ask for authorization; answers the verifier."""
    verifier, challenge = pkce()
    person.open("/oauth/authorize", **service.authorization_request(challenge, **params))
    return verifier


def priya_at_the_portal(service: Service) -> tuple[Person, dict[str, Any]]:
    """Priya, signed in with a password alone, and her tokens."""
    person = service.person()
    verifier = to_portal(service, person)
    person.submit(email=PRIYA, password="quiet harbor maple lantern")
    return person, service.redeem(person, verifier)


@pytest.fixture
def dana(service: Service) -> Person:
    """Who may switch it; Priya is a colleague."""
    account = service.account()
    service.client()
    service.member(account, PRIYA)
    return admin(service, account)


def test_mf18_d9_open_sessions_go_on_below_what_is_now_asked(service: Service, dana: Person) -> None:
    """D9: tokens go on and say acr password; two-step asks for the code; prompt=none is told so."""
    priya, tokens = priya_at_the_portal(service)
    choose(dana, on=True)
    again = service.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert service.claims(again.json["id_token"])["acr"] == levels.PASSWORD
    verifier = to_portal(service, priya)
    assert service.claims(service.redeem(priya, verifier)["id_token"])["acr"] == levels.PASSWORD
    to_portal(service, priya, acr_values=levels.TWO_STEP, prompt="none")
    assert priya.callback()["error"] == "login_required"
    to_portal(service, priya, acr_values=levels.TWO_STEP)
    assert priya.here.h1 == "Enter your code"


def test_mf18_d9_after_it_nothing_of_before_works(service: Service, dana: Person) -> None:
    """Sessions, and the tokens that came of them; the session of whoever pressed stays, and it says so."""
    priya, tokens = priya_at_the_portal(service)
    page = dana.open(SETTINGS + "/sign-everyone-out")
    assert page.h1 == "Sign everyone out now?"
    assert "1 Team Member is signed in." in page.text
    assert "Your own session in this browser goes on." in page.text
    page = dana.submit()
    assert "Signed out of 1 session. Yours here goes on." in page.text
    assert priya.open("/profile-or-anything").status == 404
    assert priya.open("/sign-out").h1 == "Sign in"
    refused = service.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refused.json["error"] == "invalid_grant"
    to_portal(service, priya, prompt="none")
    assert priya.callback()["error"] == "login_required"
    (event,) = service.events("session.everyone_signed_out")
    assert event.fields == {"audience": "team", "sessions": 1}


def test_d9_it_ends_nothing_of_other_accounts_and_audiences(service: Service, dana: Person) -> None:
    """The account and the audience of the page alone."""
    elsewhere = service.account("elsewhere")
    service.member(elsewhere, "olga@elsewhere.example")
    olga = signed_in(service, "olga@elsewhere.example")
    dana.open("/admin/investors/sign-everyone-out")
    assert "Nobody else is signed in at the moment." in dana.here.text
    dana.submit()
    dana.open(SETTINGS + "/sign-everyone-out")
    dana.submit()
    assert olga.open("/sign-out").h1 == "Sign out?"
    assert dana.open(SETTINGS).status == 200


def test_d9_ones_other_browsers_are_signed_out_too(service: Service, dana: Person) -> None:
    """Somebody else may sit at them."""
    other = signed_in(service)
    dana.open(SETTINGS + "/sign-everyone-out")
    dana.submit()
    assert other.open("/sign-out").h1 == "Sign in"
    assert dana.open("/sign-out").h1 == "Sign out?"


def test_d9_it_needs_a_recent_password(service: Service, dana: Person) -> None:
    """S2, and Cancel leads back to the question, which asks nothing itself."""
    service.pass_time(minutes=16)
    dana.open(SETTINGS + "/sign-everyone-out")
    page = dana.submit()
    assert "Enter your password to end sessions and remembered devices." in page.text
    assert page.links["Cancel"] == SETTINGS + "/sign-everyone-out"


@pytest.mark.parametrize("flips", [(False,), (False, True)])
def test_mf15_a_sign_in_under_way_satisfies_the_stricter_of_start_and_end(
    service: Service, dana: Person, flips: tuple[bool, ...]
) -> None:
    """Switched off, or off and on again, while Priya stands at the code: no session without it."""
    choose(dana, on=True)
    priya = service.person()
    service.sign_in(priya, PRIYA)
    assert priya.here.h1 == "Enter your code"
    for on in flips:
        choose(dana, on=on)
        if not on:
            dana.submit()
        assert priya.open("/").h1 in ("Enter your code", "Sign in")
        assert priya.cookie("sid") is None
    priya.open("/sign-in/code")
    priya.submit(code=service.code_for(PRIYA))
    assert priya.cookie("sid")
    assert service.events("session.started")[-1].fields["acr"] == levels.TWO_STEP
