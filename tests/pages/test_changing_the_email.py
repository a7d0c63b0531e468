"""Changing one's email address (domain E7, E8, D16): it counts once the code sent to it came back."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import EmailChange, Invitation, MailedLink
from authsvc.crypto.tokens import new_id
from tests.support.journey import Person
from tests.support.profile import EDGE, NEW, answer, asked_for_a_code, enter, is_signed_in, press, stored, subjects
from tests.support.service import DANA, PASSWORD, Service

PRIYA = "priya@northgate.example"


@pytest.fixture
def dana(service: Service) -> Person:
    """Signed in with a password and a code a moment ago."""
    service.member(service.account(mfa="email"))
    return enter(service)


def begin(person: Person, address: str = NEW) -> None:
    """Ask for the change."""
    person.open("/profile/email")
    person.submit(email=address)
    assert person.here.h1 == "Check your email"


def test_e7_the_new_address_becomes_the_login_with_its_code(dana: Person, service: Service) -> None:
    """E7: the code goes to the new address; entered, it is what signs in."""
    begin(dana)
    assert NEW in dana.here.text
    assert "It works until 4:41 PM EST" in dana.here.text
    page = dana.submit(code=service.code_for(NEW))
    assert "Your email address is changed. Sign in with it from now on." in page.text
    assert f"{NEW} Verified" in page.text
    other = service.person()
    service.sign_in(other, DANA)
    assert "We couldn’t sign you in" in other.here.text
    service.sign_in(other, NEW)
    answer(service, other, NEW)
    assert other.here.h1 == "You’re signed in"
    assert [e.name for e in service.events() if e.name.startswith("email.")] == ["email.change_begun", "email.changed"]


def test_d16_until_the_code_comes_back_nothing_changes(dana: Person, service: Service) -> None:
    """D16: the old address signs in, and the page says what waits."""
    begin(dana)
    page = dana.open("/profile")
    assert f"{DANA} Verified" in page.text
    assert f"Waiting for you to verify {NEW}." in page.text
    assert page.links["Enter code"] == "/profile/email/code"
    other = service.person()
    service.sign_in(other, NEW)
    assert "We couldn’t sign you in" in other.here.text
    assert subjects(service, DANA)[1:] == []
    service.sign_in(other, DANA)
    assert other.here.h1 == "Enter your code"


def test_d16_the_old_address_is_told(dana: Person, service: Service) -> None:
    """D16: a notice to the old address, with what, when and where; the new address only as much as tells it apart."""
    begin(dana)
    dana.submit(code=service.code_for(NEW))
    assert subjects(service, DANA)[-1] == "Your email address for Northgate was changed"
    text = service.emails.to(DANA)[-1].text
    assert "d•••@northgate.example on Nov 22, 2026, 4:31 PM EST from Chrome on macOS" in text
    assert NEW not in text


def test_d16_a_fresh_proof_is_needed_to_start(dana: Person, service: Service) -> None:
    """D16: the password again after a while, and a code where the account asks for codes; by form as by page."""
    form = dana.open("/profile/email").forms[0].fields
    service.pass_time(minutes=16)
    answered = dana.post("/profile/email", {**form, "email": NEW})
    assert answered.headers["Location"].startswith("/confirm?continue=%2Fprofile%2Femail&for=email&code=1")
    assert subjects(service, NEW) == []
    page = dana.open("/profile/email")
    assert "Enter your password to change your email address." in page.text
    dana.submit(password=PASSWORD)
    assert dana.here.h1 == "Enter your code"
    assert dana.submit(code=service.code_for(DANA)).h1 == "Change your email address"


def test_e8_nobody_elses_code_or_form_changes_it(dana: Person, service: Service) -> None:
    """E8: a change belongs to the person who began it; a colleague's session has none, whatever code they type."""
    begin(dana)
    account = stored(service).memberships[0].account
    service.member(account, PRIYA, role="admin", sensitive=True)
    priya = enter(service, PRIYA)
    assert priya.open("/profile/email/code").path == "/profile"
    token = priya.here.forms[0].fields["csrf_token"]
    answered = priya.post("/profile/email/code", {"csrf_token": token, "code": service.code_for(NEW), "subject": NEW})
    assert answered.headers["Location"] == "/profile"
    assert stored(service).email.address == DANA


def test_rc09_an_address_that_somebody_has_looks_like_any_other(dana: Person, service: Service) -> None:
    """RC-09: same page, same status, same mail; only who reads that mailbox learns that it is taken."""
    service.member(stored(service).memberships[0].account, PRIYA)
    begin(dana, PRIYA)
    taken = dana.here
    began_taken = subjects(service, PRIYA)
    dana.open("/profile/email")
    begin(dana, NEW)
    assert dana.here.text.replace(NEW, "X") == taken.text.replace(PRIYA, "X")
    assert [s[6:] for s in subjects(service, NEW)] == [s[6:] for s in began_taken]


