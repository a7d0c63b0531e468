"""Signing in with an authenticator app (ux.md S3, S4; domain D19; security.md MF-05, MF-06, MF-07, MF-12, MF-19)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.devices.models import RememberedDevice
from authsvc.sessions import levels
from tests.support.authenticator import App, app_of, scanned
from tests.support.journey import Person
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service, pkce

CHOOSE, ENTER, SIGNED_IN = "Choose how to get your code", "Enter your code", "You’re signed in"
SET_UP, SAVE = "Set up your authenticator app", "Save your recovery codes"


def at_the_code(service: Service, mfa: str = "totp", **member: object) -> tuple[Person, App]:
    """Dana, who has an app, after the password."""
    app, _ = app_of(service, service.member(service.account(mfa=mfa), **member))  # type: ignore[arg-type]
    person = service.person()
    service.sign_in(person)
    return person, app


def test_d19_the_apps_code_signs_in_and_the_token_says_two_factor(service: Service) -> None:
    """claims.md: `["pwd","otp","mfa"]`. Nothing is sent, so nothing can be sent again."""
    service.client()
    app, _ = app_of(service, service.member(service.account(mfa="totp")))
    verifier, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    person.submit(email=DANA, password=PASSWORD)
    assert (person.here.h1, person.here.path.partition("?")[0]) == (ENTER, "/sign-in/app")
    assert "Enter the code from your authenticator app." in person.here.text
    assert "Send a new code" not in person.here.text
    assert service.deliver() == 0
    person.submit(code=f"{app.code()[:3]} {app.code()[3:]}")
    claims = service.claims(service.redeem(person, verifier)["id_token"])
    assert (claims["acr"], claims["amr"]) == (levels.TWO_FACTOR, ["pwd", "otp", "mfa"])
    assert [event.fields["channel"] for event in service.events(Event.CODE_ACCEPTED)] == ["totp"]


def test_the_app_is_one_of_the_ways_to_choose_and_is_remembered(service: Service) -> None:
    """S3: text message first, the app right next to it; the way used last is offered first."""
    person, app = at_the_code(service, "email+sms+totp")
    assert person.here.h1 == CHOOSE
    places = [person.here.text.index(label) for label in ("Text message (SMS)", "Authenticator app", "Email")]
    assert places == sorted(places)
    person.submit(method="totp")
    assert person.here.h1 == ENTER
    assert "Get it by text message" in person.here.text
    assert "Get it by email" in person.here.text
    assert person.submit(code=app.code()).h1 == SIGNED_IN
    again = service.person()
    service.sign_in(again)
    assert again.here.forms[0].fields["method"] == "totp"
    assert service.deliver() == 0


def test_another_way_is_one_press_away_from_the_app_and_back(service: Service) -> None:
    """S4: a link to each other method that is open."""
    person, app = at_the_code(service, "email+totp")
    person.submit(method="totp")
    person.submit(method="email")
    assert "d•••@northgate.example" in person.here.text
    assert "Use your authenticator app" in person.here.text
    person.submit(method="totp")
    assert person.submit(code=app.code()).h1 == SIGNED_IN


def test_r1_r2_remember_me_works_as_with_any_code(service: Service) -> None:
    """Spares the code for 30 days, the password never; mfa_amr says how it was passed."""
    person, app = at_the_code(service)
    assert "Remember Me on this device for 30 days" in person.here.text
    person.submit(code=app.code(), remember="1")
    with service.services.database.transaction() as tx:
        (device,) = tx.query(RememberedDevice).all()
        assert device.mfa_amr == ["pwd", "otp", "mfa"]
    person.open("/sign-out")
    person.submit(form=0)
    service.sign_in(person)
    assert person.here.h1 == SIGNED_IN
    service.pass_time(days=30)
    service.sign_in(person)
    assert person.here.h1 == ENTER


def test_r3_another_browser_is_asked(service: Service) -> None:
    """Remembering is the browser's, after a successful authentication."""
    person, app = at_the_code(service)
    person.submit(code=app.code(), remember="1")
    other = service.person()
    service.sign_in(other)
    assert other.here.h1 == ENTER


def test_a_wrong_code_keeps_the_tick_and_says_so(service: Service) -> None:
    """401, the error at the field, focus on the summary; the code is not given back."""
    person, app = at_the_code(service)
    wrong = f"{(int(app.code()) + 7) % 1_000_000:06}"
    page = person.submit(code=wrong, remember="1")
    assert (page.status, page.title.startswith("Error: ")) == (401, True)
    assert "Check the code and enter it again." in page.text
    assert wrong not in page.response.text
    assert page.forms[0].fields.get("remember") == "1"
    assert person.submit(code="12345").status == 422
    assert "Enter all 6 digits" in person.here.text
    assert person.submit(code=app.code(), remember=None).h1 == SIGNED_IN


