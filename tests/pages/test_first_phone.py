"""The first phone (ux.md S5; domain M7, D2, D4, D29; security.md MF-16, MF-17): whose it is, and who is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from authsvc.accounts.models import User
from authsvc.audit import Event
from authsvc.clock import FixedClock
from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.service import DANA, Service, make_ring

ADD, CHECK, ENTER = "Add your phone number", "Check your phone", "Enter your code"
NUMBER, OTHER = "+15125550199", "+15125550177"


def at_the_phone(service: Service, mfa: str = "sms") -> Person:
    """Dana, who has no phone, after the emailed code."""
    service.member(service.account(mfa=mfa), phone=None)
    person = service.person()
    service.sign_in(person)
    if mfa != "sms":
        person.submit(method="sms")
    assert person.here.h1 == ENTER
    person.submit(code=service.code_for(DANA))
    assert person.here.h1 == ADD
    return person


def phone_of_dana(service: Service) -> str | None:
    """The number on record."""
    from sqlalchemy import select

    with service.services.database.transaction(read_only=True) as tx:
        user = tx.scalars(select(User)).unique().one()
        return user.phone.e164 if user.phone and user.phone.verified_at else None


def acr(service: Service) -> str:
    """What the last sign-in is worth."""
    return str(service.events(Event.SESSION_STARTED)[-1].fields["acr"])


@pytest.mark.parametrize("mfa", ["sms", "email+sms"])
def test_mf_16_the_first_phone_is_bound_only_after_an_emailed_code(service: Service, mfa: str) -> None:
    """Email code, number, texted code, notice to the address; the texted code completes the sign-in (D2, S5)."""
    person = at_the_phone(service, mfa)
    assert "We’ll text you a code to check the number is yours." in person.here.text
    assert service.texts.messages == []
    person.submit(phone="(512) 555-0199")
    assert person.here.h1 == CHECK
    assert "your phone ending in 99" in person.here.text
    assert phone_of_dana(service) is None
    person.submit(code=service.code_for(NUMBER))
    assert person.here.h1 == "You’re signed in"
    assert (phone_of_dana(service), acr(service)) == (NUMBER, levels.TWO_FACTOR)
    service.deliver()
    notice = service.emails.to(DANA)[-1]
    assert notice.purpose == "notice_phone_added"
    assert "99" in notice.text
    assert NUMBER not in notice.text
    (added,) = service.events(Event.PHONE_ADDED)
    assert added.fields == {"ending": "99"}
    again = service.person()
    service.sign_in(again)
    if mfa != "sms":
        again.submit(method="sms")
    assert again.submit(code=service.code_for(NUMBER)).h1 == "You’re signed in"


@pytest.mark.parametrize("mfa", ["sms", "email+sms"])
def test_mf_16_a_thief_with_the_password_binds_no_phone(service: Service, mfa: str) -> None:
    """Posting the number first, or instead of the emailed code, takes nothing and texts nobody."""
    service.member(service.account(mfa=mfa), phone=None)
    thief = service.person()
    service.sign_in(thief)
    token = thief.here.forms[0].fields["csrf_token"]
    for path, data in (
        ("/sign-in/phone", {"phone": "5125550199"}),
        ("/sign-in/phone", {"no_us_number": "1"}),
        ("/sign-in/method", {"method": "sms"}),
        ("/sign-in/phone", {"phone": "5125550199"}),
        ("/sign-in/code", {"code": "000000"}),
        ("/sign-in/phone", {"phone": "5125550199"}),
        ("/sign-in/phone", {"no_us_number": "1"}),
    ):
        thief.post(path, {**data, "csrf_token": token})
    service.deliver()
    assert service.texts.messages == []
    assert thief.open("/sign-in/phone").h1 == ENTER
    assert "d•••@northgate.example" in thief.here.text
    assert (phone_of_dana(service), thief.cookie("sid")) == (None, None)
    assert thief.open("/").h1 == "Sign in"


def test_mf_17_no_way_leads_past_a_phone_that_is_required(service: Service) -> None:
    """The emailed code alone is no sign-in in an SMS account: not by restart, back, a new tab or another page."""
    person = at_the_phone(service)
    for path in ("/", "/sign-in/code", "/sign-in/method", "/sign-in/verify", "/accounts"):
        assert person.open(path).h1 in (ADD, "Sign in")
    token = person.open("/sign-in/phone").forms[0].fields["csrf_token"]
    for path, data in (
        ("/sign-in/method", {"method": "email"}),
        ("/sign-in/code", {"skip": "1"}),
        ("/sign-in/code", {"code": "123456"}),
        ("/sign-in/verify", {"resend": "1"}),
    ):
        answer = person.post(path, {**data, "csrf_token": token})
        assert answer.headers.get("Location", "/sign-in/phone") == "/sign-in/phone"
    assert (person.cookie("sid"), service.events(Event.SESSION_STARTED)) == (None, [])


REFUSED = [
    ("", "Enter a 10-digit US number"),
    ("555-0142", "Enter a 10-digit US number"),
    ("512 555 0199 x5", "Enter a 10-digit US number"),
    ("5" * 5000, "Enter a 10-digit US number"),
    ("\0", "Enter a 10-digit US number"),
    ("+44 7400 123456", "Enter a US number. Numbers from other countries aren’t supported at this time."),
    ("416-555-0142", "Enter a US number. Numbers from other countries aren’t supported at this time."),
    ("+1 876 555 0142", "Enter a US number. Numbers from other countries aren’t supported at this time."),
    ("800 234 5678", "We can’t text that number. Enter a mobile number."),
    ("900-234-5678", "We can’t text that number. Enter a mobile number."),
]


def test_mf_25_another_number_is_refused_with_its_reason(service: Service) -> None:
    """In the summary and at the field, with what was typed; no text leaves."""
    person = at_the_phone(service)
    for typed, words in REFUSED:
        page = person.submit(phone=typed)
        assert (page.status, page.text.count(words)) == (422, 2), typed[:20]
        assert page.forms[0].fields["phone"] == typed[:40]
    assert service.deliver() == 0


def test_a_mistyped_number_can_be_changed(service: Service) -> None:
    """ "Change the number": the code of the first is void, the second's alone counts (MF-09)."""
    person = at_the_phone(service)
    person.submit(phone="512 555 0199")
    first = service.code_for(NUMBER)
    person.open(person.here.links["Change the number"])
    assert person.here.h1 == ADD
    person.submit(phone="512 555 0177")
    assert "your phone ending in 77" in person.here.text
    second = service.code_for(OTHER)
    assert first == second or person.submit(code=first).status == 401
    assert person.submit(code=second).h1 == "You’re signed in"
    assert phone_of_dana(service) == OTHER


