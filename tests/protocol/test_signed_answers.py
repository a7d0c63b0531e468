"""Answers as JWTs: ID tokens by each algorithm, UserInfo (Core 5.3.2), introspection (RFC 9701)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from authsvc.clock import FixedClock, epoch_s
from authsvc.keyring.rules import rotation_rules
from authsvc.oauth.introspection import SIGNED, wants_signed
from authsvc.oauth.jose import Registry
from tests.conftest import START
from tests.protocol.portal import Portal, body, header
from tests.support.service import CLIENT_SECRET, ISSUER, Service, make_ring, shipped_policies

ALGORITHMS = ["ES256", "RS256", "EdDSA"]


@pytest.fixture(scope="module")
def three_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ring that signs with all three."""
    folder = tmp_path_factory.mktemp("three") / "keys"
    ring = make_ring(folder, FixedClock(START))
    ring.rotate("EdDSA", rules=rotation_rules(shipped_policies().tokens))
    return folder


@pytest.fixture
def service(database_url: str, clock: FixedClock, three_keys: Path) -> Iterator[Service]:
    """A service with that ring."""
    service = Service.on(database_url, clock=clock, ring=make_ring(three_keys, clock))
    yield service
    service.dispose()


def claims(service: Service, token: str, alg: str) -> dict[str, Any]:
    """Checked with the published key that the header names."""
    published = service.machine().get("/oauth/jwks", base_url=ISSUER).json["keys"]
    keys = KeySet.import_key_set({"keys": [key for key in published if key["kid"] == header(token)["kid"]]})
    assert header(token)["alg"] == alg
    return jwt.decode(token, keys, registry=Registry(algorithms=[alg])).claims


def introspect(service: Service, token: str, **headers: str) -> TestResponse:
    """As the portal."""
    basic = base64.b64encode(f"ims-portal:{CLIENT_SECRET}".encode()).decode()
    given = {"Authorization": f"Basic {basic}", **headers}
    return service.machine().post("/oauth/introspect", base_url=ISSUER, data={"token": token}, headers=given)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_id_tokens_are_signed_as_registered(service: Service, alg: str) -> None:
    """id_token_signed_response_alg; at_hash by the hash of the algorithm, SHA-512 for EdDSA (Core 3.1.3.6)."""
    portal = Portal.on(service, id_token_signed_response_alg=alg)
    tokens = portal.tokens()

    found = claims(service, tokens["id_token"], alg)

    assert found["sub"] == portal.membership.user_id
    assert len(base64.urlsafe_b64decode(found["at_hash"] + "==")) == (32 if alg == "EdDSA" else 16)
    assert header(tokens["access_token"])["alg"] == "ES256", "access tokens are for services that we tell"


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_userinfo_is_signed_for_whom_registered_so(service: Service, alg: str) -> None:
    """Core 5.3.2: content type application/jwt; "If signed, the UserInfo Response MUST contain the Claims iss (issuer) and aud
    (audience) as members". Conformance userinfo-rs256.
    """
    portal = Portal.on(service, userinfo_signed_response_alg=alg)
    answer = portal.userinfo(portal.tokens()["access_token"])

    assert (answer.status_code, answer.mimetype) == (200, "application/jwt")
    assert answer.headers["Cache-Control"] == "no-store"
    found = claims(service, answer.text, alg)
    assert (found["iss"], found["aud"], found["sub"]) == (ISSUER, "ims-portal", portal.membership.user_id)
    assert found["email"] == "dana@northgate.example"


def test_a_signed_userinfo_is_no_token(service: Service) -> None:
    """TK-07: it is signed by the same keys and opens nothing, neither as access token nor as id_token_hint."""
    portal = Portal.on(service, userinfo_signed_response_alg="ES256")
    signed = portal.userinfo(portal.tokens()["access_token"]).text
    assert portal.userinfo(signed).status_code == 401
    assert introspect(service, signed).json == {"active": False}
    hint = portal.get("/oauth/logout", {"id_token_hint": signed}, portal.dana)
    assert hint.headers["Location"].startswith("/sign-out?request=")


@pytest.mark.parametrize("alg", [None, *ALGORITHMS])
def test_introspection_is_signed_on_request(service: Service, alg: str | None) -> None:
    """RFC 9701 5: typ token-introspection+jwt, iss, aud = the caller, iat, and the answer within; no sub and no exp beside it.
    6: "The default, if omitted, is RS256."
    """
    portal = Portal.on(service, introspection_signed_response_alg=alg)
    token = portal.tokens()["access_token"]
    plain = introspect(service, token, Accept="application/json").json

    answer = introspect(service, token, Accept=SIGNED)

    assert (answer.status_code, answer.mimetype) == (200, SIGNED)
    assert answer.headers["Cache-Control"] == "no-store"
    assert header(answer.text)["typ"] == "token-introspection+jwt"
    now = epoch_s(service.clock.now())
    expected = {"iss": ISSUER, "aud": "ims-portal", "iat": now, "token_introspection": plain}
    assert claims(service, answer.text, alg or "RS256") == expected
    assert plain["active"] is True


def test_tk22_a_signed_inactive_answer_says_nothing_else(service: Service) -> None:
    """Garbage and other clients' tokens are inactive there too; and the answer is no access token (RFC 9701 8.1)."""
    portal = Portal.on(service)
    for token in ("x", portal.tokens()["id_token"]):
        signed = introspect(service, token, Accept=SIGNED).text
        assert claims(service, signed, "RS256")["token_introspection"] == {"active": False}
        assert portal.userinfo(signed).status_code == 401


def test_a_refusal_is_never_signed(service: Service) -> None:
    """RFC 9701 5: errors are those of RFC 7662."""
    Portal.on(service)
    headers = {"Accept": SIGNED}
    answer = service.machine().post("/oauth/introspect", base_url=ISSUER, data={"token": "x"}, headers=headers)
    assert (answer.status_code, body(answer)["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("accept", "registered", "signed"),
    [
        ("", False, False),
        ("*/*", False, False),
        ("application/json", True, False),
        ("application/json, */*", True, False),
        ("*/*", True, True),
        ("", True, True),
        (SIGNED, False, True),
        (f"application/json;q=0.5, {SIGNED.upper()};q=1", False, True),
        ("application/jwt", False, False),
    ],
)
def test_who_gets_a_jwt(accept: str, registered: bool, signed: bool) -> None:
    """Whoever names it, or registered for it and does not ask for plain JSON."""
    assert wants_signed(accept, registered=registered) is signed


def test_discovery_says_eddsa_while_a_key_signs_with_it(service: Service) -> None:
    """Nothing is promised that the ring cannot do."""
    found = service.machine().get("/.well-known/openid-configuration", base_url=ISSUER).json
    for name in ("id_token", "userinfo", "introspection"):
        assert found[f"{name}_signing_alg_values_supported"] == ["ES256", "EdDSA", "RS256"]
