"""Whatever an authorization request holds, however it comes: plain words, never a 500 or an unescaped echo (AZ-17, PL-03)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.datastructures import MultiDict

from authsvc.oauth.models import OAuthClient
from tests.protocol.hostile import NAMES, VALUES, addresses, get, hostile, is_civil, often, prepared
from tests.protocol.portal import AUTHORIZE, PAR, Portal
from tests.support.service import ISSUER


@pytest.fixture
def portal(portal: Portal) -> Portal:
    """Dana is signed in."""
    return prepared(portal)


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
        AUTHORIZE, base_url=ISSUER, data=sent, environ_base={"REMOTE_ADDR": next(addresses)}
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
