"""Clients that authenticate with a key of their own (RFC 7523, OpenID Connect Core 9; security.md TK-23, TK-01 to TK-10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from authsvc.clock import FixedClock, epoch_s
from authsvc.oauth.models import OAuthClient, SpentAssertion
from tests.protocol.portal import Portal, body
from tests.support.assertions import GRANT, REFUSED, Signer, refused, register, send, wrap
from tests.support.client_site import client_site
from tests.support.service import CALLBACK, CLIENT_SECRET, ISSUER, Service, make_ring

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


def test_tk23_of_twelve_uses_at_once_one_wins(
    database_url: str, clock: FixedClock, ring_folder: Path, signer: Signer
) -> None:
    """One INSERT decides, on connections of their own."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=16)
    register(service, signer)
    form = {**GRANT, **signer.form(service, "robot")}

    answers = service.at_once(*[lambda: send(service, **form)] * 12)

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 429}, "the last of them may find the limit of failures reached"
    with service.services.database.transaction(read_only=True) as tx:
        assert len(tx.scalars(select(SpentAssertion)).all()) == 1
    service.dispose()


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


def test_a_signing_client_pushes_its_requests(service: Service, signer: Signer) -> None:
    """RFC 9126 2: the client is authenticated "in the same way as at the token endpoint", and its aud may be the endpoint's own
    address. What proved it is no part of the request that is kept; a second use of it is refused.
    """
    portal = Portal.on(service, token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks)
    for aud in (ISSUER, TOKEN_URL, PAR_URL):
        form = {**portal.request(), **signer.form(service, "ims-portal", aud=aud)}
        answer = send(service, "/oauth/par", **form)
        assert answer.status_code == 201, answer.text
        again = send(service, "/oauth/par", **form)
        assert (again.status_code, body(again)) == (401, REFUSED)
        assert portal.open_link(body(answer)["request_uri"]).status_code in (302, 303)
        assert form["client_assertion"] not in str(service.everything_stored())
    bare = send(service, "/oauth/par", **portal.request())
    assert (bare.status_code, body(bare)) == (401, REFUSED)


class Watching(dict[str, Any]):
    """A site's pages; whoever fetches one must leave the database to others meanwhile."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service, self.fetches = service, 0

    def get(self, path: str, default: Any = None) -> Any:
        """The page, after a write of somebody else's."""
        with self.service.services.database.transaction() as tx:
            tx.execute(update(OAuthClient).values(deactivated_at=None))
        self.fetches += 1
        return super().get(path, default)


def test_keys_are_fetched_before_the_transaction_and_a_new_kid_makes_us_look_again(
    database_url: str, clock: FixedClock, ring_folder: Path, signer: Signer
) -> None:
    """Never a network call inside a transaction: on SQLite it would hold everybody up. Conformance
    refresh-token-rp-key-rotation: an unknown kid after a minute is looked for at the client's jwks_uri.
    """
    ring = make_ring(ring_folder, clock)
    service = Service.on(database_url, clock=clock, ring=ring, threads=4, allow_loopback_clients=True)
    machine = {"grant_types": ["client_credentials"], "scope": "investors.read", "redirect_uris": []}
    with client_site() as site:
        site.pages = pages = Watching(service)
        uri = site.publish("/jwks", signer.jwks)
        service.client("robot", token_endpoint_auth_method="private_key_jwt", jwks_uri=uri, **machine)

        for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
            answer = send(service, path, token="x", **GRANT, **signer.form(service, "robot"))
            assert answer.status_code == 200, answer.text
        assert pages.fetches == len(service.replicas)
        rotated = Signer(kid="k9")
        site.publish("/jwks", rotated.jwks)
        assert send(service, **GRANT, **rotated.form(service, "robot")).status_code == 401
        service.pass_time(seconds=61)
        assert send(service, **GRANT, **rotated.form(service, "robot")).status_code == 200
        assert pages.fetches == len(service.replicas) + 1
    service.dispose()
