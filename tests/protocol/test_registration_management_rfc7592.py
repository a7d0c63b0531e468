"""A client that registered itself reads, changes and deletes its registration (RFC 7592)."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.models import OAuthClient
from tests.protocol.registering import HOME, MINIMAL, REGISTER, Registering
from tests.support.service import Service


def row(service: Service, client_id: str) -> OAuthClient:
    """What is stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(OAuthClient, client_id)


def test_a_client_reads_what_is_registered(registering: Registering) -> None:
    """RFC 7592 2.1 and 3; conformance 3rd_party-init-login: initiate_login_uri is returned, also by GET."""
    found = registering.registered(initiate_login_uri=f"{HOME}/login", default_max_age=60)
    read = registering.manage("GET", found).get_json()
    del found["client_secret"], found["client_secret_expires_at"]
    assert read == found
    assert read["initiate_login_uri"] == f"{HOME}/login"


def test_an_update_takes_the_place_of_everything(registering: Registering) -> None:
    """RFC 7592 2.2: "omitted fields MUST be treated as null or empty values by the server, indicating the client's request to
    delete them". The token stays: an answer that was lost must not lock the client out.
    """
    found = registering.registered(client_name="Kestrel", logo_uri=f"{HOME}/logo.png")
    wanted = {"client_id": found["client_id"], "redirect_uris": [f"{HOME}/new"], "client_name": None}

    changed = registering.manage("PUT", found, json=wanted)

    assert changed.status_code == 200, changed.text
    assert changed.get_json()["redirect_uris"] == [f"{HOME}/new"]
    assert "logo_uri" not in changed.get_json()
    assert changed.get_json()["client_name"] == "client.example"
    assert changed.get_json()["registration_access_token"] == found["registration_access_token"]
    assert registering.manage("GET", found).get_json()["redirect_uris"] == [f"{HOME}/new"]
    [event] = registering.service.events("client.changed")
    assert event.fields == {"fields": ["client_name", "redirect_uris", "logo_uri"], "by": "registration"}


@pytest.mark.parametrize("secret", ["", "***", "********", "my-own-secret-0123456789", 7, None, [], "\ud800"])
def test_tn15_an_update_never_sets_a_secret(registering: Registering, secret: Any) -> None:
    """RFC 7592 2.2: "The client MUST NOT be allowed to overwrite its existing client secret with its own chosen value." A masked
    or an empty one, as a form sends it back, changes nothing (CVE-2026-9705).
    """
    found = registering.registered()
    before = row(registering.service, found["client_id"]).client_secret_digest
    wanted = {**MINIMAL, "client_id": found["client_id"], "client_name": "Changed", "client_secret": secret}

    answer = registering.manage("PUT", found, json=wanted)

    assert answer.status_code == (200 if secret is None else 400)
    stored = row(registering.service, found["client_id"])
    assert stored.client_secret_digest == before
    assert ClientMetadata.read(stored.client_metadata).client_name == (
        "Changed" if secret is None else "client.example"
    )


def test_an_update_with_the_issued_secret_is_right(registering: Registering) -> None:
    """RFC 7592 2.2: "the value of this field MUST match the currently issued client secret for that client"."""
    found = registering.registered()
    wanted = {**MINIMAL, "client_id": found["client_id"], "client_secret": found["client_secret"]}
    assert registering.manage("PUT", found, json=wanted).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": "another"},
        {"registration_access_token": "x"},
        {"registration_client_uri": "x"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 0},
    ],
)
def test_an_update_names_the_client_and_nothing_of_ours(registering: Registering, changed: dict[str, Any]) -> None:
    """RFC 7592 2.2."""
    found = registering.registered()
    wanted = {**MINIMAL, "client_id": found["client_id"], **changed}
    assert registering.error(registering.manage("PUT", found, json=wanted)) == "invalid_client_metadata"


def test_a_way_to_authenticate_that_needs_a_secret_brings_one(registering: Registering) -> None:
    """And one that needs none ends the old."""
    found = registering.registered()
    wanted = {**MINIMAL, "client_id": found["client_id"]}
    public = registering.manage("PUT", found, json={**wanted, "token_endpoint_auth_method": "none"})
    assert "client_secret" not in public.get_json()
    assert row(registering.service, found["client_id"]).client_secret_digest is None
    again = registering.manage("PUT", found, json=wanted).get_json()
    assert again["client_secret"] != found["client_secret"]
    assert again["client_secret_expires_at"] == 0


def test_a_token_manages_its_own_client_alone(registering: Registering) -> None:
    """RFC 7592 4: not another's, not an initial one, and nobody learns which clients there are."""
    one, other = registering.registered(), registering.registered()
    for url, token in (
        (other["registration_client_uri"], one["registration_access_token"]),
        (one["registration_client_uri"], registering.token),
        (one["registration_client_uri"], one["client_secret"]),
        (f"{REGISTER}?client_id=nobody", one["registration_access_token"]),
        (REGISTER, one["registration_access_token"]),
        (f"{REGISTER}?client_id=%00", one["registration_access_token"]),
        (f"{REGISTER}?client_id={'x' * 5000}", one["registration_access_token"]),
    ):
        registering.service.forget_addresses()
        for method in ("GET", "PUT", "DELETE"):
            answer = registering.call(method, url, token, json={**MINIMAL, "client_id": other["client_id"]})
            assert registering.error(answer, 401) == "invalid_token"
    assert registering.manage("GET", one).status_code == registering.manage("GET", other).status_code == 200


def test_a_client_deletes_itself_and_everything_it_held_ends(registering: Registering) -> None:
    """RFC 7592 2.3: 204; "the authorization server SHOULD immediately invalidate all existing authorization grants and currently
    active access tokens [...] associated with this client".
    """
    found = registering.registered()
    answer = registering.manage("DELETE", found)
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (204, b"", "no-store")
    for method in ("GET", "PUT", "DELETE"):
        wanted = {**MINIMAL, "client_id": found["client_id"]}
        assert registering.error(registering.manage(method, found, json=wanted), 401) == "invalid_token"
    assert registering.service.services.registry.client(found["client_id"]) is None


def test_tn15_a_deactivated_client_does_not_bring_itself_back(registering: Registering) -> None:
    """Its token is dead, also after an operator has brought it back (CVE-2026-15943)."""
    found = registering.registered()
    s = registering.service.services
    with s.database.transaction() as tx:
        s.registration.deactivate_client(tx, found["client_id"], by="operator")
    wanted = {**MINIMAL, "client_id": found["client_id"]}
    assert registering.error(registering.manage("PUT", found, json=wanted), 401) == "invalid_token"
    assert row(registering.service, found["client_id"]).deactivated_at is not None
    with s.database.transaction() as tx:
        s.registration.reactivate_client(tx, found["client_id"])
    assert registering.error(registering.manage("GET", found), 401) == "invalid_token"


def test_a_deactivation_and_an_update_at_once_leave_it_deactivated(registering: Registering) -> None:
    """Whichever comes first."""
    found = registering.registered()
    s = registering.service.services

    def deactivate() -> None:
        with s.database.transaction() as tx:
            s.registration.deactivate_client(tx, found["client_id"], by="operator")

    wanted = {**MINIMAL, "client_id": found["client_id"], "client_name": "Late"}
    registering.service.at_once(deactivate, lambda: registering.manage("PUT", found, json=wanted))
    assert row(registering.service, found["client_id"]).deactivated_at is not None
    assert registering.error(registering.manage("GET", found), 401) == "invalid_token"
