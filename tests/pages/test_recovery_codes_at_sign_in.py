"""A recovery code in place of the authenticator app: once, told by mail, and never called two-factor (claims.md)."""

from __future__ import annotations

from authsvc.audit import Event
from authsvc.sessions import levels
from tests.support.authenticator import app_of
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service, pkce

SIGNED_IN = "You’re signed in"


def at_the_field(service: Service) -> tuple[Person, tuple[str, ...]]:
    """Dana, who has lost her phone."""
    _, codes = app_of(service, service.member(service.account(mfa="totp")))
    person = service.person()
    service.sign_in(person)
    person.open(person.here.links["Use a recovery code"])
    assert person.here.h1 == "Use a recovery code"
    return person, codes


def test_it_signs_in_once_and_the_person_is_told(service: Service) -> None:
    """Typed in capitals without hyphens; the browser is not remembered; the second time it is refused."""
    person, codes = at_the_field(service)
    assert "Remember Me" not in person.here.text
    assert person.submit(recovery=codes[0].upper().replace("-", " ")).h1 == SIGNED_IN
    assert person.cookie("remember-") is None
    service.deliver()
    (mail,) = service.emails.to(DANA)[-1:]
    assert mail.purpose == "notice_recovery_code_used"
    assert "9 are left." in mail.text
    again = service.person()
    service.sign_in(again)
    again.open("/sign-in/app/recovery")
    page = again.submit(recovery=codes[0])
    assert (page.status, "That recovery code was already used." in page.text) == (401, True)
    assert again.submit(recovery=codes[1]).h1 == SIGNED_IN


def test_the_token_says_two_step_and_no_more(service: Service) -> None:
    """It may lie where the password lies: `otp`, neither `mfa` nor `mca`; although the service asked for two factors."""
    service.client()
    _, codes = app_of(service, service.member(service.account(mfa="totp")))
    verifier, challenge = pkce()
    person = service.person()
    request = service.authorization_request(challenge, acr_values=levels.TWO_FACTOR)
    person.open("/oauth/authorize", **request)
    person.submit(email=DANA, password=PASSWORD)
    person.open(person.here.links["Use a recovery code"])
    person.submit(recovery=codes[0])
    claims = service.claims(service.redeem(person, verifier)["id_token"])
    assert (claims["acr"], claims["amr"]) == (levels.TWO_STEP, ["pwd", "otp"])


def test_what_is_no_recovery_code_is_said_and_charges_nothing(service: Service) -> None:
    """422 and the form, whatever was typed."""
    person, _ = at_the_field(service)
    for typed in ("", "123456", "\0", "x" * 10_000, "uuuu-uuuu-uuuu"):
        page = person.submit(recovery=typed)
        assert (page.status, "Enter all 12 letters and digits" in page.text) == (422, True)
    assert service.events(Event.CODE_WRONG) == []
    assert person.submit(recovery="0000-0000-0000").status == 401
    assert [event.fields["reason"] for event in service.events(Event.CODE_WRONG)] == ["wrong"]


def test_it_is_offered_while_there_are_any(service: Service) -> None:
    """With none left, the page says who can help."""
    person, codes = at_the_field(service)
    for code in codes:
        service.pass_time(minutes=1)
        service.sign_in(person)
        person.open("/sign-in/app/recovery")
        assert person.submit(recovery=code).h1 == SIGNED_IN
        person.open("/sign-out")
        person.submit(form=0)
    service.sign_in(person)
    assert "Use a recovery code" not in person.here.text
    assert "ask an account admin" in person.here.text


def test_it_needs_the_password_first(service: Service) -> None:
    """Without a sign-in under way there is no such page."""
    person = service.person()
    assert person.open("/sign-in/app/recovery").h1 == "Sign in"
    assert person.post("/sign-in/app/recovery", {"recovery": "0000-0000-0000"}).status_code == 400
