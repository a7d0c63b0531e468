"""What the metadata promises is there, and what is not there is not promised (OpenID Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.oauth2 import rfc8414, rfc9207
from authlib.oauth2.rfc8414 import get_well_known_url
from authlib.oidc import discovery, rpinitiated

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.clock import FixedClock
from authsvc.db import Database
from authsvc.oauth.clients import FRESH_S, STANDARD_SCOPES, Registry
from authsvc.oauth.models import ResourceServer
from tests.protocol.portal import Portal, body
from tests.support import migrate
from tests.support.assertions import Signer
from tests.support.postgres import new_database
from tests.support.service import API, ISSUER, Service, make_ring

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
#: RFC 8414, RFC 9207, RP-Initiated and Back-Channel Logout, prompt_values_supported: what has a registered meaning.
REGISTERED = {
    *rfc8414.AuthorizationServerMetadata.REGISTRY_KEYS,
    *discovery.OpenIDProviderMetadata.REGISTRY_KEYS,
    *("authorization_response_iss_parameter_supported", "end_session_endpoint", "prompt_values_supported"),
    # RFC 9126 5, RFC 9101 10.5.
    *(
        "pushed_authorization_request_endpoint",
        "require_pushed_authorization_requests",
        "require_signed_request_object",
    ),
    *("backchannel_logout_supported", "backchannel_logout_session_supported"),  # Back-Channel Logout 2.1
    "userinfo_endpoint",  # OpenID Discovery 3; Authlib's list lacks it
    "device_authorization_endpoint",  # RFC 8628 4
    "introspection_signing_alg_values_supported",  # RFC 9701 7
}
#: Members that come with features of a later release. Promised today they would be a lie.
LATER = {
    "backchannel_authentication_endpoint",
    "check_session_iframe",
    "frontchannel_logout_supported",
    "dpop_signing_alg_values_supported",
}


def document(portal: Portal, path: str = OPENID) -> dict[str, Any]:
    """The metadata."""
    return body(portal.get(path))


def test_it_is_valid_to_an_independent_reader(portal: Portal) -> None:
    """RFC 8414 2 and OpenID Discovery 3, by Authlib's validators, with those of the extensions."""
    found = document(portal)
    discovery.OpenIDProviderMetadata(found).validate(
        metadata_classes=[rpinitiated.OpenIDProviderMetadata, rfc9207.AuthorizationServerMetadata]
    )
    rfc8414.AuthorizationServerMetadata(document(portal, OAUTH)).validate()


def test_it_stands_at_both_addresses(portal: Portal) -> None:
    """OpenID Discovery 4.1 and RFC 8414 3: both "well-known" addresses, one document (contract.md)."""
    assert urlsplit(get_well_known_url(ISSUER)).path == OAUTH
    assert urlsplit(discovery.get_well_known_url(ISSUER)).path == OPENID
    assert document(portal, OPENID) == document(portal, OAUTH)
    for path in (OPENID, OAUTH):
        answer = portal.get(path)
        assert (answer.status_code, answer.mimetype) == (200, "application/json")


def test_the_issuer_is_the_one_of_the_address_and_of_the_tokens(portal: Portal) -> None:
    """OpenID Discovery 4.3: the value "MUST be identical to the Issuer URL that was used as the prefix to
    /.well-known/openid-configuration"; and "MUST also be identical to the iss Claim value in ID Tokens issued from this Issuer".
    """
    found, tokens = document(portal), portal.tokens()

    assert found["issuer"] == ISSUER
    assert portal.claims(tokens["id_token"])["iss"] == portal.claims(tokens["access_token"])["iss"] == found["issuer"]


def test_no_member_is_of_our_own_making(portal: Portal) -> None:
    """OpenID conformance, discovery-endpoint-verification: "no unknown members". RFC 8414 3.2: "Claims with zero elements MUST be
    omitted from the response."
    """
    found = document(portal)

    assert found.keys() <= REGISTERED
    assert [name for name, value in found.items() if value in ([], "", None)] == []


