"""Accepting an invitation (ux.md S10, S11; domain P3, P4, P6, J9; security.md RC-06, RC-11, LG-08, MF-14)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Account, Invitation, Membership, User
from authsvc.audit import Event
from tests.support.journey import Person
from tests.support.links import NEW_PASSWORD, newest_link
from tests.support.service import DANA, PASSWORD, Service

PRIYA = "priya@northgate.example"


def invited(
    service: Service, email: str = PRIYA, *, user: User | None = None, **account: str
) -> tuple[Membership, str]:
    """Dana invites somebody into Northgate; answers the membership that waits, and the mailed path."""
    northgate: Account = service.account(**account)
    dana = service.member(northgate, phone=None)
    waits = service.member(northgate, email, accepted=False, user=user, password=None, verified=False, phone=None)
    return waits, send(service, waits, by=dana.user_id)


def send(service: Service, waits: Membership, *, by: str | None) -> str:
    """Invite, and deliver."""
    s = service.services
    with s.database.transaction() as tx:
        invitation = s.invitations.issue(tx, tx.get_one(Membership, waits.id), invited_by=by)
        s.courier.send_invitation(tx, invitation.id)
        to = invitation.address
    return newest_link(service, "invite", to=to)


def known(service: Service, **account: str) -> tuple[Membership, str]:
    """Priya, who signs in to Lakeside already, is invited to Northgate."""
    lakeside = service.member(service.account("lakeside"), PRIYA, phone=None)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, lakeside.user_id)
    return invited(service, user=user, **account)


def has_joined(service: Service, membership: Membership) -> bool:
    """As stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Membership, membership.id).accepted_at is not None


def test_p3_somebody_new_chooses_a_name_and_a_password(service: Service) -> None:
    """Who invited, to what, before the fields; then signed in, the address verified by it."""
    waits, path = invited(service)
    person = service.person()
    page = person.open(path)
    assert (page.path, page.h1) == ("/invite", "Join Northgate Capital Partners")
    assert "Dana invited you as a Team Member." in page.text
    assert page.forms[0].fields["username"] == PRIYA
    assert page.forms[0].names() == {"csrf_token", "username", "name", "password"}
    page = person.submit(name="Priya Raman", password=NEW_PASSWORD)
    assert page.h1 == "You’re signed in"
    assert f"Northgate Capital Partners as {PRIYA}" in page.text
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, waits.user_id)
        assert (user.name, user.email.verified_at) == ("Priya Raman", service.clock.now())
    other = service.person(address="203.0.113.3")
    service.sign_in(other, PRIYA, password=NEW_PASSWORD)
    assert other.here.h1 == "You’re signed in"


def test_mf_14_joining_never_skips_the_code(service: Service) -> None:
    """Neither for somebody new nor for somebody who signs in already."""
    _, path = invited(service, mfa="email")
    person = service.person()
    person.open(path)
    assert person.submit(name="Priya Raman", password=NEW_PASSWORD).h1 == "Enter your code"
    assert person.cookie("sid") is None
    assert person.submit(code=service.code_for(PRIYA)).h1 == "You’re signed in"


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("", NEW_PASSWORD, "Enter your name"),
        ("a\0b", NEW_PASSWORD, "Enter your name"),
        ("x" * 201, NEW_PASSWORD, "Names have 200 characters at most."),
        ("Priya Raman", "", "Enter a new password"),
        ("Priya Raman", "short one", "Use at least 15 characters. This has 9."),
        ("Priya Raman", "Priya Raman 12345", "Choose something that isn’t your name, email or company."),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_spent(service: Service, name: str, password: str, said: str) -> None:
    """The name that was typed stays."""
    waits, path = invited(service)
    person = service.person()
    person.open(path)
    page = person.submit(name=name, password=password)
    assert page.status == 422
    assert said in page.text
    if name == "Priya Raman":
        assert page.forms[0].fields["name"] == name
    assert not has_joined(service, waits)
    assert person.submit(name="Priya Raman", password=NEW_PASSWORD).h1 == "You’re signed in"


@pytest.mark.parametrize("mfa", ["", "email"])
def test_p6_somebody_who_signs_in_already_uses_their_password(service: Service, mfa: str) -> None:
    """And goes on through the sign-in: the code comes when the account asks."""
    waits, path = known(service, mfa=mfa)
    person = service.person()
    page = person.open(path)
    assert "You’ll use the password you already have." in page.text
    assert page.forms[0].names() == {"csrf_token", "username", "password"}
    assert person.submit(password="not the password of priya").status == 401
    assert not has_joined(service, waits)
    page = person.submit(password=PASSWORD)
    assert has_joined(service, waits)
    assert page.h1 == ("Enter your code" if mfa else "You’re signed in")


def test_lg_08_its_password_field_shares_the_limits_of_signing_in(service: Service) -> None:
    """Ten wrong ones here are ten wrong ones there."""
    _, path = known(service)
    for number in range(10):
        person = service.person(address=f"203.0.113.{number}")
        person.open(path)
        assert person.submit(password="not the password of priya").status == 401
    person = service.person(address="203.0.113.99")
    person.open(path)
    page = person.submit(password=PASSWORD)
    assert page.status == 429
    assert "Too many tries. You can try again at 4:31:30 PM EST" in page.text
    service.sign_in(person, PRIYA)
    assert person.here.status == 429


