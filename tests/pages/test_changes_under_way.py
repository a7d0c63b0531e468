"""What changes while somebody signs in (domain D9; security.md MF-15): the stricter of start and end, and never a stale right."""

from __future__ import annotations

from itertools import product

import pytest

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.login.password import Proved, Wrong
from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service

ENTER, SIGNED_IN = "Enter your code", "You’re signed in"
ORDER = {"": 0, "email": 1, "email+sms": 1, "sms": 2}


def finish(service: Service, person: Person) -> None:
    """Do whatever the pages ask, until signed in."""
    for _ in range(4):
        if person.here.h1 == SIGNED_IN:
            return
        if person.here.h1 == "Choose how to get your code":
            person.submit(method="email")
        else:
            assert person.here.h1 == ENTER
            if "We couldn’t send a code just now." in person.here.text:
                # The way of the code that was out has been closed: a press brings one by the way that is open.
                person.submit(button="resend")
            by_text = "your phone ending in" in person.here.text
            person.submit(code=service.code_for(DANAS_PHONE if by_text else DANA))
    assert person.here.h1 == SIGNED_IN


@pytest.mark.parametrize(
    ("at_start", "at_end"), list(product(("", "email", "email+sms"), ("email", "email+sms", "sms")))
)
def test_mf_15_switched_on_or_tightened_meanwhile_counts(service: Service, at_start: str, at_end: str) -> None:
    """What the account asks at the end is shown, whatever it asked at the start."""
    account = service.account(mfa=at_start)
    service.member(account, verified=bool(at_start))
    person = service.person()
    service.sign_in(person)
    service.set_mfa(account, at_end)
    if not at_start:
        assert person.here.h1 == "Verify your email"
        assert person.submit(button="skip").h1 == "Verify your email"
        person.submit(code=service.code_for(DANA))
    else:
        person.open("/sign-in/code")
    finish(service, person)
    expected = {1: levels.TWO_STEP, 2: levels.TWO_FACTOR}[ORDER[at_end]]
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == expected


@pytest.mark.parametrize("at_start", ["email", "sms"])
def test_mf_15_switched_off_meanwhile_the_code_is_still_shown(service: Service, at_start: str) -> None:
    """Off and on again, or off for a moment: a sign-in under way is no way around the code."""
    account = service.account(mfa=at_start)
    service.member(account)
    person = service.person()
    service.sign_in(person)
    service.set_mfa(account, "")
    assert person.open("/sign-in/code").h1 == ENTER
    token = person.here.forms[0].fields["csrf_token"]
    answer = person.post("/sign-in/verify", {"skip": "1", "csrf_token": token})
    assert answer.headers["Location"] == "/sign-in/code"
    service.set_mfa(account, at_start)
    finish(service, person)
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] != levels.PASSWORD
    service.set_mfa(account, "")
    again = service.person()
    service.sign_in(again)
    assert again.here.h1 == SIGNED_IN


def test_mf_15_remembering_forbidden_meanwhile_is_forbidden(service: Service) -> None:
    """Neither the box of the page that is open nor a device that was on its way counts (D7)."""
    account = service.account(mfa="email")
    service.member(account)
    person = service.person()
    service.sign_in(person)
    assert "Remember Me" in person.here.text
    service.set_mfa(account, "", remember=False)
    person.submit(code=service.code_for(DANA), remember="1")
    assert (person.here.h1, service.events(Event.DEVICE_REMEMBERED)) == (SIGNED_IN, [])


@pytest.mark.parametrize(("field", "words"), [("deactivated_at", "was turned off"), ("closed_at", "account is closed")])
def test_whoever_is_turned_away_meanwhile_gets_no_session(service: Service, field: str, words: str) -> None:
    """The right code of a deactivated person, or of a closed account, opens nothing; the password then says why."""
    dana = service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    code = service.code_for(DANA)
    with service.services.database.transaction() as tx:
        member = tx.get_one(Membership, dana.id)
        setattr(member if field == "deactivated_at" else member.account, field, service.clock.now())
    page = person.submit(code=code, remember="1")
    assert (page.status, page.h1) == (400, "This page was open too long")
    assert [service.events(name) for name in (Event.SESSION_STARTED, Event.DEVICE_REMEMBERED)] == [[], []]
    person.open("/sign-in")
    assert words in person.submit(email=DANA, password=PASSWORD).text


def test_a_password_changed_meanwhile_ends_the_sign_in(service: Service) -> None:
    """Whoever proved the old one has proved nothing any more (D15); the code of that sign-in is worth nothing."""
    dana = service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    code = service.code_for(DANA)
    service.pass_time(seconds=1)
    with service.services.database.transaction() as tx:
        user = tx.get_one(User, dana.user_id)
        user.password_hash = service.services.passwords.hash("another harbor another lantern")
        user.password_changed_at = service.clock.now()
    assert person.submit(code=code).h1 == "This page was open too long"
    person.open("/sign-in")
    assert person.submit(email=DANA, password=PASSWORD).status == 401
    assert person.submit(email=DANA, password="another harbor another lantern").h1 == ENTER


def test_a_password_changed_while_it_was_compared_is_a_wrong_one(service: Service) -> None:
    """The hash is computed outside any transaction: what was read before the change does not count after it."""
    dana = service.member(service.account())
    step, database = service.services.password_step, service.services.database
    with database.transaction() as tx:
        begun = step.begin(tx, DANA, browser_secret=None)
    service.pass_time(seconds=1)
    with database.transaction() as tx:
        user = tx.get_one(User, dana.user_id)
        user.password_hash = service.services.passwords.hash("another harbor another lantern")
        user.password_changed_at = service.clock.now()
    with database.transaction() as tx:
        outcome = step.finish(tx, begun, password="", right=True, new_hash=None, account_slug=None)
    assert isinstance(outcome, Wrong)


def test_two_sign_ins_that_renew_the_hash_at_once_both_succeed(service: Service) -> None:
    """A new hash of the same password is no change of the password."""
    dana = service.member(service.account())
    step, database = service.services.password_step, service.services.database
    outcomes = []
    with database.transaction() as tx:
        begun = [step.begin(tx, DANA, browser_secret=None) for _ in range(2)]
    for one in begun:
        with database.transaction() as tx:
            new = service.services.passwords.hash(PASSWORD)
            outcomes.append(step.finish(tx, one, password=PASSWORD, right=True, new_hash=new, account_slug=None))
    assert [isinstance(outcome, Proved) for outcome in outcomes] == [True, True]
    assert len(service.events(Event.PASSWORD_REHASHED)) == 1
    assert dana.user_id == service.events(Event.PASSWORD_REHASHED)[0].user_id


def test_a_sign_in_left_open_too_long_starts_again(service: Service) -> None:
    """A quarter of an hour; the page that says so leads back to where the person was going (rule 6)."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person, **{"continue": "/accounts"})
    code = service.code_for(DANA)
    service.pass_time(minutes=15)
    page = person.submit(code=code)
    assert (page.status, page.h1) == (400, "This page was open too long")
    assert page.links["Start again"] == "/sign-in?continue=%2Faccounts"
    assert person.open(page.links["Start again"]).h1 == "Sign in"