def test_rc09_who_reads_the_mail_of_a_taken_address_is_told_plainly(dana: Person, service: Service) -> None:
    """One sign-in an address: the right code does not take it from the other person, nor say who that is."""
    service.member(stored(service).memberships[0].account, PRIYA)
    begin(dana, PRIYA)
    page = dana.submit(code=service.code_for(PRIYA))
    assert "That address belongs to another sign-in." in page.text
    assert "Priya" not in page.text
    assert stored(service).email.address == DANA
    assert stored(service, PRIYA).name == "Priya"
    assert service.events("email.change_refused")[-1].fields == {"reason": "taken"}
    assert "Waiting for you" not in dana.open("/profile").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Enter your new email address"),
        ("dana", "Enter an email address like name@company.com"),
        ("a@x.example,b@y.example", "Enter an email address like name@company.com"),
        ("a@x.example\r\nBcc: b@y.example", "Enter an email address like name@company.com"),
        ("dıana@x.example", "Enter an email address like name@company.com"),
        ("a@x.example\x00", "Enter an email address like name@company.com"),
        ("a" * 5000 + "@x.example", "Enter an email address like name@company.com"),
        ("DANA@northgate.example", "This is your email address already"),
    ],
)
def test_rc05_anything_but_one_plain_address_is_refused(dana: Person, service: Service, typed: str, said: str) -> None:
    """RC-05: one exact address; no mail goes out, and what was typed stays."""
    dana.open("/profile/email")
    page = dana.submit(email=typed)
    assert page.status == 422
    assert said in page.text
    service.deliver()
    assert len(service.emails.messages) == 1


def test_mf_08_a_code_of_another_task_does_not_count(dana: Person, service: Service) -> None:
    """MF-08: a sign-in's code, and the code of the change that was begun before this one."""
    begin(dana, "first@northgate.example")
    first = service.code_for("first@northgate.example")
    begin(dana, NEW)
    other = service.person()
    service.sign_in(other)
    for foreign in {first, service.code_for(DANA)} - {service.code_for(NEW)}:
        dana.open("/profile/email/code")
        assert dana.submit(code=foreign).status == 401
    other.submit(code=service.code_for(NEW))
    assert other.here.status == 401
    dana.open("/profile/email/code")
    assert dana.submit(code=service.code_for(NEW)).path == "/profile?done=email"


def test_mf_09_a_code_sent_to_the_old_address_is_dead(dana: Person, service: Service) -> None:
    """MF-09: a sign-in under way gets a newer code, at the new address."""
    other = service.person()
    service.sign_in(other)
    old_code = service.code_for(DANA)
    begin(dana)
    dana.submit(code=service.code_for(NEW))
    other.open("/sign-in/code")
    assert other.submit(code=old_code).status == 401
    other.submit(button="resend")
    assert other.submit(code=service.code_for(NEW)).h1 == "You’re signed in"


def test_rc10_links_to_the_old_address_are_dead_but_for_this_was_not_me(dana: Person, service: Service) -> None:
    """RC-10: what was mailed to the old address opens nothing; its owner can still say that it was not them."""
    user, now = stored(service), service.clock.now()
    with service.services.database.transaction() as tx:
        for purpose in ("reset", "verify_email", "not_me"):
            tx.add(
                MailedLink(
                    id=new_id(),
                    purpose=purpose,
                    token_digest=purpose * 5,
                    user_id=user.id,
                    address=DANA,
                    created_at=now,
                    expires_at=now.replace(year=now.year + 1),
                )
            )
    begin(dana)
    dana.submit(code=service.code_for(NEW))
    with service.services.database.transaction(read_only=True) as tx:
        assert {link.purpose for link in tx.query(MailedLink) if link.voided_at is None} == {"not_me"}
        assert tx.query(Invitation).count() == 0


def test_rc08_verifying_the_address_ends_a_change_that_waits(service: Service) -> None:
    """RC-08: whoever sat in the sign-in before its address was proved leaves no change of it behind."""
    service.member(service.account(mfa=""), verified=False)
    thief = service.person()
    service.sign_in(thief)
    thief.submit(button="skip")
    begin(thief, "thief@evil.example")
    owner = service.person()
    service.sign_in(owner)
    owner.submit(code=service.code_for(DANA))
    thief.open("/profile/email/code")
    assert thief.here.path == "/profile"
    assert "Waiting for you" not in thief.here.text


