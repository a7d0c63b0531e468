"""Clients as rows: secrets that overlap, deactivation that happens once (security.md TN-15)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authsvc.oauth.models import InitialAccessToken
from authsvc.oauth.registration import (
    ClientIsActive,
    ClientIsDeactivated,
    ClientIsThere,
    HasNoSecret,
    Issued,
    MetadataRefused,
    NoSuchClient,
    read_metadata,
)
from tests.support.service import CLIENT_SECRET, Service

MACHINE = {
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["client_credentials"],
    "redirect_uris": [],
}


@pytest.fixture
def machine(service: Service) -> Service:
    """A service with the client `machine`, which asks for tokens for itself."""
    service.client("machine", scope="investors.read", **MACHINE)
    return service


def gets_tokens(service: Service, secret: str) -> bool:
    """Whether the token endpoint takes this secret; what is cached of the client is five seconds old at most."""
    service.forget_clients()
    answer = service.token(client=("machine", secret), grant_type="client_credentials", scope="investors.read")
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def rotate(service: Service, hours: int = 0) -> str:
    """A new secret."""
    with service.services.database.transaction() as tx:
        issued = service.services.registration.rotate_secret(tx, "machine", overlap=timedelta(hours=hours))
    assert issued.secret is not None
    return issued.secret


def test_without_an_overlap_the_old_secret_is_dead_at_once(machine: Service) -> None:
    """It was stolen."""
    assert gets_tokens(machine, CLIENT_SECRET)
    new = rotate(machine)
    assert gets_tokens(machine, new)
    assert not gets_tokens(machine, CLIENT_SECRET)


def test_with_an_overlap_both_do_until_its_end(machine: Service) -> None:
    """And a second rotation leaves the last two, never three."""
    second = rotate(machine, hours=24)
    assert gets_tokens(machine, CLIENT_SECRET)
    assert gets_tokens(machine, second)
    machine.pass_time(hours=23, minutes=59)
    assert gets_tokens(machine, CLIENT_SECRET)
    machine.pass_time(minutes=1)
    assert not gets_tokens(machine, CLIENT_SECRET)
    third = rotate(machine, hours=24)
    fourth = rotate(machine, hours=24)
    assert [gets_tokens(machine, secret) for secret in (second, third, fourth)] == [False, True, True]
    assert [event.fields for event in machine.events("client.secret_rotated")] == [{"overlap_hours": 24}] * 3


def test_an_overlap_has_an_end(machine: Service) -> None:
    """Thirty days, whoever asks for more."""
    with machine.services.database.transaction() as tx:
        issued = machine.services.registration.rotate_secret(tx, "machine", overlap=timedelta(days=999))
    assert issued.client.previous_secret_until == machine.clock.now() + timedelta(days=30)


def test_an_empty_secret_is_nobodys(machine: Service) -> None:
    """A client without an old secret has no old secret that is empty."""
    rotate(machine)
    assert not gets_tokens(machine, "")


def test_two_operators_deactivate_once(machine: Service) -> None:
    """One conditional UPDATE; the other one is told."""

    def deactivate() -> str:
        try:
            with machine.services.database.transaction() as tx:
                machine.services.registration.deactivate_client(tx, "machine", by="operator")
        except ClientIsDeactivated:
            return "late"
        return "done"

    assert sorted(machine.at_once(deactivate, deactivate, deactivate)) == ["done", "late", "late"]
    assert len(machine.events("client.deactivated")) == 1
    assert not gets_tokens(machine, CLIENT_SECRET)


def test_a_change_is_seen_at_once_where_it_was_made(machine: Service) -> None:
    """The cache of this process is dropped with the commit, not before and not in five seconds."""
    registry = machine.services.registry
    assert registry.client("machine") is not None
    with machine.services.database.transaction() as tx:
        machine.services.registration.deactivate_client(tx, "machine", by="operator")
    assert registry.client("machine") is None
    with machine.services.database.transaction() as tx:
        machine.services.registration.reactivate_client(tx, "machine")
    assert registry.client("machine") is not None


def test_what_cannot_be_done_is_an_error_of_its_own(machine: Service) -> None:
    """For the command and the account API to answer with."""
    registration = machine.services.registration
    machine.client("app", public=True)
    metadata = read_metadata({"client_name": "x", "grant_types": ["client_credentials"]})
    with machine.services.database.transaction() as tx:
        for error, act in (
            (
                ClientIsThere,
                lambda: registration.create_client(tx, metadata, by="x", first_party=True, client_id="app"),
            ),
            (NoSuchClient, lambda: registration.change_client(tx, "nobody", metadata, by="x")),
            (NoSuchClient, lambda: registration.client(tx, "\0")),
            (HasNoSecret, lambda: registration.rotate_secret(tx, "app")),
            (ClientIsActive, lambda: registration.reactivate_client(tx, "app")),
            (MetadataRefused, lambda: registration.create_client(tx, metadata, by="x", first_party=True, client_id="")),
        ):
            with pytest.raises(error):
                act()


def test_every_problem_of_metadata_is_said_at_once_and_no_value(machine: Service) -> None:
    """One try shows them all; what was sent, a private key perhaps, is not repeated."""
    with pytest.raises(MetadataRefused) as caught:
        read_metadata(
            {"client_name": "x", "scope": "se\ncret", "redirect_uris": ["secret"], "jwks": {"keys": [{"d": "secret"}]}}
        )
    assert [problem.field for problem in caught.value.problems] == ["redirect_uris.0", "scope", "jwks"]
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert machine.services.database


def test_two_clients_of_one_name_are_one(machine: Service) -> None:
    """The second is refused, by whichever check comes first, and nothing is left of it."""
    registration = machine.services.registration
    metadata = read_metadata({"client_name": "x", "grant_types": ["client_credentials"]})

    def create() -> Issued | str:
        try:
            with machine.services.database.transaction() as tx:
                return registration.create_client(tx, metadata, by="operator", first_party=True, client_id="twin")
        except ClientIsThere:
            return "late"

    made = machine.at_once(create, create)
    assert sorted(isinstance(one, Issued) for one in made) == [False, True]
    assert len(machine.events("client.created")) == 1


def test_initial_access_tokens_that_ran_out_are_forgotten(service: Service) -> None:
    """With the sweep."""
    s = service.services
    with s.database.transaction() as tx:
        s.initial_access.issue(tx, uses=1, lifetime=timedelta(hours=1))
        s.initial_access.issue(tx, uses=1, lifetime=timedelta(days=1))
    service.pass_time(hours=2)
    with s.database.transaction() as tx:
        s.initial_access.sweep(tx, now=s.clock.now())
        assert tx.query(InitialAccessToken).count() == 1
