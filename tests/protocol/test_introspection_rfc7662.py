"""Token introspection (RFC 7662): live, in full for those who may know, and nothing at all for everybody else."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from authsvc.accounts.models import Membership
from authsvc.oauth.models import OAuthClient, TokenFamily
from authsvc.resource_server import IntrospectionVerifier, InvalidToken, IssuerUnavailable, Requirement
from authsvc.sessions.models import BrowserSession
from tests.protocol.portal import PASSWORD_ONLY, REMEMBERED, TWO_FACTOR, Portal
from tests.support.service import API, CLIENT_SECRET, ISSUER, Service

INTROSPECT = "/oauth/introspect"
API_CLIENT = "investors-api"
INACTIVE = {"active": False}


@pytest.fixture
def portal(service: Service) -> Portal:
    """The portal, Dana with codes by text message, and the client of the API behind the portal."""
    service.client(API_CLIENT, scope="investors.read", redirect_uris=[], grant_types=["client_credentials"])
    return Portal.on(service, mfa="email+sms")


def ask(service: Service, *, client: str | None = API_CLIENT, secret: str = CLIENT_SECRET, **form: str) -> TestResponse:
    """POST to the endpoint as a client, with HTTP Basic."""
    headers = {}
    if client is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
    return service.machine().post(INTROSPECT, base_url=ISSUER, data=form, headers=headers)


def said(service: Service, token: str, **how: str) -> Any:
    """What the endpoint says of a token; the answer is JSON that nobody keeps."""
    answer = ask(service, token=token, **how)
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def test_an_access_token_is_told_in_full(service: Service, portal: Portal) -> None:
    """Every claim of the token, what kind it is, and how the remembered device's step was passed (claims.md)."""
    token = portal.tokens(method="sms", remember=True)["access_token"]
    claims = portal.claims(token)
    told = said(service, token)
    device = claims.pop("remembered_device")
    assert told.pop("remembered_device") == {**device, "mfa_amr": ["pwd", "sms", "mfa"]}
    assert device["state"] == "enrolled"
    assert told == {"active": True, "token_type": "Bearer", **claims}
    assert (told["acr"], told["aud"], told["account"]["slug"]) == (TWO_FACTOR, API, "northgate")


def test_a_remembered_device_is_gone_once_it_has_ended(service: Service, portal: Portal) -> None:
    """The claim is live; `acr` stays what it was at authorization, for claims are never silently rewritten."""
    portal.tokens(method="sms", remember=True)
    portal.dana.open("/sign-out")
    portal.dana.submit()
    token = portal.tokens()["access_token"]
    before = said(service, token)
    assert (before["acr"], before["remembered_device"]["state"]) == (REMEMBERED, "used")
    with service.services.database.transaction() as tx:
        service.services.devices.forget_all(tx, reason="test", user_id=portal.membership.user_id)
    after = said(service, token)
    assert after == {name: value for name, value in before.items() if name != "remembered_device"}


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "ÿ\0€",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.AAAA",
        "W10.W10.W10",
        "A" * 8000,
    ],
    ids=["letter", "three letters", "odd characters", "alg none", "bad signature", "lists", "long"],
)
def test_garbage_is_inactive(service: Service, portal: Portal, token: str) -> None:
    """2.2: a token that does not exist here is `active: false`, not an error."""
    assert said(service, token) == INACTIVE


def test_an_id_token_is_no_token_of_this_endpoint(service: Service, portal: Portal) -> None:
    """TK-07: it is not an access token, and nothing is told of it."""
    assert said(service, portal.tokens(method="sms")["id_token"], client="ims-portal") == INACTIVE


def test_an_expired_token_is_inactive(service: Service, portal: Portal) -> None:
    """4: the server MUST look at the expiry."""
    token = portal.tokens(method="sms")["access_token"]
    service.pass_time(minutes=4, seconds=59)
    assert said(service, token)["active"] is True
    service.pass_time(seconds=1)
    assert said(service, token) == INACTIVE


def _revoke_the_family(service: Service, tx: Any) -> None:
    service.services.families.revoke(tx, tx.scalars(select(TokenFamily)).one().id, "test")


def _end_the_session(service: Service, tx: Any) -> None:
    for session in tx.scalars(select(BrowserSession)):
        service.services.sessions.end(tx, session, "test")


def _end_the_membership(service: Service, tx: Any) -> None:
    tx.scalars(select(Membership)).one().deactivated_at = service.clock.now()


def _change_the_role(service: Service, tx: Any) -> None:
    tx.scalars(select(Membership)).one().role = "viewer"


