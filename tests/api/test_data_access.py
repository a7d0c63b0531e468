"""Sensitive Data Access by API: two acts by two clients (domain D12, security.md TN-04)."""

from __future__ import annotations

from tests.api.conftest import World
from tests.support.api import EVERY_SCOPE, Machine


def second(world: World, **fields: object) -> Machine:
    """Another operator."""
    return Machine.on(world.service, "second", **fields)  # type: ignore[arg-type]


def test_d12_two_operators_give_it_and_one_takes_it(world: World) -> None:
    """Asked for twice it is one request; approved twice it is given once."""
    path = f"/members/{world.priya.id}/data-access-requests"
    asked = world.desk.post(path, 201)["request"]
    assert asked["requested_by"] == "client:desk"
    again = world.desk.post(path)
    assert (again["changed"], again["request"]["id"]) == (False, asked["id"])
    assert world.desk.get(f"/members/{world.priya.id}")["data_access_requests"][0]["id"] == asked["id"]

    approve = f"/data-access-requests/{asked['id']}/approve"
    other = second(world)
    assert other.post(approve)["member"]["sensitive_data_access"]
    assert not other.post(approve)["changed"]
    granted = world.service.events("data_access.granted")
    assert [event.operator for event in granted] == ["client:second"]
    assert world.desk.post(path) == {"changed": False, "request": None}

    gone = world.desk.delete(f"/members/{world.priya.id}/data-access", 200)
    assert (gone["changed"], gone["member"]["sensitive_data_access"]) == (True, False)
    assert not world.desk.delete(f"/members/{world.priya.id}/data-access", 200)["changed"]


def test_d12_the_same_client_twice_is_refused(world: World) -> None:
    """Although it has both scopes."""
    asked = world.desk.post(f"/members/{world.priya.id}/data-access-requests", 201)["request"]
    refused = world.desk.post(f"/data-access-requests/{asked['id']}/approve", 403)
    assert refused["type"] == "urn:ims:problem:same-operator"
    assert not world.now(world.priya).sensitive_data_access


def test_tn04_no_client_makes_itself_a_second_operator(world: World) -> None:
    """Whoever writes clients cannot make, change, take over or revive one that has a scope of this API."""
    writer = Machine.on(world.service, "writer")
    metadata = {
        "client_name": "Accomplice",
        "grant_types": ["client_credentials"],
        "scope": "data_access.approve",
    }
    kind = "urn:ims:problem:operators-only"
    assert writer.post("/clients", 403, metadata=metadata)["type"] == kind
    made = writer.post("/clients", 201, metadata={**metadata, "scope": "investors.read"})["client"]["client_id"]
    for path, values in (
        (f"/clients/{made}", {"metadata": {"scope": "investors.read data_access.approve"}}),
        ("/clients/desk", {"metadata": {"client_name": "Mine"}}),
    ):
        assert writer.patch(path, 403, **values)["type"] == kind
    for act in ("rotate-secret", "deactivate", "reactivate"):
        assert writer.post(f"/clients/desk/{act}", 403)["type"] == kind
        assert writer.post(f"/clients/writer/{act}", 403)["type"] == kind


def test_tn01_a_request_of_another_account_is_not_found(world: World) -> None:
    """404 and a row; nothing is granted."""
    asked = second(world).post(f"/members/{world.omar.id}/data-access-requests", 201)["request"]
    world.desk.post(f"/data-access-requests/{asked['id']}/approve", 404)
    world.desk.post(f"/data-access-requests/{'0' * 32}/approve", 404)
    assert world.refused("data_access_request") == 1
    assert not world.now(world.omar).sensitive_data_access


def test_an_expired_request_and_a_role_based_account_are_409(world: World) -> None:
    """Each with a name of its own; the first act alone needs only the first scope."""
    first = Machine.on(world.service, "first", scope=EVERY_SCOPE.replace("data_access.approve ", ""))
    asked = first.post(f"/members/{world.priya.id}/data-access-requests", 201)["request"]
    first.post(f"/data-access-requests/{asked['id']}/approve", 403)
    world.service.pass_time(days=7)
    world.desk.renew()
    expired = world.desk.post(f"/data-access-requests/{asked['id']}/approve", 409)
    assert expired["type"] == "urn:ims:problem:expired"
    account = world.service.account("role", permission_model="role")
    other = world.service.member(account, "ann@role.example", role="admin")
    refused = second(world).post(f"/members/{other.id}/data-access-requests", 409)
    assert refused["type"] == "urn:ims:problem:role-based-account"
