"""The UserInfo endpoint (OpenID Connect Core 5.3): scopes decide, everything is looked up live, and only our own tokens count."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from authsvc.accounts.models import EmailAddress
from authsvc.clock import FixedClock
from tests.protocol.portal import USERINFO, Portal, body, header
from tests.support.service import CLIENT_SECRET, DANA, ISSUER, Service, make_ring


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def resigned(portal: Portal, token: str, *, typ: str | None = "at+jwt", key: Any = None, **claims: Any) -> str:
    """The token with other claims or another type, signed by our own active key unless told otherwise."""
    signer = portal.service.services.ring.active("ES256")
    head = {"alg": "ES256", "kid": signer.kid, **({"typ": typ} if typ else {})}
    merged = {name: value for name, value in (portal.claims(token) | claims).items() if value is not None}
    return jwt.encode(head, merged, key or signer.key)


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        ("openid", set()),
        ("openid profile", {"name", "zoneinfo"}),
        ("openid email", {"email", "email_verified"}),
        ("openid investors.read offline_access", set()),
        ("email profile openid", {"name", "zoneinfo", "email", "email_verified"}),
    ],
    ids=lambda value: value.replace(" ", "+") if isinstance(value, str) else "",
)
def test_the_scopes_decide_what_is_told(portal: Portal, scope: str, members: set[str]) -> None:
    """OpenID Connect Core 5.3.2: "The sub (subject) Claim MUST always be returned in the UserInfo Response." 5.4: scopes."""
    found = body(portal.userinfo(portal.tokens(scope=scope)["access_token"]))

    assert found.keys() == {"sub", *members}


def test_the_claims_have_their_types_and_values(portal: Portal) -> None:
    """OpenID Connect Core 5.1: email_verified is a boolean; and 5.3.2: sub "MUST be verified to exactly match the sub Claim in
    the ID Token".
    """
    tokens = portal.tokens()

    assert body(portal.userinfo(tokens["access_token"])) == {
        "sub": portal.claims(tokens["id_token"])["sub"],
        "name": "Dana",
        "zoneinfo": "America/New_York",
        "email": DANA,
        "email_verified": True,
    }


def test_an_address_counts_as_verified_only_if_we_verified_it(portal: Portal) -> None:
    """RC-12, looked up live."""
    token = portal.tokens()["access_token"]
    with portal.service.services.database.transaction() as tx:
        tx.get_one(EmailAddress, portal.membership.user_id).verified_at = None

    assert body(portal.userinfo(token))["email_verified"] is False


def test_get_and_post_both_work_and_nothing_is_kept(portal: Portal) -> None:
    """OpenID Connect Core 5.3: the endpoint "MUST support the use of the HTTP GET and HTTP POST methods". RFC 9110 11.1: the
    scheme's name is case-insensitive.
    """
    token = portal.tokens()["access_token"]
    machine = portal.service.machine()
    answers = [
        portal.userinfo(token),
        machine.post(USERINFO, base_url=ISSUER, headers={"Authorization": f"Bearer {token}"}),
        portal.get(USERINFO, Authorization=f"bearer {token}"),
    ]
    for answer in answers:
        assert (answer.status_code, body(answer)) == (200, body(answers[0]))
        assert answer.headers["Cache-Control"] == "no-store"
    refused = machine.delete(USERINFO, base_url=ISSUER)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, POST")


def test_without_a_token_there_is_a_challenge_and_no_error(portal: Portal) -> None:
    """RFC 6750 3: the server "MUST include the HTTP "WWW-Authenticate" response header field"; 3.1: where the request lacks any
    authentication information it "SHOULD NOT include an error code or other error information".
    """
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer  "}, {"Authorization": "Basic eDp5"}):
        answer = portal.get(USERINFO, **headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{ISSUER}"'
        assert body(answer) == {}


def test_a_token_counts_in_the_header_only(portal: Portal) -> None:
    """RFC 6750 2.3: the query parameter "SHOULD NOT be used"; nor is the body read (OAuch, TokenAsQueryParameterDisabled)."""
    token = portal.tokens()["access_token"]

    assert portal.get(USERINFO, {"access_token": token}).status_code == 401
    answer = portal.service.machine().post(USERINFO, base_url=ISSUER, data={"access_token": token})
    assert answer.status_code == 401
    assert portal.get(USERINFO, person=portal.dana).status_code == 401, "a session cookie is no token"


def test_a_token_without_openid_is_refused(portal: Portal) -> None:
    """RFC 6750 3.1: insufficient_scope, 403."""
    answer = portal.userinfo(portal.tokens(scope="investors.read email")["access_token"])

    assert (answer.status_code, body(answer)) == (403, {"error": "insufficient_scope"})
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_an_expired_token_is_refused(portal: Portal) -> None:
    """joserfc's decode accepts an expired token (ASVS 9.2.1): exp is looked at here, by our clock."""
    token = portal.tokens()["access_token"]
    portal.service.pass_time(seconds=299)
    assert portal.userinfo(token).status_code == 200
    portal.service.pass_time(seconds=1)
    assert portal.userinfo(token).status_code == 401


