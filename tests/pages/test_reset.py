"""Choosing a new password (ux.md S9, S11; domain D15, D17, D21; security.md RC-02 to RC-04, RC-06, RC-07, MF-14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from authsvc.accounts.models import EmailChange, Membership, User
from authsvc.audit import Event
from authsvc.crypto.tokens import new_id
from authsvc.login.models import LoginAttempt
from authsvc.mfa.models import Challenge
from tests.support.journey import Person
from tests.support.links import NEW_PASSWORD, links, newest_link
from tests.support.service import DANA, PASSWORD, Service


def asked(service: Service, email: str = DANA) -> str:
    """The link that was mailed to whoever asked."""
    person = service.person(address="203.0.113.200")
    person.open("/forgot")
    person.submit(email=email)
    return newest_link(service, "reset", to=email)


def reset(service: Service, *, password: str = NEW_PASSWORD, path: str | None = None) -> Person:
    """Somebody who follows a link and chooses."""
    person = service.person()
    person.open(path or asked(service))
    person.submit(password=password)
    return person


def the_user(service: Service, user_id: str) -> User:
    """The person as stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(User, user_id)


def test_p1_a_new_password_and_back_to_the_sign_in_page(service: Service) -> None:
    """S9: one field, the rule before typing, whose it is; then S1 with its note, and nobody is signed in (MF-14)."""
    dana = service.member(service.account())
    person = service.person()
    page = person.open(asked(service))
    assert (page.path, page.h1) == ("/reset", "Choose a new password")
    assert page.forms[0].names() == {"csrf_token", "username", "password"}
    assert page.forms[0].fields["username"] == DANA
    html = page.response.text
    assert 'autocomplete="new-password"' in html
    assert 'passwordrules="minlength: 15;"' in html
    assert "At least 15 characters. A few unrelated words work well." in page.text
    page = person.submit(password=NEW_PASSWORD)
    assert page.h1 == "Sign in"
    assert "Your password is changed. Sign in with the new one." in page.text
    assert person.cookie("sid") is None
    for password, h1 in ((PASSWORD, "Sign in"), (NEW_PASSWORD, "You’re signed in")):
        someone = service.person(address="203.0.113.5")
        service.sign_in(someone, password=password)
        assert someone.here.h1 == h1
    changed = service.events(Event.PASSWORD_CHANGED)
    assert [(event.user_id, event.fields) for event in changed] == [(dana.user_id, {"by": "reset_link"})]


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "Enter a new password"),
        ("short one", "Use at least 15 characters. This has 9."),
        ("x" * 257, "Passwords have 256 characters at most. This one is longer."),
        ("passwordpassword", "This password is easy to guess. Choose a different one."),
        ("dana northgate 2026", "Choose something that isn’t your name, email or company."),
        (PASSWORD, "This is your current password. Choose a different one."),
    ],
)
def test_d21_a_password_that_cannot_be_used_says_why(service: Service, password: str, said: str) -> None:
    """The words of S9; the link is not spent, and the field comes back empty."""
    service.member(service.account())
    person = reset(service, password=password)
    assert (person.here.status, person.here.title) == (422, "Error: Choose a new password – Northgate Capital Partners")
    assert said in person.here.text
    assert person.here.forms[0].fields["password"] == ""
    assert person.submit(password=NEW_PASSWORD).h1 == "Sign in"


def test_d21_a_leaked_password_is_refused_and_said_to_have_leaked(
    service_with: Callable[..., Service], tmp_path: Path
) -> None:
    """By the file of the installation's own; nobody outside is asked."""
    file = tmp_path / "pwnedpasswords.txt"
    file.write_bytes(
        b"0" * 40
        + b":3\r\n"
        + sha1(NEW_PASSWORD.encode(), usedforsecurity=False).hexdigest().upper().encode()
        + b":1\r\n"
    )
    service = service_with(breached_passwords_file=file)
    service.member(service.account())
    person = reset(service)
    assert person.here.status == 422
    assert "This password has appeared in a data breach. Choose a different one." in person.here.text
    assert person.submit(password=f"{NEW_PASSWORD} too").h1 == "Sign in"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_rc_06_opening_the_link_changes_nothing(service: Service, method: str) -> None:
    """A mail scanner opens it ten times, redirect and all; the person's own press still works."""
    service.member(service.account())
    path = asked(service)
    before = service.everything_stored()
    scanner = service.person()
    for _ in range(10):
        answer = scanner._send(method, path)
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/reset"
        scanner._send(method, "/reset")
    assert service.everything_stored() == before
    assert reset(service, path=path).here.h1 == "Sign in"


