"""Exports that a service hands over: for whom, by whom, whole or not at all, and never read back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from authsvc.accounts.models import Membership
from authsvc.clock import FixedClock
from authsvc.crypto.tokens import new_id
from authsvc.exports.life import find
from authsvc.exports.models import Export
from tests.api.conftest import World, make_world
from tests.support.api import Machine
from tests.support.service import Service, make_ring

CONTENT = b"Investor,Routing number,Account number\r\nWillow Creek LP,021000021,000123456789\r\n" * 3000


def digest(content: bytes) -> str:
    """As it is announced."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Office:
    """A machine that hands over for Dana, and what lies in the store."""

    world: World
    machine: Machine
    folder: Path

    @property
    def service(self) -> Service:
        """The service."""
        return self.world.service

    def announcement(self, content: bytes = CONTENT, **changed: Any) -> dict[str, Any]:
        """Of `content`, for Dana."""
        return {
            "account": "northgate",
            "person": self.world.dana.user_id,
            "name": "Investor bank details",
            "scope": "All investors",
            "media_type": "text/csv",
            "size": len(content),
            "sha256": digest(content),
            **changed,
        }

    def announce(self, content: bytes = CONTENT, **changed: Any) -> str:
        """The id of a new export."""
        answer = self.machine.post("/exports", 201, **self.announcement(content, **changed))
        assert answer["status"] == "processing"
        return str(answer["id"])

    def send(self, export_id: str, content: bytes = CONTENT, **options: Any) -> TestResponse:
        """Hand the file over."""
        return self.machine.call(
            "PUT", f"/exports/{export_id}/file", data=content, **{"content_type": "text/csv", **options}
        )

    def row(self, export_id: str) -> Export:
        """As it stands now."""
        with self.service.services.database.transaction(read_only=True) as tx:
            export = find(tx, export_id)
            assert export is not None
            return export

    def stored(self, export_id: str) -> bytes:
        """What its person would download."""
        row = self.row(export_id)
        return b"".join(self.service.services.files.read(row.file_id or "", row.sealed_key))

    def lying(self) -> list[str]:
        """Every file in the store, once the worker has done what is queued."""
        self.service.deliver()
        return sorted(file.name for file in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def office(database_url: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Office]:
    """On each kind of database, with a store of its own."""
    folder = tmp_path / "exports"
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), exports_url=f"dir:{folder}")
    world = make_world(service)
    yield Office(world, Machine.on(service, "crm", scope="exports.write", accounts=["northgate"]), folder)
    service.dispose()


def test_a_file_is_handed_over(office: Office) -> None:
    """Announced, sent, ready: what its person downloads is byte for byte what was sent. The answers say where they find it."""
    export_id = office.announce()
    assert office.machine.get(f"/exports/{export_id}")["page"] == "https://login.ims.test/profile/exports"
    answer = office.send(export_id)
    assert (answer.status_code, (answer.json or {})["status"]) == (200, "ready")
    assert office.stored(export_id) == CONTENT
    assert office.row(export_id).sha256 == digest(CONTENT)
    events = [event for event in office.service.events() if event.name.startswith("export.")]
    assert [(event.name, event.client_id, event.user_id) for event in events] == [
        ("export.requested", "crm", office.world.dana.user_id),
        ("export.ready", "crm", office.world.dana.user_id),
    ]
    assert "000123456789" not in office.service.everything_stored()
    # As bytes without a type, and an empty file.
    empty = office.announce(b"")
    bare = {"content_type": "application/octet-stream", "environ_overrides": {"CONTENT_LENGTH": "0"}}
    assert office.send(empty, b"", **bare).status_code == 200
    assert office.stored(empty) == b""


def test_a_file_is_never_read_back_and_handed_over_once(office: Office) -> None:
    """There is no operation that gives it out; a second file is refused and changes nothing, nor does giving up then."""
    export_id = office.announce()
    assert office.send(export_id).status_code == 200
    assert office.machine.call("GET", f"/exports/{export_id}/file").status_code == 405
    again = office.send(export_id, b"x" * len(CONTENT))
    assert (again.status_code, (again.json or {})["type"]) == (409, "urn:ims:problem:export-over")
    assert office.machine.post(f"/exports/{export_id}/fail")["changed"] is False
    assert office.stored(export_id) == CONTENT
    assert len(office.lying()) == 1


