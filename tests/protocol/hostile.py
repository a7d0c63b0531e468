"""Values that nobody careful sends, and what every answer to them must be."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.protocol.portal import AUTHORIZE, LOGOUT, TOKEN, Portal
from tests.support.assertions import Signer

REVOKE, INTROSPECT, DEVICE = "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"
MARK = "<zq>"
NASTY = st.sampled_from(
    [
        *(
            "",
            " ",
            "\0",
            "\r\nX-Evil: 1",
            "'",
            '"',
            "\\",
            "%00",
            "%ff",
            "\u202e",
            "\ud7ff",
            "\uffff",
            "é",
            "𝒆" * 50,
            "a" * 600,
        ),
        *(
            f"{MARK}<script>alert(1)</script>",
            f'"><img src=x onerror={MARK}>',
            "{{7*7}}",
            "${7*7}",
            "{id}",
            "{0}",
            "%s%n",
        ),
        *(
            "' OR 1=1 --",
            "../../etc/passwd",
            "javascript:alert(1)",
            "none",
            "null",
            "true",
            "-1",
            "1e400",
            "9" * 50,
            "[]",
            "{}",
        ),
        *(
            "x" * 8193,
            "W10.e30.AAAA",
            "ImFsZyI.e30.AAAA",
            "e30.e30.",
            ".",
            "..",
            "0" * 32,
            "\0" * 32,
            "ims-portal",
            "openid",
        ),
    ]
)
VALUES = st.one_of(NASTY, st.text(max_size=60))
NAMES: dict[str, tuple[str, ...]] = {
    AUTHORIZE: (
        *(
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
        ),
        *(
            "prompt",
            "max_age",
            "acr_values",
            "login_hint",
            "account",
            "resource",
            "response_mode",
            "request",
            "request_uri",
        ),
        *("id_token_hint", "ui_locales", "claims_locales", "display", "claims"),
    ),
    TOKEN: (
        *("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "client_id"),
        *("client_secret", "client_assertion", "client_assertion_type", "username", "password", "device_code"),
    ),
    REVOKE: ("token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"),
    INTROSPECT: ("token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"),
    DEVICE: ("scope", "resource", "client_id", "client_secret", "client_assertion", "client_assertion_type"),
    LOGOUT: ("id_token_hint", "post_logout_redirect_uri", "state", "client_id", "logout_hint", "ui_locales", "request"),
}
#: A few of the names that an endpoint knows get a hostile value, beside what a good request has; and names nobody knows.
often = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def hostile(endpoint: str) -> st.SearchStrategy[dict[str, str]]:
    """Changes to a request."""
    return st.dictionaries(st.one_of(st.sampled_from(NAMES[endpoint]), VALUES), VALUES, max_size=4)


def prepared(portal: Portal) -> Portal:
    """Dana is signed in, so that a request may get as far as the code and its row; and two more clients."""
    portal.tokens()
    device = "urn:ietf:params:oauth:grant-type:device_code"
    portal.service.client(
        "by-post", token_endpoint_auth_method="client_secret_post", grant_types=[device], redirect_uris=[]
    )
    portal.service.client("by-key", token_endpoint_auth_method="private_key_jwt", jwks=Signer().jwks)
    return portal


def encoded(value: Any) -> str:
    """As a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


addresses = itertools.cycle(f"10.{a}.{b}.{c}" for a in range(4) for b in range(250) for c in range(250))


def is_civil(answer: TestResponse) -> TestResponse:
    """The answer, if it is one that anybody may see."""
    assert answer.status_code < 500, answer.text[:300]
    text = answer.get_data(as_text=True)
    assert "Traceback" not in text
    assert "sqlalchemy" not in text.lower()
    if answer.mimetype == "text/html":
        assert MARK not in text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Evil" not in answer.headers
    assert all("\r" not in value and "\n" not in value for _, value in answer.headers)
    location = answer.headers.get("Location", "")
    assert location == "" or location.startswith(("/", "https://portal.ims.test/")), location
    assert not location.startswith("//")
    return answer


def get(portal: Portal, path: str, query: Any, *, signed_in: bool, **headers: str) -> TestResponse:
    """A GET from an address of its own: how often one may ask is another test's."""
    person = portal.dana if signed_in else portal.service.person()
    person.address = next(addresses)
    return portal.get(path, query, person, **headers)
