"""Whatever is sent to the endpoints: plain words, never a 500, a stack trace or an unescaped echo (AZ-17, PL-03)."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from authsvc.oauth.models import OAuthClient
from tests.protocol.portal import AUTHORIZE, LOGOUT, PAR, TOKEN, USERINFO, Portal
from tests.support.assertions import Signer, wrap
from tests.support.service import CLIENT_SECRET, ISSUER

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


@pytest.fixture
def portal(portal: Portal) -> Portal:
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


_addresses = itertools.cycle(f"10.{a}.{b}.{c}" for a in range(4) for b in range(250) for c in range(250))


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
    person.address = next(_addresses)
    return portal.get(path, query, person, **headers)


@often
@example(changed={"request": "\0" * 32}, signed_in=True)
@example(changed={"nonce": "\0"}, signed_in=True)
@example(changed={"login_hint": "\0"}, signed_in=False)
@example(changed={"nonce": "x" * 600}, signed_in=True)
@given(changed=hostile(AUTHORIZE), signed_in=st.booleans())
def test_the_authorization_endpoint_is_civil(portal: Portal, changed: dict[str, str], signed_in: bool) -> None:
    """A good request with hostile parts; and the page that follows, where there is one."""
    answer = is_civil(get(portal, AUTHORIZE, {**portal.request(), **changed}, signed_in=signed_in))
    if answer.headers.get("Location", "").startswith("/"):
        is_civil(portal.dana.client.get(answer.headers["Location"], base_url=ISSUER))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), VALUES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(VALUES, inner, max_size=3)),
    max_leaves=8,
)
CLAIM = st.one_of(JSON, st.fixed_dictionaries({}, optional={"essential": JSON, "value": JSON, "values": JSON}))
CLAIMS = st.dictionaries(
    st.sampled_from(["id_token", "userinfo", "x"]),
    st.one_of(JSON, st.dictionaries(st.sampled_from(["acr", "sub", "name", "email", "x"]), CLAIM, max_size=3)),
    max_size=3,
).map(json.dumps)


@often
@example(claims='{"id_token":{"sub":{"value":"\\u0000"}}}')
@example(claims='{"id_token":{"sub":{"value":"\\ud800"}}}')
@given(claims=CLAIMS)
def test_the_claims_parameter_is_read_with_care(portal: Portal, claims: str) -> None:
    """Any JSON, in and around the places that mean something; signed in, so that what is asked reaches its row."""
    is_civil(get(portal, AUTHORIZE, {**portal.request(), "claims": claims}, signed_in=True))


@often
@given(changed=hostile(AUTHORIZE), first_party=st.booleans())
def test_a_request_by_post_and_by_form_is_civil(portal: Portal, changed: dict[str, str], first_party: bool) -> None:
    """The same, posted; what it is sent on to; and an answer that is a page."""
    sent = {**portal.request(), "response_mode": "form_post", **changed}
    answer = portal.dana.client.post(
        AUTHORIZE, base_url=ISSUER, data=sent, environ_base={"REMOTE_ADDR": next(_addresses)}
    )
    if "Location" in is_civil(answer).headers:
        is_civil(get(portal, answer.headers["Location"], None, signed_in=first_party))


@often
@example(changed={"request_uri": "\0"})
@example(changed={"claims": "[" * 8000})
@given(changed=hostile(AUTHORIZE))
def test_the_pushed_request_endpoint_is_civil(portal: Portal, changed: dict[str, str]) -> None:
    """An authenticated client that sends anything: a link, or the RFC's error as JSON; and the link leads to no error of ours."""
    answer = is_civil(portal.push(form={**portal.request(), **changed}))

    assert answer.status_code in (201, 400, 401, 413, 429)
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.status_code == 201:
        link = {"client_id": "ims-portal", "request_uri": answer.get_json()["request_uri"]}
        is_civil(get(portal, AUTHORIZE, link, signed_in=True))
    else:
        assert answer.get_json()["error"]


