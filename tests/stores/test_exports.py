"""Exports on both databases: limits, access lost on the way, workers that die, stores that are away, constant memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
from sqlalchemy import insert, update

from authsvc.accounts.models import Membership
from authsvc.app import make_worker
from authsvc.audit.models import AuditEvent
from authsvc.exports.build import Build
from authsvc.exports.files import FileStore, FileWriter, StoreUnavailable
from authsvc.exports.handover import Announced, Outcome, Refused
from authsvc.exports.life import BUILD_EXPORT, TooMany
from authsvc.exports.models import Export, Kind
from authsvc.exports.sources import Ask, Page, TeamMembers
from authsvc.jobs.queue import LEASE, MAX_ATTEMPTS
from authsvc.jobs.worker import Lease, Worker
from tests.support.export_pages import CLIENT, announced, hand_over, is_in_the_store, newest, receive, rows, sweep
from tests.support.profile import subjects
from tests.support.service import DANA, Service

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def holder(service: Service) -> Membership:
    """An admin with Data Access; nobody is signed in."""
    return service.member(service.account(), role="admin", sensitive=True, phone=None)


def request(service: Service, membership: Membership, kind: Kind = Kind.TEAM_MEMBERS, **filters: str) -> Any:
    """Ask, in a transaction of its own."""
    s = service.services
    with s.database.transaction() as tx:
        here = tx.get_one(Membership, membership.id)
        return s.exports.requests.request(tx, here, kind, scope="", filters=filters)


def change(service: Service, membership: Membership, **values: Any) -> None:
    """As support or a colleague would, with nothing of what goes with it."""
    with service.services.database.transaction() as tx:
        tx.execute(update(Membership).where(Membership.id == membership.id).values(**values))


def building(service: Service, **parts: Any) -> Worker:
    """A worker whose builds have other parts."""
    worker = make_worker(service.services)
    build = worker.long[BUILD_EXPORT]
    assert isinstance(build, Build)
    return replace(worker, long={BUILD_EXPORT: replace(build, **parts)}, handlers={})


class Meanwhile(TeamMembers):
    """The team, and something that happens while it is read."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        object.__setattr__(self, "act", act)

    def page(self, tx: Any, ask: Ask, after: str | None, *, limit: int) -> Page:
        """Do it, in another thread: this one has a transaction open."""
        found = super().page(tx, ask, after, limit=limit)
        return Page(found.rows, "again") if after is None else Page([self.act() or ("",)], None)  # type: ignore[attr-defined]


def test_tn10_of_ten_requests_at_once_five_are_taken(service: Service) -> None:
    """ "exports / user: 5 open", exact under parallel requests, in whichever accounts; and each has its job."""
    membership = holder(service)
    answers = service.at_once(*[lambda n=n: request(service, membership, person=str(n)) for n in range(10)])
    assert sorted(type(one).__name__ for one in answers) == ["Export"] * 5 + ["TooMany"] * 5
    assert len(rows(service)) == 5
    with service.services.database.transaction() as tx:
        made = service.services.exports.hand_overs.create_for(
            tx,
            client_id=CLIENT,
            account_id=membership.account_id,
            user_id=membership.user_id,
            announced=Announced("One more", "", "text/csv"),
        )
    assert made == TooMany(), "a client's count too"
    service.deliver()
    assert [one.status for one in rows(service)] == ["ready"] * 5


@on_one_database
def test_tn10_twenty_a_day_and_then_one_for_each_that_is_a_day_old(service: Service) -> None:
    """20 within 24 hours, by whichever way; the answer says when there is a place again."""
    membership = holder(service)
    first = service.clock.now()
    for _ in range(20):
        hand_over(service, membership)
        service.pass_time(minutes=1)
    assert request(service, membership) == TooMany(first + timedelta(days=1))
    service.pass_time(hours=23, minutes=40)
    assert isinstance(request(service, membership), Export)
    assert isinstance(request(service, membership, Kind.MFA_STATUS), TooMany)


def test_a_double_press_is_one_export(service: Service) -> None:
    """ux.md rule 3: the server treats the second identical POST as the first."""
    membership = holder(service)
    one, same = service.at_once(*[lambda: request(service, membership)] * 2)
    assert one.id == same.id
    assert len(rows(service)) == 1


