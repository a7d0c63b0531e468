"""Clients register themselves (RFC 7591, OpenID Connect Registration 1.0)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.models import OAuthClient
from tests.protocol.portal import Portal, header
from tests.protocol.registering import HOME, MINIMAL, REGISTER, Registering
from tests.support.client_site import ClientSite
from tests.support.service import ISSUER, Service

KEY = ECKey.generate_key("P-256", {"kid": "a", "alg": "ES256"})
PUBLIC = {"keys": [KEY.as_dict(private=False)]}


def row(service: Service, client_id: str) -> OAuthClient:
    """What is stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(OAuthClient, client_id)


def test_a_client_registers_and_the_answer_says_what_was_registered(registering: Registering) -> None:
    """RFC 7591 3.2.1: "the authorization server MUST return all registered metadata about this client, including any fields
    provisioned by the authorization server itself". 201, and never kept.
    """
    answer = registering.post(client_name="Kestrel", contacts=["ops@client.example"], unknown="x", client_id="mine")

    assert (answer.status_code, answer.mimetype) == (201, "application/json")
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    found = answer.get_json()
    assert found["client_id"] != "mine"
    assert found["registration_client_uri"] == f"{ISSUER}{REGISTER}?client_id={found['client_id']}"
    assert (found["client_secret_expires_at"], found["client_id_issued_at"]) == (
        0,
        int(registering.service.clock.now().timestamp()),
    )
    told = {"client_name": "Kestrel", "contacts": ["ops@client.example"], "response_types": ["code"], **MINIMAL}
    assert told.items() <= found.items()
    assert found["grant_types"] == ["authorization_code"]
    assert found["token_endpoint_auth_method"] == "client_secret_basic"
    assert found["scope"] == "openid profile email offline_access"
    assert "unknown" not in found, (
        'section 2: "MUST ignore any client metadata sent by the client that it does not understand"'
    )


def test_what_registered_itself_is_a_third_party_with_rs256(registering: Registering) -> None:
    """No consent is ever skipped for it. OpenID Connect Registration 2: id_token_signed_response_alg "default, if omitted, is
    RS256".
    """
    found = registering.registered(first_party=True, minimum_acr="urn:ims:acr:password", resources=["https://api"])
    stored = row(registering.service, found["client_id"])
    assert (stored.first_party, stored.minimum_acr, stored.resources) == (False, None, None)
    assert found["id_token_signed_response_alg"] == "RS256"
    assert registering.registered(id_token_signed_response_alg="ES256")["id_token_signed_response_alg"] == "ES256"


def test_a_registered_client_gets_tokens(service: Service, registering: Registering) -> None:
    """The whole way: registered here, signed in there, ID token by RS256."""
    found = registering.registered(client_name="Kestrel", grant_types=["authorization_code", "refresh_token"])
    portal = Portal.on(service)
    with service.services.database.transaction() as tx:
        tx.get_one(OAuthClient, found["client_id"]).first_party = True  # consent has tests of its own
    service.forget_clients()
    portal.sign_in()
    answer = portal.ask(client_id=found["client_id"], redirect_uri=f"{HOME}/callback", scope="openid profile")
    code = answer.headers["Location"].partition("code=")[2].partition("&")[0]
    tokens = service.token(
        client=(found["client_id"], found["client_secret"]),
        grant_type="authorization_code",
        code=code,
        redirect_uri=f"{HOME}/callback",
        code_verifier=portal.verifier,
    ).get_json()
    assert header(tokens["id_token"])["alg"] == "RS256"
    assert service.claims(tokens["id_token"])["aud"] in (found["client_id"], [found["client_id"]])


def test_the_scope_is_within_the_policy(registering: Registering) -> None:
    """No scope of an API: what registers itself is nobody that we know. The answer says what was put in its place."""
    found = registering.registered(scope="openid investors.read email email admin")
    assert found["scope"] == "openid email"
    assert registering.error(registering.post(scope="investors.read")) == "invalid_client_metadata"


def test_grants_that_need_no_person_cannot_be_registered(registering: Registering) -> None:
    """client_credentials would be a machine's account for whoever had a token; implicit and password are not offered."""
    found = registering.registered(
        grant_types=["authorization_code", "implicit", "client_credentials", "refresh_token"]
    )
    assert found["grant_types"] == ["authorization_code", "refresh_token"]
    for grants in (["client_credentials"], ["password"], ["implicit"], "authorization_code", [7], [[]]):
        assert registering.error(registering.post(grant_types=grants)) == "invalid_client_metadata"


