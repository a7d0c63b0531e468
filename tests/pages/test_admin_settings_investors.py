"""Investor Settings > General Settings: the investors' own switch (domain D13, M10-M13)."""

from __future__ import annotations

from typing import Any

from tests.support.journey import Person
from tests.support.mfa_settings import admin, send, signed_in, switch
from tests.support.service import DANA, Service

PLACE = "/admin/investors"


def choose(person: Person, **chosen: Any) -> Any:
    """Open the investors' page and save."""
    person.open(PLACE)
    return send(person, **chosen)


def test_m10_it_is_a_switch_of_its_own(service: Service) -> None:
    """M10, D26: "Investor Settings" > "General Settings"; the team's stays as it is."""
    account = service.account(mfa="")
    person = admin(service, account)
    service.member(account, "ines@investor.example", audience="investors")
    page = person.open(PLACE)
    assert page.h1 == "Investor Settings"
    assert page.links["General Settings"] == PLACE
    assert "Require a code from all investors" in page.text
    assert "The one investor has a verified email." in page.text
    page = choose(person, on=True, methods="email")
    assert "Saved. Investors will be asked for a code at their next sign-in." in page.text
    assert switch(service, account, "investors").enabled
    assert not switch(service, account, "team").enabled
    investor = service.person()
    service.sign_in(investor, "ines@investor.example")
    assert investor.here.h1 == "Enter your code"


def test_m11_sms_turns_email_on_too(service: Service) -> None:
    """M11: SMS alone is impossible for investors; said on the page, enforced here."""
    account = service.account()
    person = admin(service, account)
    page = person.open(PLACE)
    assert "Choosing SMS chooses Email too: everyone starts with an emailed code." in page.text
    assert 'data-implies="methods-email"' in page.response.text
    send(person, on=True, methods="sms")
    assert switch(service, account, "investors").methods == ["email", "sms"]


def test_m12_remembering_is_the_sponsors_choice(service: Service) -> None:
    """M12, D7: forbidding it ends what investors had remembered, and the team's stays."""
    account = service.account(mfa="email", investors="email")
    person = admin(service, account)
    ines = service.member(account, "ines@investor.example", audience="investors")
    choose(person, on=True, methods="email", remember=False)
    assert not switch(service, account, "investors").remember_device
    (event,) = service.events("device.all_ended")
    assert (event.fields["reason"], event.fields["memberships"]) == ("remembering_forbidden", 1)
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(type(ines), ines.id).security_epoch == 1


def test_m13_the_gate_is_the_same(service: Service) -> None:
    """D13: Sensitive Data Access, of a Team Member."""
    account = service.account()
    service.member(account, role="admin")
    person = signed_in(service)
    assert "Only Team Members with Sensitive Information access can change this." in person.open(PLACE).text
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    assert person.post(PLACE, {"csrf_token": token, "mfa": "1", "methods": "email"}).status_code == 403


def test_d1_an_unverified_investor_blocks_it(service: Service) -> None:
    """The rule is the same; there is no list of investors to lead to, so they are counted."""
    account = service.account()
    person = admin(service, account)
    for number in range(11):
        service.member(
            account, f"i{number:02}@investor.example", audience="investors", verified=False, phone=None, password=None
        )
    page = choose(person, on=True)
    assert page.status == 422
    assert "11 investors haven’t verified their email:" in page.text
    assert "See all 11" not in page.text
    person.submit(button="remind", value="all")
    service.deliver()
    assert len([m for m in service.emails.messages if m.purpose == "verify_email_link"]) == 11


def test_d10_turning_off_is_asked_about_and_told(service: Service) -> None:
    """The same questions, the same mails, in the investors' words."""
    account = service.account(mfa="email", investors="email")
    person = admin(service, account)
    page = choose(person, on=False)
    assert page.h1 == "Turn off Multi-Factor Authentication?"
    assert "0 investors will sign in with only a password." in page.text
    assert page.links["Keep it on"] == PLACE
    assert "Saved. Investors will sign in with only a password." in person.submit().text
    service.deliver()
    notice = next(m for m in service.emails.to(DANA) if m.purpose == "notice_mfa")
    assert "Dana turned off Multi-Factor Authentication for investors on" in notice.text