def test_signed_in_as_that_person_one_button_does(service: Service) -> None:
    """S10; and the account's code is asked all the same."""
    waits, path = known(service, mfa="email")
    person = service.person()
    service.sign_in(person, PRIYA)
    page = person.open(path)
    assert page.forms[0].names() == {"csrf_token"}
    page = person.submit()
    assert has_joined(service, waits)
    assert page.h1 == "Enter your code"
    assert person.submit(code=service.code_for(PRIYA)).text.count("Northgate Capital Partners")


def test_rc_11_signed_in_as_somebody_else_nothing_is_accepted(service: Service) -> None:
    """The words of S10, and "Sign out and continue"; a form sent all the same does nothing."""
    waits, path = known(service)
    person = service.person()
    service.sign_in(person)
    page = person.open(path)
    assert f"This invitation is for {PRIYA}. You’re signed in as {DANA}." in page.text
    person.post("/invite", {**page.forms[0].fields, "password": PASSWORD})
    assert not has_joined(service, waits)
    person.open("/invite")
    page = person.submit()
    assert (page.path, page.h1) == ("/invite", "Join Northgate Capital Partners")
    assert person.submit(password=PASSWORD).h1 == "You’re signed in"


def test_rc_06_opening_it_accepts_nothing(service: Service) -> None:
    """Ten times, by GET and HEAD, redirect and all."""
    _, path = invited(service)
    before = service.everything_stored()
    scanner: Person = service.person()
    for method in ("GET", "HEAD") * 5:
        assert scanner._send(method, path).status_code == 303
        scanner._send(method, "/invite")
    assert service.everything_stored() == before


def test_rc_11_it_is_used_once_and_fields_change_nothing(service: Service) -> None:
    """Another account, another address in the form: read by nobody. A second press and a second tab find it used."""
    waits, path = invited(service)
    person, tab = service.person(), service.person(address="203.0.113.3")
    person.open(path)
    tab.open(path)
    csrf = person.here.forms[0].fields["csrf_token"]
    form = {"csrf_token": csrf, "name": "Priya Raman", "password": NEW_PASSWORD, "email": DANA, "role": "admin"}
    assert person.post("/invite", {**form, "account_id": "x", "sensitive_data_access": "1"}).status_code == 303
    with service.services.database.transaction(read_only=True) as tx:
        joined = tx.get_one(Membership, waits.id)
        assert (joined.role, joined.sensitive_data_access, joined.user.email.address) == ("member", False, PRIYA)
    assert tab.submit(name="Thief", password="another long password").h1 == "This link was already used"
    assert len(service.events(Event.INVITATION_ACCEPTED)) == 1


def test_of_two_who_accept_at_once_one_joins(service: Service) -> None:
    """One name, one password, one row in the trail."""
    _, path = invited(service)
    people = [service.person(address=f"203.0.113.{number}") for number in range(4)]
    for person in people:
        person.open(path)
    found = service.at_once(
        *(lambda p=person: p.submit(name=f"Priya {p.address[-1]}", password=NEW_PASSWORD).h1 for person in people)
    )
    assert found.count("You’re signed in") == 1
    assert len(service.events(Event.INVITATION_ACCEPTED)) == 1


def test_p4_after_a_week_the_inviter_can_be_asked_for_another_once(service: Service) -> None:
    """S11: who to ask, and "let us tell them"; a mail at the first press alone, which names nobody who has not joined."""
    waits, path = invited(service)
    service.pass_time(days=7)
    person = service.person()
    page = person.open(path)
    assert (page.status, page.h1) == (410, "This invitation has expired")
    assert "Ask Dana for a new one, or let us tell them." in page.text
    form = dict(page.forms[0].fields)
    page = person.submit()
    assert "We’ve told Dana." in page.text
    person.post("/invite/ask", form)
    service.deliver()
    (mail,) = service.emails.to(DANA)
    assert mail.subject == "A new invitation to Northgate is wanted"
    assert PRIYA not in mail.text
    assert service.person().open(send(service, waits, by=None)).h1 == "Join Northgate Capital Partners"


def test_s11_withdrawn_and_invited_by_support(service: Service) -> None:
    """Withdrawn: ask an admin. Expired and sent by nobody in particular: the same, without a button."""
    waits, path = invited(service)
    with service.services.database.transaction() as tx:
        service.services.invitations.withdraw(tx, tx.get_one(Membership, waits.id), by=None)
    page = service.person().open(path)
    assert (page.status, page.h1) == (410, "This invitation was withdrawn")
    assert "Ask your account admin if you still need access." in page.text
    path = send(service, waits, by=None)
    assert "You’re invited as a Team Member." in service.person().open(path).text
    service.pass_time(days=7)
    page = service.person().open(path)
    assert page.h1 == "This invitation has expired"
    assert page.forms == []


def test_the_database_holds_no_invitation_link(service: Service) -> None:
    """As with every link (Invitation keeps a digest)."""
    _, path = invited(service)
    assert path.rpartition("/")[2] not in service.everything_stored()
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.query(Invitation).count() == 1