@pytest.mark.parametrize(
    "lost",
    [{"sensitive_data_access": False}, {"role": "member"}, {"deactivated_at": "now"}],
    ids=["data access", "admin role", "deactivated"],
)
@on_one_database
def test_d23_tn11_access_lost_on_the_way_ends_it_without_a_file(service: Service, lost: dict[str, Any]) -> None:
    """Asked again when the job begins, when the file is whole, and by the sweep; nobody is mailed about what they cannot have."""
    lost = {name: service.clock.now() if value == "now" else value for name, value in lost.items()}
    found = {name: None if name == "deactivated_at" else {"role": "admin"}.get(name, True) for name in lost}
    membership = holder(service)
    request(service, membership)
    change(service, membership, **lost)
    service.deliver()
    assert (newest(service).status, newest(service).reason) == ("failed", "access_lost")
    change(service, membership, **found)
    service.pass_time(seconds=11)
    request(service, membership)
    source = Meanwhile(lambda: service.at_once(lambda: change(service, membership, **lost))[0])
    building(service, sources={Kind.TEAM_MEMBERS: source}).run_until_idle()
    assert (newest(service).status, newest(service).reason) == ("failed", "access_lost")
    sweep(service)
    assert newest(service).file_id is None
    change(service, membership, **found)
    service.pass_time(seconds=11)
    request(service, membership)
    service.deliver()
    export = newest(service)
    assert export.status == "ready"
    assert is_in_the_store(service, export)
    change(service, membership, **lost)
    sweep(service)
    assert not is_in_the_store(service, export)
    assert (newest(service).status, newest(service).reason, newest(service).sealed_key) == (
        "expired",
        "access_lost",
        "",
    )
    assert subjects(service, DANA) == ["An export you asked for is ready"]


def test_d23_a_hand_over_is_asked_about_at_both_ends(service: Service) -> None:
    """A client's file for somebody without access is neither announced nor taken, whatever the client thinks."""
    membership, s = holder(service), service.services
    late = announced(service, membership)
    change(service, membership, sensitive_data_access=False)
    assert receive(service, late) is Outcome.NO_ACCESS
    assert (newest(service).status, newest(service).reason) == ("failed", "access_lost")
    about = {"client_id": CLIENT, "account_id": membership.account_id}
    good = Announced("Bank details", "All", "text/csv", 3, "0" * 64)
    cases = [
        (membership.user_id, good, Refused.NO_ACCESS),
        ("nobody\0", good, Refused.NO_ACCESS),
        (membership.user_id, replace(good, name=" "), Refused.BAD_NAME),
        (membership.user_id, replace(good, name="a\r\nb"), Refused.BAD_NAME),
        (membership.user_id, replace(good, scope="x" * 201), Refused.BAD_SCOPE),
        (membership.user_id, replace(good, media_type="text/csv\r\nX: y"), Refused.BAD_MEDIA_TYPE),
        (membership.user_id, replace(good, sha256="A" * 64), Refused.BAD_DIGEST),
        (membership.user_id, replace(good, size=2**50), Refused.TOO_LARGE),
        (membership.user_id, replace(good, size=-1), Refused.BAD_SIZE),
    ]
    for user_id, said, refused in cases:
        with s.database.transaction() as tx:
            assert s.exports.hand_overs.create_for(tx, **about, user_id=user_id, announced=said) is refused, said
    change(service, membership, sensitive_data_access=True)
    with s.database.transaction() as tx:
        export = s.exports.hand_overs.create_for(tx, **about, user_id=membership.user_id, announced=good)
    assert isinstance(export, Export)
    assert receive(service, export, b"abc") is Outcome.NOT_AS_ANNOUNCED
    assert newest(service).is_open or rows(service)[0].is_open