@pytest.mark.parametrize("token", [None, "", "x", "x" * 10_000, "\u00e4"])
def test_nobody_registers_without_a_token(registering: Registering, token: str | None) -> None:
    """RFC 7591 3: behind an initial access token. RFC 6750 3: the challenge. Nothing that was sent is looked at."""
    answer = registering.call("POST", token=token, data=b"not even json")
    assert registering.error(answer, 401) == "invalid_token"
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert registering.service.events("client.registration_refused")
    assert registering.service.events("client.created") == []


def test_a_token_is_good_for_its_uses_and_its_time(registering: Registering) -> None:
    """A mistake in the metadata costs no use."""
    registering.token = registering.new_token(uses=2)
    assert registering.error(registering.post(redirect_uris=["javascript:alert(1)"])) == "invalid_redirect_uri"
    registering.registered()
    registering.registered()
    assert registering.error(registering.post(), 401) == "invalid_token"
    registering.token = registering.new_token(uses=5, hours=1)
    registering.registered()
    registering.service.pass_time(hours=1)
    assert registering.error(registering.post(), 401) == "invalid_token"


def test_of_simultaneous_registrations_no_more_win_than_there_are_uses(registering: Registering) -> None:
    """One conditional UPDATE counts."""
    registering.token = registering.new_token(uses=3)
    answers = registering.service.at_once(*[lambda: registering.post().status_code] * 8)
    assert sorted(answers) == [201] * 3 + [401] * 5
    assert len(registering.service.events("client.created")) == 3


def test_guessing_is_slowed_down(registering: Registering) -> None:
    """Per address, as for any other failed authentication of a client."""
    answers = [registering.call("POST", token="wrong", json=MINIMAL) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1].headers["Retry-After"] == "60"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uris": [f"{HOME}/callback#f"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://client.example/callback"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["JaVaScRiPt:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.client.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [7]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://client.example/"}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"redirect_uris": None}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"response_types": ["code", "code id_token"]}, "invalid_client_metadata"),
        ({"response_types": "code"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [KEY.as_dict(private=True)]}}, "invalid_client_metadata"),
        ({"jwks": PUBLIC, "jwks_uri": f"{HOME}/jwks"}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"initiate_login_uri": "http://client.example/"}, "invalid_client_metadata"),
        ({"backchannel_logout_uri": f"{HOME}/logout#f"}, "invalid_client_metadata"),
        ({"client_name": "\x00"}, "invalid_client_metadata"),
        ({"client_name": "x" * 10_000}, "invalid_client_metadata"),
        ({"client_name": "\ud800"}, "invalid_client_metadata"),
        ({"contacts": {"a": "b"}}, "invalid_client_metadata"),
        ({"default_max_age": "ten"}, "invalid_client_metadata"),
        ({"default_max_age": 10**400}, "invalid_client_metadata"),
        ({"require_auth_time": "yes"}, "invalid_client_metadata"),
        ({"scope": ["openid"]}, "invalid_client_metadata"),
        ({"application_type": "desktop"}, "invalid_client_metadata"),
        ({"software_statement": "x"}, "invalid_software_statement"),
        ({"software_statement": {}}, "invalid_software_statement"),
        ({"software_statement": "e30.e30.AAAA"}, "unapproved_software_statement"),
    ],
)
def test_wrong_metadata_is_refused_with_the_error_of_the_rfc(
    registering: Registering, changed: dict[str, Any], error: str
) -> None:
    """RFC 7591 3.2.2; the description says which field, and is of characters that an error may have (RFC 6749 5.2)."""
    answer = registering.post(**changed)
    assert registering.error(answer) == error
    assert set(answer.get_json()["error_description"]) <= set(map(chr, range(0x20, 0x7F))) - {'"', "\\"}
    assert registering.service.events("client.created") == []


@pytest.mark.parametrize(
    "address",
    [
        *(
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/jwks",
            "https://10.0.0.1/jwks",
            "https://127.0.0.1/jwks",
        ),
        *("http://127.0.0.1:8000/jwks", "https://localhost/jwks", "https://redis/jwks", "https://vault.internal/jwks"),
        *("https://2130706433/jwks", "https://0x7f.1/jwks", "https://[::ffff:10.0.0.1]/jwks", "https://db.svc/jwks"),
        *("https://printer.local/jwks", "https://[64:ff9b::a00:1]/jwks", "gopher://client.example/jwks"),
    ],
)
@pytest.mark.parametrize("field", ["jwks_uri", "backchannel_logout_uri", "sector_identifier_uri"])
def test_tn15_az16_an_address_that_leads_inside_is_refused_when_it_is_registered(
    registering: Registering, field: str, address: str
) -> None:
    """And again, by what its name leads to then, at each fetch."""
    assert registering.error(registering.post(**{field: address})) == "invalid_client_metadata"


