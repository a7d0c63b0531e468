"""Where a member is signed in, and on which browsers they are remembered: of this membership alone, never of another."""

from __future__ import annotations

from authsvc.api import reach
from authsvc.api.operation import BASE, Call, Operation, Refused
from authsvc.api.schemas import DeviceAnswer, Devices, OfMember, SessionAnswer, SessionList
from authsvc.db.fence import within
from authsvc.devices.models import RememberedDevice
from authsvc.sessions.models import BrowserSession


def list_devices(call: Call) -> Devices:
    """The live ones."""
    one = reach.member(call, call.query.member)
    with within(call.tx, one.account_id):
        live = [device for device, member in call.s.devices.live_of(call.tx, one.user_id) if member.id == one.id]
    return Devices(
        items=[
            DeviceAnswer(
                id=device.id,
                browser=device.browser,
                remembered_at=device.created_at,
                last_used_at=device.last_used_at,
                expires_at=device.expires_at,
            )
            for device in live
        ]
    )


def end_device(call: Call) -> None:
    """The next sign-in there asks for a code. Again is the same."""
    device = call.tx.get(RememberedDevice, reach.row_id(call, "device_id"))
    if device is None:
        raise Refused(404)
    call.s.devices.remove(call.tx, device, reach.membership_of(call, device.membership_id, kind="device"))


def list_sessions(call: Call) -> SessionList:
    """The live ones."""
    one = reach.member(call, call.query.member)
    with within(call.tx, one.account_id):
        found = call.s.sessions.live_of(call.tx, one.user_id)
    live = [session for session in found if session.membership_id == one.id]
    return SessionList(
        items=[
            SessionAnswer(**{name: getattr(session, name) for name in SessionAnswer.model_fields}) for session in live
        ]
    )


def end_session(call: Call) -> None:
    """Signed out there, and every token of it ends. Again is the same."""
    session = call.tx.get(BrowserSession, reach.row_id(call, "session_id"))
    if session is None:
        raise Refused(404)
    reach.membership_of(call, session.membership_id, kind="session")
    call.s.sessions.end(call.tx, session, "signed_out_by_admin")


OPERATIONS = (
    Operation(
        "listRememberedDevices",
        "GET",
        f"{BASE}/remembered-devices",
        "sessions.read",
        "A member's remembered devices",
        list_devices,
        Devices,
        query=OfMember,
        refusals=frozenset({404}),
    ),
    Operation(
        "endRememberedDevice",
        "DELETE",
        f"{BASE}/remembered-devices/{{device_id}}",
        "sessions.write",
        "Forget a device: the next sign-in there asks for a code",
        end_device,
        None,
        refusals=frozenset({404}),
    ),
    Operation(
        "listSessions",
        "GET",
        f"{BASE}/sessions",
        "sessions.read",
        "Where a member is signed in",
        list_sessions,
        SessionList,
        query=OfMember,
        refusals=frozenset({404}),
    ),
    Operation(
        "endSession",
        "DELETE",
        f"{BASE}/sessions/{{session_id}}",
        "sessions.write",
        "Sign out one browser; its tokens end too",
        end_session,
        None,
        refusals=frozenset({404}),
    ),
)