def test_nothing_is_promised_that_is_not_there(portal: Portal) -> None:
    """A client configures itself from this: what it finds here it uses."""
    found = document(portal)

    assert not found.keys() & LATER
    assert found["response_types_supported"] == ["code"]
    assert found["response_modes_supported"] == ["query", "form_post"]
    assert found["prompt_values_supported"] == ["consent", "login", "none", "select_account"]
    assert found["display_values_supported"] == ["page"]
    assert found["request_uri_parameter_supported"] is False, "left out, it would mean true"
    for flag in ("require_pushed_authorization_requests", "require_signed_request_object"):
        assert found[flag] is False
    for flag in ("claims_parameter_supported", "request_parameter_supported"):
        assert found[flag] is True
    assert found["subject_types_supported"] == ["public", "pairwise"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert set(found["grant_types_supported"]) == {
        *("authorization_code", "refresh_token", "client_credentials"),
        "urn:ietf:params:oauth:grant-type:device_code",
    }
    for name, values in found.items():
        if name.endswith("_signing_alg_values_supported"):
            assert not {"none", "HS256"} & set(values), name
            is_clients = "auth" in name or name.startswith("request_object")
            assert ("EdDSA" in values) == is_clients, "this ring has no such key; clients may"
    assert found["authorization_response_iss_parameter_supported"] is True


def test_every_promised_endpoint_answers(portal: Portal) -> None:
    """Not with 404 and not with 5xx, by the method it is for; and all of them are https addresses of ours."""
    found = document(portal)
    machine = portal.service.machine()
    endpoints = {name: url for name, url in found.items() if name.endswith(("_endpoint", "_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} < endpoints.keys()
    for name, url in endpoints.items():
        assert url.startswith(f"{ISSUER}/"), name
        path = url.removeprefix(ISSUER)
        answers = [machine.open(path, method=method, base_url=ISSUER) for method in ("GET", "POST")]
        assert any(answer.status_code in (200, 303, 400, 401) for answer in answers), name
        assert not any(answer.status_code == 404 or answer.status_code >= 500 for answer in answers[:1]), name


def test_every_promised_scope_acr_claim_and_algorithm_exists(portal: Portal) -> None:
    """OpenID Discovery 3: "The server MUST support the openid scope value." "The algorithm RS256 MUST be included." """
    found = document(portal)
    published = {key["alg"] for key in portal.get("/oauth/jwks").get_json()["keys"]}

    assert set(found["id_token_signing_alg_values_supported"]) == published
    assert "RS256" in published
    assert "none" not in published
    assert set(found["scopes_supported"]) == {*STANDARD_SCOPES, *API_SCOPES, "investors.read", "investors.write"}
    assert found["acr_values_supported"] == [
        "urn:ims:acr:password",
        "urn:ims:acr:remembered",
        "urn:ims:acr:two-step",
        "urn:ims:acr:two-factor",
    ]
    tokens = portal.tokens()
    told = {*portal.claims(tokens["id_token"]), *body(portal.userinfo(tokens["access_token"]))}
    assert told <= {*found["claims_supported"]}
    assert {*found["claims_supported"]} - told == {"remembered_device"}


def test_the_promised_client_authentication_methods_work(service: Service) -> None:
    """Each one, by a client that registered for it."""
    portal = Portal.on(service)
    methods = document(portal)["token_endpoint_auth_methods_supported"]
    assert set(methods) == {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
    signer = Signer()
    for method in methods:
        client_id = f"by-{method}"
        keys = {"jwks": signer.jwks} if method == "private_key_jwt" else {}
        service.client(client_id, public=method == "none", token_endpoint_auth_method=method, **keys)
        other = Portal(service, portal.membership, client_id)
        other.is_public, other.dana = method != "client_secret_basic", portal.dana
        secret = {"client_secret": "portal-secret-0123456789"} if method == "client_secret_post" else {}
        if method == "private_key_jwt":
            secret = signer.form(service, client_id)
        assert other.redeem(other.code(), **secret).status_code == 200, method


@pytest.mark.parametrize("path", [OPENID, OAUTH, "/oauth/jwks", "/schemas/remembered_device.json"])
def test_documents_are_cached_as_they_say(portal: Portal, path: str) -> None:
    """RFC 9110 13.1.2 and 15.4.5: whoever has it gets 304 with the ETag and Cache-Control, and no content. "A recipient MUST use
    the weak comparison function when comparing entity tags for If-None-Match".
    """
    answer = portal.get(path)
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"].startswith("public, max-age=")
    for known in (tag, f"W/{tag}", f'"other", {tag}', f'"other",W/{tag}', "*"):
        again = portal.get(path, **{"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag), known
        assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    for other in ('"other"', tag.strip('"'), "", f'"{tag}"'):
        assert portal.get(path, **{"If-None-Match": other}).status_code == 200, other


@pytest.mark.parametrize("path", [OPENID, OAUTH, "/oauth/jwks", "/schemas/remembered_device.json"])
def test_documents_can_be_read_and_nothing_else(portal: Portal, path: str) -> None:
    """RFC 9110 9.3.2: HEAD is "identical to GET except that the server MUST NOT send content in the response"; 15.5.6: a 405
    "MUST generate an Allow header field". Browsers of other sites may read them: they are public.
    """
    answer, head = portal.get(path), portal.service.machine().head(path, base_url=ISSUER)
    assert head.data == b""
    assert {n: v for n, v in head.headers if n != "X-Request-Id"} == {
        n: v for n, v in answer.headers if n != "X-Request-Id"
    }
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = portal.service.machine().open(path, method=method, base_url=ISSUER)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_a_new_scope_appears_without_a_restart(portal: Portal) -> None:
    """A changed document has another ETag."""
    before = portal.get(OPENID)
    portal.service.client("files", scope="openid files.read")
    with portal.service.services.database.transaction() as tx:
        row = ResourceServer(identifier=f"{API}/files", scopes=["files.read"], created_at=portal.service.clock.now())
        tx.add(row)
    portal.service.forget_clients()

    after = portal.get(OPENID)

    assert "files.read" in body(after)["scopes_supported"]
    assert after.headers["ETag"] != before.headers["ETag"]


def test_documents_are_served_while_the_database_is_away(clock: FixedClock, ring_folder: Path) -> None:
    """architecture 2.5: "JWKS and discovery still served from memory". Who never saw the database says what it knows."""
    away = Service.on("postgresql://127.0.0.1:1/away", clock=clock, ring=make_ring(ring_folder, clock))

    answers = {path: away.machine().get(path, base_url=ISSUER) for path in (OPENID, OAUTH, "/oauth/jwks")}

    assert {answer.status_code for answer in answers.values()} == {200}
    assert answers[OPENID].get_json()["scopes_supported"] == [*STANDARD_SCOPES, *API_SCOPES]
    assert answers["/oauth/jwks"].get_json()["keys"]


def test_scopes_stay_listed_while_the_database_is_away(
    postgres_server: str, worker_folder: Path, clock: FixedClock, ring_folder: Path
) -> None:
    """What was last known counts, however long it lasts: a document that shrinks would break clients that read it."""
    seconds = [0.0]
    with new_database(postgres_server, f"{worker_folder.parent.name}-{worker_folder.name}-away") as url:
        migrate(url)
        service = Service.on(url, clock=clock, ring=make_ring(ring_folder, clock))
        service.client()
        database = Database(url)
        registry = Registry(database, service.services.digester, monotonic=lambda: seconds[0])
        assert registry.last_scopes() == {"investors.read", "investors.write"}
        service.dispose()
    # The database is gone now, under its open connections.
    seconds[0] += FRESH_S + 1

    assert registry.last_scopes() == {"investors.read", "investors.write"}
    database.dispose()