def test_the_secret_leaves_the_address_at_once(service: Service) -> None:
    """Into a cookie of this host, out of reach of scripts; no page and no Referer shows it (ASVS 14.2.1)."""
    service.member(service.account())
    path = asked(service)
    secret = path.rpartition("/")[2]
    person = service.person()
    answer = person._send("GET", path)
    cookie = next(value for name, value in answer.headers if name == "Set-Cookie" and secret in value)
    assert cookie.startswith("__Host-link-reset=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert secret not in person.open("/reset").response.text


def test_rc_02_a_link_works_once_and_the_newest_alone(service: Service) -> None:
    """Each says what became of it (S11), with 410."""
    service.member(service.account())
    first = asked(service)
    service.pass_time(minutes=1)
    second = asked(service)
    person = service.person()
    assert person.open(first).h1 == "This link was replaced"
    assert reset(service, path=second).here.h1 == "Sign in"
    page = person.open(second)
    assert (page.status, page.h1) == (410, "This link was already used")
    assert "If you changed your password, sign in with the new one. If you didn’t, reset it now." in page.text
    assert page.links["Reset password"] == "/forgot"


def test_rc_02_it_works_for_thirty_minutes(service: Service) -> None:
    """Also for whoever opened the page in time and pressed too late."""
    service.member(service.account())
    path = asked(service)
    person = service.person()
    person.open(path)
    service.pass_time(minutes=30)
    page = person.submit(password=NEW_PASSWORD)
    assert (page.status, page.h1) == (410, "This link has expired")
    assert "Password links work for 30 minutes and only once. Your current password hasn’t changed." in page.text
    assert page.links["Send me a new link"] == "/forgot"


def test_back_and_a_second_tab_find_it_used(service: Service) -> None:
    """S26: "Back after success: S11 'already used'; second tab likewise"."""
    service.member(service.account())
    person = reset(service)
    assert person.open("/reset").h1 == "This link was already used"
    assert person.open("/reset").status == 410


@pytest.mark.parametrize("end", ["", "0" * 63, "0" * 65, "G" * 64, "%00" * 64, "é" * 64, "../../x", "0" * 10_000])
def test_a_damaged_link_says_so(service: Service, end: str) -> None:
    """Whatever a mail program made of it; and one that was never ours."""
    for kind in ("reset", "verify", "not-me", "invite"):
        page = service.person().open(f"/{kind}/{end}")
        assert page.status in (404, 410)
        assert page.h1 in ("This link isn’t complete", "Page not found")
    assert service.person().open("/reset/" + "0" * 64).h1 == "This link isn’t complete"


def test_rc_04_without_the_link_no_password_is_set(service: Service) -> None:
    """No other way leads there: not the form alone, not a forged cookie, not the link of another kind."""
    dana = service.member(service.account())
    before = the_user(service, dana.user_id).password_hash
    asked(service)
    with service.services.database.transaction() as tx:
        link = service.services.links.issue(tx, tx.get_one(User, dana.user_id), "verify_email")
    for value in (None, "0" * 64, service.services.links.secret("verify_email", link.id), "reset"):
        person = service.person()
        csrf = person.open("/sign-in").forms[0].fields["csrf_token"]
        if value:
            person.client.set_cookie("__Host-link-reset", value, domain="login.ims.test", secure=True, path="/")
        answer = person.post("/reset", {"password": NEW_PASSWORD, "csrf_token": csrf, "user_id": dana.user_id})
        assert answer.status_code == 410
    assert the_user(service, dana.user_id).password_hash == before


def test_rc_03_whose_password_it_is_the_link_alone_says(service: Service) -> None:
    """Fields that name somebody else are read by nobody."""
    account = service.account()
    service.member(account)
    priya = service.member(account, "priya@northgate.example", phone=None)
    before = the_user(service, priya.user_id).password_hash
    person = service.person()
    person.open(asked(service))
    person.submit(password=NEW_PASSWORD, username="priya@northgate.example")
    assert the_user(service, priya.user_id).password_hash == before
    service.sign_in(person, password=NEW_PASSWORD)
    assert person.here.h1 == "You’re signed in"


def test_rc_07_everything_that_rested_on_the_old_password_ends(service: Service) -> None:
    """Sessions, refresh families, remembered devices, a change of address, sign-ins under way, codes (domain D15)."""
    account = service.account(mfa="email")
    dana = service.member(account)
    known = service.person()
    service.sign_in(known)
    known.submit(code=service.code_for(DANA), remember="1")
    assert known.here.h1 == "You’re signed in"
    half = service.person(address="203.0.113.9")
    service.sign_in(half)
    code = service.code_for(DANA)
    with service.services.database.transaction() as tx:
        tx.add(_change(service, dana.user_id))
        epoch = tx.get_one(Membership, dana.id).security_epoch
    service.pass_time(minutes=1)
    reset(service)
    assert known.open("/").h1 == "Sign in"
    half.submit(code=code)
    assert half.here.h1 in ("Sign in", "This page was open too long")
    service.sign_in(known, password=NEW_PASSWORD)
    assert known.here.h1 == "Enter your code"
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(Membership, dana.id).security_epoch == epoch + 1
        assert tx.scalars(select(EmailChange)).all() == []
        open_codes = select(Challenge).where(Challenge.voided_at.is_(None), Challenge.consumed_at.is_(None))
        ours = tx.scalars(select(LoginAttempt.id).order_by(LoginAttempt.created_at.desc())).first()
        assert [challenge.subject_id for challenge in tx.scalars(open_codes)] == [ours]
    reasons = [event.fields["reason"] for event in service.events(Event.SESSION_ENDED)]
    assert reasons == ["password_reset"]
    assert len(service.events(Event.EMAIL_CHANGE_CANCELLED)) == 1


def _change(service: Service, user_id: str) -> EmailChange:
    now = service.clock.now()
    return EmailChange(
        user_id=user_id,
        id=new_id(),
        address="thief@evil.example",
        canonical="thief@evil.example",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )


def test_mf_14_a_reset_never_skips_the_code(service: Service) -> None:
    """ASVS 6.4.3: with the new password the account's code is asked, on whatever browser."""
    service.member(service.account(mfa="email"))
    person = reset(service)
    assert person.here.h1 == "Sign in"
    person.submit(email=DANA, password=NEW_PASSWORD)
    assert person.here.h1 == "Enter your code"


def test_d15_the_person_and_the_holders_are_told_and_sensitive_acts_wait(service: Service) -> None:
    """Holders of Sensitive Data Access in each of the person's accounts, nobody else; the acts wait 24 hours."""
    account = service.account()
    dana = service.member(account, sensitive=True)
    service.member(account, "marcus@northgate.example", sensitive=True, phone=None)
    service.member(account, "priya@northgate.example", phone=None)
    service.member(service.account("lakeside"), "theo@lakeside.example", sensitive=True, phone=None)
    reset(service)
    service.deliver()
    told = {message.to: message for message in service.emails.messages if message.purpose.startswith("notice")}
    assert told.keys() == {DANA, "marcus@northgate.example"}
    assert told[DANA].subject == "Your Northgate password was changed"
    assert "The password of Dana was reset by email on Nov 22, 2026" in told["marcus@northgate.example"].text
    assert the_user(service, dana.user_id).sensitive_acts_from == service.clock.now() + timedelta(hours=24)


def test_d17_the_used_link_proves_an_unverified_address(service: Service) -> None:
    """Whoever used it reads that mailbox."""
    dana = service.member(service.account(), verified=False)
    person = reset(service)
    assert the_user(service, dana.user_id).email.verified_at == service.clock.now()
    person.submit(email=DANA, password=NEW_PASSWORD)
    assert person.here.h1 == "You’re signed in"
    assert service.events(Event.EMAIL_VERIFIED)[0].fields == {"by": "reset_link"}


def test_rc_02_of_two_who_choose_at_once_one_does(service: Service) -> None:
    """One password is set, the other person reads that the link was used."""
    service.member(service.account())
    path = asked(service)
    people = [service.person(address=f"203.0.113.{number}") for number in range(4)]
    for person in people:
        person.open(path)
    acts: list[Any] = [lambda p=person: p.submit(password=f"{NEW_PASSWORD} {id(p)}").h1 for person in people]
    found = service.at_once(*acts)
    assert sorted(found) == ["Sign in"] + ["This link was already used"] * 3
    assert len(service.events(Event.PASSWORD_CHANGED)) == 1


def test_a_password_changed_by_other_means_voids_nothing_but_the_old_address_does(service: Service) -> None:
    """RC-10: a mailbox that is the person's no more cannot reset."""
    dana = service.member(service.account())
    path = asked(service)
    with service.services.database.transaction() as tx:
        email = tx.get_one(User, dana.user_id).email
        email.address = email.canonical = "dana@elsewhere.example"
    assert service.person().open(path).h1 == "This link was replaced"


def test_no_log_job_or_table_holds_the_link(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """From asking to the new password."""
    service.member(service.account())
    path = asked(service)
    reset(service, path=path)
    secrets = [link.rpartition("/")[2] for link in [*links(service, "reset"), *links(service, "not-me")]]
    logged = capsys.readouterr()
    everything = service.everything_stored() + logged.err + logged.out
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in everything]
    assert NEW_PASSWORD not in everything
