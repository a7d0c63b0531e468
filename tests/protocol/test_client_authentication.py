"""Which client calls: one method, the registered one, and one wording for every failure (RFC 6749 2.3, 5.2; TK-16)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from werkzeug.test import TestResponse

from authsvc.clock import FixedClock
from authsvc.oauth.clients import SECRET_PURPOSE
from authsvc.oauth.models import OAuthClient
from tests.protocol.portal import Portal, body
from tests.support.service import CLIENT_SECRET, ISSUER, Service, make_ring

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def clients(service: Service) -> Service:
    """One client for each way: `basic`, `post` and the public `app`."""
    machine: dict[str, Any] = {"grant_types": ["client_credentials", "refresh_token"], "scope": "investors.read"}
    service.client("basic", **machine)
    service.client("post", token_endpoint_auth_method="client_secret_post", **machine)
    service.client("app", public=True, grant_types=["refresh_token"], redirect_uris=[], scope="investors.read")
    return service


def call(
    service: Service, form: dict[str, str], header: str | bytes | None = None, address: str = "192.0.2.1"
) -> TestResponse:
    """The token endpoint, with the Authorization header just so."""
    value = header.decode("latin-1") if isinstance(header, bytes) else header
    return service.machine().post(
        "/oauth/token",
        base_url=ISSUER,
        data=form,
        headers={"Authorization": value} if value is not None else {},
        environ_base={"REMOTE_ADDR": address},
    )


def basic(client_id: str, secret: str) -> str:
    """The header as RFC 6749 2.3.1 writes it: each half form-urlencoded first."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def in_body(client_id: str, secret: str) -> dict[str, str]:
    """The client_secret_post fields beside the grant."""
    return {**GRANT, "client_id": client_id, "client_secret": secret}


def test_basic_and_post_both_work(clients: Service) -> None:
    """RFC 6749 2.3.1: "The authorization server MUST support the HTTP Basic authentication scheme for authenticating clients
    that were issued a client password." The id may stand in the body too, if it is the same.
    """
    assert call(clients, GRANT, basic("basic", CLIENT_SECRET)).status_code == 200
    assert call(clients, GRANT, basic("basic", CLIENT_SECRET).replace("Basic", "bAsIc")).status_code == 200
    assert call(clients, {**GRANT, "client_id": "basic"}, basic("basic", CLIENT_SECRET)).status_code == 200
    assert call(clients, in_body("post", CLIENT_SECRET)).status_code == 200


def test_every_failure_reads_the_same(clients: Service) -> None:
    """Unknown client, wrong secret, wrong method: same status, body and headers. Authlib's texts told them apart (libraries.md
    1.5, 4), which lists the clients to whoever asks.
    """
    by_header = (
        ("nobody", CLIENT_SECRET),
        ("basic", "wrong"),
        ("basic", ""),
        ("post", CLIENT_SECRET),
        ("app", ""),
        ("app", "x"),
    )
    by_body = (("nobody", CLIENT_SECRET), ("post", "wrong"), ("basic", CLIENT_SECRET), ("app", "guess"))
    answers = [call(clients, GRANT, basic(*pair)) for pair in by_header]
    answers += [call(clients, in_body(*pair)) for pair in by_body]
    answers += [call(clients, {**GRANT, "client_id": "basic"}), call(clients, GRANT)]

    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert body(answers[0]) == {"error": "invalid_client", "error_description": "Client authentication failed."}
    seen = [{name: value for name, value in answer.headers if name != "X-Request-Id"} for answer in answers]
    assert all(headers == seen[0] for headers in seen[: len(by_header)])
    assert all(headers == seen[-1] for headers in seen[len(by_header) :])


def test_a_failure_by_header_is_challenged(clients: Service) -> None:
    """RFC 6749 5.2: the server "MUST respond with an HTTP 401 (Unauthorized) status code and include the "WWW-Authenticate"
    response header field matching the authentication scheme used by the client."
    """
    answer = call(clients, GRANT, basic("basic", "wrong"))

    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{ISSUER}"'
    assert answer.headers["Cache-Control"] == "no-store"


