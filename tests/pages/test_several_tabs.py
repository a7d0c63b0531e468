"""Several tabs, several reasons to ask: each finishes, and none runs in circles."""

from __future__ import annotations

from tests.support.databases import ON_SQLITE
from tests.support.service import CALLBACK, DANA, PASSWORD, PORTAL, Service, pkce

pytestmark = ON_SQLITE


def test_a_tab_left_open_goes_on_when_another_has_finished(service: Service) -> None:
    """ux.md rule 5: if tab B finished, tab A continues to the portal and asks for no second code."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge, state="tab-a"))
    tab_a = dana.here.path
    dana.open("/oauth/authorize", **service.authorization_request(challenge, state="tab-b"))
    dana.submit(email=DANA, password=PASSWORD)
    dana.submit(code=service.code_for(DANA))
    assert dana.callback()["state"] == "tab-b"
    dana.open(tab_a)
    assert (dana.left_for or "").startswith(CALLBACK)
    assert dana.callback()["state"] == "tab-a"


def test_a_session_older_than_max_age_is_asked_once_and_not_for_ever(service: Service) -> None:
    """Each further need is parked anew, so the person types a password once and is through."""
    account = service.account(mfa="")
    service.member(account)
    service.client()
    _, challenge = pkce()
    dana = service.person()
    service.sign_in(dana)
    service.pass_time(minutes=10)
    dana.open(
        "/oauth/authorize", **service.authorization_request(challenge, max_age="60", acr_values="urn:ims:acr:two-step")
    )
    assert dana.here.h1 == "Sign in"
    dana.submit(email=DANA, password=PASSWORD)
    assert dana.here.h1 == "Choose how to get your code"
    dana.submit(method="email")
    dana.submit(code=service.code_for(DANA))
    assert (dana.left_for or "").startswith(CALLBACK)
    service.pass_time(minutes=10)
    dana.open("/oauth/authorize", **service.authorization_request(challenge, max_age="1"))
    dana.submit(email=DANA, password=PASSWORD)
    service.pass_time(seconds=30)
    assert (dana.left_for or "").startswith(CALLBACK)


def test_a_slow_person_with_a_short_max_age_gets_through(service: Service) -> None:
    """max_age=1 and a code that takes a minute: what was typed since the request counts."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge, max_age="1"))
    dana.submit(email=DANA, password=PASSWORD)
    service.pass_time(minutes=1)
    dana.submit(code=service.code_for(DANA))
    assert (dana.left_for or "").startswith(CALLBACK)


def test_back_after_signing_in_leads_to_the_portal(service: Service) -> None:
    """ux.md rule 4: no second code for a state that the portal has spent; a double press is answered again."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge))
    sign_in = dana.here.path
    dana.submit(email=DANA, password=PASSWORD)
    dana.submit(code=service.code_for(DANA))
    assert (dana.left_for or "").startswith(CALLBACK)
    dana.open(sign_in)
    assert (dana.left_for or "").startswith(CALLBACK)
    service.pass_time(minutes=2)
    dana.open(sign_in)
    assert dana.left_for == PORTAL


def test_a_step_up_offers_no_different_email(service: Service) -> None:
    """The person is signed in: the way out is not another address but the service's own words for why."""
    service.member(service.account(mfa="email+sms"))
    service.client()
    _, challenge = pkce()
    dana = service.person()
    service.sign_in(dana)
    dana.submit(method="email")
    dana.submit(code=service.code_for(DANA))
    service.pass_time(minutes=5)
    dana.open("/oauth/authorize", **service.authorization_request(challenge, acr_values="urn:ims:acr:two-factor"))
    assert dana.here.h1 == "Enter your code"
    assert "IMS portal asks for a code before you go on." in dana.here.text
    assert "Start again with a different email" not in dana.here.links
