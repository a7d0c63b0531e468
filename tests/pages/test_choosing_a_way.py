"""Which way the code comes (ux.md S3; domain M5, M6; security.md MF-12)."""

from __future__ import annotations

from tests.support.journey import Person
from tests.support.service import DANA, DANAS_PHONE, Service

CHOOSE = "Choose how to get your code"


def at_the_choice(service: Service, mfa: str = "email+sms", **member: object) -> Person:
    """Dana, after the password."""
    service.member(service.account(mfa=mfa), **member)  # type: ignore[arg-type]
    person = service.person()
    service.sign_in(person)
    return person


def test_with_both_ways_on_the_person_chooses(service: Service) -> None:
    """Text message first; targets masked; nothing is sent before the choice."""
    page = at_the_choice(service).here
    assert (page.h1, page.path) == (CHOOSE, "/sign-in/method")
    assert "Northgate asks for a code as well as your password." in page.text
    assert page.text.index("Text message (SMS)") < page.text.index("Email")
    assert "To your phone ending in 42" in page.text
    assert "To d•••@northgate.example" in page.text
    assert page.forms[0].fields["method"] == "sms"
    assert service.deliver() == 0


def test_with_one_way_there_is_nothing_to_choose(service: Service) -> None:
    """The screen is skipped, and its address leads to the code."""
    person = at_the_choice(service, "email")
    assert person.here.h1 == "Enter your code"
    assert person.open("/sign-in/method").h1 == "Enter your code"
    assert person.here.forms[-1].names() >= {"resend"}
    assert "Get it by text message" not in person.here.text


def test_the_way_used_last_is_offered_first(service: Service) -> None:
    """Preselected next time; the order stays."""
    person = at_the_choice(service)
    person.submit(method="email")
    person.submit(code=service.code_for(DANA))
    again = service.person()
    service.sign_in(again)
    assert again.here.forms[0].fields["method"] == "email"
    again.submit(method="sms")
    again.submit(code=service.code_for(DANAS_PHONE))
    third = service.person()
    service.sign_in(third)
    assert third.here.forms[0].fields["method"] == "sms"


def test_mf_12_a_way_that_is_not_open_is_refused(service: Service) -> None:
    """An unknown one, one that the account keeps shut, none, several: nothing is sent, the choice is asked again."""
    person = at_the_choice(service)
    token = person.here.forms[0].fields["csrf_token"]
    for method in ("totp", "", "SMS", "sms ", "voice", "email,sms", "\0", ["totp", "sms"], ["", "email"]):
        answer = person.post("/sign-in/method", {"csrf_token": token, "method": method})
        assert answer.status_code == 422, method
        assert "Choose text message or email" in answer.text
    assert person.post("/sign-in/method", {"csrf_token": token}).status_code == 422
    assert person.post("/sign-in/method", {"csrf_token": token, "method[]": "sms"}).status_code == 422
    assert service.deliver() == 0
    assert person.open("/sign-in/code").h1 == CHOOSE


def test_mf_12_a_text_is_refused_where_the_account_allows_email_alone(service: Service) -> None:
    """Posted by hand: the code goes on coming by mail."""
    person = at_the_choice(service, "email")
    token = person.here.forms[0].fields["csrf_token"]
    answer = person.post("/sign-in/method", {"csrf_token": token, "method": "sms"})
    assert answer.status_code == 422
    service.deliver()
    assert (len(service.emails.messages), len(service.texts.messages)) == (1, 0)
    assert person.open("/sign-in/code").h1 == "Enter your code"


def test_mf_12_a_way_closed_meanwhile_is_closed_for_the_code_that_is_out(service: Service) -> None:
    """The policy is read again when the code is checked (SR4): a right one of a closed way is refused."""
    account = service.account(mfa="email+sms")
    service.member(account)
    person = service.person()
    service.sign_in(person)
    person.submit(method="sms")
    by_text = service.code_for(DANAS_PHONE)
    service.set_mfa(account, "email")
    page = person.submit(code=by_text)
    assert page.status == 401
    assert person.cookie("sid") is None
    person.open("/sign-in/code")
    person.submit(button="resend")
    assert "d•••@northgate.example" in person.here.text
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"


def test_the_other_way_is_one_press_away(service: Service) -> None:
    """From the code page; the code that was out is void, the newest alone counts (domain D8)."""
    person = at_the_choice(service)
    person.submit(method="email")
    by_email = service.code_for(DANA)
    assert person.here.has_button("Get it by text message")
    person.submit(method="sms")
    assert "your phone ending in 42" in person.here.text
    by_text = service.code_for(DANAS_PHONE)
    assert by_email == by_text or person.submit(code=by_email).status == 401
    assert person.submit(code=by_text).h1 == "You’re signed in"


def test_the_way_back_to_the_choice_sends_nothing(service: Service) -> None:
    """Back to S3 keeps the code valid until a new one is sent; choosing the same way again sends none (S26)."""
    person = at_the_choice(service)
    person.submit(method="email")
    code = service.code_for(DANA)
    assert person.open("/sign-in/method").h1 == CHOOSE
    assert person.here.forms[0].fields["method"] == "email"
    person.submit(method="email")
    assert service.deliver() == 0
    assert person.submit(code=code).h1 == "You’re signed in"


def test_a_double_press_of_send_code_sends_one(service: Service) -> None:
    """Two POSTs at the same moment."""
    person = at_the_choice(service)
    form = person.here.forms[0]
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in person.client._cookies.values())

    def press() -> int:
        data, headers = {**form.fields, "method": "sms"}, {"Cookie": cookies}
        return service.machine().post(form.action, base_url=person.issuer, data=data, headers=headers).status_code

    assert service.at_once(press, press, press) == [303] * 3
    service.deliver()
    assert len(service.texts.messages) == 1


def test_an_investor_is_never_left_with_texts_alone(service: Service) -> None:
    """M11, D13: SMS implies Email for investors."""
    account = service.account(investors="sms")
    service.member(account, audience="investors")
    person = service.person()
    service.sign_in(person)
    assert person.here.h1 == CHOOSE
    person.submit(method="email")
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