def _take_the_entitlement(service: Service, tx: Any) -> None:
    tx.scalars(select(Membership)).one().sensitive_data_access = False


@pytest.mark.parametrize(
    "happening",
    [_revoke_the_family, _end_the_session, _end_the_membership, _change_the_role, _take_the_entitlement],
    ids=lambda happening: happening.__name__.strip("_"),
)
def test_tk_12_what_was_taken_away_is_inactive_at_once(
    service: Service, portal: Portal, happening: Callable[[Service, Any], None]
) -> None:
    """No answer says more than is true now, and the inactive one says nothing else (TK-22)."""
    with service.services.database.transaction() as tx:
        tx.scalars(select(Membership)).one().sensitive_data_access = True
    token = portal.tokens(method="sms")["access_token"]
    assert said(service, token)["entitlements"] == ["sensitive_data_access"]
    with service.services.database.transaction() as tx:
        happening(service, tx)
    assert said(service, token) == INACTIVE


def test_what_was_given_since_is_not_added(service: Service, portal: Portal) -> None:
    """The answer is about this token: a new entitlement is in the next one."""
    token = portal.tokens(method="sms")["access_token"]
    with service.services.database.transaction() as tx:
        tx.scalars(select(Membership)).one().sensitive_data_access = True
    assert "entitlements" not in said(service, token)


def test_tk_22_a_client_without_the_apis_scope_learns_nothing(service: Service, portal: Portal) -> None:
    """4: a client must not probe tokens that are none of its business; its own it may ask about."""
    service.client("billing", scope="openid profile")
    tokens = portal.tokens(method="sms")
    assert said(service, tokens["access_token"], client="billing") == INACTIVE
    assert said(service, tokens["access_token"], client="ims-portal")["active"] is True


def test_a_refresh_token_concerns_its_client_alone(service: Service, portal: Portal) -> None:
    """An API has no use for one; the client learns when it ends. It is never called a bearer token."""
    tokens = portal.tokens(method="sms")
    told = said(service, tokens["refresh_token"], client="ims-portal", token_type_hint="refresh_token")
    assert (told["active"], told["sub"], told["client_id"]) == (True, portal.membership.user_id, "ims-portal")
    assert "token_type" not in told
    assert said(service, tokens["refresh_token"]) == INACTIVE


def test_asking_about_a_spent_refresh_token_ends_nothing(service: Service, portal: Portal) -> None:
    """It is inactive; to ask is not to use, so the family lives."""
    first = portal.tokens(method="sms")["refresh_token"]
    second = portal.refresh(first).json["refresh_token"]
    service.pass_time(minutes=2)
    assert said(service, first, client="ims-portal") == INACTIVE
    assert said(service, second, client="ims-portal")["active"] is True
    assert portal.refresh(second).status_code == 200


def test_a_refresh_token_whose_device_has_ended_is_inactive(service: Service, portal: Portal) -> None:
    """Its refresh would fail, so it is worth nothing (claims.md)."""
    portal.tokens(method="sms", remember=True)
    portal.dana.open("/sign-out")
    portal.dana.submit()
    token = portal.tokens()["refresh_token"]
    assert said(service, token, client="ims-portal")["acr"] == REMEMBERED
    with service.services.database.transaction() as tx:
        service.services.devices.forget_all(tx, reason="test", user_id=portal.membership.user_id)
    assert said(service, token, client="ims-portal") == INACTIVE


def test_a_machines_token_lives_as_long_as_its_client(service: Service, portal: Portal) -> None:
    """No person, so no claims of one; a deactivated client's tokens end with it."""
    service.client("exporter", scope="investors.read", grant_types=["client_credentials"])
    token = service.token(client=("exporter", CLIENT_SECRET), grant_type="client_credentials").json["access_token"]
    told = said(service, token)
    assert (told["sub"], told["client_id"], told["active"]) == ("exporter", "exporter", True)
    assert not {"acr", "amr", "auth_time", "account"} & told.keys()
    with service.services.database.transaction() as tx:
        tx.get_one(OAuthClient, "exporter").deactivated_at = service.clock.now()
    service.forget_clients()
    assert said(service, token) == INACTIVE


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"client": None}, 401),
        ({"client": None, "client_id": API_CLIENT}, 401),
        ({"secret": "wrong"}, 401),
        ({"client": "nobody"}, 401),
        ({"client": None, "client_id": "app"}, 400),
    ],
    ids=["nobody", "no secret", "wrong secret", "unknown", "public"],
)
def test_the_caller_must_authenticate(service: Service, portal: Portal, how: dict[str, Any], status: int) -> None:
    """2.1: "the endpoint MUST also require some form of authorization"; it never says what the token is then."""
    service.client("app", public=True)
    token = portal.tokens(method="sms")["access_token"]
    answer = ask(service, token=token, **how)
    assert answer.status_code == status
    assert "active" not in answer.json
    if status == 401:
        assert answer.json["error"] == "invalid_client"
        assert service.events("client.authentication_failed")[-1].fields["endpoint"] == "introspection"