def test_mf_06_a_code_that_signed_in_signs_nobody_else_in(service: Service) -> None:
    """Read over a shoulder, it is spent; the page says what to do."""
    person, app = at_the_code(service)
    thief = service.person(address="203.0.113.9")
    service.sign_in(thief)
    code = app.code()
    person.submit(code=code)
    page = thief.submit(code=code)
    assert (page.status, thief.cookie("sid")) == (401, None)
    assert "That code was already used. Wait until your app shows the next one." in page.text
    assert [event.fields["reason"] for event in service.events(Event.CODE_WRONG)] == ["spent"]
    assert thief.submit(code=app.next_code()).h1 == SIGNED_IN


def test_mf_07_the_step_before_counts_and_the_one_before_that_does_not(service: Service) -> None:
    """policies/README.md documents one step of drift."""
    person, app = at_the_code(service)
    assert person.submit(code=app.code(steps=-2)).status == 401
    assert person.submit(code=app.code(steps=-1)).h1 == SIGNED_IN


def test_mf_05_changing_between_ways_and_browsers_gains_nothing(service: Service) -> None:
    """Five tries in five minutes for the person, whichever way and wherever from; then the right code waits too."""
    app, recovery = app_of(service, service.member(service.account(mfa="email+sms+totp")))
    wrong = f"{(int(app.code()) + 7) % 1_000_000:06}"

    def visitor(number: int, method: str) -> Person:
        person = service.person(address=f"203.0.113.{number}")
        service.sign_in(person)
        person.submit(method=method)
        return person

    for number, method in enumerate(("totp", "email", "sms", "totp")):
        assert visitor(number, method).submit(code=wrong).status == 401
    by_recovery = visitor(5, "totp")
    by_recovery.open("/sign-in/app/recovery")
    assert by_recovery.submit(recovery="0000-0000-0000").status == 401
    late = visitor(6, "totp")
    assert late.submit(code=app.code()).status == 429
    assert visitor(7, "email").submit(code=wrong).status == 429
    by_recovery.open("/sign-in/app/recovery")
    assert by_recovery.submit(recovery=recovery[0]).status == 429
    service.pass_time(minutes=5)
    again = visitor(8, "totp")
    assert again.submit(code=app.code()).h1 == SIGNED_IN


def test_the_pause_after_all_tries_of_a_sent_code_holds_for_the_app(service: Service) -> None:
    """ "For safety we stopped this sign-in": no way round it."""
    person, app = at_the_code(service, "email+totp")
    person.submit(method="email")
    right = service.code_for(DANA)
    for step in range(1, 6):
        person.submit(code=f"{(int(right) + step) % 1_000_000:06}")
        service.pass_time(seconds=20)
    other = service.person()
    service.sign_in(other)
    form = other.here.forms[0]
    other.post(form.action, {**form.fields, "method": "totp"})
    answer = other.post("/sign-in/app", {"csrf_token": form.fields["csrf_token"], "code": app.code()})
    assert answer.status_code == 429
    assert other.cookie("sid") is None


def test_mf_12_an_app_is_refused_where_the_account_allows_email_alone(service: Service) -> None:
    """Posted by hand, to its own address or as a choice; the policy is read again at each step (SR4)."""
    person, app = at_the_code(service, "email")
    assert person.here.path == "/sign-in/code"
    token = person.here.forms[0].fields["csrf_token"]
    assert person.post("/sign-in/method", {"csrf_token": token, "method": "totp"}).status_code == 422
    for path in ("/sign-in/app", "/sign-in/app/recovery", "/sign-in/app/setup"):
        posted = {"csrf_token": token, "code": app.code(), "recovery": "0000-0000-0000"}
        assert person.post(path, posted).headers["Location"] == "/sign-in/code"
        assert person.open(path).path == "/sign-in/code"
    assert person.open("/sign-in/app/setup/qr.svg").status == 404
    assert person.cookie("sid") is None


def test_mf_12_a_way_closed_meanwhile_is_closed_for_the_app(service: Service) -> None:
    """The account takes the app away while somebody stands at its page: a right code is refused."""
    account = service.account(mfa="email+totp")
    app, _ = app_of(service, service.member(account))
    person = service.person()
    service.sign_in(person)
    person.submit(method="totp")
    service.set_mfa(account, "email")
    assert person.submit(code=app.code()).path == "/sign-in/code"
    assert person.cookie("sid") is None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "\0\0\0\0\0\0", "١٢٣٤٥٦", "1e5", "x" * 10_000])
def test_mf_23_what_is_no_code_is_said_and_nothing_breaks(service: Service, typed: str) -> None:
    """422 and the form; no try is charged."""
    person, _ = at_the_code(service)
    page = person.submit(code=typed)
    assert (page.status, "Enter all 6 digits" in page.text) == (422, True)
    assert service.events(Event.CODE_WRONG) == []


def test_mf_19_an_app_set_up_by_choice_is_asked_although_the_account_is_off(service: Service) -> None:
    """The code is still asked, and the token says two-factor; the line says why."""
    person, app = at_the_code(service, "")
    assert person.here.h1 == ENTER
    assert "You set up an authenticator app, so we ask for its code." in person.here.text
    assert "Get it by email" not in person.here.text
    assert person.submit(code=app.code()).h1 == SIGNED_IN
    assert [event.fields["acr"] for event in service.events(Event.SESSION_STARTED)] == [levels.TWO_FACTOR]