def test_two_ways_at_once_are_refused_although_one_is_right(clients: Service) -> None:
    """RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request." Authlib took the first that
    worked, so a wrong secret in the body passed beside a right header (libraries.md 1.5, 4).
    """
    right = basic("basic", CLIENT_SECRET)
    assertion = {
        "client_assertion": "e30.e30.x",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    for form in (
        in_body("basic", "wrong"),
        in_body("basic", CLIENT_SECRET),
        {**GRANT, "client_secret": "x"},
        {**GRANT, **assertion},
    ):
        assert (answer := call(clients, form, right)).status_code == 400
        assert body(answer)["error"] == "invalid_request"
    assert body(call(clients, {**in_body("post", CLIENT_SECRET), **assertion}))["error"] == "invalid_request"
    assert body(call(clients, {**GRANT, "client_id": "post"}, right))["error"] == "invalid_request"


def test_an_assertion_is_not_ignored(clients: Service) -> None:
    """private_key_jwt is not offered yet. A public client's id beside a bad assertion is not "no authentication"."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "app", "client_assertion": "e30.e30.x"}

    assert body(call(clients, form))["error"] == "invalid_client"


def test_a_public_client_has_no_secret_and_may_send_none(clients: Service) -> None:
    """With one it is refused, whichever: it would look protected and is not."""
    form = {"grant_type": "refresh_token", "refresh_token": "x"}

    assert body(call(clients, {**form, "client_id": "app"}))["error"] == "invalid_grant"
    assert body(call(clients, {**form, "client_id": "app", "client_secret": "x"}))["error"] == "invalid_client"
    assert body(call(clients, form, basic("app", "")))["error"] == "invalid_client"
    assert body(call(clients, form, basic("app", "x")))["error"] == "invalid_client"


def test_a_confidential_client_cannot_pass_as_a_public_one(clients: Service) -> None:
    """RFC 6749 6: "If the client type is confidential or the client was issued client credentials [...], the client MUST
    authenticate with the authorization server".
    """
    for client_id in ("basic", "post"):
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": client_id}
        assert body(call(clients, form))["error"] == "invalid_client"


@pytest.mark.parametrize(
    "secret", ["a b+c%d&e=f:g/h?i", 'quote" and \\backslash', "sécret ключ 🔑", "%41%zz", ":::", "x" * 256]
)
def test_any_secret_works_both_ways(service: Service, secret: str) -> None:
    """RFC 6749 2.3.1: id and secret are "encoded using the "application/x-www-form-urlencoded" encoding algorithm". Non-ASCII
    secrets crashed the stock client (libraries.md 1.5, 1); VSCHAR includes quote and backslash (appendix A.2).
    """
    for client_id, method in (("by header", "client_secret_basic"), ("by body", "client_secret_post")):
        service.client(
            client_id, token_endpoint_auth_method=method, grant_types=["client_credentials"], scope="investors.read"
        )
        with service.services.database.transaction() as tx:
            tx.get_one(OAuthClient, client_id).client_secret_digest = service.services.digester.digest(
                SECRET_PURPOSE, secret
            )
    service.forget_clients()

    assert call(service, GRANT, basic("by header", secret)).status_code == 200
    assert call(service, in_body("by body", secret)).status_code == 200
    assert call(service, GRANT, basic("by header", secret + "x")).status_code == 401


def test_a_new_secret_does_at_once_at_every_replica(
    service: Service, database_url: str, clock: FixedClock, ring_folder: Path
) -> None:
    """What a replica remembers of a client refuses nobody who is right: it looks again before it says no."""
    service.client("robot", grant_types=["client_credentials"], scope="investors.read")
    elsewhere = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock))
    for replica in elsewhere.replicas:
        assert replica.registry.client("robot") is not None
        assert replica.registry.client("made-later") is None

    s = service.services
    with s.database.transaction() as tx:
        secret = s.registration.rotate_secret(tx, "robot").secret or ""
    service.client("made-later", grant_types=["client_credentials"], scope="investors.read")

    assert call(elsewhere, GRANT, basic("robot", secret)).status_code == 200
    assert call(elsewhere, GRANT, basic("made-later", CLIENT_SECRET)).status_code == 200
    elsewhere.dispose()


@pytest.mark.parametrize(
    "header",
    [
        b"Basic " + base64.b64encode(b"basic:\xff\xfe"),
        b"Basic " + base64.b64encode(b"\xc3\x28:x"),
        b"Basic not base64!",
        b"Basic \xff\xfe",
        b"Basic",
        b"Basic ",
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b"%00%ff:%00"),
        b"Basic " + base64.b64encode(b"basic\0:" + CLIENT_SECRET.encode()),
        b"Basic " + base64.b64encode(b"x" * 6000),
        b"Digest username=basic",
        b"Bearer x",
        b"\xff",
    ],
    ids=range(13),
)
def test_a_malformed_header_is_refused_in_plain_words(clients: Service, header: bytes) -> None:
    """Non-UTF-8 credentials raised UnicodeDecodeError inside Authlib: 500 (libraries.md 1.5, 1)."""
    answer = call(clients, GRANT, header)

    assert (answer.status_code, body(answer)["error"]) in ((400, "invalid_request"), (401, "invalid_client"))


def test_guessing_is_throttled_per_client_and_address(clients: Service) -> None:
    """RFC 6749 2.3.1: the server "MUST protect any endpoint utilizing it against brute force attacks." After ten failures even
    the right secret waits; another address and another client are not held up.
    """
    for _ in range(10):
        assert call(clients, GRANT, basic("basic", "guess")).status_code == 401

    held_up = call(clients, GRANT, basic("basic", CLIENT_SECRET))
    assert (held_up.status_code, body(held_up)["error"]) == (429, "temporarily_unavailable")
    assert int(held_up.headers["Retry-After"]) <= 60
    assert call(clients, GRANT, basic("basic", CLIENT_SECRET), address="192.0.2.99").status_code == 200
    assert call(clients, in_body("post", CLIENT_SECRET)).status_code == 200


def test_success_does_not_use_up_the_failures(clients: Service) -> None:
    """A busy client is not an attacker: successes are not counted here."""
    for _ in range(12):
        assert call(clients, GRANT, basic("basic", CLIENT_SECRET)).status_code == 200
    assert call(clients, GRANT, basic("basic", "typo")).status_code == 401


def test_a_client_that_calls_too_often_is_slowed_down(clients: Service) -> None:
    """policies/throttle.yaml: token_per_client 50 a second, bursts to 100. 429 with Retry-After; others are not affected."""
    held_up = clients.held_up("basic", lambda: call(clients, GRANT, basic("basic", CLIENT_SECRET)))

    assert body(held_up)["error"] == "temporarily_unavailable"
    assert int(held_up.headers["Retry-After"]) <= 60
    assert call(clients, in_body("post", CLIENT_SECRET)).status_code == 200


def test_failures_are_in_the_trail_with_their_reason(clients: Service) -> None:
    """The caller learns nothing, the operator everything; an unknown id is no client and is not written down as one."""
    call(clients, GRANT, basic("basic", "wrong"))
    call(clients, GRANT, basic("post", CLIENT_SECRET))
    call(clients, GRANT, basic("nobody", "x"))

    events = clients.events("client.authentication_failed")
    assert [(event.client_id, event.fields["reason"]) for event in events] == [
        ("basic", "wrong_secret"),
        ("post", "wrong_method"),
        (None, "unknown_client"),
    ]


def test_secrets_are_not_stored_readable(clients: Service) -> None:
    """Only a keyed digest (libraries.md 1.5, 5); what was typed wrong is not kept either."""
    call(clients, GRANT, basic("basic", CLIENT_SECRET))
    call(clients, GRANT, basic("basic", "a-mistyped-secret"))

    stored = clients.everything_stored()

    assert CLIENT_SECRET not in stored
    assert "a-mistyped-secret" not in stored


def test_credentials_in_the_query_are_refused(clients: Service) -> None:
    """RFC 6749 2.3.1: the parameters "MUST NOT be included in the request URI" (TK-16)."""
    answer = clients.machine().post("/oauth/token", base_url=ISSUER, query_string=in_body("post", CLIENT_SECRET))
    beside = clients.machine().post(
        "/oauth/token",
        base_url=ISSUER,
        query_string={"client_secret": CLIENT_SECRET},
        data={**GRANT, "client_id": "post"},
    )

    assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")
    assert (beside.status_code, body(beside)["error"]) == (400, "invalid_request")


def test_a_client_uses_only_the_grants_it_registered_for(service: Service) -> None:
    """RFC 6749 5.2: "unauthorized_client: The authenticated client is not authorized to use this authorization grant type." """
    portal = Portal.on(service, grant_types=["authorization_code"])
    service.client("machine", grant_types=["client_credentials"], scope="investors.read")
    tokens = portal.tokens()
    assert "refresh_token" not in tokens

    assert body(portal.refresh("x"))["error"] == "unauthorized_client"
    assert body(service.token(grant_type="client_credentials"))["error"] == "unauthorized_client"
    answer = service.token(client=("machine", CLIENT_SECRET), grant_type="authorization_code", code="x")
    assert body(answer)["error"] == "unauthorized_client"
