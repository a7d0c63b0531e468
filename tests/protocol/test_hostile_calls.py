"""Whatever machines post and browsers open: plain words, never a 500 or an unescaped echo (AZ-17, PL-03, TK-21)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.hostile import (
    DEVICE,
    INTROSPECT,
    MARK,
    REVOKE,
    VALUES,
    addresses,
    encoded,
    get,
    hostile,
    is_civil,
    often,
    prepared,
)
from tests.protocol.portal import AUTHORIZE, LOGOUT, PAR, TOKEN, USERINFO, Portal
from tests.support.assertions import wrap
from tests.support.service import CLIENT_SECRET, ISSUER


@pytest.fixture
def portal(portal: Portal) -> Portal:
    """Dana is signed in."""
    return prepared(portal)


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
            TOKEN, base_url=ISSUER, data=form, headers=headers, environ_base={"REMOTE_ADDR": next(addresses)}
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
            environ_base={"REMOTE_ADDR": next(addresses)},
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
        portal.service.machine().post(TOKEN, base_url=ISSUER, data=form, environ_base={"REMOTE_ADDR": next(addresses)})
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
    portal.dana.address = next(addresses)
    answer = is_civil(portal.dana.post(path, sent))

    assert answer.status_code in (303, 400, 413, 422, 429)
    assert portal.service.events("device_grant.approved") == []


#: JSON of every other kind where a JWT has its header, and headers whose members are of the wrong kind.
HEADERS = ['"alg"', "[]", '["alg"]', '[["alg","ES256"]]', "1", "null", '""', "{}", '{"alg":1}', '{"alg":["ES256"]}']
HEADERS += ['{"alg":"ES256","kid":[]}', '{"alg":"ES256","kid":{}}', '{"alg":"ES256","crit":1}', "[" * 9000]


@pytest.mark.parametrize("text", HEADERS, ids=lambda text: text[:30])
def test_tk21_a_header_of_any_kind_is_refused_wherever_a_jwt_is_read(portal: Portal, text: str) -> None:
    """Its claims are those of a good one, so that each reader gets as far as the key: client assertion, request object, hints,
    bearer token, and what is asked about or given back.
    """
    claims = {
        "iss": "by-key",
        "sub": "by-key",
        "client_id": "by-key",
        "aud": ISSUER,
        "exp": 10**10,
        "jti": "1",
        "sid": "s",
    }
    header = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    token = f"{header}.{encoded(claims)}.{'A' * 86}"
    small = len(token) < 8000

    for path in (TOKEN, PAR, REVOKE, INTROSPECT, DEVICE):
        form = {"grant_type": "client_credentials", "token": "x", **wrap(token)}
        where = {"REMOTE_ADDR": next(addresses)}
        answer = is_civil(portal.service.machine().post(path, base_url=ISSUER, data=form, environ_base=where))
        assert (answer.status_code, answer.get_json()["error"]) in [(401, "invalid_client"), (400, "invalid_request")]
        assert answer.status_code == 401 or not small
    by_post = {"client_id": "by-post", "client_secret": CLIENT_SECRET, "token": token}
    for path in (REVOKE, INTROSPECT):
        answer = is_civil(portal.service.machine().post(path, base_url=ISSUER, data=by_post))
        assert answer.status_code == (200 if small else 400)
    for changed in ({"client_id": "by-key", "request": token}, {"id_token_hint": token}):
        answer = is_civil(get(portal, AUTHORIZE, {**portal.request(), **changed}, signed_in=True))
        assert "code=" not in answer.headers.get("Location", "")
        assert is_civil(portal.push(form={**portal.request(), "request": token})).status_code == 400
    for query in ({"id_token_hint": token}, {"id_token_hint": token, "client_id": "by-key"}):
        answer = is_civil(get(portal, LOGOUT, query, signed_in=True))
        assert answer.headers["Location"].startswith("/sign-out")
    assert is_civil(portal.userinfo(token)).status_code == 401