def test_two_factor_asked_by_a_service_is_met_by_the_app(service: Service) -> None:
    """claims.md: SMS or app. Email is not on the list of ways then."""
    service.client()
    app, _ = app_of(service, service.member(service.account(mfa="email+totp"), phone=None))
    verifier, challenge = pkce()
    person = service.person()
    request = service.authorization_request(challenge, acr_values=levels.TWO_FACTOR)
    person.open("/oauth/authorize", **request)
    person.submit(email=DANA, password=PASSWORD)
    assert person.here.path.startswith("/sign-in/app")
    assert "Get it by email" not in person.here.text
    person.submit(code=app.code())
    assert service.claims(service.redeem(person, verifier)["id_token"])["acr"] == levels.TWO_FACTOR


def test_d2_where_the_app_is_the_only_way_it_is_set_up_behind_an_emailed_code(service: Service) -> None:
    """First the address, then the key and its first code, then recovery codes; the person is told by mail."""
    service.member(service.account(mfa="totp"))
    person = service.person()
    service.sign_in(person)
    assert (person.here.h1, person.here.path) == (ENTER, "/sign-in/code")
    assert person.open("/sign-in/app/setup").path == "/sign-in/code"
    assert person.open("/sign-in/app/setup/qr.svg").status == 404
    person.open("/sign-in/code")
    person.submit(code=service.code_for(DANA))
    assert (person.here.h1, person.here.path) == (SET_UP, "/sign-in/app/setup")
    app = scanned(person, service)
    picture = person.client.get("/sign-in/app/setup/qr.svg", base_url=person.issuer)
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    assert picture.headers["Cache-Control"] == "no-store"
    assert person.submit(code="000000").status == 401
    assert scanned(person, service).totp.secret == app.totp.secret
    person.submit(code=app.code(), remember="1")
    assert (person.here.h1, person.cookie("sid")) == (SAVE, None)
    assert person.submit(form=0).h1 == SIGNED_IN
    assert person.cookie("remember-") is not None
    service.deliver()
    assert [mail.purpose for mail in service.emails.to(DANA)] == ["sign_in_code", "notice_app_added"]
    assert [event.fields["acr"] for event in service.events(Event.SESSION_STARTED)] == [levels.TWO_FACTOR]
    other = service.person()
    service.sign_in(other)
    assert other.submit(code=app.next_code()).h1 == SIGNED_IN


def test_d2_leaving_before_the_codes_are_saved_costs_nobody_the_app(service: Service) -> None:
    """The app counts from its first code; the next sign-in asks for it."""
    service.member(service.account(mfa="totp"))
    person = service.person()
    service.sign_in(person)
    person.submit(code=service.code_for(DANA))
    app = scanned(person, service)
    person.submit(code=app.code())
    again = service.person()
    service.sign_in(again)
    assert again.here.path == "/sign-in/app"
    assert again.submit(code=app.next_code()).h1 == SIGNED_IN


def test_d4_without_a_us_number_the_app_takes_the_place_of_texts(service: Service) -> None:
    """An account that allows texts and the app: nobody falls back to email there."""
    service.member(service.account(mfa="sms+totp"), phone=None)
    person = service.person()
    service.sign_in(person)
    person.submit(code=service.code_for(DANA))
    assert person.here.h1 == "Add your phone number"
    person.submit(button="no_us_number")
    assert person.here.h1 == SET_UP


def test_an_app_is_the_persons_in_every_account(service: Service) -> None:
    """One User, many Memberships (D14): set up in one, it is there in the other."""
    dana = service.member(service.account(mfa="totp"))
    app, _ = app_of(service, dana)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, dana.user_id)
    other: Membership = service.member(service.account("westgate", mfa="sms+totp"), user=user)
    person = service.person()
    service.sign_in(person, account="westgate")
    person.submit(method="totp")
    assert person.submit(code=app.code()).h1 == SIGNED_IN
    assert service.events(Event.SESSION_STARTED)[0].account_id == other.account_id


def test_the_risk_of_texts_is_said_beside_the_choice(service: Service) -> None:
    """claims.md: SMS is restricted; "a stronger method is offered next to it, with one sentence about the risk"."""
    person, _ = at_the_code(service, "email+sms+totp")
    assert "Texts can be intercepted or rerouted; your authenticator app is safer." in person.here.text
    service.member(service.account("westgate", mfa="email+sms+totp"), "sam@westgate.example")
    sam = service.person()
    service.sign_in(sam, "sam@westgate.example")
    assert "an authenticator app, set up in My Profile, is safer." in sam.here.text
    service.member(service.account("eastgate", mfa="email+sms"), "eve@eastgate.example", phone=DANAS_PHONE)
    eve = service.person()
    service.sign_in(eve, "eve@eastgate.example")
    assert "Texts can be intercepted or rerouted by someone else." in eve.here.text