@pytest.mark.parametrize("form", [{}, {"token": ""}], ids=repr)
def test_a_request_without_a_token_is_invalid(service: Service, portal: Portal, form: dict[str, str]) -> None:
    """2.1: `token` is REQUIRED."""
    answer = ask(service, **form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_hint_that_nobody_knows_is_ignored(service: Service, portal: Portal) -> None:
    """2.1: it MAY be ignored, and a wrong one MUST not hide the token."""
    token = portal.tokens(method="sms")["access_token"]
    for hint in ("refresh_token", "saml2"):
        assert said(service, token, token_type_hint=hint)["active"] is True


def test_parameters_in_the_query_are_refused(service: Service, portal: Portal) -> None:
    """A token in an address ends up in logs; GET is no method of this endpoint."""
    machine = service.machine()
    assert machine.get(f"{INTROSPECT}?token=x", base_url=ISSUER).status_code == 405
    answer = machine.post(f"{INTROSPECT}?token=x", base_url=ISSUER)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_while_the_database_is_away_no_token_is_inactive(service: Service, portal: Portal) -> None:
    """503 and Retry-After (architecture 2.5): `active: false` would sign everybody out."""
    token = portal.tokens(method="sms")["access_token"]
    said(service, token)
    with service.no_database():
        answer = ask(service, token=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json == {"error": "temporarily_unavailable"}


def test_the_metadata_names_the_endpoint(service: Service) -> None:
    """RFC 8414 2."""
    document = service.machine().get("/.well-known/oauth-authorization-server", base_url=ISSUER).json
    assert document["introspection_endpoint"] == ISSUER + INTROSPECT
    methods = document["introspection_endpoint_auth_methods_supported"]
    assert methods == ["client_secret_basic", "client_secret_post", "private_key_jwt"]


def a_verifier(service: Service) -> IntrospectionVerifier:
    """The kit's, connected to the service in this process."""

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        answer = service.machine().get(url.removeprefix(ISSUER), base_url=ISSUER)
        assert answer.status_code == 200
        return answer.data, answer.headers

    def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        answer = service.machine().post(
            url.removeprefix(ISSUER), base_url=ISSUER, data=body, headers=list(headers.items())
        )
        return answer.status_code, answer.headers, answer.data

    now = lambda: service.clock.now().timestamp()  # noqa: E731
    return IntrospectionVerifier(ISSUER, API_CLIENT, CLIENT_SECRET, API, fetch=fetch, post=post, now=now)


def test_the_kit_understands_the_answers(service: Service, portal: Portal) -> None:
    """The same claims as from the token; revoked is invalid, refresh tokens are no bearer tokens, away is no verdict."""
    verify = a_verifier(service)
    tokens = portal.tokens(method="sms", remember=True)
    claims = verify(tokens["access_token"], Requirement(scope="investors.read", acr=TWO_FACTOR, mfa_within_s=60))
    assert (claims.sub, claims.remembered_device and claims.remembered_device.mfa_amr) == (
        portal.membership.user_id,
        ("pwd", "sms", "mfa"),
    )
    with pytest.raises(InvalidToken):
        verify(tokens["refresh_token"])
    with service.services.database.transaction() as tx:
        _end_the_session(service, tx)
    with pytest.raises(InvalidToken, match="not active"):
        verify(tokens["access_token"])
    with service.no_database(), pytest.raises(IssuerUnavailable) as away:
        verify(tokens["access_token"])
    assert away.value.retry_after_s == 2


def test_the_kit_counts_an_ended_device_as_a_password(service: Service, portal: Portal) -> None:
    """claims.md: "its session counts as `password`"; what the token said stays to be read."""
    portal.tokens(method="sms", remember=True)
    portal.dana.open("/sign-out")
    portal.dana.submit()
    token = portal.tokens()["access_token"]
    verify = a_verifier(service)
    assert verify(token).acr == REMEMBERED
    with service.services.database.transaction() as tx:
        service.services.devices.forget_all(tx, reason="test", user_id=portal.membership.user_id)
    claims = verify(token)
    assert (claims.acr, claims.raw["acr"], claims.remembered_device) == (PASSWORD_ONLY, REMEMBERED, None)
