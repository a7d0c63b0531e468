"""Forged, misread and misused client assertions: one wording for all of them (security.md TK-01 to TK-10, TK-21)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.protocol.portal import body
from tests.support.assertions import GRANT, REFUSED, Signer, refused, register, send, wrap
from tests.support.service import ISSUER, Service


@pytest.fixture(scope="module")
def signer() -> Signer:
    """The client's key."""
    return Signer()


@pytest.fixture
def robot(service: Service, signer: Signer) -> Service:
    """A machine `robot` with that key; and `another`, with its own."""
    register(service, signer)
    register(service, Signer(kid="k2"), client_id="another")
    return service


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": None}, "wrong_times"),
        ({"exp": "1e400"}, "wrong_times"),
        ({"exp": float("inf")}, "wrong_times"),
        ({"exp": float("nan")}, "wrong_times"),
        ({"exp": True}, "wrong_times"),
        ({"exp": 10**30}, "wrong_times"),
        ({"exp": [1]}, "wrong_times"),
        ({"exp": -1}, "expired"),
        ({"iat": "x"}, "wrong_times"),
        ({"nbf": "x"}, "wrong_times"),
        ({"jti": None}, "no_jti"),
        ({"jti": ""}, "no_jti"),
        ({"jti": 7}, "no_jti"),
        ({"iss": None}, "wrong_issuer"),
        ({"iss": "another"}, "wrong_issuer"),
        ({"iss": ISSUER}, "wrong_issuer"),
        ({"sub": None}, "unknown_client"),
        ({"sub": "nobody"}, "unknown_client"),
        ({"sub": ["robot"]}, "unknown_client"),
        ({"sub": "robot\0"}, "unknown_client"),
        ({"sub": "another"}, "bad_signature"),
    ],
    ids=str,
)
def test_tk10_each_claim_is_checked(robot: Service, signer: Signer, changed: dict[str, Any], reason: str) -> None:
    """RFC 7523 3: iss, sub, aud and exp are REQUIRED, jti too by Core 9. Conformance: with-no-sub-fails, exp checks."""
    assert refused(robot, signer.sign(signer.claims(robot, "robot", **changed))) == reason


def test_tk01_tk02_no_unsigned_and_no_symmetric_assertion(robot: Service, signer: Signer) -> None:
    """alg none in every spelling, an empty signature, HS256 keyed with the public key."""
    claims = signer.claims(robot, "robot")
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    for alg in ("none", "None", "nOnE", "", "HS256", "ES512"):
        head = base64.urlsafe_b64encode(json.dumps({"alg": alg, "kid": "k1"}).encode()).rstrip(b"=").decode()
        for signature in ("", "AAAA", "A" * 86):
            refused(robot, f"{head}.{payload}.{signature}")
    good = signer.sign(claims)
    refused(robot, good.rpartition(".")[0] + ".")
    public = signer.key.as_pem(private=False)
    for secret in (json.dumps(signer.jwks["keys"][0]).encode(), base64.b64encode(public)):
        forged = jwt.encode({"alg": "HS256", "kid": "k1"}, claims, OctKey.import_key(secret), algorithms=["HS256"])
        refused(robot, forged)
    assert send(robot, **GRANT, **wrap(good)).status_code == 200, "what was forged of it spent nothing"


def test_tk03_no_key_is_read_from_the_assertion(robot: Service, signer: Signer) -> None:
    """jwk, jku, x5u and x5c of an attacker's own key are no keys of the client's (CVE-2026-27962)."""
    thief = Signer()
    for header in (
        {"jwk": thief.jwks["keys"][0]},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test/cert"},
        {"x5c": ["AAAA"]},
    ):
        assert refused(robot, thief.sign(thief.claims(robot, "robot"), **header)) == "bad_signature"


