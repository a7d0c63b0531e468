"""Clients that authenticate with a key of their own (RFC 7523, OpenID Connect Core 9; security.md TK-23, TK-01 to TK-10)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select
from werkzeug.test import TestResponse

from authsvc.clock import epoch_s
from authsvc.oauth.models import SpentAssertion
from tests.protocol.portal import Portal, body
from tests.support.assertions import Signer, wrap
from tests.support.service import CALLBACK, CLIENT_SECRET, ISSUER, Service, make_ring

REFUSED = {"error": "invalid_client", "error_description": "Client authentication failed."}
GRANT = {"grant_type": "client_credentials"}
TOKEN_URL, PAR_URL = f"{ISSUER}/oauth/token", f"{ISSUER}/oauth/par"


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


def register(service: Service, signer: Signer, client_id: str = "robot", **fields: Any) -> None:
    """A machine that signs."""
    values = {"grant_types": ["client_credentials"], "scope": "investors.read", "redirect_uris": [], **fields}
    service.client(client_id, token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks, **values)


def send(service: Service, path: str = "/oauth/token", **form: str) -> TestResponse:
    """A machine's request, from an address of its own."""
    return service.machine().post(path, base_url=ISSUER, data=form)


def refused(service: Service, assertion: str, **form: str) -> str | None:
    """Asserts the one wording; answers the reason that the trail has."""
    answer = send(service, **{**GRANT, **wrap(assertion), **form})
    assert (answer.status_code, body(answer)) == (401, REFUSED), answer.text
    service.services.windows._local.storage.reset()
    return service.events("client.authentication_failed")[-1].fields["reason"]


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_each_algorithm_authenticates(service: Service, alg: str) -> None:
    """Core 9: the client is authenticated by the key it registered; for the very algorithm, if it registered one."""
    signer = Signer(alg)
    register(service, signer, token_endpoint_auth_signing_alg=alg)

    answer = send(service, **GRANT, **signer.form(service, "robot"))

    assert answer.status_code == 200, answer.text
    assert service.claims(body(answer)["access_token"])["client_id"] == "robot"


def test_another_algorithm_than_the_registered_one_is_refused(service: Service) -> None:
    """Core 9, token_endpoint_auth_signing_alg: "All Token Requests using these authentication methods from this Client MUST be
    rejected, if the JWT is not signed with this algorithm."
    """
    signer = Signer("PS256")
    register(service, Signer("RS256"), client_id="x")
    service.client(
        "robot",
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="RS256",
        jwks={"keys": [{name: v for name, v in signer.jwks["keys"][0].items() if name != "alg"}]},
        grant_types=["client_credentials"],
        redirect_uris=[],
        scope="investors.read",
    )

    assert refused(service, signer.sign(signer.claims(service, "robot"))) == "bad_signature"


@pytest.mark.parametrize(
    "aud",
    [ISSUER, [ISSUER], ["https://elsewhere.test", ISSUER], TOKEN_URL, PAR_URL, [TOKEN_URL]],
    ids=["issuer", "in a list", "one of two", "token endpoint", "PAR endpoint", "token endpoint in a list"],
)
def test_the_audience_is_this_server(robot: Service, signer: Signer, aud: object) -> None:
    """RFC 7523 3 (3): the aud "identifies the authorization server as an intended audience"; conformance test
    ensure-client-assertion-with-iss-aud-succeeds; RFC 9126 2 for PAR.
    """
    assert send(robot, **GRANT, **signer.form(robot, "robot", aud=aud)).status_code == 200


@pytest.mark.parametrize(
    "aud",
    [
        *(None, "", [], {}, 1, [None], "robot", ISSUER + "/", ISSUER.upper(), "http" + ISSUER[5:], [ISSUER + "/", 7]),
        *(f"{ISSUER}/oauth/introspect", f"{ISSUER}/oauth/revoke", "https://login.evil.test", [[ISSUER]]),
    ],
    ids=str,
)
def test_tk23_the_audience_of_another_is_refused(robot: Service, signer: Signer, aud: object) -> None:
    """Made for another server, or for another endpoint, it is somebody's who was sent it (CVE-2020-15222)."""
    assert refused(robot, signer.sign(signer.claims(robot, "robot", aud=aud))) == "wrong_audience"


def test_tk23_an_assertion_works_once(robot: Service, signer: Signer) -> None:
    """OAuch IsJwtReplayDetected: the jti is spent, whatever else becomes of the request, and at every endpoint."""
    form = signer.form(robot, "robot")
    assert body(send(robot, grant_type="refresh_token", refresh_token="x", **form))["error"] == "unauthorized_client"

    assert refused(robot, form["client_assertion"]) == "assertion_replayed"
    for path in ("/oauth/introspect", "/oauth/revoke"):
        assert body(send(robot, path, token="x", **form)) == REFUSED
    robot.pass_time(minutes=5, seconds=59)
    assert refused(robot, form["client_assertion"]) == "assertion_replayed"
    robot.pass_time(seconds=1)
    assert refused(robot, form["client_assertion"]) == "expired"