def test_the_sector_document_must_name_every_redirect_address(near: tuple[Service, ClientSite]) -> None:
    """OpenID Connect Registration 5: "the values of the registered redirect_uris MUST be included in the elements of the array";
    conformance registration-sector-uri and -sector-bad.
    """
    registering = Registering(near[0])
    site = near[1]
    address = site.publish("/sector.json", [f"{HOME}/callback", f"{HOME}/more"])
    found = registering.registered(subject_type="public", sector_identifier_uri=address)
    assert found["sector_identifier_uri"] == address
    bad = [
        site.publish("/lacks.json", [f"{HOME}/more"]),
        site.publish("/object.json", {"redirect_uris": [f"{HOME}/callback"]}),
        site.publish("/text.json", [f"{HOME}/callback"], mimetype="text/plain"),
        site.answer("/broken.json", 200, b"[", Content_Type="application/json"),
        site.answer("/deep.json", 200, b"[" * 60_000, Content_Type="application/json"),
        site.answer("/elsewhere.json", 302, b"", Location=address),
        f"{site.url}/missing.json",
    ]
    for other in bad:
        assert registering.error(registering.post(sector_identifier_uri=other)) == "invalid_client_metadata", other
    assert len(registering.service.events("client.created")) == 1


def test_what_a_stranger_names_is_not_fetched(near: tuple[Service, ClientSite]) -> None:
    """Before the token is known to be good, nothing is."""
    registering = Registering(near[0])
    registering.token = "wrong"
    registering.post(sector_identifier_uri=near[1].publish("/sector.json", [f"{HOME}/callback"]))
    assert near[1].asked == []


def test_secrets_are_kept_as_digests_and_shown_once(registering: Registering) -> None:
    """Not in the database, not in the trail, and not in a later answer."""
    found = registering.registered()
    stored = registering.service.everything_stored()
    for secret in (found["client_secret"], found["registration_access_token"], registering.token):
        assert len(secret) >= 43
        assert secret not in stored
    assert "client_secret" not in registering.manage("GET", found).get_json()


def test_public_and_key_clients_get_no_secret(registering: Registering) -> None:
    """RFC 7591 3.2.1: client_secret_expires_at belongs to a client_secret."""
    for metadata in (
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": PUBLIC},
    ):
        found = registering.registered(**metadata)
        assert not {"client_secret", "client_secret_expires_at"} & found.keys()


def test_a_client_without_a_name_is_called_by_where_it_sends_people(registering: Registering) -> None:
    """The one thing that is known of it, for the consent page."""
    assert registering.registered()["client_name"] == "client.example"


@pytest.mark.parametrize(
    ("data", "mimetype"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"x"', "application/json"),
        (b"[" * 50_000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"redirect_uris=https%3A%2F%2Fclient.example%2F", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (json.dumps(MINIMAL).encode("utf-16"), "text/plain"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(registering: Registering, data: bytes, mimetype: str) -> None:
    """In words, and without a stack trace."""
    answer = registering.call("POST", token=registering.token, data=data, content_type=mimetype)
    assert registering.error(answer) == "invalid_client_metadata"


def test_a_large_body_is_refused_unread(registering: Registering) -> None:
    """PL-02."""
    answer = registering.call(
        "POST", token=registering.token, data=b"{" + b" " * 70_000, content_type="application/json"
    )
    assert answer.status_code == 413


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [*ClientMetadata.model_fields, "response_types", "software_statement", "client_id", "client_secret", "x"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_document_whatever_is_a_500(registering: Registering, document: dict[str, Any]) -> None:
    """Registered, or refused in the words of the RFC; as a registration and as an update."""
    answer = registering.post({**MINIMAL, **document})
    assert answer.status_code in (201, 400), answer.text
    if answer.status_code == 201:
        found = answer.get_json()
        update = {**MINIMAL, **document, "client_id": found["client_id"]}
        assert registering.manage("PUT", found, json=update).status_code in (200, 400)
        assert registering.manage("GET", found).status_code == 200