def test_tn10_what_is_not_as_announced_is_never_offered(office: Office) -> None:
    """Another digest is the end of the export; another length is refused before a byte is read, and may be put right."""
    export_id = office.announce()
    for wrong in (CONTENT[:-1], CONTENT + b"x"):
        answer = office.send(export_id, wrong)
        assert (answer.status_code, (answer.json or {})["type"]) == (400, "urn:ims:problem:wrong-length")
    no_length = office.send(export_id, b"", environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"})
    assert (no_length.json or {})["type"] == "urn:ims:problem:length-required"
    assert office.send(export_id, content_type="text/html").status_code == 415
    assert office.machine.get(f"/exports/{export_id}")["status"] == "processing"
    answer = office.send(export_id, b"x" + CONTENT[1:])
    assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:ims:problem:not-as-announced")
    now = office.machine.get(f"/exports/{export_id}")
    assert (now["status"], now["reason"]) == ("failed", "not_as_announced")
    assert office.lying() == []
    assert office.send(export_id).status_code == 409


class Broken:
    """A body that ends, or fails, in its middle."""

    def __init__(self, content: bytes, failure: Exception | None = None) -> None:
        self._content, self._failure = content, failure

    def read(self, size: int = -1) -> bytes:
        """What is left."""
        part, self._content = self._content[:size], self._content[size:]
        if not part and self._failure is not None:
            raise self._failure
        return part

    readline = read


@pytest.mark.parametrize("failure", [None, ConnectionResetError(), TimeoutError()], ids=["ends", "reset", "silent"])
def test_tn10_a_file_that_breaks_off_leaves_nothing_and_may_be_sent_again(
    office: Office, failure: Exception | None
) -> None:
    """The person goes on seeing "Processing", which is true; the next try is a whole one."""
    export_id = office.announce()
    body = Broken(CONTENT[:100_000], failure)
    answer = office.send(export_id, b"", environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(len(CONTENT))})
    assert (answer.status_code, (answer.json or {})["type"]) == (400, "urn:ims:problem:cut-off")
    assert office.machine.get(f"/exports/{export_id}")["status"] == "processing"
    assert office.lying() == []
    assert office.send(export_id).status_code == 200
    assert office.stored(export_id) == CONTENT


class Slow(Broken):
    """A body that stands still in its middle until it is told to go on."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.is_there, self.go_on = Signal(), Signal()

    def read(self, size: int = -1) -> bytes:
        """The first block at once, the others later."""
        if self.is_there.is_set():
            assert self.go_on.wait(60)
        self.is_there.set()
        return super().read(size)


def test_tn10_of_two_transfers_at_once_the_later_one_counts(office: Office) -> None:
    """A client whose connection hangs begins again and is not kept waiting; the old one, waking up, moves nothing."""
    export_id, slow = office.announce(), Slow(CONTENT)
    options = {"environ_overrides": {"wsgi.input": slow, "CONTENT_LENGTH": str(len(CONTENT))}}

    def later() -> int:
        assert slow.is_there.wait(60)
        status = office.send(export_id).status_code
        slow.go_on.set()
        return status

    old, new = office.service.at_once(lambda: office.send(export_id, b"", **options), later)
    assert ((old.json or {})["type"], new) == ("urn:ims:problem:export-over", 200)
    assert office.stored(export_id) == CONTENT
    assert len(office.lying()) == 1


def test_tn10_of_two_that_begin_together_one_wins(office: Office) -> None:
    """By one conditional statement: one is ready, or one after the other; never two, and nothing is left over."""
    for _ in range(3):
        export_id = office.announce()
        send = partial(office.send, export_id)
        statuses = [answer.status_code for answer in office.service.at_once(send, send, send)]
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 409, 503}
        assert office.stored(export_id) == CONTENT
    assert len(office.lying()) == 3


def test_receiving_leaves_room_for_people(office: Office) -> None:
    """A quarter of the threads at a time; whoever comes on top is told to come again, and loses nothing."""
    first, second, third = (office.announce() for _ in range(3))
    slow = [Slow(CONTENT), Slow(CONTENT)]

    def hold(export_id: str, body: Slow) -> int:
        options = {"environ_overrides": {"wsgi.input": body, "CONTENT_LENGTH": str(len(CONTENT))}}
        return office.send(export_id, b"", **options).status_code

    def on_top() -> TestResponse:
        assert all(body.is_there.wait(60) for body in slow)
        answer = office.send(third)
        for body in slow:
            body.go_on.set()
        return answer

    held, held_too, refused = office.service.at_once(
        lambda: hold(first, slow[0]), lambda: hold(second, slow[1]), on_top
    )
    assert (held, held_too) == (200, 200)
    assert ((refused.json or {})["type"], refused.headers["Retry-After"]) == ("urn:ims:problem:receiving-others", "5")
    assert office.send(third).status_code == 200


def test_d23_access_is_looked_at_when_it_is_announced_and_when_it_is_there(office: Office) -> None:
    """Without Sensitive Data Access: 403 with its own name. Taken while the file was coming: failed, and not kept."""
    world = office.world
    refused = office.machine.post("/exports", 403, **office.announcement(person=world.priya.user_id))
    assert refused["type"] == "urn:ims:problem:no-data-access"
    [event] = office.service.events("export.refused")
    assert (event.user_id, event.fields["reason"]) == (world.priya.user_id, "no_access")
    for nobody in (new_id(), world.omar.user_id):
        unknown = office.machine.post("/exports", 404, **office.announcement(person=nobody))
        assert unknown["type"] == "urn:ims:problem:person-unknown"
    export_id = office.announce()
    with office.service.services.database.transaction() as tx:
        tx.execute(update(Membership).where(Membership.id == world.dana.id).values(sensitive_data_access=False))
    answer = office.send(export_id)
    assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:ims:problem:no-data-access")
    now = office.machine.get(f"/exports/{export_id}")
    assert (now["status"], now["reason"]) == ("failed", "access_lost")
    assert office.lying() == []


def test_tn13_a_client_sees_its_own_exports_in_its_own_accounts(office: Office) -> None:
    """Another account, another client's export, a foreign id: 404, and a row of the trail."""
    foreign = office.announcement(account="kestrel", person=office.world.omar.user_id)
    assert office.machine.post("/exports", 404, **foreign)["type"] == "urn:ims:problem:not-found"
    export_id = office.announce()
    other = Machine.on(office.service, "other", scope="exports.write")
    other.get(f"/exports/{export_id}", 404)
    other.post(f"/exports/{export_id}/fail", 404)
    assert other.call("PUT", f"/exports/{export_id}/file", data=CONTENT, content_type="text/csv").status_code == 404
    assert office.world.refused("export") == 3
    for nothing in ("x", "0" * 32, "..%2f..", "%00" * 32):
        office.machine.get(f"/exports/{nothing}", 404)
    reader = Machine.on(office.service, "reader", scope="members.read")
    assert reader.post("/exports", 403, **office.announcement())["type"] == "urn:ims:problem:insufficient-scope"
    assert office.machine.get(f"/exports/{export_id}")["status"] == "processing"


