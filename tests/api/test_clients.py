"""Clients by API, over the use cases of the command line."""

from __future__ import annotations

import pytest

from tests.api.conftest import World
from tests.support.api import Machine
from tests.support.service import CALLBACK

METADATA = {"client_name": "Kestrel", "redirect_uris": [CALLBACK], "scope": "openid profile"}


@pytest.fixture
def writer(world: World) -> Machine:
    """Bound to no account."""
    return Machine.on(world.service, "writer")


def test_a_client_is_made_changed_and_shown(writer: Machine) -> None:
    """Its secret is in the first answer alone; null takes a field away."""
    made = writer.post("/clients", 201, client_id="kestrel", metadata=METADATA, minimum_acr="urn:ims:acr:two-step")
    assert len(made["client_secret"]) == 43
    changed = writer.patch("/clients/kestrel", metadata={"client_name": "Kestrel 2", "scope": None}, minimum_acr=None)
    assert (changed["changed"], changed["client_secret"]) == (True, None)
    shown = writer.get("/clients/kestrel")
    assert (shown["metadata"]["client_name"], shown["metadata"]["scope"]) == ("Kestrel 2", "openid")
    assert (shown["minimum_acr"], shown["first_party"], shown["has_secret"]) == (None, True, True)
    assert not writer.patch("/clients/kestrel")["changed"]
    assert [one["client_id"] for one in writer.get("/clients")["items"]] == ["desk", "kestrel", "writer"]
    page = writer.get("/clients", limit=1)
    assert writer.get(page["next"].partition("/api/v1")[2])["items"][0]["client_id"] == "kestrel"
    assert writer.service.events("client.created")[-1].operator == "client:writer"


def test_a_secret_is_rotated_and_a_client_ended_and_revived(writer: Machine) -> None:
    """Acts that are done again change nothing; what a deactivated client cannot have is 409."""
    first = writer.post("/clients", 201, client_id="kestrel", metadata=METADATA)["client_secret"]
    second = writer.post("/clients/kestrel/rotate-secret", overlap_hours=24)
    assert second["client_secret"] not in (None, first)
    assert second["client"]["previous_secret_until"] is not None
    assert writer.post("/clients/kestrel/deactivate")["client"]["deactivated_at"] is not None
    assert not writer.post("/clients/kestrel/deactivate")["changed"]
    writer.post("/clients/kestrel/rotate-secret", 409)
    assert writer.post("/clients/kestrel/reactivate")["client"]["deactivated_at"] is None
    assert not writer.post("/clients/kestrel/reactivate")["changed"]


def test_what_is_wrong_with_metadata_is_said(writer: Machine) -> None:
    """400; a name that no field has is not repeated; a name that is taken is 409, one that is not there 404."""
    wrong = {**METADATA, "redirect_uris": ["http://portal.example/callback"], "<script>": 1}
    told = writer.post("/clients", 400, metadata=wrong)
    assert "redirect_uris" in told["detail"]
    assert "script" not in str(told)
    writer.post("/clients", 201, client_id="kestrel", metadata=METADATA)
    writer.post("/clients", 409, client_id="kestrel", metadata=METADATA)
    writer.get("/clients/nobody", 404)
    writer.patch("/clients/kestrel", 400, first_party=None)
    writer.patch("/clients/kestrel", 400, accounts=["northgate"])


def test_tn15_addresses_that_lead_inside_are_refused(writer: Machine) -> None:
    """By the same check as at the command line."""
    inside = {**METADATA, "jwks_uri": "https://169.254.169.254/keys"}
    assert writer.post("/clients", 400, metadata=inside)["type"] == "urn:ims:problem:invalid-request"


def test_tn13_a_client_bound_to_accounts_sees_no_client(world: World) -> None:
    """Clients belong to no account."""
    for method, path in (("GET", "/clients"), ("GET", "/clients/desk"), ("POST", "/clients/desk/deactivate")):
        answer = world.desk.call(method, path)
        assert (answer.json or {})["type"] == "urn:ims:problem:accounts-limited"
    assert world.desk.post("/clients", 403, metadata=METADATA)["title"] == "This is not allowed"
