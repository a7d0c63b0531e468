"""What a token says is what its audience knows, and no client reaches further than it was given (RFC 8707, RFC 9068 3)."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.oauth.models import OAuthClient, ResourceServer
from tests.protocol.portal import Portal, body
from tests.support.service import API, CLIENT_SECRET, ISSUER, Service

FILES = "https://api.ims.test/files"
BOTH = "openid investors.read files.read"


@pytest.fixture
def two_apis(service: Service) -> Service:
    """Another API beside the investors'."""
    with service.services.database.transaction() as tx:
        tx.add(ResourceServer(identifier=FILES, scopes=["files.read"], created_at=service.clock.now()))
    return service


def change(service: Service, client_id: str = "ims-portal", **columns: Any) -> None:
    """What an operator changes of a client while its tokens live."""
    with service.services.database.transaction() as tx:
        row = tx.get_one(OAuthClient, client_id)
        metadata = {name: columns.pop(name) for name in ("scope",) if name in columns}
        row.client_metadata = {**row.client_metadata, **metadata}
        for name, value in columns.items():
            setattr(row, name, value)
    service.forget_clients()


def said(portal: Portal, tokens: dict[str, Any]) -> tuple[str, str]:
    """(aud, scope) of an access token, which the answer beside it repeats (RFC 6749 5.1)."""
    claims = portal.claims(tokens["access_token"])
    assert claims["scope"] == tokens["scope"]
    return claims["aud"], claims["scope"]


def test_a_token_says_only_what_its_audience_knows(two_apis: Service) -> None:
    """RFC 8707 3: scopes "applicable to the resource". At redemption and at every refresh."""
    portal = Portal.on(two_apis, scope=BOTH)
    tokens = portal.tokens(scope=BOTH, resource=API)

    assert said(portal, tokens) == (API, "openid investors.read")
    assert said(portal, body(portal.refresh(tokens["refresh_token"]))) == (API, "openid investors.read")


def test_a_refresh_may_ask_for_less_and_gets_all_again_later(portal: Portal) -> None:
    """RFC 6749 6: a narrower scope is for this token alone; the refresh token keeps what was granted."""
    tokens = portal.tokens()
    narrow = body(portal.refresh(tokens["refresh_token"], scope="investors.read"))
    assert said(portal, narrow) == (API, "investors.read")
    assert said(portal, body(portal.refresh(narrow["refresh_token"]))) == (API, tokens["scope"])


def test_az18_a_refresh_never_widens(portal: Portal) -> None:
    """RFC 6749 6: "MUST NOT include any scope not originally granted". A refusal burns nothing."""
    token = portal.tokens(scope="openid investors.read")["refresh_token"]
    for scope in ("openid email", "investors.write", "admin"):
        assert body(portal.refresh(token, scope=scope))["error"] == "invalid_scope"
    for resource in (FILES, ISSUER, f"{API}/", "x"):
        assert body(portal.refresh(token, resource=resource))["error"] == "invalid_target"
    assert portal.refresh(token, resource=API).status_code == 200


def test_another_resource_than_the_granted_one_is_refused_at_redemption(two_apis: Service) -> None:
    """RFC 8707 2.2: within the grant; there is one resource in each of ours."""
    portal = Portal.on(two_apis, scope=BOTH)
    assert body(portal.redeem(portal.code(scope=BOTH, resource=API), resource=FILES))["error"] == "invalid_target"


def test_a_scope_that_was_taken_from_the_client_is_gone_at_the_next_refresh(portal: Portal) -> None:
    """A grant is no promise beyond the registration."""
    tokens = portal.tokens()
    change(portal.service, scope="openid offline_access investors.read")
    tokens = body(portal.refresh(tokens["refresh_token"]))
    assert said(portal, tokens) == (API, "openid offline_access investors.read")
    change(portal.service, scope="admin")
    assert body(portal.refresh(tokens["refresh_token"]))["error"] == "invalid_scope"


def test_a_resource_that_was_taken_from_the_client_is_refused(portal: Portal) -> None:
    """`resources` of the client's row holds at redemption and refresh; given back, the same token works again."""
    tokens, code = portal.tokens(), portal.code()
    change(portal.service, resources=[FILES])
    assert body(portal.refresh(tokens["refresh_token"]))["error"] == "invalid_target"
    assert body(portal.redeem(code))["error"] == "invalid_target"
    change(portal.service, resources=[API])
    assert said(portal, body(portal.refresh(tokens["refresh_token"])))[0] == API


def test_a_machine_reaches_what_it_was_given(two_apis: Service) -> None:
    """client_credentials: by name and by scope alike; and what remains clear needs no `resource`."""
    machine = {"grant_types": ["client_credentials"], "redirect_uris": [], "scope": "investors.read files.read"}
    two_apis.client("robot", resources=[FILES], **machine)
    ask = {"client": ("robot", CLIENT_SECRET), "grant_type": "client_credentials"}

    assert body(two_apis.token(**ask, resource=API))["error"] == "invalid_target"
    for form in ({}, {"resource": FILES}, {"scope": "files.read"}):
        claims = two_apis.claims(body(two_apis.token(**ask, **form))["access_token"])
        assert (claims["aud"], claims["scope"]) == (FILES, "files.read")
    assert body(two_apis.token(**ask, scope="investors.read"))["error"] in ("invalid_target", "invalid_scope")


def test_tk22_an_api_that_a_client_was_not_given_is_not_its_to_ask_about(two_apis: Service) -> None:
    """Introspection: a scope in common is not enough where the client's resources leave the API out."""
    portal = Portal.on(two_apis)
    token = portal.tokens()["access_token"]
    for client_id, resources in (("its-api", [API]), ("files-api", [FILES]), ("any-api", None)):
        two_apis.client(
            client_id,
            grant_types=["client_credentials"],
            redirect_uris=[],
            scope="investors.read files.read",
            resources=resources,
        )
        answer = two_apis.machine().post(
            "/oauth/introspect", base_url=ISSUER, data={"token": token}, auth=(client_id, CLIENT_SECRET)
        )
        assert body(answer)["active"] is (client_id != "files-api")
