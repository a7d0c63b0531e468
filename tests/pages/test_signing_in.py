"""Signing in with a password and a code, as a person does it."""

from __future__ import annotations

from tests.support.service import CALLBACK, DANA, DANAS_PHONE, ISSUER, PORTAL, Service, pkce


def test_the_whole_walk_from_the_portal_and_back(service: Service) -> None:
    """Password, choice of method, code, back to the portal with tokens that say what happened."""
    service.member(service.account(mfa="email+sms"), sensitive=True)
    service.client()
    verifier, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge, account="northgate"))
    assert dana.here.h1 == "Sign in"
    assert dana.here.title == "Sign in – Northgate Capital Partners"
    dana.submit(email=DANA, password="quiet harbor maple lantern")
    assert dana.here.h1 == "Choose how to get your code"
    assert "To your phone ending in 42" in dana.here.text
    dana.submit(method="sms")
    assert dana.here.h1 == "Enter your code"
    dana.submit(code=service.code_for(DANAS_PHONE), remember="1")
    assert dana.left_for is not None
    assert dana.left_for.startswith(CALLBACK)
    back = dana.callback()
    assert (back["state"], back["iss"]) == ("the-state", ISSUER)
    tokens = service.redeem(dana, verifier)
    access, identity = service.claims(tokens["access_token"]), service.claims(tokens["id_token"])
    assert access["acr"] == "urn:ims:acr:two-factor"
    assert access["amr"] == ["pwd", "sms", "mfa"]
    assert identity["remembered_device"]["state"] == "enrolled"
    assert identity["nonce"] == "the-nonce"
    # Again: no code is asked, and the tokens say so.
    dana.open("/sign-out")
    dana.submit()
    assert "You’re signed out." in dana.here.text
    service.pass_time(days=3)
    dana.open("/oauth/authorize", **service.authorization_request(challenge))
    dana.submit(email=DANA, password="quiet harbor maple lantern")
    assert dana.left_for is not None
    again = service.claims(service.redeem(dana, verifier)["access_token"])
    assert (again["acr"], again["amr"]) == ("urn:ims:acr:remembered", ["pwd"])
    assert again["remembered_device"]["state"] == "used"
    assert "mfa_amr" not in again["remembered_device"]
    # A service asks for more: the code is asked although the device is remembered.
    dana.open("/oauth/authorize", **service.authorization_request(challenge, acr_values="urn:ims:acr:two-step"))
    assert dana.here.h1 == "Choose how to get your code"
    dana.submit(method="email")
    dana.submit(code=service.code_for(DANA))
    stepped = service.claims(service.redeem(dana, verifier)["access_token"])
    assert (stepped["acr"], stepped["amr"]) == ("urn:ims:acr:two-step", ["pwd", "otp", "mca"])
    assert PORTAL in (dana.left_for or "")
