"""Adding and inviting (domain J5, D34, P3, P6; security.md RC-09, TN-03, TN-04, section 5)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from authsvc.accounts.models import EmailAddress, Invitation, Membership, User
from tests.support.journey import Page, Person
from tests.support.service import DANA, PASSWORD, Service
from tests.support.team import PRIYA, admin, northgate, press

PRIYAS = {"first": "Priya", "last": "Raman", "role": "member", "email": PRIYA}


def add(person: Person, **changed: str | None) -> Page:
    """Fill the form in."""
    person.open("/admin/team/new")
    return person.submit(**{**PRIYAS, **changed})


def memberships(service: Service, email: str = PRIYA) -> list[Membership]:
    """Of this address."""
    with service.services.database.transaction(read_only=True) as tx:
        query = select(Membership).join(User).join(EmailAddress).where(EmailAddress.canonical == email)
        return list(tx.scalars(query))


def test_d34_added_and_invited_in_one_go(service: Service) -> None:
    """The box is ticked; the mail goes out, to a new person, with who invited and one link (P3, P6, ux.md S25)."""
    _, _, dana = northgate(service)
    page = add(dana)
    assert "Invitation sent." in page.text
    assert "Invited today, 4:31 PM EST by Dana" in page.text
    service.deliver()
    mail = service.emails.to(PRIYA)[-1]
    assert mail.subject == "Dana invited you to Northgate"
    assert "It works for 7 days, once." in mail.text
    assert mail.text.count("/invite/") == 1
    assert "choose a password" in mail.text
    assert not memberships(service)[0].is_active


def test_d34_without_the_box_nothing_is_sent(service: Service) -> None:
    """Added, and invited later from the row: Invite, Send again, Withdraw."""
    _, _, dana = northgate(service)
    assert "Not invited yet" in add(dana, invite=None).text
    service.deliver()
    assert service.emails.to(PRIYA) == []
    assert "Invitation sent." in press(dana, "/invite").text
    service.pass_time(seconds=31)
    assert "Invitation sent." in press(dana, "/invite").text
    assert "Invitation withdrawn." in press(dana, "/withdraw").text
    assert "Not invited yet" in dana.here.text
    assert [event.name for event in service.events() if event.name.startswith("invitation.")] == [
        *("invitation.sent", "invitation.sent", "invitation.withdrawn"),
    ]


def test_resending_waits_for_the_gap_and_the_limit(service: Service) -> None:
    """30 s between two, and five in ten minutes to one address, whoever asks (security.md 5)."""
    _, _, dana = northgate(service)
    add(dana)
    page = press(dana, "/invite")
    assert page.status == 429
    assert "You can send to this address again at 4:31:30 PM EST." in page.text
    for _ in range(5):  # five in a row, and one more for every two minutes
        service.pass_time(seconds=31)
        assert "Invitation sent." in press(dana, "/invite").text
    service.pass_time(seconds=31)
    assert press(dana, "/invite").status == 429
    with service.services.database.transaction(read_only=True) as tx:
        assert len(tx.scalars(select(Invitation)).all()) == 6


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("first", "", "Enter a first name"),
        ("last", "x" * 81, "A last name has 80 characters at most. This one has 81."),
        ("first", "Call https://evil.example", "A first name cannot hold"),
        ("last", "Ra\0man", "A last name cannot hold"),
        ("email", "", "Enter an email address"),
        ("email", "a@x.example,b@y.example", "Enter an email address like name@company.com"),
        ("email", "priya@northgate.example\r\nBcc: m@evil.example", "Enter an email address like name@company.com"),
        ("email", "x" * 10_000 + "@northgate.example", "Enter an email address like name@company.com"),
        ("email", "jo@imsplaceholder", "This is a placeholder address"),
        ("role", "", "Choose a team role"),
        ("role", "super_admin", "Choose a team role"),
    ],
)
def test_rc05_bad_input_is_said_and_the_rest_kept(service: Service, field: str, typed: str, said: str) -> None:
    """422, at the field, with everything that was typed still there; never a 500."""
    _, _, dana = northgate(service)
    page = add(dana, **{field: typed})
    assert page.status == 422
    assert said in page.text
    kept = page.forms[0].fields
    assert all(kept.get(name) == value for name, value in PRIYAS.items() if name != field)
    assert memberships(service) == []


def test_a_missing_field_is_a_field_error(service: Service) -> None:
    """Even a form with nothing in it."""
    _, _, dana = northgate(service)
    token = dana.open("/admin/team/new").forms[0].fields["csrf_token"]
    answer = dana.post("/admin/team/new", {"csrf_token": token})
    assert answer.status_code == 422
    assert "Enter a first name" in answer.text


def test_somebody_of_the_team_is_not_added_twice(service: Service) -> None:
    """In any spelling; the page leads to them."""
    _, member, dana = northgate(service)
    page = add(dana, email="DANA@northgate.example")
    assert page.status == 422
    assert "Someone with this address is in your team already" in page.text
    assert page.links["Go to their page"] == f"/admin/team/{member.id}"


def test_two_admins_adding_the_same_person_at_once_add_one(service: Service) -> None:
    """The account's lock makes them one after the other."""
    account, _, dana = northgate(service)
    service.member(account, "marcus@northgate.example", role="admin", phone=None)
    marcus = admin(service, account, "marcus@northgate.example")
    for person in (dana, marcus):
        person.open("/admin/team/new")
    pages = service.at_once(*[lambda person=person: person.submit(**PRIYAS) for person in (dana, marcus)])
    assert sorted(page.status for page in pages) == [200, 422]
    assert len(memberships(service)) == 1


