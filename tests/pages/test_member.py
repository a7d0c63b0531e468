"""One Team Member's page and what an admin may do there (ux.md S22, domain D18, D27, E8; security.md RC-12, TN-01, TN-02)."""

from __future__ import annotations

import re

import pytest

from authsvc.accounts.models import Membership, PhoneNumber, User
from authsvc.mfa.models import AuthenticatorApp, RecoveryCode
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service
from tests.support.team import PRIYA, THEO, admin, northgate

ACTS = ("reset", "sign-out", "deactivate", "password-link", "make-admin")


def user(service: Service, membership: Membership) -> User:
    """The person behind it, as stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(User, membership.user_id)


def test_d27_functionality_is_read_only(service: Service) -> None:
    """Enabled or not, what it is, and that support changes it; there is no form."""
    account, dana_member, dana = northgate(service)
    priya = service.member(account, PRIYA, sensitive=True, phone=None)
    page = dana.open(f"/admin/team/{priya.id}/functionality")
    assert "Sensitive InformationEnabledLets this person see and export Sensitive Information" in page.text
    assert "To change this, email support@imscre.com" in page.text
    assert page.forms == []
    assert "Not enabled" in dana.open(f"/admin/team/{dana_member.id}/functionality").text


def test_d27_the_tab_follows_the_accounts_model(service: Service) -> None:
    """Functionality or Roles, and an old bookmark leads to the right one."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA, phone=None)
    assert dana.open(f"/admin/team/{priya.id}/roles").path.endswith("/functionality")
    roles = service.account("lakeside", permission_model="role")
    service.member(roles, THEO, role="super_admin", sensitive=True)
    other = service.member(roles, "o@lakeside.example", phone=None)
    assert admin(service, roles, THEO).open(f"/admin/team/{other.id}/functionality").path.endswith("/roles")


@pytest.mark.parametrize("act", ACTS)
def test_every_act_is_asked_about_by_name_first(service: Service, act: str) -> None:
    """A page that names the person; opening it does nothing."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    before = len(service.events())
    page = dana.open(f"/admin/team/{priya.id}/{act}")
    assert "Priya" in page.text
    assert PRIYA in page.text
    assert len(service.events()) == before


@pytest.mark.parametrize("act", ACTS)
def test_every_act_needs_a_recent_proof(service: Service, act: str) -> None:
    """And leads back to its own page; the form too."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    dana.open(f"/admin/team/{priya.id}/{act}")
    service.pass_time(minutes=16)
    before = len(service.events())
    assert dana.submit().h1 == "Confirm it’s you"
    assert len(service.events()) == before
    assert dana.submit(password=PASSWORD).path == f"/admin/team/{priya.id}/{act}"


def test_d18_a_reset_takes_the_second_step_and_never_the_address(service: Service) -> None:
    """Phone, app, recovery codes and remembered devices go; the person is told by mail and asked anew next time."""
    account = service.account(mfa="email+sms")
    service.member(account, DANA, role="admin")
    priya = service.member(account, PRIYA, phone="+15125550107")
    theirs = service.person()
    service.sign_in(theirs, PRIYA)
    theirs.submit(method="sms")
    theirs.submit(code=service.code_for("+15125550107"), remember="1")
    now = service.clock.now()
    with service.services.database.transaction() as tx:
        tx.add(AuthenticatorApp(user_id=priya.user_id, secret_sealed="x", created_at=now, confirmed_at=now))
        tx.add(RecoveryCode(code_digest="d" * 64, user_id=priya.user_id, created_at=now))
    dana = service.person()
    service.sign_in(dana, DANA)
    dana.submit(method="email")
    dana.submit(code=service.code_for(DANA))
    before = user(service, priya)
    dana.open(f"/admin/team/{priya.id}/reset")
    assert "We told them by email" in dana.submit().text
    after = user(service, priya)
    assert (after.email.address, after.email.verified_at) == (before.email.address, before.email.verified_at)
    assert (after.password_hash, after.phone) == (before.password_hash, None)
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get(AuthenticatorApp, priya.user_id) is None
        assert tx.get(PhoneNumber, priya.user_id) is None
        assert tx.get(RecoveryCode, "d" * 64) is None
    service.deliver()
    assert service.emails.to(PRIYA)[-1].subject == "Your second step for Northgate was reset"
    assert "Dana reset your second step" in service.emails.to(PRIYA)[-1].text
    assert [e.fields["reason"] for e in service.events("device.all_ended")] == ["mfa_reset"]
    theirs.open("/sign-out")
    theirs.submit()
    service.sign_in(theirs, PRIYA)
    assert theirs.here.h1 in ("Choose how to get your code", "Enter your code")


def test_tn02_an_admin_of_one_account_does_not_weaken_another(service: Service) -> None:
    """The second step is the person's: while they are active elsewhere too, support resets it, and nobody is told why."""
    account, _, dana = northgate(service)
    there = service.member(service.account("lakeside"), PRIYA)
    here = service.member(account, PRIYA, user=user(service, there))
    dana.open(f"/admin/team/{here.id}/reset")
    page = dana.submit()
    assert page.status == 409
    assert "This sign-in can’t be reset here. Email support@imscre.com." in page.text
    assert "Lakeside" not in page.text
    assert user(service, here).phone is not None


