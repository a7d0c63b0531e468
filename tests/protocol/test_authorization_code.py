"""A code is spent once, by the client it was issued to (RFC 6749 4.1.3, 10.5; security.md AZ-10, AZ-12, AZ-13)."""

from __future__ import annotations

import pytest

from tests.protocol.portal import EVERYTHING, Portal, body, sent_back
from tests.support.service import API, CALLBACK, CLIENT_SECRET, PORTAL, Service, pkce


@pytest.mark.parametrize("minutes", [0, 60], ids=["at once", "after an hour"])
def test_a_code_cannot_be_used_twice(portal: Portal, minutes: int) -> None:
    """RFC 6749 4.1.2: "If an authorization code is used more than once, the authorization server MUST deny the request and
    SHOULD revoke (when possible) all tokens previously issued based on that authorization code." (AZ-10)
    """
    code = portal.code()
    tokens = body(portal.redeem(code))
    tokens = body(portal.refresh(tokens["refresh_token"]))
    portal.service.pass_time(minutes=minutes)

    assert body(portal.redeem(code))["error"] == "invalid_grant"

    assert portal.is_dead(tokens)
    [reused] = portal.service.events("token.code_reused")
    [revoked] = portal.service.events("token.family_revoked")
    assert reused.fields["family_id"] == revoked.fields["family_id"]
    assert revoked.fields["reason"] == "authorization_code_reused"


def test_a_second_use_ends_only_what_came_of_that_code(portal: Portal) -> None:
    """Another authorization of the same person and client goes on."""
    code = portal.code()
    portal.redeem(code)
    other = portal.tokens()

    portal.redeem(code)

    assert not portal.is_dead(other)


def test_a_second_use_is_recorded_each_time_and_revokes_once(portal: Portal) -> None:
    """The trail shows how often somebody tried."""
    code = portal.code()
    for _ in range(3):
        portal.redeem(code)

    assert len(portal.service.events("token.code_reused")) == 2
    assert len(portal.service.events("token.family_revoked")) == 1


def test_a_code_works_for_the_client_it_was_issued_to(service: Service) -> None:
    """RFC 6749 4.1.3: the server MUST "ensure that the authorization code was issued to the authenticated confidential client,
    or if the client is public, ensure that the code was issued to "client_id" in the request". (AZ-12)
    """
    portal = Portal.on(service)
    service.client("another", redirect_uris=[CALLBACK])
    service.client("app", public=True, redirect_uris=[CALLBACK])
    code = portal.code()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": portal.verifier,
    }

    assert body(service.token(client=("another", CLIENT_SECRET), **form))["error"] == "invalid_grant"
    assert body(service.token(client=None, client_id="app", **form))["error"] == "invalid_grant"
    assert body(service.token(client=None, client_id="ims-portal", **form))["error"] == "invalid_client"

    assert portal.redeem(code).status_code == 200, "a stranger must not be able to burn it"


def test_a_stranger_cannot_end_a_family_with_its_spent_code(service: Service) -> None:
    """What another client presents is not reuse, whatever it found in a log (AZ-12, TK-16)."""
    portal = Portal.on(service)
    service.client("another", redirect_uris=[CALLBACK])
    code = portal.code()
    tokens = body(portal.redeem(code))

    service.token(client=("another", CLIENT_SECRET), grant_type="authorization_code", code=code, redirect_uri=CALLBACK)

    assert not portal.is_dead(tokens)


@pytest.mark.parametrize("sent", ["", f"{CALLBACK}/", f"{PORTAL}/other", "https://evil.example/callback"])
def test_the_redirect_uri_must_be_the_same_as_at_the_start(service: Service, sent: str) -> None:
    """RFC 6749 4.1.3: the server MUST "ensure that the "redirect_uri" parameter is present if [it] was included in the initial
    authorization request [...], and if included ensure that their values are identical."
    """
    portal = Portal.on(service, redirect_uris=[CALLBACK, f"{PORTAL}/other"])
    code = portal.code()

    assert body(portal.redeem(code, redirect_uri=sent))["error"] == "invalid_grant"
    assert body(portal.redeem(code))["error"] == "invalid_grant", "the code was spent"


def test_the_resource_must_be_the_one_granted(portal: Portal) -> None:
    """RFC 8707 2.2: a token request may name the resource granted, and no other: "invalid_target"."""
    assert body(portal.redeem(portal.code(), resource="https://api.evil.example/"))["error"] == "invalid_target"
    assert portal.redeem(portal.code(), resource=API).status_code == 200


def test_scope_in_a_redemption_widens_nothing(portal: Portal) -> None:
    """The grant decides; the parameter means nothing here (AZ-18)."""
    tokens = body(portal.redeem(portal.code(scope="openid"), scope=EVERYTHING))

    assert portal.claims(tokens["access_token"])["scope"] == "openid"


def test_nothing_else_that_is_used_once_is_a_code(portal: Portal) -> None:
    """A refresh token, a cookie, a row's id: none is accepted as another (AZ-13). Kinds are kept apart by their digest."""
    tokens = portal.tokens()
    claims = portal.claims(tokens["access_token"])
    parked = portal.service.person().open("/oauth/authorize", **portal.request()).path.partition("request=")[2]
    others = [
        tokens["refresh_token"],
        tokens["access_token"],
        tokens["id_token"],
        portal.dana.cookie("sid") or "",
        portal.dana.cookie("browser") or "",
        parked,
        claims["sid"],
        claims["jti"].partition(".")[0],
        portal.challenge,
        portal.verifier,
    ]
    for other in others:
        assert other
        assert body(portal.redeem(other))["error"] == "invalid_grant"


def test_a_code_is_nothing_else_that_is_used_once(portal: Portal) -> None:
    """The other way round: as refresh token, bearer token, session cookie, parked request (AZ-13)."""
    code = portal.code()

    assert body(portal.refresh(code))["error"] == "invalid_grant"
    assert portal.userinfo(code).status_code == 401
    assert portal.get("/oauth/authorize", {"request": code}, portal.dana).status_code == 410
    stranger = portal.service.person()
    stranger.client.set_cookie("__Host-sid", code, domain="login.ims.test", secure=True, path="/")
    assert sent_back(portal.ask(stranger, prompt="none"))["error"] == "login_required"
    assert portal.redeem(code).status_code == 200


def test_two_tabs_each_get_their_own_code(portal: Portal) -> None:
    """Each tab keeps what it signs in for; neither code disturbs the other (security.md 4.4, several tabs)."""
    verifier, challenge = pkce()
    first = portal.dana.open("/oauth/authorize", **portal.request(state="one"))
    second = portal.dana.open("/oauth/authorize", **portal.request(state="two", code_challenge=challenge))
    assert first.path != second.path
    portal.go_on(second)
    two = portal.dana.callback()
    portal.dana.open(first.path)
    one = portal.dana.callback()

    assert (one["state"], two["state"]) == ("one", "two")
    assert portal.redeem(one["code"]).status_code == 200
    assert portal.redeem(two["code"], code_verifier=verifier).status_code == 200


def test_a_code_dies_with_its_session(portal: Portal) -> None:
    """Signing out ends what is on its way too (TK-17)."""
    code = portal.code()
    portal.dana.open("/sign-out")
    portal.dana.submit()

    assert body(portal.redeem(code))["error"] == "invalid_grant"


def test_codes_are_stored_as_digests(portal: Portal) -> None:
    """ "Only a token's signature is stored": a copy of the database redeems nothing."""
    code = portal.code()

    assert len(code) >= 43, "256 bits"
    assert code not in portal.service.everything_stored()