def test_tn10_a_person_has_five_at_a_time_and_twenty_a_day(office: Office) -> None:
    """429 with Retry-After: a minute while they are open, until there is a place where the day is used up."""
    for _ in range(4):
        for export_id in [office.announce() for _ in range(5)]:
            office.machine.post(f"/exports/{export_id}/fail")
    full = office.machine.call("POST", "/exports", json=office.announcement())
    assert (full.status_code, full.headers["Retry-After"]) == (429, "86400")
    office.service.pass_time(hours=24)
    office.machine.renew()
    for _ in range(5):
        office.announce()
    full = office.machine.call("POST", "/exports", json=office.announcement())
    assert (full.status_code, full.headers["Retry-After"]) == (429, "60")
    assert {event.fields["reason"] for event in office.service.events("export.refused")} == {"too_many"}


def test_giving_up_is_said_to_the_person_and_may_be_repeated(office: Office) -> None:
    """Failed with the reason; a client that never comes has failed after a day."""
    export_id, forgotten = office.announce(), office.announce()
    said = office.machine.post(f"/exports/{export_id}/fail", reason="too_large")
    assert (said["changed"], said["export"]["status"], said["export"]["reason"]) == (True, "failed", "too_large")
    assert office.machine.post(f"/exports/{export_id}/fail")["changed"] is False
    assert office.send(export_id).status_code == 409
    office.machine.post(f"/exports/{forgotten}/fail", 400, reason="bored")


def test_a_large_file_goes_through_although_bodies_are_small(office: Office) -> None:
    """64 KiB is the limit of every other body; a file may be as large as it was announced, and the policy allows."""
    content = os.urandom(20_000_000)
    export_id = office.announce(content)
    assert office.send(export_id, content).status_code == 200
    assert office.row(export_id).progress == len(content)
    large = office.announcement(size=1 << 35)
    assert "more than a file may have" in office.machine.post("/exports", 400, **large)["detail"]
    body = b'{"account": "' + b"x" * 70_000 + b'"}'
    assert office.machine.call("POST", "/exports", data=body, content_type="application/json").status_code == 413


def test_tn09_what_is_announced_is_plain(office: Office) -> None:
    """One line of what can be shown, for it becomes a file's name; nothing that is not asked for."""
    for changed in (
        *({"size": -1}, {"size": "1"}, {"size": True}, {"size": 1.5}, {"size": 1 << 70}),
        *({"sha256": "A" * 64}, {"sha256": "x"}, {"media_type": "text/csv; a=b"}, {"media_type": "text/csv\r\nX: y"}),
        *({"name": ""}, {"name": "  "}, {"name": "a\r\nb"}, {"name": "a\0"}, {"name": "x" * 201}, {"name": ["x"]}),
        *({"scope": "\u202e"}, {"person": "../x"}, {"account": None}, {"status": "ready"}),
    ):
        wrong = office.announcement(**changed)
        assert office.machine.call("POST", "/exports", json=wrong).status_code == 400, changed
