"""Authlib's own client against the running service: what it checks, it checks by its own code."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.interop.conftest import API, DONE, Walk, open_client
from tests.support.remote import Served

each_client = pytest.mark.parametrize("client_id", ["basic", "post", "app"])


def id_token_of(walk: Walk, *, algorithm: str, nonce: str | None) -> CodeIDToken:
    """The ID token, validated as Authlib's client integrations do (OpenID Connect Core 3.1.3.7)."""
    keys = KeySet.import_key_set(walk.client.get(walk.metadata["jwks_uri"], withhold_token=True).json())
    token = jwt.decode(walk.tokens["id_token"], keys, algorithms=[algorithm])
    claims = CodeIDToken(
        token.claims,
        token.header,
        {
            "iss": {"essential": True, "value": walk.metadata["issuer"]},
            "aud": {"essential": True, "value": walk.client.client_id},
            "auth_time": {"essential": True},
            "acr": {"essential": True, "value": "urn:ims:acr:two-step"},
        },
        {
            "client_id": walk.client.client_id,
            "access_token": walk.tokens["access_token"],
            "nonce": nonce,
            "max_age": 600,
        },
    )
    claims.validate(leeway=5)
    return claims


@each_client
def test_the_code_flow_works_from_discovery_to_userinfo(walk: Callable[..., Walk], client_id: str) -> None:
    """OpenID conformance, server: happy flow, for each way to authenticate; ID token, hash and nonce are right. The answer names
    the issuer that discovery named (RFC 9207 2.4), which is how a client notices a mix-up.
    """
    done = walk(client_id, max_age="600")
    claims = id_token_of(done, algorithm="RS256" if client_id == "post" else "ES256", nonce=done.nonce)
    told = done.client.get(done.metadata["userinfo_endpoint"])

    assert (told.status_code, told.json()["sub"]) == (200, claims["sub"])
    assert told.json().keys() == {"sub", "name", "zoneinfo", "email", "email_verified"}
    assert claims["amr"] == ["pwd", "otp", "mca"]
    assert done.metadata["authorization_response_iss_parameter_supported"] is True
    assert parse_qs(urlsplit(done.landed_at).query)["iss"] == [done.metadata["issuer"]]


@each_client
def test_refreshing_rotates_and_keeps_who_it_is_about(walk: Callable[..., Walk], client_id: str) -> None:
    """OpenID conformance, refresh-token: "ID token on refresh keeps iss/sub/aud"."""
    done = walk(client_id)
    algorithm = "RS256" if client_id == "post" else "ES256"
    first, old = id_token_of(done, algorithm=algorithm, nonce=done.nonce), done.tokens["refresh_token"]

    done.tokens = dict(done.client.refresh_token(done.metadata["token_endpoint"], refresh_token=old))

    again = id_token_of(done, algorithm=algorithm, nonce=None)
    assert [again[name] for name in ("iss", "sub", "aud", "auth_time", "sid")] == [
        first[name] for name in ("iss", "sub", "aud", "auth_time", "sid")
    ]
    assert done.tokens["refresh_token"] != old


def test_a_code_cannot_be_used_twice(walk: Callable[..., Walk]) -> None:
    """OpenID conformance, codereuse: invalid_grant, and the first access token is worth nothing any more."""
    done = walk("basic")

    with pytest.raises(OAuthError, match="invalid_grant"):
        done.client.fetch_token(
            done.metadata["token_endpoint"], authorization_response=done.landed_at, code_verifier=done.verifier
        )

    token = done.tokens["access_token"]
    answer = requests.get(done.metadata["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code == 401


def test_logging_out_leads_back_and_ends_the_session(walk: Callable[..., Walk]) -> None:
    """OpenID conformance, rp-initiated-logout: the session must be gone after it, so prompt=none fails."""
    done = walk("post")
    hint = {"id_token_hint": done.tokens["id_token"], "post_logout_redirect_uri": DONE, "state": "bye"}
    done.person.open(done.metadata["end_session_endpoint"].removeprefix(done.person.issuer), **hint)
    assert done.person.left_for == f"{DONE}?state=bye"

    url, _ = done.client.create_authorization_url(
        done.metadata["authorization_endpoint"], code_verifier=done.verifier, prompt="none"
    )
    done.person.open(url.removeprefix(done.person.issuer))

    assert done.person.callback()["error"] == "login_required"
    with pytest.raises(OAuthError, match="invalid_grant"):
        done.client.refresh_token(done.metadata["token_endpoint"], refresh_token=done.tokens["refresh_token"])


def test_a_machine_gets_its_token(live: Served) -> None:
    """RFC 6749 4.4, and RFC 8707 for which API."""
    with open_client("machine") as client:
        token = client.fetch_token(f"{live.issuer}/oauth/token", grant_type="client_credentials", resource=API)

    assert token.keys() >= {"access_token", "token_type", "expires_in", "scope"}
    assert token["scope"] == "investors.read"


def test_a_wrong_secret_is_an_error_the_client_understands(live: Served) -> None:
    """RFC 6749 5.2, over the wire: 401, JSON, a challenge."""
    with open_client("machine") as client:
        client.client_secret = "wrong"
        with pytest.raises(OAuthError, match="invalid_client"):
            client.fetch_token(f"{live.issuer}/oauth/token", grant_type="client_credentials")
