"""My Profile > Security > Authenticator app: every step behind password and code, told by mail, and audited."""

from __future__ import annotations

import re

import pytest

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from tests.support.authenticator import app_of, scanned
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service

PLACE = "/profile/security/app"
OVERVIEW, SET_UP, SAVE = "Authenticator app", "Set up your authenticator app", "Save your recovery codes"
REMOVE = "Remove your authenticator app?"


def signed_in(service: Service, mfa: str = "email+totp", **member: object) -> tuple[Person, Membership]:
    """Dana, by an emailed code."""
    dana = service.member(service.account(mfa=mfa), **member)  # type: ignore[arg-type]
    person = service.person()
    service.sign_in(person)
    if mfa:
        person.submit(code=service.code_for(DANA))
    return person, dana


def mails(service: Service) -> list[str]:
    """What was mailed, but for codes."""
    service.deliver()
    return [mail.purpose for mail in service.emails.to(DANA) if mail.purpose.startswith("notice_")]


def test_an_app_is_set_up_and_asked_for_at_the_next_sign_in(service: Service) -> None:
    """Key as picture and text, first code, ten recovery codes shown once, a mail."""
    person, _ = signed_in(service)
    assert person.open(PLACE).h1 == OVERVIEW
    assert "You have no authenticator app yet." in person.here.text
    person.submit(form=0)
    assert (person.here.h1, person.here.path) == (SET_UP, f"{PLACE}/setup")
    app = scanned(person, service)
    picture = person.client.get(f"{PLACE}/qr.svg", base_url=person.issuer)
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    assert person.submit(code="000000").status == 401
    assert person.submit(code="123").status == 422
    page = person.submit(code=app.code())
    assert (page.status, page.h1) == (200, SAVE)
    assert "Your authenticator app is set up." in page.text
    codes = re.findall(r"<code>([0-9a-z]{4}(?:-[0-9a-z]{4}){2})</code>", page.response.text)
    assert len(set(codes)) == 10
    assert mails(service) == ["notice_app_added"]
    person.open(PLACE)
    assert "10 of 10 left." in person.here.text
    assert person.client.get(f"{PLACE}/qr.svg", base_url=person.issuer).status_code == 404
    other = service.person()
    service.sign_in(other)
    other.submit(method="totp")
    assert other.submit(code=app.next_code()).h1 == "You’re signed in"


@pytest.mark.parametrize("mfa", ["", "email+totp"])
def test_d2_every_step_wants_the_password_and_a_code_shown_lately(service: Service, mfa: str) -> None:
    """Also where the account asks for no codes: a stolen password binds no app. A form that comes late changes nothing."""
    person, _ = signed_in(service, mfa)
    service.pass_time(minutes=16)
    for path in ("", "/setup", "/remove"):
        assert person.open(PLACE + path).h1 == "Confirm it’s you"
    assert "Enter your password to change your authenticator app." in person.here.text
    token = person.here.forms[0].fields["csrf_token"]
    for path in ("", "/setup", "/codes", "/remove"):
        answer = person.post(PLACE + path, {"csrf_token": token, "code": "123456"})
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/confirm?continue=%2Fprofile%2Fsecurity%2Fapp&for=app&code=1")
    assert person.client.get(f"{PLACE}/qr.svg", base_url=person.issuer).status_code == 404
    person.open(PLACE)
    page = person.submit(password=PASSWORD)
    if not mfa:
        page = person.submit(method="email")
    assert "We ask for a code before a sensitive change." in page.text
    assert person.submit(code=service.code_for(DANA)).h1 == OVERVIEW
    assert [event for event in service.events() if event.name.startswith(("app.", "recovery"))] == []


def test_nobody_signed_in_is_sent_to_sign_in(service: Service) -> None:
    """And comes back."""
    service.member(service.account(mfa=""))
    assert service.person().open(PLACE).h1 == "Sign in"


def test_where_the_account_allows_no_app_none_can_be_set_up(service: Service) -> None:
    """MF-12: said on the page, refused by hand."""
    person, _ = signed_in(service, "email")
    person.open(PLACE)
    assert "Northgate doesn’t use authenticator apps for sign-in codes." in person.here.text
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    assert person.post(PLACE, {"csrf_token": token}).status_code == 403
    assert person.open(f"{PLACE}/setup").h1 == OVERVIEW


def test_an_app_is_replaced_and_the_recovery_codes_stay(service: Service) -> None:
    """The old one works until the new one is proved; then the person is told."""
    person, dana = signed_in(service)
    old, codes = app_of(service, dana)
    person.open(PLACE)
    person.submit(form=0)
    new = scanned(person, service)
    page = person.submit(code=new.code())
    assert (page.h1, page.path) == (OVERVIEW, f"{PLACE}?done=replaced")
    assert "The one before no longer works." in page.text
    assert "10 of 10 left." in page.text
    other = service.person()
    service.sign_in(other)
    other.submit(method="totp")
    assert other.submit(code=old.next_code()).status == 401
    other.open("/sign-in/app/recovery")
    assert other.submit(recovery=codes[0]).h1 == "You’re signed in"
    assert mails(service)[:2] == ["notice_app_added"] * 2


def test_recovery_codes_are_made_anew_and_the_old_ones_are_void(service: Service) -> None:
    """Shown once, told by mail; a used one lowers the count on the page."""
    person, dana = signed_in(service)
    _, old = app_of(service, dana)
    person.open(PLACE)
    page = person.submit(form=1)
    assert (page.h1, "Your old recovery codes no longer work." in page.text) == (SAVE, True)
    assert mails(service)[-1] == "notice_recovery_codes"
    other = service.person()
    service.sign_in(other)
    other.submit(method="totp")
    other.open("/sign-in/app/recovery")
    assert other.submit(recovery=old[0]).status == 401
    assert [event.fields["count"] for event in service.events(Event.RECOVERY_CODES_MADE)] == [10, 10]


def test_recovery_codes_without_an_app_are_not_made(service: Service) -> None:
    """They stand in for an app, and there is none."""
    person, _ = signed_in(service)
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    assert person.post(f"{PLACE}/codes", {"csrf_token": token}).headers["Location"] == PLACE
    assert service.events(Event.RECOVERY_CODES_MADE) == []


def test_an_app_is_removed_after_a_question(service: Service) -> None:
    """With its recovery codes; told by mail; removing twice says that there was none."""
    person, dana = signed_in(service)
    app_of(service, dana)
    person.open(PLACE)
    person.open(person.here.links["Remove"])
    assert person.here.h1 == REMOVE
    form = person.here.forms[0]
    page = person.submit(form=0)
    assert "Your authenticator app and its recovery codes are removed." in page.text
    assert "You have no authenticator app yet." in page.text
    assert mails(service)[-1] == "notice_app_removed"
    assert person.post(form.action, form.fields).headers["Location"] == f"{PLACE}?done=none"
    assert len(service.events(Event.APP_REMOVED)) == 1
    other = service.person()
    service.sign_in(other)
    assert other.here.path == "/sign-in/code"


def test_an_app_that_is_the_only_way_cannot_be_removed(service: Service) -> None:
    """Refused while this account, or another of the person's, asks for an app and for nothing else."""
    person, dana = signed_in(service)
    app_of(service, dana)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, dana.user_id)
    service.member(service.account("westgate", mfa="totp"), user=user)
    page = person.open(f"{PLACE}/remove")
    assert "Westgate asks for a code from an authenticator app, so you need one." in page.text
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    assert person.post(f"{PLACE}/remove", {"csrf_token": token}).status_code == 409
    assert service.events(Event.APP_REMOVED) == []