def test_tk23_of_twelve_uses_at_once_one_wins(database_url: str, clock: Any, ring_folder: Any, signer: Signer) -> None:
    """One INSERT decides, on connections of their own."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=16)
    register(service, signer)
    form = {**GRANT, **signer.form(service, "robot")}

    answers = service.at_once(*[lambda: send(service, **form)] * 12)

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 11
    with service.services.database.transaction(read_only=True) as tx:
        assert len(tx.scalars(select(SpentAssertion)).all()) == 1
    service.services.database.dispose()


def test_the_same_jti_of_another_client_is_another(robot: Service, signer: Signer) -> None:
    """A client must not be able to use up another's."""
    other = Signer(kid="k3")
    register(robot, other, client_id="third")
    assert send(robot, **GRANT, **signer.form(robot, "robot", jti="1")).status_code == 200
    assert send(robot, **GRANT, **other.form(robot, "third", jti="1")).status_code == 200


def test_spent_assertions_are_swept_when_time_refuses_them(robot: Service, signer: Signer) -> None:
    """Not a second earlier: a swept one would work again."""
    s = robot.services
    send(robot, **GRANT, **signer.form(robot, "robot"))

    def kept() -> int:
        with s.database.transaction() as tx:
            s.assertions.sweep(tx, now=s.clock.now())
            return len(tx.scalars(select(SpentAssertion)).all())

    robot.pass_time(minutes=6)
    assert kept() == 1
    robot.pass_time(seconds=1)
    assert kept() == 0


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


@pytest.mark.parametrize(
    ("offsets", "is_good"),
    [
        ({"exp": -59}, True),
        ({"exp": -60}, False),
        ({"exp": -300}, False),
        ({"exp": 3600}, True),
        ({"exp": 3660}, True),
        ({"exp": 3661}, False),
        ({"exp": 365 * 86400}, False),
        ({"nbf": 8}, True),
        ({"nbf": 60}, True),
        ({"nbf": 61}, False),
        ({"iat": 10}, True),
        ({"iat": 61}, False),
        ({"iat": -3660}, True),
        ({"iat": -3661}, False),
    ],
    ids=str,
)
def test_tk23_times_count_with_a_minute_of_skew(
    robot: Service, signer: Signer, offsets: dict[str, int], is_good: bool
) -> None:
    """exp at most an hour ahead; nbf 8 s ahead is fine, over 60 s is not (conformance, FAPI 2.0); policies: clock_skew."""
    now = epoch_s(robot.clock.now())
    claims = signer.claims(robot, "robot", **{name: now + seconds for name, seconds in offsets.items()})

    answer = send(robot, **GRANT, **wrap(signer.sign(claims)))

    assert (answer.status_code == 200) is is_good, answer.text


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


def test_the_id_may_stand_in_the_body_and_a_second_way_may_not(robot: Service, signer: Signer) -> None:
    """RFC 7521 4.2: client_id is unnecessary, "but if present" it must be the same. RFC 6749 2.3: one method a request."""
    assert send(robot, **GRANT, **signer.form(robot, "robot"), client_id="robot").status_code == 200
    both = send(robot, **GRANT, **signer.form(robot, "robot"), client_secret=CLIENT_SECRET)
    assert body(both)["error"] == "invalid_request"


def test_a_signing_client_cannot_come_with_a_secret_or_with_nothing(robot: Service) -> None:
    """OAuch IsClientAuthenticationRequired: conformance ensure-client-assertion-in-token-endpoint."""
    assert body(robot.token(client=("robot", CLIENT_SECRET), **GRANT)) == REFUSED
    assert body(robot.token(client=None, client_id="robot", **GRANT)) == REFUSED
    assert body(robot.token(client=None, client_id="robot", client_secret=CLIENT_SECRET, **GRANT)) == REFUSED


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke", "/oauth/device_authorization"])
def test_it_works_wherever_clients_authenticate(service: Service, signer: Signer, path: str) -> None:
    """One list of methods for every endpoint (libraries.md 1.5, 4)."""
    device = "urn:ietf:params:oauth:grant-type:device_code"
    register(service, signer, grant_types=["client_credentials", device])
    form = {"token": "x", "scope": "investors.read"}

    assert send(service, path, **form, **signer.form(service, "robot")).status_code == 200
    wrong = send(service, path, **form, **wrap(Signer().sign(signer.claims(service, "robot"))))
    assert (wrong.status_code, body(wrong)) == (401, REFUSED)


def test_people_come_through_such_a_client(service: Service, signer: Signer) -> None:
    """Redeem and refresh, each with an assertion of its own; another client's assertion gets neither."""
    portal = Portal.on(service, token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks)
    portal.is_public = False
    form = {
        "grant_type": "authorization_code",
        "code": portal.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": portal.verifier,
    }
    tokens = body(send(service, **form, **signer.form(service, "ims-portal")))
    assert "id_token" in tokens
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert body(send(service, **refresh, client_id="ims-portal")) == REFUSED
    assert "access_token" in body(send(service, **refresh, **signer.form(service, "ims-portal")))


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