def test_rc09_adding_a_known_address_tells_nothing_of_its_owner(service: Service) -> None:
    """Same page, same row, for somebody who signs in elsewhere and for somebody new: no name, phone or sign-in of theirs."""
    _, _, dana = northgate(service)
    theirs = service.member(service.account("lakeside"), PRIYA, phone="+15125550107")
    with service.services.database.transaction() as tx:
        tx.get_one(User, theirs.user_id).name = "Priyanka Secret"
    page = add(dana)
    known = page.text
    assert "Priya Raman" in known
    for secret in ("Priyanka", "ending in 0 7", "Not verified"):
        assert secret not in known
    mine = next(one for one in memberships(service) if one.account_id != theirs.account_id)
    assert "Priyanka" not in dana.open(f"/admin/team/{mine.id}").text
    assert "Priyanka" not in dana.open("/admin/activity").text
    service.deliver()
    assert "password you already have" in service.emails.to(PRIYA)[-1].text
    dana.open("/admin/team/new")
    fresh = dana.submit(**{**PRIYAS, "email": "nobody@northgate.example"})
    assert fresh.status == page.status


def test_tn03_no_other_field_of_the_form_counts(service: Service) -> None:
    """An allowlist: access, account, verification and acceptance cannot be smuggled in."""
    other = service.account("lakeside")
    _, _, dana = northgate(service)
    token = dana.open("/admin/team/new").forms[0].fields["csrf_token"]
    smuggled = {
        "sensitive_data_access": "1",
        "account_id": other.id,
        "email_verified": "1",
        "accepted_at": "2026-01-01",
    }
    assert dana.post("/admin/team/new", {**PRIYAS, **smuggled, "csrf_token": token}).status_code == 303
    (added,) = memberships(service)
    assert added.account_id != other.id
    assert (added.sensitive_data_access, added.accepted_at) == (False, None)


@pytest.mark.parametrize(
    ("own_role", "role", "status"),
    [
        ("super_admin", "admin", 200),
        ("super_admin", "super_admin", 422),
        ("admin", "crm_only", 200),
        ("admin", "admin", 422),
        ("admin", "super_admin", 422),
    ],
)
def test_tn04_no_invitation_gives_more_than_one_may_assign(
    service: Service, own_role: str, role: str, status: int
) -> None:
    """In role-based accounts Super Admin is a grant, and who assigns no roles adds no admins (D12)."""
    _, _, dana = northgate(service, role=own_role, permission_model="role")
    assert add(dana, role=role).status == status


def test_adding_asks_who_it_is_when_that_was_long_ago(service: Service) -> None:
    """S2; what was typed is still there afterwards."""
    _, _, dana = northgate(service)
    dana.open("/admin/team/new")
    service.pass_time(minutes=16)
    page = dana.submit(**PRIYAS)
    assert page.h1 == "Confirm it’s you"
    assert "to change a Team Member" in page.text
    page = dana.submit(password=PASSWORD)
    assert page.forms[0].fields["email"] == PRIYA
    assert memberships(service) == []
    assert "Invitation sent." in dana.submit().text


def test_lg12_a_form_of_another_site_adds_nobody(service: Service) -> None:
    """CSRF: without the token nothing happens."""
    _, _, dana = northgate(service)
    assert dana.post("/admin/team/new", {**PRIYAS, "invite": "1"}).status_code >= 400
    assert memberships(service) == []
    assert DANA in dana.open("/admin/team").text
