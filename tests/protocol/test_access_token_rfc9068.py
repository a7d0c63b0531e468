"""The access token as other services read it (RFC 9068): type, audience, rights, and what a refresh may change."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Membership
from authsvc.resource_server import Requirement, TokenVerifier
from authsvc.resource_server.errors import InvalidToken
from tests.protocol.portal import EVERYTHING, Portal, body, header
from tests.support.service import API, ISSUER, Service


def change_membership(portal: Portal, **fields: object) -> None:
    """What an admin changed meanwhile."""
    with portal.service.services.database.transaction() as tx:
        row = tx.get_one(Membership, portal.membership.id)
        for name, value in fields.items():
            setattr(row, name, value)


def verifier(portal: Portal) -> TokenVerifier:
    """The kit as a service of IMS uses it, fetching from us without a network."""

    def fetch(url: str) -> tuple[bytes, dict[str, str]]:
        answer = portal.get(url.removeprefix(ISSUER))
        assert answer.status_code == 200
        return answer.data, dict(answer.headers)

    return TokenVerifier(ISSUER, API, fetch=fetch, now=lambda: portal.service.clock.now().timestamp())


def test_its_header_says_what_it_is(portal: Portal) -> None:
    """RFC 9068 2.1: "JWT access tokens MUST include this media type in the "typ" header parameter". The kid is there although
    Authlib forgets it for a single key (spikes.md, correction 4).
    """
    kids = {key["kid"]: key["alg"] for key in portal.get("/oauth/jwks").get_json()["keys"]}

    found = header(portal.tokens()["access_token"])

    assert found.keys() == {"typ", "alg", "kid"}
    assert (found["typ"], found["alg"], kids[found["kid"]]) == ("at+jwt", "ES256", "ES256")


def test_it_is_es256_whatever_the_client_registered_for_id_tokens(service: Service) -> None:
    """id_token_signed_response_alg is about ID tokens; access tokens are for resource servers."""
    portal = Portal.on(service, id_token_signed_response_alg="RS256")
    tokens = portal.tokens()

    assert header(tokens["access_token"])["alg"] == "ES256"
    assert header(body(portal.refresh(tokens["refresh_token"]))["access_token"])["alg"] == "ES256"


def test_the_kit_accepts_it_and_reads_it(portal: Portal) -> None:
    """RFC 9068 4, through our own resource-server kit and our own JWKS."""
    verify = verifier(portal)

    claims = verify(portal.tokens()["access_token"], Requirement(scope="investors.read", account="northgate"))

    assert (claims.sub, claims.client_id, claims.acr) == (
        portal.membership.user_id,
        "ims-portal",
        "urn:ims:acr:password",
    )


def test_the_kit_refuses_every_other_token_of_ours(portal: Portal) -> None:
    """RFC 9068 4: the resource server MUST "reject tokens carrying any other value" of typ than at+jwt (TK-07); and TK-08."""
    verify, tokens = verifier(portal), portal.tokens()
    for_us = portal.tokens(scope="openid")["access_token"]
    for token in (tokens["id_token"], tokens["refresh_token"], for_us):
        with pytest.raises(InvalidToken):
            verify(token)
    portal.service.pass_time(minutes=6, seconds=1)
    with pytest.raises(InvalidToken):
        verify(tokens["access_token"])


def test_the_audience_is_an_api_and_never_a_client(portal: Portal) -> None:
    """claims.md: "aud is a registered resource server (RFC 8707), never a client id" (TK-08)."""
    claims = portal.claims(portal.tokens()["access_token"])

    assert claims["aud"] == API
    assert claims["aud"] not in (claims["client_id"], claims["sub"])


def test_every_token_has_its_own_random_id(portal: Portal) -> None:
    """RFC 9068 2.2: jti REQUIRED. Behind the family's id, so that a token leads to what can revoke it."""
    tokens = portal.tokens()
    seen = [portal.claims(tokens["access_token"])["jti"]]
    for _ in range(5):
        tokens = body(portal.refresh(tokens["refresh_token"]))
        seen.append(portal.claims(tokens["access_token"])["jti"])

    assert len({jti.partition(".")[2] for jti in seen}) == 6
    assert len({jti.partition(".")[0] for jti in seen}) == 1
    assert all(len(jti.partition(".")[2]) >= 22 for jti in seen), "128 random bits"


def test_the_rights_are_those_of_the_membership(portal: Portal) -> None:
    """claims.md: "roles / entitlements (RFC 9068 2.2.3.1) from the membership: role, and sensitive_data_access"."""
    assert "entitlements" not in portal.claims(portal.tokens()["access_token"])
    change_membership(portal, sensitive_data_access=True, role="admin")

    claims = portal.claims(portal.tokens()["access_token"])

    assert (claims["roles"], claims["entitlements"]) == (["admin"], ["sensitive_data_access"])


def test_a_right_that_was_taken_away_is_gone_with_the_next_refresh(portal: Portal) -> None:
    """TK-12: revoke Sensitive Data Access; the old token dies within 5 minutes, no new one says it."""
    change_membership(portal, sensitive_data_access=True)
    tokens = portal.tokens()
    assert portal.claims(tokens["access_token"])["entitlements"] == ["sensitive_data_access"]
    change_membership(portal, sensitive_data_access=False, role="member")

    refreshed = portal.claims(body(portal.refresh(tokens["refresh_token"]))["access_token"])

    assert "entitlements" not in refreshed


def test_what_the_sign_in_showed_stays_as_it_was(service: Service) -> None:
    """RFC 9068 2.2.1: "Their values are fixed and remain the same across all access tokens that derive from a given
    authorization response", refreshed ones included.
    """
    portal = Portal.on(service, mfa="email+sms")
    tokens = portal.tokens(method="sms", remember=True)
    first = portal.claims(tokens["access_token"])
    for _ in range(3):
        service.pass_time(hours=7)
        tokens = body(portal.refresh(tokens["refresh_token"]))
        again = portal.claims(tokens["access_token"])
        now = int(service.clock.now().timestamp())
        assert again == first | {"iat": now, "exp": now + 300, "jti": again["jti"]}


def test_a_refresh_may_ask_for_less_and_later_for_all_again(portal: Portal) -> None:
    """RFC 6749 6: "the refresh token scope MUST be identical to that of the refresh token included by the client in the
    request": what was narrowed is the access token.
    """
    token = portal.tokens()["refresh_token"]
    narrow = body(portal.refresh(token, scope="investors.read"))
    assert narrow["scope"] == "investors.read"
    assert portal.claims(narrow["access_token"])["scope"] == "investors.read"
    assert portal.claims(narrow["access_token"])["aud"] == API

    wide = body(portal.refresh(narrow["refresh_token"]))

    assert wide["scope"] == EVERYTHING
