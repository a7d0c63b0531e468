"""Token revocation (RFC 7009; OAuch Revocation group): what a client gives back is over, and only what is its own."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from authsvc.oauth.models import RevokedToken
from tests.protocol.portal import Portal, body
from tests.support.service import CALLBACK, CLIENT_SECRET, ISSUER, Service

REVOKE, INTROSPECT = "/oauth/revoke", "/oauth/introspect"


def call(
    service: Service, path: str, client: str | None = "ims-portal", secret: str = CLIENT_SECRET, **form: str
) -> TestResponse:
    """POST as a client, with HTTP Basic."""
    headers = {}
    if client is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
    return service.machine().post(path, base_url=ISSUER, data=form, headers=headers)


def is_active(service: Service, token: str, client: str = "ims-portal") -> bool:
    """What introspection says of it."""
    found: Any = call(service, INTROSPECT, client, token=token).json
    return bool(found["active"])


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "bogus"])
def test_each_kind_takes_the_whole_family_along(portal: Portal, kind: str, hint: str | None) -> None:
    """2.1: revoking a refresh token "SHOULD also invalidate all access tokens based on the same authorization grant"; OAuch
    RefreshRevokesAccess, AccessRevokesRefresh. A hint that is wrong or unknown changes nothing.
    """
    tokens = portal.tokens()
    other = portal.tokens()

    answer = call(portal.service, REVOKE, token=tokens[kind], **({"token_type_hint": hint} if hint else {}))

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert not is_active(portal.service, tokens["access_token"])
    assert not is_active(portal.service, tokens["refresh_token"])
    assert portal.is_dead(tokens)
    assert not portal.is_dead(other), "another authorization of the same session goes on"
    [row] = portal.service.events("token.family_revoked")
    assert (row.fields["reason"], row.client_id, row.user_id) == (
        "revoked_by_client",
        "ims-portal",
        portal.membership.user_id,
    )


def test_again_is_200_and_no_second_row(portal: Portal) -> None:
    """2.2: "invalid tokens do not cause an error response since [...] the purpose of the revocation request, invalidating the
    particular token, is already achieved".
    """
    token = portal.tokens()["refresh_token"]
    assert [call(portal.service, REVOKE, token=token).status_code for _ in range(3)] == [200] * 3
    assert len(portal.service.events("token.family_revoked")) == 1


def test_a_spent_refresh_token_still_ends_its_family(portal: Portal) -> None:
    """A client that lost the newest one can still give back what it holds."""
    first = portal.tokens()
    second = body(portal.refresh(first["refresh_token"]))
    assert call(portal.service, REVOKE, token=first["refresh_token"]).status_code == 200
    assert portal.is_dead(second)


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "ÿ\0€", "W10.W10.W10", "eyJhbGciOiJub25lIn0.e30.", "A" * 8000], ids=range(6)
)
def test_garbage_is_answered_200(portal: Portal, token: str) -> None:
    """2.2: "The authorization server responds with HTTP status code 200 if the token has been revoked successfully or if the
    client submitted an invalid token."
    """
    assert call(portal.service, REVOKE, token=token).status_code == 200


def test_tk16_another_clients_token_is_refused_and_left_alone(portal: Portal) -> None:
    """2.1: the server verifies "whether the token was issued to the client making the revocation request. If this validation
    fails, the request is refused". A stranger must not be able to end a family.
    """
    portal.service.client("another", redirect_uris=[CALLBACK])
    tokens = portal.tokens()
    for kind in ("access_token", "refresh_token"):
        answer = call(portal.service, REVOKE, "another", token=tokens[kind])
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid_grant")
    assert not portal.is_dead(tokens)


def test_tk16_the_client_must_authenticate(portal: Portal) -> None:
    """2.1: "The authorization server first validates the client credentials (in case of a confidential client)"."""
    tokens = portal.tokens()
    for how in ({"client": None}, {"secret": "wrong"}, {"client": "nobody"}):
        assert call(portal.service, REVOKE, token=tokens["refresh_token"], **how).status_code == 401
    by_name = call(portal.service, REVOKE, None, client_id="ims-portal", token=tokens["refresh_token"])
    assert (by_name.status_code, body(by_name)["error"]) == (401, "invalid_client")
    assert not portal.is_dead(tokens)


def test_a_public_client_gives_back_by_its_name(service: Service) -> None:
    """2.1: a public client is known by its client_id; another's tokens are not its to end."""
    portal = Portal.on(service, public=True)
    service.client("other-app", public=True, redirect_uris=[CALLBACK])
    tokens = portal.tokens()
    stranger = call(service, REVOKE, None, client_id="other-app", token=tokens["refresh_token"])
    assert body(stranger)["error"] == "invalid_grant"
    assert call(service, REVOKE, None, client_id="ims-portal", token=tokens["refresh_token"]).status_code == 200
    assert portal.is_dead(tokens)