def test_no_other_token_of_ours_is_an_access_token(portal: Portal) -> None:
    """TK-07: ID token, refresh token, code; and RFC 9068 4 on typ. A machine's token is about nobody."""
    tokens = portal.tokens()
    portal.service.client("machine", grant_types=["client_credentials"], scope="investors.read", redirect_uris=[])
    machine = body(portal.service.token(client=("machine", CLIENT_SECRET), grant_type="client_credentials"))
    access = tokens["access_token"]
    others = [
        tokens["id_token"],
        tokens["refresh_token"],
        machine["access_token"],
        resigned(portal, access, typ=None),
        resigned(portal, access, typ="JWT"),
        resigned(portal, access, typ="logout+jwt"),
        resigned(portal, access, iss="https://login.ims.test/"),
        resigned(portal, access, iss="http://login.ims.test"),
        resigned(portal, access, exp=None),
        resigned(portal, access, exp="1e400"),
        resigned(portal, access, exp=-1),
        resigned(portal, access, jti=None),
        resigned(portal, access, jti="0" * 32 + ".x"),
        resigned(portal, access, jti=["x"]),
    ]
    for token in others:
        answer = portal.userinfo(token)
        assert (answer.status_code, body(answer)) == (401, {"error": "invalid_token"})
        assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{ISSUER}", error="invalid_token"'
    assert portal.userinfo(resigned(portal, access)).status_code == 200, "the tool itself makes good tokens"


def forgeries(portal: Portal, token: str) -> dict[str, str]:
    """Tokens that nobody with our private key has made."""
    head, payload, signature = token.split(".")
    public = portal.get("/oauth/jwks").get_json()["keys"]
    as_secret = OctKey.import_key(json.dumps(public[0]))
    stranger = ECKey.generate_key("P-256")

    def with_header(key: Any, **members: Any) -> str:
        return jwt.encode({**header(token), **members}, portal.claims(token), key, algorithms=["ES256", "HS256"])

    return {
        "alg none": f"{b64(json.dumps({**header(token), 'alg': 'none'}).encode())}.{payload}.",
        "alg nOnE": f"{b64(json.dumps({**header(token), 'alg': 'nOnE'}).encode())}.{payload}.{signature}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "other claims": f"{head}.{b64(json.dumps(portal.claims(token) | {'sub': 'x'}).encode())}.{signature}",
        "HS256 with our public key": with_header(as_secret, alg="HS256"),
        "a stranger's key": with_header(stranger),
        "a stranger's key in jwk": with_header(stranger, jwk=stranger.as_dict(private=False)),
        "kid of a file": with_header(stranger, kid="../../dev/null"),
        "crit": f"{b64(json.dumps({**header(token), 'crit': ['bork'], 'bork': 1}).encode())}.{payload}.{signature}",
    }


def test_a_forged_token_is_refused(portal: Portal) -> None:
    """TK-01 to TK-06: the algorithm is ours to choose, the keys come from our ring and never from the token."""
    token = portal.tokens()["access_token"]
    for name, forged in forgeries(portal, token).items():
        answer = portal.userinfo(forged)
        assert (answer.status_code, body(answer)) == (401, {"error": "invalid_token"}), name


def test_text_that_is_no_token_is_refused_in_plain_words(portal: Portal) -> None:
    """Never a 500, however the header is made: it is read before the signature is (TK-21)."""
    headers: list[bytes] = [
        *(b"[]", b'["alg"]', b'"alg"', b"7", b"null", b"{}", b'{"alg":null}', b'{"alg":["ES256"]}', b'{"alg":{}}'),
        *(
            b'{"alg":"ES256","kid":["x"]}',
            b'{"alg":"ES256","kid":{}}',
            b'{"alg":"ES256","kid":7}',
            b"[" * 5000,
            b'{"a":' * 2000,
        ),
        *(
            b'{"alg":"ES256","typ":["at+jwt"]}',
            b"\xff\xfe",
            b'{"alg":"ES256","alg":"none"}',
            b'{"alg":"ES256","b64":false}',
        ),
    ]
    texts = [f"{b64(text)}.e30.AAAA" for text in headers]
    texts += ["x", ".", "..", "...", "a.b.c", "a.b.c.d.e", "é.é.é", "=.=.=", "x" * 20_000, '"', "{}", "a b c"]
    for text in texts:
        answer = portal.get(USERINFO, Authorization=f"Bearer {text}")
        assert (answer.status_code, body(answer)) == (401, {"error": "invalid_token"}), text[:80]


def test_while_the_database_is_away_the_answer_is_503(clock: FixedClock, ring_folder: Any, portal: Portal) -> None:
    """Never 401 for a good token: the client would throw it away."""
    token = portal.tokens()["access_token"]
    away = Service.on("postgresql://127.0.0.1:1/away", clock=clock, ring=make_ring(ring_folder, clock))

    answer = away.machine().get(USERINFO, base_url=ISSUER, headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, body(answer)) == (503, {"error": "temporarily_unavailable"})
    assert int(answer.headers["Retry-After"]) > 0