@often
@given(
    data=st.binary(max_size=300),
    mimetype=st.sampled_from(
        ["application/x-www-form-urlencoded", "multipart/form-data", "application/json", "x/y", ""]
    ),
)
def test_the_pushed_request_endpoint_bears_any_body(portal: Portal, data: bytes, mimetype: str) -> None:
    """Bytes that are no form."""
    answer = is_civil(portal.service.machine().post(PAR, base_url=ISSUER, data=data, content_type=mimetype))

    assert answer.status_code in (400, 401, 429)


SIGNED = ECKey.generate_key("P-256", {"kid": "k"})


@often
@given(claims=st.dictionaries(st.one_of(st.sampled_from(NAMES[AUTHORIZE]), VALUES), JSON, max_size=4))
def test_a_signed_request_may_hold_anything(portal: Portal, claims: dict[str, Any]) -> None:
    """Signed by the client itself: any JSON in it is refused or read, and never an error of ours."""
    proper = {"iss": "signer", "aud": ISSUER, "exp": 10**10, **portal.request(client_id="signer")}
    try:
        text = jwt.encode({"alg": "ES256", "kid": "k"}, {**proper, **claims}, SIGNED)
    except (ValueError, TypeError):
        return
    with portal.service.services.database.transaction(read_only=True) as tx:
        is_new = tx.get(OAuthClient, "signer") is None
    if is_new:
        portal.service.client("signer", jwks={"keys": [SIGNED.as_dict(private=False)]})
    is_civil(get(portal, AUTHORIZE, {"client_id": "signer", "request": text}, signed_in=True))


@often
@given(sent=st.dictionaries(VALUES, st.lists(VALUES, max_size=3), max_size=5))
def test_the_authorization_endpoint_bears_anything_alone(portal: Portal, sent: dict[str, list[str]]) -> None:
    """Nothing of it makes sense: a page, and no redirect."""
    answer = is_civil(get(portal, AUTHORIZE, MultiDict(sent), signed_in=True))

    assert "Location" not in answer.headers


@often
@example(changed={"grant_type": 'x"'}, header=None)
@example(changed={"client_id": "", "client_secret": ""}, header="Basic JTAwOiUwMA==")
@given(changed=hostile(TOKEN), header=st.one_of(st.none(), VALUES.map(lambda text: f"Basic {text}")))
def test_the_token_endpoint_is_civil(portal: Portal, changed: dict[str, str], header: str | None) -> None:
    """A proper redemption with hostile parts, authenticated or with a hostile header."""
    form = {
        "grant_type": "authorization_code",
        "code": "x",
        "code_verifier": portal.verifier,
        "client_id": "ims-portal",
        "client_secret": CLIENT_SECRET,
        **changed,
    }
    headers = {"Authorization": header.encode("utf-8", "ignore").decode("latin-1")} if header else {}
    if any(ord(character) < 32 or ord(character) == 127 for character in headers.get("Authorization", "")):
        headers = {}  # no server lets such a header in
    answer = is_civil(
        portal.service.machine().post(
            TOKEN, base_url=ISSUER, data=form, headers=headers, environ_base={"REMOTE_ADDR": next(_addresses)}
        )
    )

    assert answer.status_code in (400, 401, 413, 429)
    assert answer.mimetype == "application/json"
    assert answer.get_json()["error"]
    assert answer.headers["Cache-Control"] == "no-store"


@often
@given(
    data=st.binary(max_size=300),
    mimetype=st.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data", "x/y", ""]),
)
def test_the_token_endpoint_bears_any_body(portal: Portal, data: bytes, mimetype: str) -> None:
    """Bytes that are no form."""
    answer = is_civil(portal.service.machine().post(TOKEN, base_url=ISSUER, data=data, content_type=mimetype))

    assert answer.status_code in (400, 401)


@often
@given(
    token=st.one_of(
        VALUES, st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True)
    )
)
def test_the_userinfo_endpoint_is_civil(portal: Portal, token: str) -> None:
    """A bearer token that is none."""
    text = "".join(c for c in token if ord(c) >= 32 and ord(c) != 127).encode("utf-8", "ignore").decode("latin-1")
    answer = is_civil(get(portal, USERINFO, None, signed_in=False, Authorization=f"Bearer {text}"))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert MARK not in answer.text


