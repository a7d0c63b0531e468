"""The decorator in front of Flask views, through a test client."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authsvc.resource_server import Requirement, TokenVerifier
from authsvc.resource_server.flask import protect
from tests.unit.resource_server.local_issuer import LocalIssuer, Time, a_token


@pytest.fixture
def client(verify: TokenVerifier) -> FlaskClient:
    app = Flask("investors")

    @app.get("/investors/<number>")
    @protect(verify, Requirement(scope="investors.read"))
    def investor(number: str) -> dict[str, Any]:
        """One investor."""
        return {"number": number, "account": g.token_claims.account.slug}

    @app.get("/export")
    @protect(verify, Requirement(acr="urn:ims:acr:two-factor"), realm="exports")
    def export() -> str:
        return "a,b"

    @app.get("/anything")
    @protect(verify)
    def anything() -> tuple[str, int]:
        return g.token_claims.sub, 202

    assert investor.__doc__ == "One investor."
    return app.test_client()


def get(client: FlaskClient, path: str, authorization: str | None) -> TestResponse:
    return client.get(path, headers={} if authorization is None else {"Authorization": authorization})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_reaches_the_view(client: FlaskClient, scheme: str) -> None:
    """The scheme's case does not matter (RFC 9110 11.1); the claims are in g.token_claims."""
    answer = get(client, "/investors/7", f"{scheme} {a_token()}")
    assert (answer.status_code, answer.json) == (200, {"number": "7", "account": "northgate"})
    assert get(client, "/anything", f"Bearer {a_token()}").status_code == 202


@pytest.mark.parametrize("authorization", [None, "", "Basic aW1zOnB3", "Bearerx abc", "DPoP abc"])
def test_without_a_token_the_challenge_is_bare(client: FlaskClient, authorization: str | None) -> None:
    """No authentication information, no error code in the challenge (RFC 6750 3.1)."""
    answer = get(client, "/investors/7", authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "error": "missing_token",
        "error_description": "This API needs an access token in the Authorization header.",
    }


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer abc", "Bearer a b c", "Bearer abc, Bearer def"])
def test_a_bad_token_is_answered_in_json(client: FlaskClient, authorization: str) -> None:
    """401 invalid_token, never stored by a cache."""
    answer = get(client, "/investors/7", authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "error": "invalid_token",
        "error_description": "The access token is malformed, expired or not meant for this API.",
    }


@pytest.mark.parametrize("with_header", [True, False])
def test_a_token_in_the_query_is_refused(client: FlaskClient, with_header: bool) -> None:
    """It would end up in logs and histories (RFC 9700 4.3.2); also beside a good header (RFC 6750 3.1)."""
    authorization = f"Bearer {a_token()}" if with_header else None
    answer = get(client, f"/investors/7?access_token={a_token()}", authorization)
    assert (answer.status_code, answer.json and answer.json["error"]) == (400, "invalid_request")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_request"')


def test_a_missing_scope_is_forbidden(client: FlaskClient) -> None:
    """403 with the scope that is needed."""
    answer = get(client, "/investors/7", f"Bearer {a_token(scope='openid')}")
    assert (answer.status_code, answer.json and answer.json["error"]) == (403, "insufficient_scope")
    assert answer.headers["WWW-Authenticate"].endswith('scope="investors.read"')


def test_a_weak_sign_in_is_told_to_step_up(client: FlaskClient) -> None:
    """401 with the level that is needed (RFC 9470), in the view's realm."""
    answer = get(client, "/export", f"Bearer {a_token()}")
    assert (answer.status_code, answer.json and answer.json["error"]) == (401, "insufficient_user_authentication")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="exports", error="insufficient_user_authentication"')
    assert challenge.endswith('acr_values="urn:ims:acr:two-factor"')


def test_while_the_issuer_is_away_the_answer_is_503(client: FlaskClient, issuer: LocalIssuer, time: Time) -> None:
    """No challenge: the client keeps its token and comes back (security.md 4.4)."""
    issuer.down = True
    get(client, "/anything", f"Bearer {a_token()}")
    time.advance(10)
    answer = get(client, "/anything", f"Bearer {a_token()}")
    assert (answer.status_code, answer.json and answer.json["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "20"
    assert "WWW-Authenticate" not in answer.headers
