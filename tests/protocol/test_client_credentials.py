"""A machine for itself (RFC 6749 4.4): a token that says nothing of a person."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from werkzeug.test import TestResponse

from authsvc.oauth.models import ResourceServer
from tests.protocol.portal import body, header
from tests.support.service import API, CLIENT_SECRET, ISSUER, Service


@pytest.fixture
def machine(service: Service) -> Service:
    """The client `machine`, which may read and write investors; the portal's own scopes are in its list by mistake."""
    service.client(
        "machine",
        grant_types=["client_credentials"],
        scope="investors.read investors.write openid profile email offline_access",
        redirect_uris=[],
    )
    return service


def ask(service: Service, **form: str) -> TestResponse:
    """One token request of the machine."""
    return service.token(client=("machine", CLIENT_SECRET), grant_type="client_credentials", **form)


def claims(service: Service, **form: str) -> dict[str, Any]:
    """The claims of the token that comes of it."""
    answer = ask(service, **form)
    assert answer.status_code == 200, answer.text
    return service.claims(body(answer)["access_token"])


def test_the_first_call_after_a_start_works(machine: Service) -> None:
    """Nothing is cached yet: clients and resource servers are read in the open transaction."""
    machine.forget_clients()

    assert ask(machine).status_code == 200


def test_the_token_says_this_and_no_more(machine: Service) -> None:
    """claims.md: "no acr, amr, auth_time, account or remembered_device, and sub = client_id" (RFC 9068 2.2)."""
    token = body(ask(machine))["access_token"]
    found = machine.claims(token)
    now = int(machine.clock.now().timestamp())

    jti = found.pop("jti")
    assert found == {
        "iss": ISSUER,
        "sub": "machine",
        "client_id": "machine",
        "aud": API,
        "scope": "investors.read investors.write",
        "iat": now,
        "exp": now + 300,
    }
    assert len(jti) >= 22, "128 random bits"
    assert header(token).keys() == {"typ", "alg", "kid"}
    assert header(token)["typ"] == "at+jwt"


def test_there_is_no_refresh_token_and_no_id_token(machine: Service) -> None:
    """RFC 6749 4.4.3: "A refresh token SHOULD NOT be included." """
    assert body(ask(machine)).keys() == {"access_token", "token_type", "expires_in", "scope"}


def test_it_may_ask_for_less(machine: Service) -> None:
    """RFC 6749 3.3: the answer names the scope that was granted."""
    assert body(ask(machine, scope="investors.write"))["scope"] == "investors.write"
    assert claims(machine, scope="investors.write")["scope"] == "investors.write"


@pytest.mark.parametrize(
    "scope", ["openid", "investors.read openid", "offline_access", "admin", "investors.read admin", 'x"']
)
def test_it_gets_no_scope_of_a_person_and_none_it_is_not_registered_for(machine: Service, scope: str) -> None:
    """RFC 6749 5.2: "invalid_scope: The requested scope is invalid, unknown, malformed" (AZ-18)."""
    answer = ask(machine, scope=scope)

    assert (answer.status_code, body(answer)["error"]) in ((400, "invalid_scope"), (400, "invalid_request"))


def test_a_public_client_cannot_act_for_itself(service: Service) -> None:
    """RFC 6749 4.4: "The client credentials grant type MUST only be used by confidential clients." """
    with pytest.raises(ValidationError, match="public client cannot have the grant"):
        service.client("app", public=True, grant_types=["client_credentials"], scope="investors.read")


def test_the_resource_decides_the_audience(machine: Service) -> None:
    """RFC 8707 2: "invalid_target" where it is "invalid, missing, unknown, or malformed". Never a client id (TK-08)."""
    assert claims(machine, resource=API)["aud"] == API
    assert body(ask(machine, resource=ISSUER, scope="investors.read"))["error"] == "invalid_scope", "not our scope"
    for unknown in ("https://api.evil.example/", f"{API}/", "machine", "investors"):
        assert body(ask(machine, resource=unknown))["error"] == "invalid_target"


def test_scopes_of_two_apis_need_a_resource(machine: Service) -> None:
    """RFC 9068 3: an aud must be clear from the request; where it is not, the request is refused."""
    files = "https://api.ims.test/files"
    with machine.services.database.transaction() as tx:
        tx.add(ResourceServer(identifier=files, scopes=["files.read"], created_at=machine.clock.now()))
    machine.client("both", grant_types=["client_credentials"], scope="investors.read files.read", redirect_uris=[])
    credentials = ("both", CLIENT_SECRET)

    unclear = machine.token(client=credentials, grant_type="client_credentials")
    clear = machine.token(client=credentials, grant_type="client_credentials", scope="files.read")

    assert body(unclear)["error"] == "invalid_target"
    assert machine.claims(body(clear)["access_token"])["aud"] == files


def test_a_client_without_a_scope_of_its_own_gets_no_token(service: Service) -> None:
    """A token for nothing is none."""
    service.client("idle", grant_types=["client_credentials"], scope="openid", redirect_uris=[])

    answer = service.token(client=("idle", CLIENT_SECRET), grant_type="client_credentials")

    assert body(answer)["error"] == "invalid_scope"


def test_no_two_tokens_are_the_same(machine: Service) -> None:
    """RFC 9068 2.2: jti is REQUIRED, unique; nothing of the time or of a counter is in it."""
    assert len({claims(machine)["jti"] for _ in range(20)}) == 20