@often
@example(changed={"id_token_hint": "W10.e30.AAAA"}, signed_in=True, by_post=False)
@example(changed={"post_logout_redirect_uri": "x" * 8000, "state": "x" * 8000}, signed_in=True, by_post=False)
@given(changed=hostile(LOGOUT), signed_in=st.booleans(), by_post=st.booleans())
def test_the_logout_endpoint_is_civil(portal: Portal, changed: dict[str, str], signed_in: bool, by_post: bool) -> None:
    """Nothing of it signs Dana out, and nothing leads away."""
    sent = {"post_logout_redirect_uri": "https://portal.ims.test/", "state": "s", **changed}
    if by_post:
        answer = is_civil(portal.service.machine().post(LOGOUT, base_url=ISSUER, data=sent))
        sent_on = answer.headers["Location"].partition("?")[2]
        answer = is_civil(get(portal, LOGOUT, sent_on, signed_in=signed_in))
    else:
        answer = is_civil(get(portal, LOGOUT, sent, signed_in=signed_in))

    assert answer.headers["Location"].startswith("/")
    assert "code=" in get(portal, AUTHORIZE, portal.request(prompt="none"), signed_in=True).headers["Location"]


@often
@example(path=REVOKE, changed={"token": "W10.e30.AAAA"}, accept="")
@example(path=DEVICE, changed={"scope": "\0"}, accept="")
@given(
    path=st.sampled_from([REVOKE, INTROSPECT, DEVICE]),
    changed=st.one_of(hostile(REVOKE), hostile(DEVICE)),
    accept=st.sampled_from(["", "*/*", "application/token-introspection+jwt", ";;,q=x", "\xff", "a" * 900]),
)
def test_the_other_machine_endpoints_are_civil(portal: Portal, path: str, changed: dict[str, str], accept: str) -> None:
    """A proper request with hostile parts: an answer or a refusal in JSON, or a signed one, that nobody keeps."""
    answer = is_civil(
        portal.service.machine().post(
            path,
            base_url=ISSUER,
            data={"client_id": "by-post", "client_secret": CLIENT_SECRET, "token": "x", "scope": "openid", **changed},
            headers={"Accept": accept},
            environ_base={"REMOTE_ADDR": next(_addresses)},
        )
    )

    assert answer.status_code in (200, 400, 401, 413, 429)
    assert answer.mimetype in ("application/json", "application/token-introspection+jwt")
    assert answer.headers["Cache-Control"] == "no-store"


@often
@example(parts=["W10", "e30", "AAAA"])
@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from(["W10", "e30", "IiI", "MQ", "bnVsbA", "eyJhbGciOiJFUzI1NiJ9", ""]),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=20), st.just("by-key")),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3),
                    st.dictionaries(
                        st.sampled_from(["alg", "kid", "typ", "crit", "iss", "sub", "aud", "exp", "nbf", "iat", "jti"]),
                        inner,
                        max_size=8,
                    ),
                ),
                max_leaves=12,
            ).map(encoded),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_client_assertion_may_be_anything(portal: Portal, parts: list[str]) -> None:
    """Header and claims of every shape that JSON has: the one refusal (TK-21)."""
    form = {"grant_type": "client_credentials", **wrap(".".join(parts))}
    answer = is_civil(
        portal.service.machine().post(TOKEN, base_url=ISSUER, data=form, environ_base={"REMOTE_ADDR": next(_addresses)})
    )

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


@often
@example(changed={"user_code": "\0"}, path="/device")
@given(
    changed=st.dictionaries(
        st.sampled_from(["user_code", "id", "decision", "request", "continue"]), VALUES, max_size=4
    ),
    path=st.sampled_from(["/device", "/device/confirm"]),
)
def test_the_device_pages_are_civil(portal: Portal, changed: dict[str, str], path: str) -> None:
    """Opened and posted, signed in: nothing is let in by it."""
    is_civil(get(portal, path, changed, signed_in=True))
    portal.dana.open("/device")
    sent = {**portal.dana.here.forms[0].fields, **changed}
    portal.dana.address = next(_addresses)
    answer = is_civil(portal.dana.post(path, sent))

    assert answer.status_code in (303, 400, 413, 422, 429)
    assert portal.service.events("device_grant.approved") == []
