"""The code page (ux.md S4): what it says of the code that is out, of wrong ones, and of sending another."""

from __future__ import annotations

import re
from typing import Any

from authsvc.audit import Event
from authsvc.messaging.message import Delivery, Outcome
from tests.support.journey import Page, Person
from tests.support.service import CALLBACK, DANA, DANAS_PHONE, PASSWORD, Service, pkce


def at_the_code(service: Service, mfa: str = "email", **member: Any) -> Person:
    """Dana, where her code is asked."""
    service.member(service.account(mfa=mfa), **member)
    person = service.person()
    service.sign_in(person)
    if "+" in mfa:
        person.submit(method="email")
    assert person.here.h1 == "Enter your code"
    return person


def other_than(code: str, *, by: int = 1) -> str:
    """A wrong code."""
    return f"{(int(code) + by) % 1_000_000:06}"


def error(page: Page, words: str) -> bool:
    """Whether the page says so in its summary and at the field, as an error."""
    return page.title.startswith("Error: ") and page.text.count(words) == 2


def test_the_page_says_where_the_code_went_and_until_when_it_works(service: Service) -> None:
    """Masked, a clock time in the account's zone, and what to do when it does not come."""
    page = at_the_code(service).here
    assert page.title == "Enter your code – Northgate Capital Partners"
    assert "We sent a 6-digit code to d•••@northgate.example" in page.text
    assert "It works until 4:41 PM EST." in page.text
    assert "Allow a minute, and look in spam or quarantine." in page.text
    assert DANA not in page.response.text
    field = re.search(r'<input class="input code"[^>]*>', page.response.text)
    assert field
    for attribute in ('name="code"', 'type="text"', 'inputmode="numeric"', 'autocomplete="one-time-code"'):
        assert attribute in field[0]
    assert "maxlength" not in field[0]


def test_a_texted_code_is_said_to_be_texted(service: Service) -> None:
    """The number by its last two digits alone; five minutes."""
    page = at_the_code(service, "sms").here
    assert "We sent a 6-digit code to your phone ending in 42" in page.text
    assert "It works until 4:36 PM EST." in page.text
    assert "5125550142" not in page.response.text


def test_each_wrong_code_says_how_many_tries_are_left(service: Service) -> None:
    """Only here, after a correct password; what was typed is not given back."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    for tries, words in ((1, "4 tries left."), (2, "3 tries left."), (3, "2 tries left."), (4, "1 try left.")):
        page = person.submit(code=other_than(code, by=tries))
        assert page.status == 401
        assert error(page, f"Check the code and enter it again. {words}")
        assert other_than(code, by=tries) not in page.response.text
    assert person.submit(code=code).h1 == "You’re signed in"


def test_what_is_not_six_digits_is_named_and_costs_no_try(service: Service) -> None:
    """MF-23: too few, too many, nothing."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    for typed in ("", " ", "12345", "1234567", "1e5", "012", "9" * 10_000):
        page = person.submit(code=typed)
        assert (page.status, error(page, "Enter all 6 digits")) == (422, True)
    page = person.submit(code=other_than(code))
    assert "4 tries left." in page.text


def test_mf_23_digits_of_other_scripts_are_no_code_and_full_width_ones_are(service: Service) -> None:
    """What some keyboards give is forgiven; what only looks like a number is not."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    arabic = "".join(chr(0x0660 + int(digit)) for digit in code)
    for typed in (arabic, "12a456"):
        page = person.submit(code=typed)
        assert (page.status, error(page, "Enter all 6 digits")) == (422, True)
    wide = "".join(chr(0xFF10 + int(digit)) for digit in code)
    assert person.submit(code=wide).h1 == "You’re signed in"


def test_a_code_may_be_pasted_with_blanks_and_hyphens(service: Service) -> None:
    """ " 123 456" and "123-456" are what mail programs and people make of it."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    assert person.submit(code=f"  {code[:3]} - {code[3:]} ").h1 == "You’re signed in"


def test_the_tick_survives_an_error(service: Service) -> None:
    """Nobody has to tick Remember Me twice; unticked stays unticked."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    assert "remember" in person.submit(code=other_than(code), remember="1").forms[0].fields
    assert "remember" not in person.submit(code=other_than(code), remember=None).forms[0].fields


def test_mf_07_an_expired_code_says_so_beside_the_button_that_sends_another(service: Service) -> None:
    """ "That code has expired. Send a new one." with the button in the message; the new one works."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    service.pass_time(minutes=10, seconds=1)
    page = person.submit(code=code)
    assert page.status == 401
    assert error(page, "That code has expired. Send a new one.")
    assert re.search(r'<button[^>]* form="again-form" name="resend"', page.response.text)
    assert person.submit(button="resend").h1 == "Enter your code"
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"


