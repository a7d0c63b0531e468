"""The account chooser in full, and going to another account while signed in (ux.md S14; domain D14; security.md TN-12)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.sessions import levels
from tests.support.authenticator import app_of
from tests.support.journey import Person
from tests.support.service import DANA, Service

CHOOSE, ENTER, SIGNED_IN = "Choose an account", "Enter your code", "You’re signed in"


def in_two(service: Service) -> tuple[Membership, Membership]:
    """Dana in Northgate, which asks for nothing, and in Westgate, which asks for a code."""
    northgate = service.member(service.account())
    return northgate, also_in(service, northgate, "westgate", mfa="email")


def also_in(service: Service, dana: Membership, slug: str, **account: str) -> Membership:
    """Dana in one account more."""
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, dana.user_id)
    return service.member(service.account(slug, **account), user=user)


def at_the_accounts(service: Service, person: Person | None = None) -> Person:
    """Dana, after the password."""
    person = person or service.person()
    service.sign_in(person)
    assert person.here.h1 == CHOOSE
    return person


def test_each_account_says_when_it_was_used_and_whether_it_asks_for_a_code(service: Service) -> None:
    """ "Last used today", or the day in the account's zone, with the year when it is another one."""
    northgate, westgate = in_two(service)
    person = at_the_accounts(service)
    assert "Last used" not in person.here.text
    assert person.here.text.count("Asks for a code") == 1
    person.submit(button="account", value=northgate.id)
    person.open("/sign-out")
    person.submit(form=0)
    assert "Last used today" in at_the_accounts(service, person).here.text
    service.pass_time(days=1)
    assert "Last used Nov 22" in at_the_accounts(service).here.text
    service.pass_time(days=60)
    assert "Last used Nov 22, 2026" in at_the_accounts(service).here.text
    assert service.events(Event.SESSION_STARTED)[0].account_id != westgate.account_id


def test_a_remembered_device_asks_for_no_code_and_the_chooser_says_so(service: Service) -> None:
    """On this browser alone."""
    _, westgate = in_two(service)
    person = at_the_accounts(service)
    person.submit(button="account", value=westgate.id)
    person.submit(code=service.code_for(DANA), remember="1")
    person.open("/sign-out")
    person.submit(form=0)
    assert "Asks for a code" not in at_the_accounts(service, person).here.text
    assert "Asks for a code" in at_the_accounts(service).here.text


def test_mf_19_an_app_by_choice_is_asked_in_every_account(service: Service) -> None:
    """And the chooser does not promise otherwise."""
    northgate, _ = in_two(service)
    app_of(service, northgate)
    assert at_the_accounts(service).here.text.count("Asks for a code") == 2


@pytest.mark.parametrize(("accounts", "searched"), [(8, False), (9, True)])
def test_beyond_eight_there_is_a_search_and_the_list_is_complete_without_it(
    service: Service, accounts: int, searched: bool
) -> None:
    """`type=search`, shown by the script that serves it."""
    dana = service.member(service.account("gate0"))
    for number in range(1, accounts):
        also_in(service, dana, f"gate{number}")
    page = at_the_accounts(service).here
    assert ('type="search"' in page.response.text) is searched
    assert ("/static/search" in page.response.text) is searched
    assert page.text.count("Capital Partners") == accounts


def test_whoever_lost_every_account_meanwhile_is_told(service: Service) -> None:
    """ "You don't belong to an account. Ask for a new invitation." """
    members = in_two(service)
    person = at_the_accounts(service)
    with service.services.database.transaction() as tx:
        for member in members:
            tx.get_one(Membership, member.id).deactivated_at = service.clock.now()
    page = person.open("/accounts")
    assert "You don’t belong to an account. Ask for a new invitation." in page.text
    assert [name for form in page.forms for name, _ in form.buttons] == []


def test_tn_12_from_a_lax_account_into_a_strict_one_asks_for_its_code(service: Service) -> None:
    """Signed in by a password alone, the person chooses the stricter account: its code, then its own session."""
    northgate, westgate = in_two(service)
    person = at_the_accounts(service)
    person.submit(button="account", value=northgate.id)
    old = person.cookie("sid")
    page = person.open("/accounts")
    assert page.h1 == CHOOSE
    assert "You’re here now" in page.text
    person.submit(button="account", value=westgate.id)
    assert (person.here.h1, person.here.title) == (ENTER, "Enter your code – Westgate Capital Partners")
    assert person.cookie("sid") == old, "nothing is entered before the code"
    person.submit(code=service.code_for(DANA))
    assert person.here.title == "You’re signed in – Westgate Capital Partners"
    assert [event.fields["acr"] for event in service.events(Event.SESSION_STARTED)] == [
        levels.PASSWORD,
        levels.TWO_STEP,
    ]
    assert [event.fields["reason"] for event in service.events(Event.SESSION_ENDED)] == ["replaced"]


def test_looking_at_the_accounts_changes_nothing(service: Service) -> None:
    """GET: no attempt, no code, the session as it was; choosing where one is goes on without a code."""
    northgate, _ = in_two(service)
    person = at_the_accounts(service)
    person.submit(button="account", value=northgate.id)
    before, events = person.cookie("sid"), len(service.events())
    for _ in range(2):
        assert person.open("/accounts").h1 == CHOOSE
    assert person.submit(button="account", value=northgate.id).h1 == SIGNED_IN
    assert (person.cookie("sid"), len(service.events()), service.deliver()) == (before, events, 0)


def test_somebody_elses_account_cannot_be_entered_from_a_session(service: Service) -> None:
    """By its id, or by nothing at all: 422, and no session changes."""
    northgate, _ = in_two(service)
    other = service.member(service.account("eastgate"), "priya@eastgate.example")
    person = at_the_accounts(service)
    person.submit(button="account", value=northgate.id)
    token = person.open("/accounts").forms[0].fields["csrf_token"]
    for account in (other.id, "", "\0", "0" * 32):
        assert person.post("/accounts", {"csrf_token": token, "account": account}).status_code == 422
    assert person.post("/accounts", {"account": northgate.id}).status_code in (303, 400)
    assert len(service.events(Event.SESSION_STARTED)) == 1


def test_leaving_a_step_up_keeps_the_account_one_is_in(service: Service) -> None:
    """Back from the code page: the session goes on, and another account may be chosen."""
    northgate, westgate = in_two(service)
    person = at_the_accounts(service)
    person.submit(button="account", value=northgate.id)
    person.open("/accounts")
    person.submit(button="account", value=westgate.id)
    assert person.open("/").title == "You’re signed in – Northgate Capital Partners"
    assert person.open("/accounts").h1 == CHOOSE
    assert person.submit(button="account", value=northgate.id).h1 == SIGNED_IN


def test_going_to_and_fro_does_not_keep_a_password_alive(service: Service) -> None:
    """Absolute time counts from the password, whichever account one is in: twelve hours, then it is asked for."""
    northgate = service.member(service.account())
    eastgate = also_in(service, northgate, "eastgate")
    person = at_the_accounts(service)
    person.submit(button="account", value=northgate.id)
    for hour in range(24):
        service.pass_time(minutes=29)
        page = person.open("/accounts")
        assert page.h1 == CHOOSE, hour
        person.submit(button="account", value=(eastgate, northgate)[hour % 2].id)
    service.pass_time(minutes=25)
    assert person.open("/accounts").h1 == "Sign in"
