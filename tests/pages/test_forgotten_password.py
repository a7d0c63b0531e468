"""Asking for a new password (ux.md S7, S8; domain P1, J7, D15; security.md RC-01, RC-02, RC-05, RC-09)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from authsvc.accounts.models import Membership
from authsvc.audit import Event
from tests.pages.test_password_page import change_member, without_nonces
from tests.pages.test_what_pages_cost import statements
from tests.support.links import links, newest_link
from tests.support.service import DANA, ISSUER, PASSWORD, Service

NOBODY = "nobody@northgate.example"


def ask(service: Service, email: str = DANA, *, address: str = "198.51.100.7") -> TestResponse:
    """One wish from a fresh browser, nothing followed."""
    person = service.person(address=address)
    csrf = person.open("/forgot").forms[0].fields["csrf_token"]
    return person.post("/forgot", {"email": email, "csrf_token": csrf})


def test_p1_from_the_sign_in_page_to_the_mail(service: Service) -> None:
    """P1, J7: "Forgot your password?", the address, a message that a mail was sent, a "Reset Password" link in it."""
    service.member(service.account())
    person = service.person()
    person.open("/sign-in")
    assert person.here.links["Forgot your password?"] == "/forgot"
    person.submit(email=DANA, password="not the password of dana")
    assert person.here.links["choose a new one"] == "/forgot"
    page = person.open("/forgot")
    assert page.h1 == "Reset your password"
    assert "We’ll email you a link to choose a new one." in page.text
    assert page.forms[0].fields["email"] == DANA
    page = person.submit()
    assert (page.path, page.h1, page.status) == ("/forgot/sent", "Check your email", 200)
    assert "If that address belongs to a Team Member, a link is on its way. It works for 30 minutes." in page.text
    service.deliver()
    (mail,) = service.emails.to(DANA)
    assert mail.subject == "Reset your Northgate password"
    for said in (
        "Reset Password",
        "for 30 minutes, once",
        "from Chrome on macOS",
        "You can ignore it, nothing changes.",
    ):
        assert said in mail.text


def test_rc_09_the_answer_is_the_same_for_everybody_and_for_nobody(service: Service) -> None:
    """Known, unknown, deactivated, invited, unverified: byte-equal apart from random values, and from a mail or none."""
    unknown, found = without_nonces(ask(service, NOBODY)), {}
    dana = service.member(service.account())
    now = service.clock.now()
    changes: dict[str, Callable[[Membership], object]] = {
        "known": lambda m: setattr(m, "view_only", False),
        "unverified": lambda m: setattr(m.user.email, "verified_at", None),
        "deactivated": lambda m: setattr(m, "deactivated_at", now),
        "invited": lambda m: setattr(m, "accepted_at", None),
    }
    for name, change in changes.items():
        change_member(service, dana, change)
        service.pass_time(hours=24)
        found[name] = without_nonces(ask(service))
    assert {name: answer == unknown for name, answer in found.items()} == dict.fromkeys(found, True)
    assert unknown[0] == 303


def test_rc_09_asking_costs_the_same_statements_for_nobody(service: Service) -> None:
    """The worker finds out who gets a mail: what is asked of the database meanwhile does not tell."""
    service.member(service.account())
    sent: list[list[str]] = []
    for email in (DANA, NOBODY):
        with statements(service) as seen:
            ask(service, email)
        sent.append(list(seen))
    assert sent[0] == sent[1]


@pytest.mark.parametrize("state", ["invited", "unknown"])
def test_who_has_not_joined_gets_no_link(service: Service, state: str) -> None:
    """An invitation alone lets in; a password set before it would come first."""
    service.member(service.account(), accepted=state != "invited")
    ask(service, DANA if state == "invited" else NOBODY)
    service.deliver()
    assert service.emails.messages == []


def test_mails_follow_the_limits_and_the_page_does_not_say(service: Service) -> None:
    """3 an hour, 5 a day and person (security.md 5), answered alike: a mailbox cannot be flooded from here."""
    service.member(service.account())
    statuses = []
    for number in range(10):
        statuses.append(ask(service, address=f"203.0.113.{number}").status_code)
        service.pass_time(seconds=31)
    assert statuses == [303] * 10
    assert len(links(service, "reset")) == 3
    for number in range(10, 40):
        ask(service, address=f"203.0.113.{number}")
        service.pass_time(minutes=40)
    assert 5 <= len(links(service, "reset")) <= 5 + 5


def test_one_network_asks_for_ten_links_an_hour(service: Service) -> None:
    """Then it is told so: that says nothing about any address."""
    answers = [ask(service, f"somebody{number}@northgate.example") for number in range(11)]
    assert [answer.status_code for answer in answers] == [303] * 10 + [429]
    assert "Too many links were asked for from your network. You can try again at 5:31 PM EST." in answers[10].text
    assert answers[10].headers["Retry-After"] == "3600"


@pytest.mark.parametrize("email", [DANA, NOBODY])
def test_send_again_has_the_rules_of_codes(service: Service, email: str) -> None:
    """30 seconds apart; a double press and a refresh send once; the same words whether or not anybody has it."""
    service.member(service.account())
    person = service.person()
    person.open("/forgot")
    person.submit(email=email)
    person.open("/forgot/sent")
    page = person.submit(form=0)
    assert (page.status, page.h1) == (429, "Check your email")
    assert "You can ask for a new link at 4:31:30 PM EST." in page.text
    service.pass_time(seconds=30)
    page = person.submit(form=0)
    assert (page.status, page.path) == (200, "/forgot/sent?sent=again")
    assert "We sent a new link. Only the newest one works." in page.text
    service.pass_time(seconds=30)
    person.submit(form=0)
    service.pass_time(seconds=30)
    page = person.submit(form=0)
    assert "We’ve sent as many links as we can for now. Try again at " in page.text
    assert len(links(service, "reset")) == (3 if email == DANA else 0)


def test_rc_05_the_mail_goes_to_the_stored_address(service: Service) -> None:
    """However it was typed: case, blanks, compatibility forms."""
    service.member(service.account(), email="Dana.W@Northgate.example")
    ask(service, " dana.w@NORTHGATE.example ")
    service.deliver()
    assert [message.to for message in service.emails.messages] == ["Dana.W@Northgate.example"]


@pytest.mark.parametrize(
    "email",
    [
        *("", "dana", f"{DANA},thief@evil.example", f"{DANA}\r\nBcc: thief@evil.example", f"{DANA} thief@evil.example"),
        *(f"d\0{DANA}", f"<{DANA}> x", "a@b@c", "x" * 400 + "@northgate.example", "dana@" + "y" * 10_000),
    ],
)
def test_rc_05_what_is_not_one_address_is_asked_for_again(service: Service, email: str) -> None:
    """Kept as it was typed, and nothing is sent."""
    service.member(service.account())
    answer = ask(service, email)
    assert answer.status_code == 422
    assert "Enter your email address" in answer.text or "Enter an email address like name@company.com" in answer.text
    assert service.deliver() == 0


def test_rc_05_lists_and_missing_fields_are_no_crash(service: Service) -> None:
    """The first of a list counts; a form without its field says what is missing."""
    service.member(service.account())
    person = service.person()
    csrf = person.open("/forgot").forms[0].fields["csrf_token"]
    assert person.post("/forgot", {"csrf_token": csrf}).status_code == 422
    assert person.post("/forgot", {"csrf_token": csrf, "email": [DANA, NOBODY]}).status_code == 303
    service.deliver()
    assert [message.to for message in service.emails.messages] == [DANA]


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "Forwarded", "X-Forwarded-Proto", "X-Host", "Origin-Host"])
def test_rc_01_links_begin_with_the_issuer_whatever_is_claimed(service: Service, header: str) -> None:
    """Host headers of others change nothing; a Host that is not ours is refused."""
    service.member(service.account())
    person = service.person()
    csrf = person.open("/forgot").forms[0].fields["csrf_token"]
    person.post("/forgot", {"email": DANA, "csrf_token": csrf}, **{header: "host=evil.example"})
    service.deliver()
    (mail,) = service.emails.to(DANA)
    assert f"\n{ISSUER}/reset/" in mail.text
    assert "evil" not in mail.text + mail.html
    refused = person.client.post("/forgot", base_url="https://evil.example", data={"email": DANA})
    assert refused.status_code == 400


def test_a_mail_speaks_for_one_account_or_for_none(service: Service) -> None:
    """The only one, or that of the page that asked; somebody in several is written to by IMS."""
    dana = service.member(service.account())
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(Membership, dana.id).user
    service.member(service.account("lakeside"), user=user)
    ask(service)
    service.deliver()
    assert service.emails.messages[-1].subject == "Reset your IMS password"
    service.pass_time(minutes=30)
    person = service.person()
    person.open("/forgot", account="lakeside")
    person.submit(email=DANA)
    service.deliver()
    assert service.emails.messages[-1].subject == "Reset your Lakeside password"


def test_asking_is_in_the_trail_without_an_address(service: Service) -> None:
    """Who, if anybody; what became of the mail."""
    dana = service.member(service.account())
    for email in (DANA, NOBODY):
        ask(service, email)
    service.deliver()
    asked = service.events(Event.PASSWORD_RESET_REQUESTED)
    assert [event.user_id for event in asked] == [dana.user_id, None]
    (sent,) = service.events(Event.LINK_SENT)
    assert sent.fields == {"purpose": "reset"}
    assert not re.search("dana@|nobody@", str([event.fields for event in service.events()]))


def test_the_password_still_works_until_a_new_one_is_chosen(service: Service) -> None:
    """Asking changes nothing: whoever did not ask ignores the mail."""
    service.member(service.account())
    ask(service)
    newest_link(service, "reset")
    person = service.person()
    service.sign_in(person, password=PASSWORD)
    assert person.here.h1 == "You’re signed in"
