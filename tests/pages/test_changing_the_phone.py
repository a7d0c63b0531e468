"""Adding, changing and removing the phone number (ux.md S17): it counts once its code came back."""

from __future__ import annotations

import pytest

from tests.support.journey import Person
from tests.support.profile import EDGE, answer, asked_for_a_code, enter, is_signed_in, stored, subjects
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service

PLACE = "/profile/security/phone"
TYPED, E164 = "(512) 555-0199", "+15125550199"


@pytest.fixture
def dana(service: Service) -> Person:
    """Signed in with a code a moment ago."""
    service.member(service.account(mfa="email+sms"))
    return enter(service)


def begin(person: Person, typed: str = TYPED) -> None:
    """Ask for a text to the number."""
    person.open(PLACE)
    person.submit(phone=typed)
    assert person.here.h1 == "Check your phone"


def number(service: Service) -> str | None:
    """What is stored."""
    phone = stored(service).phone
    return phone.e164 if phone else None


def test_a_number_is_changed_by_a_code_sent_to_it(dana: Person, service: Service) -> None:
    """Masked on the pages; the person is told by mail, with what, when and where."""
    assert "Phone ending in 4 2 Verified" in dana.open("/profile/security").text
    begin(dana)
    assert "your phone ending in 99" in dana.here.text
    assert number(service) == DANAS_PHONE
    page = dana.submit(code=service.code_for(E164))
    assert "Your phone number is changed." in page.text
    assert "Phone ending in 9 9 Verified" in page.text
    assert number(service) == E164
    assert subjects(service, DANA)[-1] == "Your phone number was changed"
    text = service.emails.to(DANA)[-1].text
    assert (
        "now go to the phone number ending in 99. It was changed on Nov 22, 2026, 4:31 PM EST from Chrome on macOS"
        in text
    )
    assert service.events("phone.changed")[-1].fields == {"ending": "99"}


def test_d2_binding_a_number_asks_for_a_code_whatever_the_account_asks(service: Service) -> None:
    """D2: or a stolen password would bind the thief's phone, today or before codes are switched on."""
    service.member(service.account(mfa=""), phone=None)
    dana = enter(service)
    assert "Add a phone number" in dana.open("/profile/security").text
    page = dana.open(PLACE)
    assert page.h1 == "Choose how to get your code"
    dana.submit(method="email")
    assert dana.submit(code=service.code_for(DANA)).h1 == "Add a phone number"
    dana.submit(phone=TYPED)
    assert "Your phone number is added." in dana.submit(code=service.code_for(E164)).text
    assert subjects(service, DANA)[-1] == "Phone number added for signing in to Northgate"
    assert service.events("phone.added")[-1].fields == {"ending": "99"}


def test_rc08_an_unverified_address_binds_no_number(service: Service) -> None:
    """RC-08: the code that is asked first proves the address."""
    service.member(service.account(mfa=""), verified=False, phone=None)
    dana = service.person()
    service.sign_in(dana)
    dana.submit(button="skip")
    assert dana.open(PLACE).h1 == "Verify your email"
    token = dana.open("/profile").forms[0].fields["csrf_token"]
    answered = dana.post(PLACE, {"phone": TYPED, "csrf_token": token})
    assert answered.headers["Location"].startswith("/confirm?")
    service.deliver()
    assert service.texts.messages == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Enter a 10-digit US number"),
        ("555", "Enter a 10-digit US number"),
        ("\x00", "Enter a 10-digit US number"),
        ("5" * 5000, "Enter a 10-digit US number"),
        ("+44 7700 900123", "Enter a US number. Numbers from other countries aren’t supported at this time."),
        ("+1 416 555 0142", "Enter a US number. Numbers from other countries aren’t supported at this time."),
        ("+1 800 555 0199", "We can’t text that number. Enter a mobile number."),
    ],
)
def test_d29_only_numbers_that_we_text_to(dana: Person, service: Service, typed: str, said: str) -> None:
    """S5's errors; what was typed stays, and nothing is sent."""
    dana.open(PLACE)
    page = dana.submit(phone=typed)
    assert (page.status, said in page.text) == (422, True)
    assert page.forms[0].fields["phone"] == typed[:40]
    service.deliver()
    assert service.texts.messages == []


def test_mf_08_the_code_of_a_number_belongs_to_the_session_that_asked(dana: Person, service: Service) -> None:
    """MF-08: neither another session of the same person nor a sign-in takes it."""
    begin(dana)
    code = service.code_for(E164)
    other = enter(service, user_agent=EDGE)
    assert other.open(f"{PLACE}/code").path == "/profile/security"
    third = service.person()
    service.sign_in(third)
    third.submit(method="email")
    email_code = service.code_for(DANA)
    if code != email_code:
        assert third.submit(code=code).status == 401
        dana.open(f"{PLACE}/code")
        assert dana.submit(code=email_code).status == 401
    dana.open(f"{PLACE}/code")
    assert dana.submit(code=code).path == "/profile/security?done=phone-changed"


