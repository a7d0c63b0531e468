"""Sessions and remembered devices by API: of one membership, ended once."""

from __future__ import annotations

from authsvc.devices.models import RememberedDevice
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import Standing
from tests.api.conftest import World


def sign_in(world: World, who: str = "priya") -> tuple[str, str]:
    """A session and a remembered device of theirs; answers both ids."""
    s, now = world.service.services, world.service.clock.now()
    with s.database.transaction() as tx:
        membership = tx.merge(world.priya if who == "priya" else world.omar)
        standing = Standing("urn:ims:acr:password", ["pwd"], now, now)
        session, _ = s.sessions.start(tx, membership, standing, browser="Firefox on Linux", previous=None)
        device, _ = s.devices.remember(tx, membership, mfa_amr=["pwd", "otp"], browser="Firefox on Linux", cookie=None)
        return session.id, device.id


def test_sessions_are_listed_and_ended(world: World) -> None:
    """204; again is the same, and recorded once, with the operator."""
    session_id, _ = sign_in(world)
    listed = world.desk.get("/sessions", member=world.priya.id)["items"]
    assert [(one["id"], one["browser"]) for one in listed] == [(session_id, "Firefox on Linux")]
    world.desk.delete(f"/sessions/{session_id}")
    world.desk.delete(f"/sessions/{session_id}")
    assert world.desk.get("/sessions", member=world.priya.id)["items"] == []
    assert [event.operator for event in world.service.events("session.ended")] == ["client:desk"]
    with world.service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(BrowserSession, session_id).ended_reason == "signed_out_by_admin"


def test_remembered_devices_are_listed_and_ended(world: World) -> None:
    """204; again is the same, and recorded once."""
    _, device_id = sign_in(world)
    listed = world.desk.get("/remembered-devices", member=world.priya.id)["items"]
    assert [one["id"] for one in listed] == [device_id]
    world.desk.delete(f"/remembered-devices/{device_id}")
    world.desk.delete(f"/remembered-devices/{device_id}")
    assert world.desk.get("/remembered-devices", member=world.priya.id)["items"] == []
    assert len(world.service.events("device.ended")) == 1


def test_tn01_those_of_another_account_are_not_found(world: World) -> None:
    """404, a row each, and they live on."""
    session_id, device_id = sign_in(world, "omar")
    world.desk.delete(f"/sessions/{session_id}", 404)
    world.desk.delete(f"/remembered-devices/{device_id}", 404)
    for path in ("/sessions", "/remembered-devices"):
        world.desk.get(path, 404, member=world.omar.id)
        world.desk.delete(f"{path}/{'0' * 32}", 404)
    assert (world.refused("session"), world.refused("device"), world.refused("member")) == (1, 1, 2)
    with world.service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(BrowserSession, session_id).ended_at is None
        assert tx.get_one(RememberedDevice, device_id).ended_at is None