def test_tn10_a_worker_that_died_leaves_nothing_and_another_begins_anew(service: Service) -> None:
    """No half file offered: the row of a second try has another file, the first one's is gone, its late word counts nothing."""
    membership = holder(service)
    request(service, membership)
    s, seen = service.services, {}

    def take_over() -> None:
        """The lease has run out while this worker was busy; another one begins meanwhile, and is not done yet."""
        seen["first"] = newest(service).file_id
        service.pass_time(seconds=LEASE.total_seconds() + 1)
        building(service, files=Away(s.files)).run_long_one()
        seen["second"] = newest(service).file_id

    source = Meanwhile(lambda: service.at_once(take_over)[0])
    building(service, sources={Kind.TEAM_MEMBERS: source}).run_long_one()
    export = newest(service)
    assert (export.status, export.file_id) == ("processing", seen["second"])
    assert seen["first"] != seen["second"]
    service.pass_time(seconds=10)
    make_worker(s).run_until_idle()
    assert newest(service).status == "ready"
    assert newest(service).file_id not in seen.values()
    for dead in seen.values():
        export.file_id = dead
        assert not is_in_the_store(service, export)
    assert len(service.events("export.ready")) == 1


class Away:
    """A store that is away."""

    def __init__(self, files: FileStore) -> None:
        self.read, self.delete = files.read, files.delete

    @contextmanager
    def create(self, file_id: str) -> Iterator[FileWriter]:
        """Never."""
        raise StoreUnavailable(detail=file_id)
        yield  # the type of a context manager


@on_one_database
def test_a_store_that_stays_away_fails_the_export_visibly(service: Service) -> None:
    """Tried eight times with growing pauses, then "Failed", and the person is told (D22)."""
    membership = holder(service)
    request(service, membership)
    worker, tries = building(service, files=Away(service.services.files)), 0
    while newest(service).is_open:
        tries += worker.run_until_idle()
        service.pass_time(minutes=10)
    assert tries == MAX_ATTEMPTS
    assert (newest(service).status, newest(service).reason) == ("failed", "could_not_build")
    assert subjects(service, DANA) == ["An export you asked for failed"]


@on_one_database
def test_tn10_an_export_that_kills_every_worker_is_given_up(service: Service) -> None:
    """A lease that ran out eight times over means that the job itself is the trouble."""
    membership = holder(service)
    request(service, membership)
    s = service.services
    for _ in range(MAX_ATTEMPTS):
        with s.database.transaction() as tx:
            assert s.queue.claim(tx, [BUILD_EXPORT]) is not None
        service.pass_time(seconds=61)
    make_worker(s).run_long_one()
    assert newest(service).reason == "could_not_build"


def test_a_long_job_delays_no_short_one_and_stops_when_told(service: Service) -> None:
    """A code leaves while an export is built; a worker that stops puts the long job back."""
    s, begun, sent = service.services, Flag(), Flag()

    def long(_: Any, lease: Lease) -> None:
        begun.set()
        assert sent.wait(60)
        with s.database.transaction() as tx:
            lease.renew(tx)
        lease.stop.set()
        lease.go_on()

    worker = Worker(s.database, s.queue, s.cache, s.clock, {"short": lambda _: sent.set()}, long={"long": long})
    with s.database.transaction() as tx:
        s.queue.enqueue(tx, "long")

    def then_a_code() -> None:
        assert begun.wait(60)
        with s.database.transaction() as tx:
            s.queue.enqueue(tx, "short")

    service.at_once(worker.run, then_a_code)
    service.pass_time(seconds=5)
    with s.database.transaction() as tx:
        again = s.queue.claim(tx, ["long"])
    assert again is not None
    assert (again.attempts, again.last_error) == (2, "the worker stops")


@on_one_database
def test_memory_stays_the_same_however_much_there_is(service: Service, tmp_path: Path) -> None:
    """4,000 and 12,000 lines of sign-in activity take the same memory: rows are read and written a page at a time."""
    membership, peaks = holder(service), []
    row = {
        "at": service.clock.now(),
        "name": "password.wrong",
        "user_id": membership.user_id,
        "account_id": membership.account_id,
        "remote_address": "198.51.100.7",
        "user_agent": "",
        "request_id": "T52H-FB39",
        "operator": "",
        "policy_hash": "0" * 16,
        "fields": {"reason": "wrong"},
    }
    for more in (4_000, 8_000):
        with service.services.database.transaction() as tx:
            tx.execute(insert(AuditEvent), [row] * more)
        request(service, membership, Kind.SIGN_IN_ACTIVITY)
        tracemalloc.start()
        service.deliver()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        service.pass_time(seconds=11)
    sizes = [one.size for one in rows(service)]
    assert [size > 40 * lines for size, lines in zip(sizes, (4_000, 12_000), strict=True) if size] == [True, True]
    assert peaks[1] < peaks[0] * 1.3, peaks
