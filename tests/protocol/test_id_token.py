"""The ID token as a signed object: algorithm, key, hash, times, and refreshing (OpenID Connect Core 2, 3.1.3, 12.2)."""

from __future__ import annotations

import base64
import hashlib

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError

from authsvc.clock import epoch_s
from tests.protocol.portal import TWO_STEP, Portal, body, header
from tests.support.service import Service


def half_hash(text: str) -> str:
    """Left half of the SHA-256, base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_it_is_signed_as_the_client_registered(service: Service, algorithm: str) -> None:
    """OpenID Connect Core 2: "ID Tokens MUST be signed using JWS". 10.1: where a set has several keys "a kid value MUST be
    provided in the JOSE Header"; Authlib leaves it out (libraries.md 1.5, 10).
    """
    portal = Portal.on(service, id_token_signed_response_alg=algorithm)
    published = {key["kid"]: key for key in body_of_jwks(portal)["keys"]}
    tokens = portal.tokens()
    for token in (tokens["id_token"], body(portal.refresh(tokens["refresh_token"]))["id_token"]):
        assert header(token).keys() == {"alg", "kid", "typ"}
        assert (header(token)["alg"], header(token)["typ"]) == (algorithm, "JWT")
        assert published[header(token)["kid"]]["alg"] == algorithm
        one_key = KeySet.import_key_set({"keys": [published[header(token)["kid"]]]})
        assert jwt.decode(token, one_key, algorithms=[algorithm]).claims["sub"] == portal.membership.user_id


def body_of_jwks(portal: Portal) -> dict[str, list[dict[str, str]]]:
    """The published key set."""
    found: dict[str, list[dict[str, str]]] = portal.get("/oauth/jwks").get_json()
    return found


@pytest.mark.parametrize("registered", ["none", "HS256", "HS512", "RS512", ""])
def test_no_other_algorithm_is_possible(service: Service, registered: str) -> None:
    """claims.md: "`none` and HS* are not possible." Authlib obeys the client's metadata, `none` too (libraries.md 1.5, 10)."""
    with pytest.raises(ValidationError, match="id_token_signed_response_alg"):
        Portal.on(service, id_token_signed_response_alg=registered)


def test_an_algorithm_without_a_key_here_falls_back(service: Service) -> None:
    """A ring that does not sign EdDSA signs with what it has, rather than not at all."""
    assert header(Portal.on(service, id_token_signed_response_alg="EdDSA").tokens()["id_token"])["alg"] == "ES256"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_at_hash_is_the_hash_of_the_access_token_beside_it(service: Service, algorithm: str) -> None:
    """OpenID Connect Core 3.1.3.6: "the base64url encoding of the left-most half of the hash of the octets of the ASCII
    representation of the access_token value".
    """
    portal = Portal.on(service, id_token_signed_response_alg=algorithm)
    tokens = portal.tokens()
    refreshed = body(portal.refresh(tokens["refresh_token"]))

    assert portal.claims(tokens["id_token"])["at_hash"] == half_hash(tokens["access_token"])
    assert portal.claims(refreshed["id_token"])["at_hash"] == half_hash(refreshed["access_token"])


def test_its_times_are_our_clocks(portal: Portal) -> None:
    """Authlib asks the machine's clock (libraries.md 1.5, 18). 5 minutes, from policies/tokens.yaml."""
    portal.service.pass_time(days=3, seconds=17)
    now = epoch_s(portal.service.clock.now())

    claims = portal.claims(portal.tokens()["id_token"])

    assert (claims["iat"], claims["exp"], claims["auth_time"]) == (now, now + 300, now)


def test_a_refreshed_one_says_what_the_first_said(service: Service) -> None:
    """OpenID Connect Core 12.2: iss, sub and azp "MUST be the same", aud "MUST include the original", auth_time "MUST represent
    the time of the original authentication - not the time that the new ID token is issued", "it SHOULD NOT have a nonce Claim",
    "its iat Claim MUST represent the time that the new ID Token is issued". Authlib says auth_time = now (libraries.md 1.5, 11).
    """
    portal = Portal.on(service, mfa="email")
    tokens = portal.tokens(method="email", remember=True)
    first = portal.claims(tokens["id_token"])
    assert first["nonce"] == "the-nonce"
    for _ in range(3):
        service.pass_time(hours=5)
        tokens = body(portal.refresh(tokens["refresh_token"]))

        again = portal.claims(tokens["id_token"])

        now = epoch_s(service.clock.now())
        changed = {"iat": now, "exp": now + 300, "at_hash": half_hash(tokens["access_token"])}
        assert again == {name: value for name, value in first.items() if name != "nonce"} | changed


def test_a_later_step_up_does_not_rewrite_an_earlier_family(portal: Portal) -> None:
    """claims.md: acr, amr and auth_time "stay what they were at authorization, also after refresh"."""
    tokens = portal.tokens()
    before = portal.claims(tokens["id_token"])
    portal.service.pass_time(minutes=10)
    stepped_up = portal.claims(portal.tokens(acr_values=TWO_STEP, method="email")["id_token"])
    assert stepped_up["acr"] == TWO_STEP

    after = portal.claims(body(portal.refresh(tokens["refresh_token"]))["id_token"])

    assert [after[name] for name in ("acr", "amr", "auth_time", "sid")] == [
        before[name] for name in ("acr", "amr", "auth_time", "sid")
    ]


def test_a_refresh_for_less_than_openid_brings_none(portal: Portal) -> None:
    """RFC 6749 6: a narrower scope; the ID token belongs to `openid`."""
    token = portal.tokens()["refresh_token"]

    assert "id_token" not in body(portal.refresh(token, scope="investors.read"))


def test_a_userinfo_claim_cannot_overwrite_a_protocol_claim(portal: Portal) -> None:
    """Authlib merges the person's claims last, over iss and aud (libraries.md 1.5, 11): there is only `sub` among them."""
    claims = portal.claims(portal.tokens()["id_token"])

    assert not claims.keys() & {"name", "email", "email_verified", "zoneinfo", "client_id", "scope"}
    assert claims["iss"] == portal.service.services.settings.issuer