@pytest.mark.parametrize(
    "kid", ["../../dev/null", "' or 1=1 --", "unknown", "x" * 2000, 7, ["k1"], {}], ids=lambda kid: str(kid)[:20]
)
def test_tk04_a_kid_is_only_a_name(robot: Service, signer: Signer, kid: object) -> None:
    """An unknown one is refused, and one that is no text too; left out it does, where the client has one key."""
    claims = signer.claims(robot, "robot")
    payload = signer.sign(claims).split(".", 1)[1]
    forged = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": kid}).encode()).rstrip(b"=").decode()

    # A header above joserfc's limit of 512 bytes is not read at all.
    assert refused(robot, f"{forged}.{payload}") == ("unknown_client" if len(forged) > 600 else "bad_signature")
    assert send(robot, **GRANT, **wrap(signer.sign(claims, kid=None))).status_code == 200


def test_tk05_a_critical_header_that_nobody_knows_is_refused(robot: Service, signer: Signer) -> None:
    """RFC 7515 4.1.11 (CVE-2025-59420)."""
    good = signer.sign(signer.claims(robot, "robot"))
    head = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": "k1", "crit": ["bork"]}).encode()).decode()
    assert refused(robot, head.rstrip("=") + "." + good.split(".", 1)[1]) == "bad_signature"


@pytest.mark.parametrize(
    ("typ", "is_good"),
    [
        (None, True),
        ("JWT", True),
        ("jwt", True),
        ("client-authentication+jwt", True),
        ("application/client-authentication+jwt", True),
        ("oauth-authz-req+jwt", False),
        ("dpop+jwt", False),
        ("at+jwt", False),
        ("logout+jwt", False),
    ],
)
def test_tk07_what_was_signed_for_another_purpose_is_no_authentication(
    robot: Service, signer: Signer, typ: str | None, is_good: bool
) -> None:
    """RFC 9101 10.8, RFC 8725 3.11: a request object signed by the same key must not authenticate its finder."""
    answer = send(robot, **GRANT, **wrap(signer.sign(signer.claims(robot, "robot"), typ=typ)))
    assert (answer.status_code == 200) is is_good


def test_every_failure_reads_the_same(robot: Service, signer: Signer) -> None:
    """Unknown client, client of another method, wrong key, wrong type: nobody learns which clients there are."""
    robot.client("by-secret", grant_types=["client_credentials"], redirect_uris=[], scope="investors.read")
    good = signer.claims(robot, "robot")
    reasons = [
        refused(robot, signer.sign({**good, "iss": "nobody", "sub": "nobody"})),
        refused(robot, signer.sign({**good, "iss": "by-secret", "sub": "by-secret"})),
        refused(robot, Signer().sign(good)),
        refused(robot, signer.sign(good), client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2"),
        refused(robot, signer.sign(good), client_id="another"),
        refused(robot, "x"),
        refused(robot, "W10.e30.AAAA"),
    ]

    assert reasons == [
        *("unknown_client", "wrong_method", "bad_signature", "wrong_method", "other_client_id"),
        *("unknown_client", "unknown_client"),
    ]
    without_type = send(robot, **GRANT, client_assertion=signer.sign(good))
    assert (without_type.status_code, body(without_type)) == (401, REFUSED)


def test_guessing_is_held_up_without_another_fetch(robot: Service, signer: Signer) -> None:
    """Ten failures a minute and client; after them the client's keys are not asked for (RFC 6749 2.3.1)."""
    for _ in range(10):
        assert send(robot, **GRANT, **wrap(Signer().sign(signer.claims(robot, "robot")))).status_code == 401
    assert send(robot, **GRANT, **signer.form(robot, "robot")).status_code == 429


def test_a_large_assertion_is_refused_unread(robot: Service, signer: Signer) -> None:
    """TK-21: and one with 9,000 brackets in its header is no crash."""
    assert body(send(robot, **GRANT, **wrap("x" * 9000)))["error"] == "invalid_request"
    deep = base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=")
    assert refused(robot, f"{deep}.{deep}.AAAA") == "unknown_client"


def test_tk21_an_encrypted_assertion_is_not_accepted(robot: Service) -> None:
    """JWE is not offered, so nothing is inflated and no password is stretched (CVE-2025-62706, CVE-2023-50658)."""
    for header in ({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, {"alg": "PBES2-HS256+A128KW", "p2c": 2**31}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        assert refused(robot, f"{head}.AAAA.AAAA.AAAA.AAAA") == "unknown_client"