def test_a_machines_token_is_inactive_once_given_back(service: Service) -> None:
    """It has no family: its jti is kept until it ends, and only its own introspection answers change."""
    service.client("robot", grant_types=["client_credentials"], redirect_uris=[], scope="investors.read")
    ask = {"client": ("robot", CLIENT_SECRET), "grant_type": "client_credentials"}
    token, other = (body(service.token(**ask))["access_token"] for _ in range(2))
    assert is_active(service, token, "robot")

    assert [call(service, REVOKE, "robot", token=token).status_code for _ in range(2)] == [200, 200]

    assert not is_active(service, token, "robot")
    assert is_active(service, other, "robot")
    assert [row.client_id for row in service.events("token.revoked")] == ["robot"]
    with service.services.database.transaction() as tx:
        assert token not in str([row.jti_digest for row in tx.scalars(select(RevokedToken))])
        service.services.revoked_tokens.sweep(tx, now=service.clock.now())
        assert len(tx.scalars(select(RevokedToken)).all()) == 1, "it would live again"
    service.pass_time(minutes=5, seconds=1)
    with service.services.database.transaction() as tx:
        service.services.revoked_tokens.sweep(tx, now=service.clock.now())
        assert tx.scalars(select(RevokedToken)).all() == []


def test_a_refresh_and_a_revocation_at_once_leave_nothing_alive(portal: Portal) -> None:
    """OAuch ConcurrentTokensRevoked: whichever comes first, what was won in the race dies with the grant."""
    tokens = portal.tokens()
    refreshed, _ = portal.service.at_once(
        lambda: portal.refresh(tokens["refresh_token"]),
        lambda: call(portal.service, REVOKE, token=tokens["refresh_token"]),
    )
    won = body(refreshed)
    assert portal.is_dead(won if "access_token" in won else tokens)


def test_an_id_token_or_a_code_is_nothing_to_revoke(portal: Portal) -> None:
    """AZ-13: each secret is of its kind."""
    code = portal.code()
    assert call(portal.service, REVOKE, token=code).status_code == 200
    tokens = body(portal.redeem(code))
    assert call(portal.service, REVOKE, token=tokens["id_token"]).status_code == 200
    assert not portal.is_dead(tokens)


def test_the_endpoint_is_called_as_every_other(portal: Portal) -> None:
    """POST alone, nothing in the query, each parameter once, a token there must be, unknown parameters ignored."""
    machine, auth = portal.service.machine(), ("ims-portal", CLIENT_SECRET)
    assert machine.get(REVOKE, base_url=ISSUER).status_code == 405
    for sent in ({}, {"token": ""}, MultiDict([("token", "x"), ("token", "y")])):
        answer = machine.post(REVOKE, base_url=ISSUER, data=sent, auth=auth)
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")
    in_query = machine.post(REVOKE, base_url=ISSUER, query_string={"token": "x"}, auth=auth)
    assert in_query.status_code == 400
    assert call(portal.service, REVOKE, token="x", foo="bar").status_code == 200
