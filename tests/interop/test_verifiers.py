"""Two verifiers on the same tokens: PyJWT, which is not ours, and the kit that we give to other services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from jwt import PyJWKClient

from authsvc.resource_server import Requirement, TokenVerifier
from authsvc.resource_server.errors import InsufficientAuthentication, InvalidToken
from tests.interop.conftest import API, Walk, open_client
from tests.support.remote import Served

ALGORITHMS = ["ES256", "RS256"]
ID_TOKEN = ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid", "at_hash", "account"]
#: RFC 9068 2.2
ACCESS_TOKEN = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]


def by_pyjwt(issuer: str, token: str, *, audience: str, require: list[str]) -> dict[str, Any]:
    """The claims as PyJWT reads them, with the keys it fetched by itself."""
    key = PyJWKClient(f"{issuer}/oauth/jwks").get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=ALGORITHMS, audience=audience, issuer=issuer, options={"require": require}
    )
    return claims


@pytest.fixture
def machine_token(live: Served) -> str:
    """A client_credentials token."""
    with open_client("machine") as client:
        token: str = client.fetch_token(f"{live.issuer}/oauth/token", grant_type="client_credentials")["access_token"]
    return token


@pytest.mark.parametrize(("client_id", "algorithm"), [("basic", "ES256"), ("post", "RS256")])
def test_pyjwt_and_the_kit_read_the_same(
    live: Served, walk: Callable[..., Walk], client_id: str, algorithm: str
) -> None:
    """Signature, kid, times, issuer and audience, by two independent implementations."""
    tokens = walk(client_id).tokens
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == algorithm

    identity = by_pyjwt(live.issuer, tokens["id_token"], audience=client_id, require=ID_TOKEN)
    access = by_pyjwt(live.issuer, tokens["access_token"], audience=API, require=ACCESS_TOKEN)
    claims = TokenVerifier(live.issuer, API)(tokens["access_token"], Requirement(scope="investors.read"))

    assert dict(claims.raw) == access
    assert (claims.sub, claims.sid, claims.acr) == (identity["sub"], identity["sid"], identity["acr"])
    assert claims.account is not None
    assert claims.account.slug == "northgate"


def test_the_kit_knows_how_fresh_the_code_is(live: Served, walk: Callable[..., Walk]) -> None:
    """contract.md, "For other services": a two-step token within 15 minutes passes, two-factor it is not."""
    token = walk("basic").tokens["access_token"]
    verify = TokenVerifier(live.issuer, API)

    assert verify(token, Requirement(acr="urn:ims:acr:two-step", mfa_within_s=900)).amr == ("pwd", "otp", "mca")
    with pytest.raises(InsufficientAuthentication):
        verify(token, Requirement(acr="urn:ims:acr:two-factor"))


def test_a_machines_token_has_nobody_behind_it(live: Served, machine_token: str) -> None:
    """claims.md: sub = client_id; no acr, amr, auth_time, account."""
    access = by_pyjwt(live.issuer, machine_token, audience=API, require=ACCESS_TOKEN)
    claims = TokenVerifier(live.issuer, API)(machine_token, Requirement(scope="investors.read"))

    assert access.keys() == {*ACCESS_TOKEN, "scope"}
    assert (claims.sub, claims.client_id, claims.acr, claims.account) == ("machine", "machine", None, None)


def test_both_refuse_what_is_for_somebody_else(live: Served, walk: Callable[..., Walk]) -> None:
    """TK-07, TK-08: another audience; an ID token where an access token is wanted; a changed signature."""
    tokens = walk("app").tokens
    verify = TokenVerifier(live.issuer, API)
    with pytest.raises(jwt.InvalidAudienceError):
        by_pyjwt(live.issuer, tokens["access_token"], audience="app", require=ACCESS_TOKEN)
    with pytest.raises(InvalidToken):
        TokenVerifier(live.issuer, "https://api.ims.test/other")(tokens["access_token"])
    with pytest.raises(InvalidToken):
        verify(tokens["id_token"])
    broken = tokens["access_token"][:-4] + ("AAAA" if not tokens["access_token"].endswith("AAAA") else "BBBB")
    with pytest.raises(InvalidToken):
        verify(broken)
    with pytest.raises(jwt.InvalidSignatureError):
        by_pyjwt(live.issuer, broken, audience=API, require=ACCESS_TOKEN)
