"""Two at the same moment: two people who want one address, two tabs that confirm one change, two new passwords."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from authsvc.account_settings.own_email import Switch
from authsvc.account_settings.own_phone import Bound
from authsvc.accounts import passwords
from authsvc.accounts.models import Membership, PhoneNumber, User
from authsvc.mfa.challenge import CodeCheck, CodeOutcome
from authsvc.mfa.exchange import SendOutcome
from tests.support.service import DANAS_PHONE, Service

WANTED = "wanted@northgate.example"
SID = "a" * 32


@pytest.fixture
def people(service: Service) -> list[Membership]:
    """Dana and Priya."""
    account = service.account(mfa="email")
    return [service.member(account), service.member(account, "priya@northgate.example")]


def member(tx, membership: Membership) -> Membership:
    """The row in this transaction."""
    return tx.get_one(Membership, membership.id)


def begin(service: Service, membership: Membership) -> str:
    """A change that waits; answers its code."""
    with service.services.database.transaction() as tx:
        service.services.own_email.begin(tx, member(tx, membership), WANTED, browser="")
    return service.code_for(WANTED)


def confirm(service: Service, membership: Membership, code: str) -> Switch | CodeOutcome:
    """One press."""
    with service.services.database.transaction() as tx:
        found = service.services.own_email.confirm(tx, member(tx, membership), code, browser="")
        assert isinstance(found, Switch | CodeCheck)
        return found.outcome if isinstance(found, CodeCheck) else found


def addresses(service: Service) -> list[str]:
    """Everybody's."""
    with service.services.database.transaction(read_only=True) as tx:
        return sorted(user.email.address for user in tx.query(User))


def test_of_two_people_who_want_one_address_one_gets_it(service: Service, people: list[Membership]) -> None:
    """Both read its mail and enter their codes at once: one switch, one clear answer, and one owner."""
    codes = [begin(service, one) for one in people]
    outcomes = service.at_once(*(partial(confirm, service, one, code) for one, code in zip(people, codes, strict=True)))
    assert Counter(outcomes) == {Switch.DONE: 1, Switch.TAKEN: 1}
    assert addresses(service).count(WANTED) == 1
    assert len(service.events("email.changed")) == len(service.events("email.change_refused")) == 1


def test_two_tabs_that_confirm_one_change_switch_once(service: Service, people: list[Membership]) -> None:
    """MF-06: one code, one change, one notice."""
    code = begin(service, people[0])
    outcomes = service.at_once(*[lambda: confirm(service, people[0], code)] * 4)
    assert Counter(outcomes) == {Switch.DONE: 1, Switch.NOTHING_WAITS: 3}
    assert len(service.events("email.changed")) == 1
    service.deliver()
    notices = [message for message in service.emails.messages if message.purpose == "notice_email_changed"]
    assert len(notices) == 1


def test_pressed_at_once_one_change_begins(service: Service, people: list[Membership]) -> None:
    """Four presses of "Send code" send one."""

    def press() -> SendOutcome:
        with service.services.database.transaction() as tx:
            return service.services.own_email.begin(tx, member(tx, people[0]), WANTED, browser="").outcome

    outcomes = Counter(service.at_once(*[press] * 4))
    assert outcomes == {SendOutcome.SENT: 1, SendOutcome.ALREADY_OUT: 3}
    service.deliver()
    assert len(service.emails.to(WANTED)) == 1


def test_two_presses_of_a_number_s_code_bind_it_once(service: Service, people: list[Membership]) -> None:
    """MF-06, for a person without a number: two who insert its row would end in an error."""
    s = service.services
    with s.database.transaction() as tx:
        tx.delete(tx.get_one(PhoneNumber, people[0].user_id))
    with s.database.transaction() as tx:
        s.own_phone.begin(tx, member(tx, people[0]), SID, DANAS_PHONE, browser="")
    code = service.code_for(DANAS_PHONE)

    def press() -> Bound | CodeOutcome:
        with s.database.transaction() as tx:
            waiting = s.own_phone.waiting(tx, member(tx, people[0]), SID)
            if waiting is None:
                return CodeOutcome.GONE
            found = s.own_phone.confirm(tx, member(tx, people[0]), waiting, code)
            assert isinstance(found, Bound | CodeCheck)
            return found.outcome if isinstance(found, CodeCheck) else found

    outcomes = Counter(service.at_once(*[press] * 4))
    assert outcomes == {Bound.ADDED: 1, CodeOutcome.GONE: 3}
    assert len(service.events("phone.added")) == 1


def test_of_two_new_passwords_at_once_one_is_set(service: Service, people: list[Membership]) -> None:
    """The second was typed against a password that is no more: one conditional UPDATE, whatever the order."""
    s = service.services
    with s.database.transaction(read_only=True) as tx:
        old = tx.get_one(User, people[0].user_id).password_hash

    def change(new: str) -> bool:
        with s.database.transaction() as tx:
            user = tx.get_one(User, people[0].user_id)
            return passwords.replace_hash(
                tx, user, new, instead_of=old, by="person", clock=service.clock, audit=s.audit
            )

    outcomes = service.at_once(lambda: change("first"), lambda: change("second"))
    assert sorted(outcomes) == [False, True]
    assert len(service.events("password.changed")) == 1


def test_a_device_and_a_session_end_once(service: Service, people: list[Membership]) -> None:
    """Removed in two tabs: one says so, the other that it was gone; one row in the trail."""
    s = service.services
    with s.database.transaction() as tx:
        device, _ = s.devices.remember(tx, member(tx, people[0]), mfa_amr=["otp"], browser="", cookie=None)

    def remove() -> bool:
        with s.database.transaction() as tx:
            found = s.devices.of(tx, people[0].user_id, device.id)
            assert found is not None
            return s.devices.remove(tx, *found)

    assert sorted(service.at_once(remove, remove)) == [False, True]
    assert len(service.events("device.ended")) == 1