def test_sign_out_everywhere_ends_the_sessions_of_this_account(service: Service) -> None:
    """At their next request; in another account they stay signed in."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    lakeside = service.account("lakeside")
    service.member(lakeside, PRIYA, user=user(service, priya))
    here, there = admin(service, account, PRIYA), admin(service, lakeside, PRIYA)
    dana.open(f"/admin/team/{priya.id}/sign-out")
    assert "Signed out everywhere." in dana.submit().text
    assert here.open("/confirm").h1 == "Sign in"
    assert there.open("/confirm").h1 != "Sign in"
    assert [event.fields["sessions"] for event in service.events("member.signed_out")] == [1]


def test_an_admin_can_have_a_password_link_sent(service: Service) -> None:
    """The link goes to the person's own mailbox; the admin sees nothing of it (RC-12)."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    dana.open(f"/admin/team/{priya.id}/password-link")
    page = dana.submit()
    assert "Password link sent." in page.text
    service.deliver()
    link = re.search(r"/reset/\w+", service.emails.to(PRIYA)[-1].text)
    assert link
    assert link[0] not in page.response.text
    assert len(service.events("member.password_link")) == 1


def test_rc12_e8_nobody_sets_what_is_anothers_own(service: Service) -> None:
    """No form holds a password, an address, a phone or a verification, and smuggled fields change nothing."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA, verified=False)
    before = user(service, priya)
    smuggled = {
        "password": "another long password here",
        "email": "m@evil.example",
        "phone": "+15125550199",
        "email_verified": "1",
        "name": "Mallory",
        "totp": "x",
    }
    for path in ("", "/functionality", "/reset", "/sign-out", "/password-link", "/deactivate"):
        page = dana.open(f"/admin/team/{priya.id}{path}")
        assert all(form.names() <= {"csrf_token"} for form in page.forms), path
    token = dana.open(f"/admin/team/{priya.id}/sign-out").forms[0].fields["csrf_token"]
    for path in ("/sign-out", "/password-link"):
        dana.post(f"/admin/team/{priya.id}{path}", {**smuggled, "csrf_token": token})
    after = user(service, priya)
    assert (after.name, after.email.address, after.email.verified_at) == (before.name, PRIYA, None)
    assert (after.password_hash, after.phone and after.phone.e164) == (before.password_hash, "+15125550142")


def test_nobody_does_these_to_themselves(service: Service) -> None:
    """My Profile is the place for oneself; the server refuses all the same."""
    _, member, dana = northgate(service)
    page = dana.open(f"/admin/team/{member.id}")
    assert "You can change yourself in My Profile." in page.text
    assert page.forms == []
    for act in ACTS:
        dana.open(f"/admin/team/{member.id}/{act}")
        assert dana.submit().status == 403, act
    assert dana.open("/admin/team").status == 200


@pytest.mark.parametrize("path", ["", "/functionality", "/roles", *(f"/{act}" for act in ACTS)])
def test_tn01_somebody_of_another_account_is_not_found(service: Service, path: str) -> None:
    """404 as for an id that nobody has, and a row in the trail for the one that somebody has."""
    there = service.member(service.account("lakeside"), PRIYA)
    _, _, dana = northgate(service)
    foreign, unknown = dana.open(f"/admin/team/{there.id}{path}"), dana.open(f"/admin/team/{'0' * 32}{path}")
    assert (foreign.status, unknown.status) == (404, 404)
    assert foreign.h1 == unknown.h1 == "No longer a Team Member"
    assert [event.fields for event in service.events("access.refused")] == [{"what": "member"}]


@pytest.mark.parametrize("path", ["/invite", "/withdraw", "/reactivate", "/roles", *(f"/{act}" for act in ACTS)])
def test_tn01_nor_can_anything_be_done_to_them(service: Service, path: str) -> None:
    """Every form, with the id of another account in the address and whatever in the body (TN-02)."""
    there = service.member(service.account("lakeside"), PRIYA, active=path != "/reactivate", role="member")
    account = service.account(permission_model="role")
    mine = service.member(account, DANA, role="super_admin", sensitive=True)
    dana = admin(service, account)
    token = dana.open("/sign-out").forms[0].fields["csrf_token"]
    before = service.services.database
    body = {"csrf_token": token, "membership_id": mine.id, "account_id": account.id, "role": "admin"}
    assert dana.post(f"/admin/team/{there.id}{path}", body).status_code == 404
    assert len(service.events("access.refused")) == 1
    with before.transaction(read_only=True) as tx:
        now = tx.get_one(Membership, there.id)
        assert (now.role, now.deactivated_at) == (there.role, there.deactivated_at)


@pytest.mark.parametrize("name", ["x", "0" * 31, "%00" * 32, "é" * 32, "a" * 3000])
def test_whatever_stands_for_an_id_is_a_404(service: Service, name: str) -> None:
    """Never a 500."""
    _, _, dana = northgate(service)
    assert dana.open(f"/admin/team/{name}").status == 404


def test_somebody_who_waits_can_only_be_invited_or_let_go(service: Service) -> None:
    """Nothing of theirs is the account's before they accept (RC-09)."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA, accepted=False)
    page = dana.open(f"/admin/team/{priya.id}")
    assert "ending in" not in page.text
    for act in ("reset", "sign-out", "password-link"):
        dana.open(f"/admin/team/{priya.id}/{act}")
        refused = dana.submit()
        assert refused.status == 409, act
        assert "They haven’t accepted their invitation yet." in refused.text


@pytest.fixture
def lapsed(service: Service) -> Person:
    """An admin whose rights were taken a moment ago."""
    _, member, dana = northgate(service)
    dana.open("/admin/team/new")
    with service.services.database.transaction() as tx:
        tx.get_one(Membership, member.id).role = "member"
    return dana


def test_tn05_an_old_tab_of_a_former_admin_does_nothing(lapsed: Person) -> None:
    """The role is read in the transaction of the act."""
    typed = {"first": "P", "last": "R", "role": "admin", "email": PRIYA}
    assert lapsed.submit(**typed).status == 403