def test_a_code_that_was_replaced_names_the_newer_one(service: Service) -> None:
    """Three reasons why a code fails, three answers: mistyped, not the newest, expired."""
    person = at_the_code(service)
    old = service.code_for(DANA)
    service.pass_time(minutes=4)
    page = person.submit(button="resend")
    assert (page.status, page.path) == (200, "/sign-in/code?sent=again")
    assert "We sent a new code. Only the newest one works." in page.text
    new = service.code_for(DANA)
    page = person.submit(code=old)
    assert page.status == 401
    assert error(page, "We sent a newer code at 4:35 PM EST. Use that one.")
    assert "We sent a new code." not in page.text
    assert person.submit(code=new).h1 == "You’re signed in"


def test_a_new_code_gives_no_try_back(service: Service) -> None:
    """Nor does the page pretend it does (NIST SP 800-63B-4 3.1.3.2)."""
    person = at_the_code(service)
    code = service.code_for(DANA)
    person.submit(code=other_than(code))
    service.pass_time(seconds=30)
    person.submit(button="resend")
    assert "3 tries left." in person.submit(code=other_than(service.code_for(DANA))).text


def test_asking_again_too_soon_says_when(service: Service) -> None:
    """To the second, with 429 and Retry-After; the code that is out stays good."""
    person = at_the_code(service)
    assert "You can ask for a new code in 30 s." in person.here.text
    service.pass_time(seconds=10)
    page = person.submit(button="resend")
    assert (page.status, page.response.headers["Retry-After"]) == (429, "20")
    assert "You can ask for a new code at 4:31:30 PM EST." in page.text
    assert service.deliver() == 1
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"


def test_mf_24_after_some_codes_the_page_says_when_the_next_may_be_sent(service: Service) -> None:
    """5 in 10 minutes to one address, refilled by one every 2 minutes; the last one stays usable."""
    person = at_the_code(service)
    for _ in range(5):
        service.pass_time(seconds=30)
        assert person.submit(button="resend").status == 200
    service.pass_time(seconds=30)
    page = person.submit(button="resend")
    assert page.status == 429
    assert int(page.response.headers["Retry-After"]) > 0
    assert re.search(r"We’ve sent as many codes as we can for now\. Try again at 4:3\d PM EST\.", page.text)
    service.deliver()
    assert len(service.emails.to(DANA)) == 1
    assert person.submit(code=service.emails.code(DANA)).h1 == "You’re signed in"


def test_mf_24_starting_again_does_not_send_past_the_limit(service: Service) -> None:
    """The limit is the address's, not the sign-in's; the page says that nothing was sent."""
    service.member(service.account(mfa="email"))
    for number in range(6):
        person = service.person(address=f"203.0.113.{number}")
        service.sign_in(person)
        service.deliver()
    assert len(service.emails.to(DANA)) == 5
    assert person.here.h1 == "Enter your code"
    assert "We couldn’t send a code just now." in person.here.text
    assert "We sent a 6-digit code" not in person.here.text


def test_a_refresh_never_sends_again(service: Service) -> None:
    """POST, then See Other: the page that is left is a GET without effect (rule 2)."""
    person = at_the_code(service)
    service.pass_time(seconds=30)
    person.submit(button="resend")
    for _ in range(3):
        service.pass_time(minutes=1)
        assert person.open(person.here.path).h1 == "Enter your code"
        assert person.open("/sign-in/code").h1 == "Enter your code"
    assert len(service.events(Event.CODE_REQUESTED)) == 2


def test_mf_06_a_double_press_gives_one_session_and_the_same_answer(service: Service) -> None:
    """The same POST at the same moment, as two presses or a lost answer make it."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    person.submit(email=DANA, password=PASSWORD)
    form = person.here.forms[0]
    data = {**form.fields, "code": service.code_for(DANA), "remember": "1"}
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in person.client._cookies.values())

    def press() -> tuple[int, str, list[str]]:
        answer = service.machine().post(form.action, base_url=person.issuer, data=data, headers={"Cookie": cookies})
        # Expires is Max-Age by the real clock.
        cookies_set = [re.sub(r"Expires=[^;]+; ", "", line) for line in answer.headers.getlist("Set-Cookie")]
        return answer.status_code, answer.headers["Location"], sorted(cookies_set)

    first, second = service.at_once(press, press)
    service.pass_time(seconds=59)
    assert first == second == press()
    assert (first[0], first[1].startswith("/oauth/authorize?request=")) == (303, True)
    assert [len(service.events(name)) for name in (Event.SESSION_STARTED, Event.DEVICE_REMEMBERED)] == [1, 1]
    # Beyond a minute the secret alone opens nothing any more.
    service.pass_time(seconds=2)
    late = service.machine().post(form.action, base_url=person.issuer, data=data, headers={"Cookie": cookies})
    assert (late.status_code, "sid" in str(late.headers)) == (400, False)


def test_a_press_after_the_first_has_finished_goes_on_to_the_same_place(service: Service) -> None:
    """The browser holds the session by then; its old form leads to the portal, not to an error (rule 3)."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    person.submit(email=DANA, password=PASSWORD)
    form, code = person.here.forms[0], service.code_for(DANA)
    person.submit(code=code)
    assert (person.left_for or "").startswith(CALLBACK)
    answer = person.post(form.action, {**form.fields, "code": code})
    assert (answer.status_code, answer.headers["Location"].startswith("/oauth/authorize?request=")) == (303, True)
    assert len(service.events(Event.SESSION_STARTED)) == 1