def test_d6_remembered_devices_end_and_sessions_stay(dana: Person, service: Service) -> None:
    """D6: an email change ends remembering. Sessions go on: D15 alone ends those, and the person can (S18)."""
    elsewhere = enter(service, remember=True, user_agent=EDGE)
    begin(dana)
    dana.submit(code=service.code_for(NEW))
    assert is_signed_in(elsewhere)
    assert asked_for_a_code(service, elsewhere, NEW)


def test_cancelled_it_leaves_everything_as_it_was(dana: Person, service: Service) -> None:
    """The code that is out is worth nothing, whoever reads it."""
    begin(dana)
    code = service.code_for(NEW)
    form = dana.here.forms[0].fields
    dana.open("/profile")
    page = press(dana, "/profile/email/cancel")
    assert "Nothing was changed." in page.text
    assert "Waiting for you" not in page.text
    assert dana.post("/profile/email/code", {**form, "code": code}).headers["Location"] == "/profile"
    assert stored(service).email.address == DANA


def test_pressed_twice_it_says_the_same(dana: Person, service: Service) -> None:
    """Rule 3: two presses of "Send code" send one; the second press of the right code answers as the first."""
    dana.open("/profile/email")
    asking = dana.here.forms[0].fields
    for _ in range(2):
        assert dana.post("/profile/email", {**asking, "email": NEW}).headers["Location"] == "/profile/email/code"
    assert len(subjects(service, NEW)) == 1
    form = dana.open("/profile/email/code").forms[0].fields
    for _ in range(2):
        answered = dana.post("/profile/email/code", {**form, "code": service.code_for(NEW)})
        assert answered.headers["Location"] == "/profile?done=email"


def test_a_newer_code_can_be_asked_for(dana: Person, service: Service) -> None:
    """The gap of the policy holds; only the newest works; from the page that says what waits as well."""
    begin(dana)
    first = service.code_for(NEW)
    page = dana.submit(button="resend")
    assert (page.status, "You can ask for a new code at 4:31:30 PM EST." in page.text) == (429, True)
    service.pass_time(seconds=31)
    dana.open("/profile")
    page = dana.submit(button="resend")
    assert "We sent a new code. Only the newest one works." in page.text
    if first != service.code_for(NEW):
        assert "We sent a newer code at 4:31 PM EST. Use that one." in dana.submit(code=first).text
    assert dana.submit(code=service.code_for(NEW)).path == "/profile?done=email"


def test_wrong_codes_are_counted_and_end_it(dana: Person, service: Service) -> None:
    """MF-03: five tries, then a pause; what was there before stays."""
    begin(dana)
    right = service.code_for(NEW)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    assert "Check the code and enter it again. 4 tries left." in dana.submit(code=wrong).text
    assert "Enter all 6 digits" in dana.submit(code="123").text
    for _ in range(3):
        dana.submit(code=wrong)
    page = dana.submit(code=wrong)
    assert (page.status, page.h1) == (429, "Too many wrong codes")
    assert dana.open("/profile/email/code").h1 == "Too many wrong codes"
    assert stored(service).email.address == DANA


def test_as_many_codes_as_one_address_and_one_person_may_get(dana: Person, service: Service) -> None:
    """send_per_destination and send_per_user: the wish is answered on its page, and nothing is noted."""
    for number in range(12):
        dana.open("/profile/email")
        dana.submit(email=f"address{number}@northgate.example")
    assert dana.here.status == 429
    assert "We’ve sent as many codes as we can for now." in dana.here.text
    assert dana.here.forms[0].fields["email"] == "address11@northgate.example"
    assert int(dana.here.response.headers["Retry-After"]) > 0
    assert "Waiting for you to verify address8@northgate.example" in dana.open("/profile").text


def test_an_expired_code_and_an_expired_wish(dana: Person, service: Service) -> None:
    """MF-07: ten minutes for the code; the wish itself waits a day and then is forgotten."""
    begin(dana)
    code = service.code_for(NEW)
    service.pass_time(minutes=10, seconds=1)
    page = dana.submit(code=code)
    assert "That code has expired. Send a new one." in page.text
    assert press(dana, "/profile/email/code", resend="1").path == "/profile/email/code?sent=again"
    assert dana.submit(code=service.code_for(NEW)).path == "/profile?done=email"


def test_a_wish_is_forgotten_after_a_day(dana: Person, service: Service) -> None:
    """Whoever comes back later begins again; nothing is reserved for anybody meanwhile."""
    begin(dana)
    with service.services.database.transaction() as tx:
        for change in tx.query(EmailChange):
            change.expires_at = service.clock.now()
    assert dana.open("/profile/email/code").path == "/profile"