def test_the_same_number_again_sends_no_second_code(service: Service) -> None:
    """However it is spelled: one canonical number, one code."""
    person = at_the_phone(service)
    person.submit(phone="512 555 0199")
    person.open("/sign-in/phone")
    person.submit(phone="+1 (512) 555-0199")
    service.deliver()
    assert len(service.texts.messages) == 1


def test_with_email_on_the_person_may_use_it_instead(service: Service) -> None:
    """The emailed code was shown already, so nothing more is asked (S5)."""
    person = at_the_phone(service, "email+sms")
    person.submit(button="method", value="email")
    assert person.here.h1 == "You’re signed in"
    assert (acr(service), phone_of_dana(service)) == (levels.TWO_STEP, None)


def test_d4_a_person_without_a_us_number_goes_on_by_email_and_it_is_recorded(service: Service) -> None:
    """ "I don't have a US mobile number": not locked out, and the account's trail says so; the token says two-step."""
    person = at_the_phone(service)
    person.submit(button="no_us_number")
    assert person.here.h1 == "You’re signed in"
    (event,) = service.events(Event.MFA_EMAIL_FALLBACK)
    assert (event.fields, event.account_id is not None) == ({"reason": "no_us_number"}, True)
    assert acr(service) == levels.TWO_STEP


def test_d4_a_second_thought_counts_too(service: Service) -> None:
    """A number was typed, its code never came: the person may still say that there is no US number."""
    person = at_the_phone(service)
    person.submit(phone="512 555 0199")
    person.open(person.here.links["Change the number"])
    person.submit(button="no_us_number")
    assert person.here.h1 == "You’re signed in"
    assert len(service.events(Event.MFA_EMAIL_FALLBACK)) == 1


def test_d4_a_number_that_the_region_rule_refuses_falls_back_by_itself(service: Service) -> None:
    """An old number of another country on record: the code comes by email, recorded."""
    service.member(service.account(mfa="sms"), phone="+14165550142")
    person = service.person()
    service.sign_in(person)
    assert person.here.h1 == ENTER
    assert "d•••@northgate.example" in person.here.text
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    assert len(service.events(Event.MFA_EMAIL_FALLBACK)) == 1
    assert service.texts.messages == []


def test_d4_is_offered_only_where_email_is_off(service: Service) -> None:
    """With both on there is "Use email instead", which is no fallback."""
    assert "I don’t have a US mobile number" in at_the_phone(service).here.text
    assert "Use email instead" not in service.person().open("/sign-in").text


def test_without_a_text_gateway_codes_come_by_email(database_url: str, clock: FixedClock, ring_folder: Path) -> None:
    """An installation that cannot send texts offers none and locks nobody out."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), sms=False)
    try:
        service.member(service.account(mfa="sms"))
        person = service.person()
        service.sign_in(person)
        assert "d•••@northgate.example" in person.here.text
        assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
        assert acr(service) == levels.TWO_STEP
    finally:
        service.dispose()


def test_a_texted_code_that_did_not_leave_is_said(service: Service) -> None:
    """With the way on that is open here: another number."""
    from authsvc.messaging.message import Delivery, Outcome

    person = at_the_phone(service)
    service.texts.answer = Delivery(Outcome.REFUSED, "landline")
    person.submit(phone="512 555 0199")
    service.deliver()
    page = person.open("/sign-in/code")
    assert "We couldn’t send the text. Check the number, or try again in a minute." in page.text
    assert "Change the number" in page.links


def test_d6_binding_a_phone_ends_what_was_remembered_but_this_sign_in(service: Service) -> None:
    """A device remembered before the new number is asked again; the one ticked now is not."""
    account = service.account(mfa="email")
    service.member(account, phone=None)
    before, now = service.person(), service.person()
    service.sign_in(before)
    before.submit(code=service.code_for(DANA), remember="1")
    service.set_mfa(account, "sms")
    service.sign_in(now)
    now.submit(code=service.code_for(DANA))
    now.submit(phone="512 555 0199")
    now.submit(code=service.code_for(NUMBER), remember="1")
    for person, heading in ((before, ENTER), (now, "You’re signed in")):
        person.open("/sign-out")
        person.submit(form=0)
        service.sign_in(person)
        assert person.here.h1 == heading
    assert service.events(Event.REMEMBERING_ENDED)[-1].fields["reason"] == "phone_changed"
