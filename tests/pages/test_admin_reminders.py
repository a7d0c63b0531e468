"""Reminders to verify an address, from the pages of the switch (domain D1, security.md 5)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import EmailAddress
from tests.support.mfa_settings import SETTINGS, admin, choose
from tests.support.service import Service


def test_d1_a_reminder_carries_a_link_and_is_limited(service: Service) -> None:
    """D1: "Send reminder" beside each; security.md 5: three in six hours, and the page says when there may be another."""
    account = service.account()
    person = admin(service, account)
    priya = service.member(account, "priya@northgate.example", verified=False)
    service.member(account, "theo@northgate.example", verified=False)
    person.open(SETTINGS)
    page = person.submit(button="remind", value=priya.id)
    assert "Sent. We’ll show here when they’re done." in page.text
    service.deliver()
    (mail,) = service.emails.to("priya@northgate.example")
    assert (mail.purpose, mail.subject) == ("verify_email_link", "Verify your email for Northgate")
    assert f"{service.services.settings.issuer}/verify/" in mail.text
    assert service.emails.to("theo@northgate.example") == []
    person.submit(button="remind", value="all")
    person.submit(button="remind", value="all")
    service.deliver()
    assert len(service.emails.to("theo@northgate.example")) == 2
    assert len(service.emails.to("priya@northgate.example")) == 3
    page = person.submit(button="remind", value=priya.id)
    assert page.status == 429
    assert "You can send another at" in page.text
    assert int(page.response.headers["Retry-After"]) > 60
    assert [event.fields["people"] for event in service.events("email.reminders_sent")] == [1, 2, 2]


def test_who_has_verified_is_not_reminded_and_the_choice_survives(service: Service) -> None:
    """A reminder pressed on a refused page keeps what was chosen there."""
    account = service.account()
    person = admin(service, account)
    priya = service.member(account, "priya@northgate.example", verified=False)
    page = choose(person, on=True, methods="sms", remember=False)
    assert page.status == 422
    with service.services.database.transaction() as tx:
        tx.get_one(EmailAddress, priya.user_id).verified_at = service.clock.now()
    page = person.submit(button="remind", value=priya.id)
    assert "Nobody is waiting for a reminder any more." in page.text
    form = next(form for form in page.forms if "mfa" in form.boxes)
    assert (form.fields.get("methods"), "mfa" in form.fields, "remember_device" in form.fields) == ("sms", True, False)
    service.deliver()
    assert service.emails.to("priya@northgate.example") == []


@pytest.mark.parametrize("value", ["", "x" * 5000, "\0", "none"])
def test_a_reminder_for_nobody_sends_nothing(service: Service, value: str) -> None:
    """Whatever is named."""
    account = service.account()
    person = admin(service, account)
    service.member(account, "priya@northgate.example", verified=False)
    token = person.open(SETTINGS).forms[0].fields["csrf_token"]
    assert person.post(SETTINGS + "/remind", {"csrf_token": token, "remind": value}).status_code == 303
    assert service.deliver() == 0


def test_tn02_a_membership_of_another_account_or_audience_is_not_found(service: Service) -> None:
    """Below the pages too: the account and the audience decide, not the id that is named."""
    account, other = service.account(), service.account("elsewhere")
    dana = service.member(account)
    foreign = [
        service.member(other, "victim@elsewhere.example", verified=False),
        service.member(account, "ines@investor.example", verified=False, audience="investors"),
    ]
    with service.services.database.transaction() as tx:
        found = service.services.reminders.remind(
            tx, account, "team", [member.id for member in foreign], by=dana.user_id, browser="Chrome on macOS"
        )
    assert (found.sent, found.until) == (0, None)
    assert service.deliver() == 0