def test_mf_08_a_code_of_another_sign_in_is_refused(service: Service) -> None:
    """Two sign-ins of one person, and one of a colleague: each code counts in its own."""
    account = service.account(mfa="email")
    service.member(account)
    service.member(account, "priya@northgate.example")
    codes, people = [], []
    for email in (DANA, DANA, "priya@northgate.example"):
        person = service.person()
        service.sign_in(person, email)
        people.append(person)
        codes.append(service.code_for(email))
    for other in (codes[0], codes[2]):
        assert people[1].submit(code=other).status == 401
    for person, code in zip(people, codes, strict=True):
        assert person.submit(code=code).h1 == "You’re signed in"


def test_mf_09_a_code_sent_to_an_address_that_has_changed_is_refused(service: Service) -> None:
    """It proves the old address; the page offers to send one to the new."""
    from authsvc.accounts.models import EmailAddress

    dana = service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    code = service.code_for(DANA)
    with service.services.database.transaction() as tx:
        row = tx.get_one(EmailAddress, dana.user_id)
        row.address = row.canonical = "dana@new.example"
    page = person.submit(code=code)
    assert page.status == 401
    assert error(page, "There is no code to check. Send a new one.")
    person.submit(button="resend")
    assert person.submit(code=service.code_for("dana@new.example")).h1 == "You’re signed in"


def test_mf_10_the_code_is_nowhere_but_in_its_message(service: Service, capsys: Any) -> None:
    """Not on the pages, in headers or redirects, not in the database, jobs or audit, not in the log."""
    person = at_the_code(service, "email+sms")
    seen = [person.here.response]
    service.pass_time(seconds=30)
    by_email = service.code_for(DANA)
    seen.append(person.submit(method="sms", form=len(person.here.forms) - 1).response)
    by_text = service.code_for(DANAS_PHONE)
    seen.append(person.submit(code=other_than(by_text)).response)
    shown = " ".join(f"{answer.headers} {answer.text}" for answer in seen)
    logged = capsys.readouterr()
    for code in (by_email, by_text):
        alone = re.compile(rf"(?<![0-9A-Za-z]){code}(?![0-9A-Za-z])")
        for where in (shown, service.everything_stored(), logged.out + logged.err):
            assert not alone.search(where)


def test_a_refused_delivery_is_said_and_the_other_way_offered(service: Service) -> None:
    """Success is never claimed for a refused message (security.md 4.4); the trail says why."""
    person = at_the_code(service, "email+sms")
    person.submit(method="sms")
    service.texts.answer = Delivery(Outcome.REFUSED, "blocked by the carrier")
    service.deliver()
    page = person.open("/sign-in/code")
    assert "We couldn’t send the text. Try again, or get the code by email." in page.text
    assert page.has_button("Get it by email")
    (event,) = service.events(Event.CODE_NOT_DELIVERED)
    assert (event.fields["channel"], event.fields["reason"]) == ("sms", "blocked by the carrier")
    person.submit(method="email")
    assert "We couldn’t send the text." not in person.here.text
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"


def test_a_refused_delivery_offers_no_way_that_is_shut(service: Service) -> None:
    """SMS only: there is no code by email to get. Email only: an admin can look at the address."""
    person = at_the_code(service, "sms")
    service.texts.answer = Delivery(Outcome.REFUSED, "blocked by the carrier")
    service.deliver()
    page = person.open("/sign-in/code")
    assert "We couldn’t send the text." in page.text
    assert "by email" not in page.text
    service.set_mfa(service_account(service), "email")
    person = service.person()
    service.sign_in(person)
    service.emails.answer = Delivery(Outcome.REFUSED, "no such mailbox")
    service.deliver()
    page = person.open("/sign-in/code")
    assert "Our email to d•••@northgate.example came back. Ask an account admin to check your address." in page.text
    assert "by text message" not in page.text


def service_account(service: Service) -> Any:
    """The one account there is."""
    from sqlalchemy import select

    from authsvc.accounts.models import Account

    with service.services.database.transaction(read_only=True) as tx:
        return tx.scalars(select(Account)).one()
