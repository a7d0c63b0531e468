"""Somebody with Data Access at My Profile > Exports, and a client that hands a file over to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import select

from authsvc.accounts.models import Account, Membership
from authsvc.app import make_worker
from authsvc.exports.handover import Announced, Outcome
from authsvc.exports.models import Export
from tests.support.journey import Page, Person
from tests.support.profile import press
from tests.support.service import DANA, PASSWORD, Service
from tests.support.team import admin

EXPORTS = "/profile/exports"
NEW = f"{EXPORTS}/new"
CLIENT = "ims-reports"
FILE = b"\xef\xbb\xbfName,Tax ID\r\nRiver Street LLC,00-0000000\r\n"


def holder(
    service: Service, *, mfa: str = "", slug: str = "northgate", email: str = DANA, role: str = "admin"
) -> tuple[Account, Membership, Person]:
    """An account with an admin who has Data Access, signed in."""
    account = service.account(slug, mfa=mfa)
    membership = service.member(account, email, role=role, sensitive=True, phone=None)
    person = admin(service, account, email)
    if person.here.h1 == "Enter your code":
        person.submit(code=service.code_for(email))
    return account, membership, person


def ask(person: Person, what: str = "team_members", **filters: str) -> Page:
    """The question, and "Export"."""
    person.open(NEW, export=what, **filters)
    return press(person, NEW)


def prove(service: Service, person: Person, email: str = DANA) -> Page:
    """Whatever "Confirm it’s you" wants."""
    if person.here.h1 == "Confirm it’s you":
        person.submit(password=PASSWORD)
    if person.here.h1 == "Enter your code":
        person.submit(code=service.code_for(email))
    return person.here


def rows(service: Service, membership: Membership | None = None) -> list[Export]:
    """What stands in the table, oldest first."""
    with service.services.database.transaction(read_only=True) as tx:
        query = select(Export).order_by(Export.requested_at, Export.id)
        return list(tx.scalars(query.where(Export.membership_id == membership.id) if membership else query).unique())


def newest(service: Service) -> Export:
    """The export that was asked for last."""
    return rows(service)[-1]


def file_of(export: Export) -> str:
    """Where it is downloaded."""
    return f"{EXPORTS}/{export.id}/file"


def announced(service: Service, membership: Membership, name: str = "Investor contacts and tax IDs") -> Export:
    """A client has said that there will be a file for them."""
    s = service.services
    with s.database.transaction() as tx:
        made = s.exports.hand_overs.create_for(
            tx,
            client_id=CLIENT,
            account_id=membership.account_id,
            user_id=membership.user_id,
            announced=Announced(name, "All investors", "text/csv"),
        )
    assert isinstance(made, Export), made
    return made


def hand_over(
    service: Service, membership: Membership, name: str = "Investor contacts and tax IDs", file: bytes = FILE
) -> Export:
    """A client has handed a file over; it is ready."""
    export = announced(service, membership, name)
    assert receive(service, export, file) is Outcome.DONE
    return next(row for row in rows(service) if row.id == export.id)


def receive(service: Service, export: Export, file: bytes = FILE) -> Outcome:
    """The client sends the bytes."""
    s = service.services
    with s.database.transaction() as tx:
        found = s.exports.hand_overs.find(tx, CLIENT, export.id)
        receiving = s.exports.hand_overs.begin(tx, found) if found else None
    assert receiving is not None
    with s.files.create(receiving.file_id) as writer:
        writer.write(file)
    assert writer.stored.sha256 == hashlib.sha256(file).hexdigest()
    with s.database.transaction() as tx:
        found = s.exports.hand_overs.find(tx, CLIENT, export.id)
        assert found is not None
        outcome = s.exports.hand_overs.complete(tx, found, receiving.file_id, writer.stored)
    if outcome is not Outcome.DONE:
        s.files.delete(receiving.file_id)
    return outcome


def sweep(service: Service) -> None:
    """The worker's chores and jobs, once."""
    worker = make_worker(service.services)
    worker.do_chores()
    worker.run_until_idle()


def is_in_the_store(service: Service, export: Export) -> bool:
    """Whether any file of this export lies in the folder, sealed or half."""
    assert export.file_id is not None
    folder = service.services.settings.exports_url.removeprefix("dir:")
    return any(export.file_id in path.name for path in Path(folder).glob("*")) or any(
        export.file_id in path.name for path in Path(folder).glob(".*")
    )
