""" "This was not me" in every security notice (NIST SP 800-63B-4 4; domain D16; ux.md S25)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import User
from authsvc.audit import Event
from tests.support.journey import Person
from tests.support.links import NEW_PASSWORD, links, newest_link
from tests.support.service import DANA, PASSWORD, Service


def noticed(service: Service, **account: str) -> tuple[Person, Person, str]:
    """Dana, a thief with her password on a browser of his own, and the link in the notice that she gets."""
    service.member(service.account(**account))
    dana, thief = service.person(), service.person(address="203.0.113.66", user_agent="Edg/1 Chrome/1 Windows")
    for person in (dana, thief):
        service.sign_in(person)
        if account:
            person.submit(code=service.code_for(DANA), remember="1")
    return dana, thief, newest_link(service, "not-me")


def test_the_page_says_what_happened_and_what_the_button_does(service: Service) -> None:
    """By GET, which changes nothing; without anybody signed in."""
    _, _, path = noticed(service)
    before = service.everything_stored()
    page = service.person().open(path)
    assert service.everything_stored() == before
    assert (page.path, page.h1, page.status) == ("/not-me", "Was this not you?", 200)
    assert "Somebody signed in as you on Nov 22, 2026, 4:31 PM EST from Edge on Windows." in page.text
    for said in (
        "Nothing changes.",
        "signs you out everywhere",
        "stops the present password",
        "doesn’t undo other changes",
    ):
        assert said in page.text


def test_the_button_ends_what_the_thief_has_and_leads_to_a_new_password(service: Service) -> None:
    """Sessions, remembered devices, the password itself; the mail that follows opens again."""
    dana, thief, path = noticed(service, mfa="email")
    owner = service.person(address="198.51.100.8")
    owner.open(path)
    page = owner.submit()
    assert page.h1 == "Your sign-in is secured"
    assert "We sent a link to choose a new one to d•••@northgate.example. It works for 30 minutes." in page.text
    for person in (dana, thief):
        assert person.open("/").h1 == "Sign in"
    thief.open("/sign-in")
    assert thief.submit(email=DANA, password=PASSWORD).status == 401
    owner.open(newest_link(service, "reset"))
    owner.submit(password=NEW_PASSWORD)
    service.sign_in(owner, password=NEW_PASSWORD)
    assert owner.here.h1 == "Enter your code"
    (told,) = service.events(Event.NOT_ME)
    assert told.fields == {"notice": "notice_new_device"}
    assert {event.fields["reason"] for event in service.events(Event.SESSION_ENDED)} == {"not_me"}


def test_a_second_press_and_a_second_visit_find_it_done(service: Service) -> None:
    """One mail, one row in the trail, and never an error for the rightful owner."""
    _, _, path = noticed(service)
    owner = service.person(address="198.51.100.8")
    owner.open(path)
    form = dict(owner.here.forms[0].fields)
    assert [owner.post("/not-me", form).status_code for _ in range(2)] == [303, 303]
    assert owner.open(path).h1 == "Your sign-in is secured"
    assert len(links(service, "reset")) == 1
    assert len(service.events(Event.NOT_ME)) == 1


def test_only_the_holder_of_the_mail_can_press_it(service: Service) -> None:
    """Nobody is locked out by a third party: without the secret the form does nothing."""
    dana, _, _ = noticed(service)
    stranger = service.person(address="203.0.113.99")
    csrf = stranger.open("/sign-in").forms[0].fields["csrf_token"]
    for cookie in (None, "0" * 64):
        if cookie:
            stranger.client.set_cookie("__Host-link-not_me", cookie, domain="login.ims.test", secure=True, path="/")
        assert stranger.post("/not-me", {"csrf_token": csrf, "email": DANA}).status_code == 303
        assert stranger.open("/not-me").h1 == "This link isn’t complete"
    assert dana.open("/").h1 == "You’re signed in"
    assert service.events(Event.NOT_ME) == []


def test_it_works_for_a_week(service: Service) -> None:
    """Then it says so, and offers what helps."""
    _, _, path = noticed(service)
    service.pass_time(days=7)
    page = service.person().open(path)
    assert (page.status, page.h1) == (410, "This link has expired")
    assert page.links["Reset password"] == "/forgot"


def test_d16_an_address_that_somebody_changed_gets_no_link(service: Service) -> None:
    """The notice went to the old one: pressing ends everything, and whoever holds the new one is not helped."""
    dana, _, path = noticed(service)
    user_id = service.events(Event.SESSION_STARTED)[0].user_id
    with service.services.database.transaction() as tx:
        email = tx.get_one(User, user_id).email
        email.address = email.canonical = "thief@evil.example"
    owner = service.person(address="198.51.100.8")
    owner.open(path)
    page = owner.submit()
    assert "Your sign-in has another email address now, so we sent nothing there." in page.text
    assert links(service, "reset", to="thief@evil.example") == []
    assert dana.open("/").h1 == "Sign in"


@pytest.mark.parametrize("name", ["notice_phone_added", "notice_password_changed"])
def test_every_notice_has_its_own_link(service: Service, name: str) -> None:
    """A later notice takes nothing from an earlier one."""
    member = service.member(service.account())
    for _ in range(2):
        with service.services.database.transaction() as tx:
            service.services.courier.send_notice(
                tx,
                name,
                user_id=member.user_id,
                account_id=member.account_id,
                at=service.clock.now(),
                browser="Chrome on macOS",
                phone_ending="42",
            )
    first, second = links(service, "not-me")
    assert first != second
    assert {service.person().open(path).h1 for path in (first, second)} == {"Was this not you?"}
