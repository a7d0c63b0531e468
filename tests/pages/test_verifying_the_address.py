"""The address is proved by a code at sign-in (ux.md S6; domain J3, E1 to E5, D17)."""

from __future__ import annotations

from authsvc.accounts.models import EmailAddress, Membership
from authsvc.audit import Event
from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.service import DANA, DANAS_PHONE, Service

VERIFY = "Verify your email"


def at_the_address(service: Service, mfa: str = "") -> tuple[Person, Membership]:
    """Dana, whose address was never proved, after the password."""
    dana = service.member(service.account(mfa=mfa), verified=False)
    person = service.person()
    service.sign_in(person)
    assert (person.here.h1, person.here.path) == (VERIFY, "/sign-in/verify")
    return person, dana


def is_verified(service: Service, dana: Membership) -> bool:
    """Whether the address counts as proved."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(EmailAddress, dana.user_id).verified_at is not None


def test_j3_an_unverified_member_lands_on_the_code_page(service: Service) -> None:
    """The address in full (it is their own), both buttons, the way to support; no box to tick."""
    page = at_the_address(service)[0].here
    assert f"We sent a 6-digit code to {DANA}. It works until 4:41 PM EST." in page.text
    for label in ("Verify Email", "Resend Code", "Skip For Now", "Wrong address? Email support@imscre.com"):
        assert page.has_button(label)
    assert "Remember Me" not in page.text
    assert "remember" not in page.forms[0].names()


def test_j3_the_code_verifies_and_signs_in(service: Service) -> None:
    """Once per address (E4): next time nothing is asked. With Multi-Factor Authentication off it is a step shown."""
    person, dana = at_the_address(service)
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    assert is_verified(service, dana)
    (event,) = service.events(Event.EMAIL_VERIFIED)
    assert (event.user_id, event.fields) == (dana.user_id, {"by": "verify_email"})
    again = service.person()
    service.sign_in(again)
    assert again.here.h1 == "You’re signed in"


def test_d17_skip_for_now_signs_in_and_is_offered_again(service: Service) -> None:
    """At each sign-in until verified; the skip is recorded and the code that was out is void."""
    person, dana = at_the_address(service)
    code = service.code_for(DANA)
    assert person.submit(button="skip").h1 == "You’re signed in"
    assert not is_verified(service, dana)
    assert len(service.events(Event.EMAIL_VERIFICATION_SKIPPED)) == 1
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == levels.PASSWORD
    again = service.person()
    service.sign_in(again)
    assert again.here.h1 == VERIFY
    newest = service.code_for(DANA)
    assert code == newest or again.submit(code=code).status == 401
    assert again.submit(code=newest).h1 == "You’re signed in"


def test_d17_with_mfa_on_there_is_no_skip(service: Service) -> None:
    """Not on the page, and not by posting what the page does not offer (E5)."""
    person, dana = at_the_address(service, "email")
    assert not person.here.has_button("Skip For Now")
    token = person.here.forms[0].fields["csrf_token"]
    for path in ("/sign-in/verify", "/sign-in/code"):
        answer = person.post(path, {"skip": "1", "csrf_token": token})
        assert answer.headers["Location"] == "/sign-in/verify"
    assert (is_verified(service, dana), person.cookie("sid")) == (False, None)
    assert service.events(Event.EMAIL_VERIFICATION_SKIPPED) == []


def test_d17_verifying_by_code_counts_as_the_emailed_code(service: Service) -> None:
    """One code, not two: where email is the only way, the sign-in is complete."""
    person, dana = at_the_address(service, "email")
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    assert is_verified(service, dana)
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == levels.TWO_STEP
    assert service.events(Event.DEVICE_REMEMBERED) == []


def test_j2_with_both_methods_the_choice_comes_after_verifying(service: Service) -> None:
    """ "Verify Email" first, then email or text. Whoever takes email has shown it: no second one is mailed (D17)."""
    person, dana = at_the_address(service, "email+sms")
    page = person.submit(code=service.code_for(DANA))
    assert (page.h1, page.path) == ("Choose how to get your code", "/sign-in/method")
    assert is_verified(service, dana)
    assert "You’ve just entered its code." in page.text
    assert page.has_button("Continue")
    assert person.open("/sign-in/code").path == "/sign-in/method"
    assert service.events(Event.SESSION_STARTED) == []
    mailed = len(service.emails.to(DANA))
    assert person.submit(method="email").h1 == "You’re signed in"
    service.deliver()
    assert len(service.emails.to(DANA)) == mailed
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == levels.TWO_STEP


def test_j2_a_text_is_chosen_in_the_same_sign_in(service: Service) -> None:
    """Text and no phone: the number, its code, and Remember Me there. The emailed code came first (D2)."""
    service.member(service.account(mfa="email+sms"), verified=False, phone=None)
    person = service.person()
    service.sign_in(person)
    person.submit(code=service.code_for(DANA))
    assert person.submit(method="sms").h1 == "Add your phone number"
    page = person.submit(phone="(512) 555-0142")
    assert (page.h1, "remember" in page.forms[0].names()) == ("Check your phone", True)
    assert person.submit(code=service.code_for(DANAS_PHONE), remember="1").h1 == "You’re signed in"
    assert len(service.events(Event.DEVICE_REMEMBERED)) == 1


def test_j2_a_text_that_was_chosen_is_entered_although_email_is_shown(service: Service) -> None:
    """The person has a phone: choosing it asks for its code, and Remember Me is offered with it."""
    person, _ = at_the_address(service, "email+sms")
    person.submit(code=service.code_for(DANA))
    page = person.submit(method="sms")
    assert (page.h1, "your phone ending in 42" in page.text) == ("Enter your code", True)
    assert person.submit(code=service.code_for(DANAS_PHONE)).h1 == "You’re signed in"


def test_d17_where_only_a_text_counts_it_is_asked_besides(service: Service) -> None:
    """A proved address is no texted code (MF-12)."""
    person, dana = at_the_address(service, "sms")
    assert person.submit(code=service.code_for(DANA)).h1 == "Enter your code"
    assert is_verified(service, dana)
    assert "your phone ending in 42" in person.here.text
    assert person.submit(code=service.code_for(DANAS_PHONE)).h1 == "You’re signed in"


def test_d17_an_accepted_sign_in_code_also_verifies(service: Service) -> None:
    """Switched on between the password and the code: the code asked is one for the address all the same."""
    account = service.account()
    dana = service.member(account, verified=False)
    person = service.person()
    service.sign_in(person)
    service.set_mfa(account, "email")
    assert person.open("/sign-in/verify").has_button("Verify Email")
    assert not person.here.has_button("Skip For Now")
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    assert is_verified(service, dana)


def test_e3_wrong_replaced_and_expired_codes_say_so(service: Service) -> None:
    """The same three answers as on the code page; "Resend Code" sends another."""
    person, _ = at_the_address(service)
    old = service.code_for(DANA)
    wrong = f"{(int(old) + 1) % 1_000_000:06}"
    assert "Check the code and enter it again. 4 tries left." in person.submit(code=wrong).text
    assert person.submit(code="12").status == 422
    assert person.submit(button="resend").status == 429
    service.pass_time(minutes=4)
    page = person.submit(button="resend")
    assert (page.path, "We sent a new code." in page.text) == ("/sign-in/verify?sent=again", True)
    assert "We sent a newer code at 4:35 PM EST. Use that one." in person.submit(code=old).text
    service.pass_time(minutes=10, seconds=1)
    page = person.submit(code=service.code_for(DANA))
    assert "That code has expired. Send a new one." in page.text
    assert page.has_button("Skip For Now")


def test_nobody_is_told_that_an_address_was_refused_before_they_proved_the_password(service: Service) -> None:
    """And who has is told here, with the way on that is open."""
    from authsvc.messaging.message import Delivery, Outcome

    service.emails.answer = Delivery(Outcome.REFUSED, "no such mailbox")
    person, _ = at_the_address(service)
    service.deliver()
    page = person.open("/sign-in/verify")
    assert "came back. Ask an account admin to check your address." in page.text
    assert person.submit(button="skip").h1 == "You’re signed in"


def test_pages_of_other_steps_lead_back_here(service: Service) -> None:
    """The server says which step is on."""
    person, _ = at_the_address(service)
    for path in ("/sign-in/code", "/sign-in/method", "/sign-in/phone"):
        assert person.open(path).h1 == VERIFY


def test_a_notice_is_never_sent_to_an_address_that_was_not_proved(service: Service) -> None:
    """It might be somebody else's."""
    person, _ = at_the_address(service)
    person.submit(button="skip")
    other = service.person()
    service.sign_in(other)
    other.submit(button="skip")
    service.deliver()
    assert {message.purpose for message in service.emails.to(DANA)} <= {"verify_email_code"}
