"""The `claims` parameter: claims one by one, and an acr that is demanded (OpenID Connect Core 5.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import delete

from authsvc.accounts.models import PhoneNumber
from tests.protocol.portal import PASSWORD_ONLY, REMEMBERED, TWO_FACTOR, TWO_STEP, Portal, body, sent_back
from tests.support.service import DANA, Service

NOT_CLAIMS = (
    "",
    "[]",
    "1",
    "null",
    '"x"',
    "{",
    "[" * 8000,
    '{"id_token":1}',
    '{"id_token":[]}',
    '{"userinfo":"x"}',
    '{"id_token":{"acr":1}}',
    '{"id_token":{"acr":"x"}}',
    '{"id_token":{"name":true}}',
    '{"id_token":{"acr":{"essential":"yes"}}}',
    '{"id_token":{"acr":{"values":"x"}}}',
    '{"id_token":{"acr":{"values":[1]}}}',
    '{"id_token":{"acr":{"value":{}}}}',
    '{"id_token":{"sub":{"values":["a","b"]}}}',
    '{"id_token":{"name":{"essential":1}}}',
)


def asks(**places: Any) -> str:
    """The parameter."""
    return json.dumps(places)


def essential(*values: str) -> str:
    """An acr that is demanded."""
    named = {"value": values[0]} if len(values) == 1 else {"values": list(values)}
    return asks(id_token={"acr": {"essential": True, **named}})


def test_claims_appear_where_they_are_asked_for(portal: Portal) -> None:
    """Core 5.5: in the ID token and at UserInfo, without their scope; OpenID conformance claims-essential."""
    wish = asks(id_token={"email": None, "zoneinfo": {"essential": True}}, userinfo={"name": {"essential": True}})
    tokens = portal.tokens(scope="openid", claims=wish)

    told = portal.claims(tokens["id_token"])
    assert (told["email"], told["zoneinfo"], "name" in told) == (DANA, "America/New_York", False)
    info = body(portal.userinfo(tokens["access_token"]))
    assert info == {"sub": told["sub"], "name": "Dana"}


def test_every_claim_of_the_metadata_can_be_asked_for(portal: Portal) -> None:
    """FAPI conformance test-claims-parameter-identity-claims."""
    supported = body(portal.get("/.well-known/openid-configuration"))["claims_supported"]
    everything = dict.fromkeys(supported)
    tokens = portal.tokens(scope="openid", claims=asks(id_token=everything, userinfo=everything))

    assert {"name", "email", "email_verified", "zoneinfo"} <= portal.claims(tokens["id_token"]).keys()
    assert body(portal.userinfo(tokens["access_token"])).keys() == {
        "sub",
        "name",
        "email",
        "email_verified",
        "zoneinfo",
    }


def test_what_is_asked_lasts_over_a_refresh(portal: Portal) -> None:
    """It belongs to what was granted."""
    tokens = portal.tokens(
        scope="openid offline_access", claims=asks(id_token={"name": None}, userinfo={"email": None})
    )
    again = body(portal.refresh(tokens["refresh_token"]))

    assert portal.claims(again["id_token"])["name"] == "Dana"
    assert body(portal.userinfo(again["access_token"]))["email"] == DANA


def test_a_claim_is_had_only_where_its_scope_could_be(service: Service) -> None:
    """As far as scope policy allows: a client that may not ask for `email` gets no address this way either; no error (5.5.1)."""
    portal = Portal.on(service, scope="openid profile")
    wish = asks(id_token={"email": {"essential": True}}, userinfo={"email": None, "email_verified": None, "name": None})
    tokens = portal.tokens(scope="openid", claims=wish)

    assert "email" not in portal.claims(tokens["id_token"])
    assert body(portal.userinfo(tokens["access_token"])).keys() == {"sub", "name"}


def test_what_nobody_knows_is_passed_over(portal: Portal) -> None:
    """Core 5.5: "Other members MAY be present. Any members used that are not understood MUST be ignored." """
    wish = asks(
        verified_claims={"x": 1},
        id_token={"urn:example:x": {"value": 1, "deep": [[{}]]}, "name": {"value": "Someone Else"}, "auth_time": None},
    )

    assert portal.claims(portal.tokens(claims=wish)["id_token"])["name"] == "Dana"


def test_nothing_of_ours_is_overwritten(portal: Portal) -> None:
    """A claim with a value asks; it does not say."""
    names = ("iss", "aud", "exp", "iat", "azp", "sid", "nonce", "at_hash", "account")
    wish = asks(id_token={name: {"value": "evil"} for name in names})

    assert "evil" not in json.dumps(portal.claims(portal.tokens(claims=wish)["id_token"]))


@pytest.mark.parametrize("text", NOT_CLAIMS[1:], ids=range(len(NOT_CLAIMS) - 1))
def test_what_is_malformed_is_refused(portal: Portal, text: str) -> None:
    """invalid_request, never a 500 and never half of it."""
    assert sent_back(portal.ask(claims=text))["error"] == "invalid_request"


def test_an_acr_that_is_demanded_is_asked_for_and_told(portal: Portal) -> None:
    """Core 5.5.1.1: the server "MUST return an acr Claim Value that matches one of the requested values"."""
    portal.sign_in()
    page = portal.sign_in(claims=essential(TWO_STEP), method="email")
    assert page.h1 != "Sign in"

    tokens = body(portal.redeem(portal.dana.callback()["code"]))
    assert portal.claims(tokens["id_token"])["acr"] == TWO_STEP
    assert "code" in sent_back(portal.ask(claims=essential(TWO_STEP), prompt="none"))


def test_one_of_several_demanded_values_will_do(portal: Portal) -> None:
    """`values`: any of them, in the order of our levels; more than was demanded meets the demand (claims.md)."""
    portal.sign_in(claims=essential(TWO_FACTOR, TWO_STEP), method="email")
    assert "code" in portal.dana.callback()

    assert "code" in sent_back(portal.ask(claims=essential("urn:example:gold", REMEMBERED)))


def test_an_acr_that_cannot_be_shown_ends_in_unmet_authentication_requirements(service: Service) -> None:
    """Core 5.5.1.1: "the Authorization Server MUST treat that outcome as a failed authentication attempt". Dana has no phone."""
    portal = Portal.on(service)
    with service.services.database.transaction() as tx:
        tx.execute(delete(PhoneNumber))
    portal.sign_in(claims=essential(TWO_FACTOR), method="email")
    refused = portal.dana.callback()
    assert (refused["error"], refused["state"]) == ("unmet_authentication_requirements", "the-state")

    for changed in ({}, {"prompt": "none"}):
        assert sent_back(portal.ask(claims=essential(TWO_FACTOR), **changed))["error"] == refused["error"]
    assert portal.service.events("authorization.refused")[-1].fields["error"] == "unmet_authentication_requirements"


def test_an_acr_that_nobody_knows_is_refused_at_once(portal: Portal) -> None:
    """Whoever signs in."""
    for values in (("urn:example:gold",), ("phr", "urn:example:silver")):
        assert sent_back(portal.ask(claims=essential(*values)))["error"] == "unmet_authentication_requirements"


def test_an_acr_that_would_be_welcome_is_voluntary(service: Service) -> None:
    """Core 5.5.1.1: without essential it is like acr_values: the first that can be met, and the truth."""
    portal = Portal.on(service)
    with service.services.database.transaction() as tx:
        tx.execute(delete(PhoneNumber))
    wish = asks(id_token={"acr": {"values": [TWO_FACTOR, PASSWORD_ONLY]}})
    portal.sign_in()

    tokens = body(portal.redeem(sent_back(portal.ask(claims=wish))["code"]))

    assert portal.claims(tokens["id_token"])["acr"] == PASSWORD_ONLY


def test_prompt_none_with_a_demand_that_could_be_met_says_login_required(portal: Portal) -> None:
    """Core 3.1.2.6: somebody would have to be asked."""
    portal.sign_in()

    assert sent_back(portal.ask(claims=essential(TWO_STEP), prompt="none"))["error"] == "login_required"


def test_a_sub_that_is_named_must_be_the_one_who_is_here(portal: Portal) -> None:
    """Core 3.1.2.2: "the Authorization Server MUST only send a positive response if the End-User identified by that sub value
    has an active session".
    """
    sub = portal.claims(portal.tokens()["id_token"])["sub"]
    mine, other = (asks(id_token={"sub": {"value": value}}) for value in (sub, "0" * 32))

    assert "code" in sent_back(portal.ask(claims=mine, prompt="none"))
    for value in (other, asks(id_token={"sub": {"value": "\0"}})):
        assert sent_back(portal.ask(claims=value, prompt="none"))["error"] == "login_required"
    assert "email" not in portal.request()
    page = portal.sign_in(claims=other)
    assert portal.dana.callback()["error"] == "login_required", page.h1