def test_mf_09_a_code_texted_to_the_old_number_is_dead(dana: Person, service: Service) -> None:
    """MF-09: a sign-in that waits for it cannot use it any more."""
    other = service.person()
    service.sign_in(other)
    other.submit(method="sms")
    old_code = service.code_for(DANAS_PHONE)
    begin(dana)
    new_code = service.code_for(E164)
    dana.submit(code=new_code)
    other.open("/sign-in/code")
    assert other.submit(code=old_code).status == 401


def test_d6_remembered_devices_end_and_sessions_stay(dana: Person, service: Service) -> None:
    """D6: a phone change ends remembering; so does removing the number."""
    elsewhere = enter(service, remember=True, user_agent=EDGE)
    begin(dana)
    dana.submit(code=service.code_for(E164))
    assert is_signed_in(elsewhere)
    assert asked_for_a_code(service, elsewhere)
    answer(service, elsewhere, remember=True)
    dana.open(f"{PLACE}/remove")
    dana.submit(form=0)
    assert asked_for_a_code(service, elsewhere)


def test_a_number_is_removed_after_the_question(dana: Person, service: Service) -> None:
    """By a button on a page of its own; mailed, recorded, and a second press changes nothing."""
    page = dana.open(f"{PLACE}/remove")
    assert page.h1 == "Remove your phone number?"
    form = page.forms[0].fields
    page = dana.submit(form=0)
    assert "Your phone number is removed." in page.text
    assert "Add a phone number" in page.text
    assert number(service) is None
    assert subjects(service, DANA)[-1] == "Your phone number was removed"
    assert dana.post(f"{PLACE}/remove", form).status_code == 303
    assert len(service.events("phone.removed")) == 1
    assert dana.open(f"{PLACE}/remove").path == "/profile/security"


def test_a_number_that_an_account_needs_stays(service: Service) -> None:
    """S17: refused while an account of theirs sends codes by text message alone; the page and the form alike."""
    service.member(service.account(mfa="email+sms"))
    dana = enter(service)
    user = stored(service)
    westgate = service.account("westgate", mfa="sms")
    service.member(westgate, user=user)
    words = "Westgate sends codes by text message, so you need a number. Change it instead."
    page = dana.open(f"{PLACE}/remove")
    assert (page.status, words in page.text) == (409, True)
    token = dana.open("/profile").forms[0].fields["csrf_token"]
    answered = dana.post(f"{PLACE}/remove", {"csrf_token": token})
    assert (answered.status_code, words in answered.text) == (409, True)
    assert number(service) == DANAS_PHONE


def test_a_fresh_proof_is_needed(dana: Person, service: Service) -> None:
    """S2: to bind a number, and to remove one; the code may be entered meanwhile, for it was asked for in time."""
    token = dana.open("/profile").forms[0].fields["csrf_token"]
    service.pass_time(minutes=16)
    for path in (PLACE, f"{PLACE}/remove"):
        answered = dana.post(path, {"phone": TYPED, "csrf_token": token})
        assert "/confirm?" in answered.headers["Location"]
        assert "for=phone&code=1" in answered.headers["Location"]
    assert "Enter your password to change your phone number." in dana.open(PLACE).text
    dana.submit(password=PASSWORD)
    answer(service, dana)
    assert dana.here.h1 == "Change your phone number"


def test_pressed_twice_it_says_the_same(dana: Person, service: Service) -> None:
    """Rule 3: one text, and one answer for two presses of the right code."""
    form = dana.open(PLACE).forms[0].fields
    for _ in range(2):
        assert dana.post(PLACE, {**form, "phone": TYPED}).headers["Location"] == f"{PLACE}/code"
    service.deliver()
    assert len(service.texts.messages) == 1
    form = dana.open(f"{PLACE}/code").forms[0].fields
    for _ in range(2):
        answered = dana.post(f"{PLACE}/code", {**form, "code": service.code_for(E164)})
        assert answered.headers["Location"] == "/profile/security?done=phone-changed"


def test_another_text_can_be_asked_for_and_another_number(dana: Person, service: Service) -> None:
    """The gap of the policy holds; the number can be corrected."""
    begin(dana)
    assert dana.submit(button="resend").status == 429
    service.pass_time(seconds=31)
    assert "We sent a new code." in dana.submit(button="resend").text
    begin(dana, "512 555 0188")
    dana.submit(code=service.code_for("+15125550188"))
    assert number(service) == "+15125550188"


def test_wrong_codes_are_counted_and_end_it(dana: Person, service: Service) -> None:
    """MF-03: five tries of this code; the number stays what it was."""
    begin(dana)
    right = service.code_for(E164)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    for _ in range(5):
        page = dana.submit(code=wrong)
    assert (page.status, page.h1) == (429, "Too many wrong codes")
    assert number(service) == DANAS_PHONE


def test_an_installation_without_texts_offers_no_number(service: Service, database_url: str) -> None:
    """The row says none, and there is no page."""
    without = Service.on(database_url, clock=service.clock, ring=service.services.ring, sms=False)
    without.member(without.account(mfa=""), phone=None)
    dana = enter(without)
    assert "Phone None" in dana.open("/profile/security").text.replace("PhoneNone", "Phone None")
    assert dana.open(PLACE).status == 404
    without.dispose()
