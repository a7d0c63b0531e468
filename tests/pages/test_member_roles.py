"""Roles and Sensitive Data Access in role-based accounts (domain D6, D12, D27; security.md TN-04)."""

from __future__ import annotations

import pytest

from authsvc.account_settings.acting import Actor, Outcome, Result
from authsvc.account_settings.roles import Wish
from authsvc.accounts.models import Account, Membership
from tests.support.journey import Page, Person
from tests.support.service import DANA, Service
from tests.support.team import PRIYA, THEO, admin, code_shown, northgate


@pytest.fixture
def lakeside(service: Service) -> tuple[Account, Membership, Person]:
    """A role-based account whose Super Admin is Dana, signed in."""
    return northgate(service, role="super_admin", permission_model="role")


def stored(service: Service, membership: Membership) -> Membership:
    """As it is now."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Membership, membership.id)


def save(person: Person, membership: Membership, **chosen: str | None) -> Page:
    """Open the Roles tab and save what is chosen."""
    person.open(f"/admin/team/{membership.id}/roles")
    return person.submit(**chosen)


def test_j6_a_role_and_its_switches_are_saved(service: Service, lakeside: tuple[Account, Membership, Person]) -> None:
    """Exactly one of five; KPI access and View-Only beside it; all in the trail with who did it."""
    account, own, dana = lakeside
    priya = service.member(account, PRIYA, role="admin")
    page = dana.open(f"/admin/team/{priya.id}/roles")
    for name in ("Super Admin", "Admin", "CRM Only", "KPI Only", "Project Only"):
        assert name in page.text
    assert "Saved." in save(dana, priya, role="crm_only", kpi_access="1", view_only="1").text
    now = stored(service, priya)
    assert (now.role, now.kpi_access, now.view_only) == ("crm_only", True, True)
    (changed,) = service.events("member.role_changed")
    assert changed.fields == {"by": own.user_id, "before": "admin", "after": "crm_only"}
    assert changed.user_id == priya.user_id


@pytest.mark.parametrize("by", ["switch", "role"])
def test_d12_d6_a_grant_needs_a_fresh_code_and_is_told(
    service: Service, lakeside: tuple[Account, Membership, Person], by: str
) -> None:
    """By its switch or by making a Super Admin: a code now, remembered devices end, the person and the holders get mail."""
    account, _, dana = lakeside
    priya = service.member(account, PRIYA, role="admin")
    epoch = stored(service, priya).security_epoch
    chosen = {"data_access": "1"} if by == "switch" else {"role": "super_admin"}
    save(dana, priya, **chosen)
    page = code_shown(service, dana)
    assert not stored(service, priya).sensitive_data_access
    assert "You have unsaved changes." in page.text
    assert "Saved." in dana.submit().text
    now = stored(service, priya)
    assert now.sensitive_data_access
    assert now.security_epoch == epoch + 1
    service.deliver()
    assert service.emails.to(PRIYA)[-1].subject == "You now have Sensitive Data Access in Northgate"
    assert service.emails.to(DANA)[-1].subject == "Priya now has Sensitive Data Access in Northgate"


def test_taking_access_needs_the_password_alone(service: Service, lakeside: tuple[Account, Membership, Person]) -> None:
    """And holds at the next request."""
    account, _, dana = lakeside
    priya = service.member(account, PRIYA, role="admin", sensitive=True)
    assert "Saved." in save(dana, priya, data_access=None).text
    assert not stored(service, priya).sensitive_data_access
    assert len(service.events("data_access.removed")) == 1


def test_d12_nobody_changes_their_own_role(service: Service, lakeside: tuple[Account, Membership, Person]) -> None:
    """Never grantable to oneself: the page is read only, and a forged form is refused (TN-04)."""
    account, own, dana = lakeside
    other = service.member(account, PRIYA, role="super_admin", sensitive=True)
    page = dana.open(f"/admin/team/{own.id}/roles")
    assert "You can’t change your own role." in page.text
    assert page.forms == []
    token = dana.open(f"/admin/team/{other.id}/roles").forms[0].fields["csrf_token"]
    answer = dana.post(f"/admin/team/{own.id}/roles", {"csrf_token": token, "role": "admin", "data_access": "1"})
    assert answer.status_code == 403
    assert stored(service, own).role == "super_admin"


@pytest.mark.parametrize("role", ["admin", "super_admin"])
def test_tn04_an_admin_assigns_nothing(service: Service, role: str) -> None:
    """Reads the tab, with the reason; a forged form is refused."""
    account = service.account(permission_model="role")
    service.member(account, DANA, role="admin", sensitive=True)
    priya = service.member(account, PRIYA, role=role, sensitive=role == "super_admin")
    dana = admin(service, account)
    page = dana.open(f"/admin/team/{priya.id}/roles")
    assert "Only a Super Admin can change roles." in page.text
    token = dana.open("/sign-out").forms[0].fields["csrf_token"]
    body = {"csrf_token": token, "role": "super_admin", "data_access": "1"}
    assert dana.post(f"/admin/team/{priya.id}/roles", body).status_code == 403
    assert stored(service, priya).role == role


@pytest.mark.parametrize("act", ["reset", "sign-out", "deactivate", "password-link"])
def test_d12_an_admin_does_nothing_to_a_super_admin(service: Service, act: str) -> None:
    """A Super Admin is touched by Super Admins alone."""
    account = service.account(permission_model="role")
    service.member(account, DANA, role="admin")
    for email in (PRIYA, THEO):
        above = service.member(account, email, role="super_admin", sensitive=True)
    dana = admin(service, account)
    dana.open(f"/admin/team/{above.id}/{act}")
    page = dana.submit()
    assert page.status == 403
    assert "Only a Super Admin can change a Super Admin." in page.text
    assert stored(service, above).is_active


def test_d12_a_frozen_super_admin_grants_nothing(
    service: Service, lakeside: tuple[Account, Membership, Person]
) -> None:
    """A day after a reset by mail (D15)."""
    account, own, dana = lakeside
    priya = service.member(account, PRIYA, role="admin")
    with service.services.database.transaction() as tx:
        user = tx.get_one(Membership, own.id).user
        user.sensitive_acts_from = service.clock.now().replace(day=23)
    page = dana.open(f"/admin/team/{priya.id}/roles")
    assert "data_access" not in page.forms[0].boxes
    assert dana.submit(role="super_admin").status == 403
    assert "Saved." in save(dana, priya, role="kpi_only").text


def test_a_super_admin_is_not_view_only(service: Service, lakeside: tuple[Account, Membership, Person]) -> None:
    """Said, with what was chosen still there."""
    account, _, dana = lakeside
    priya = service.member(account, PRIYA, role="super_admin", sensitive=True)
    page = save(dana, priya, view_only="1")
    assert page.status == 409
    assert "A Super Admin can’t be View-Only." in page.text
    assert page.forms[0].fields["view_only"] == "1"


@pytest.mark.parametrize("role", ["", "owner", "member", "\0", "x" * 10_000])
def test_an_unknown_role_is_refused_in_words(
    service: Service, lakeside: tuple[Account, Membership, Person], role: str
) -> None:
    """Never a 500."""
    account, _, dana = lakeside
    priya = service.member(account, PRIYA, role="admin")
    page = save(dana, priya, role=role)
    assert page.status == 409
    assert "Choose one of the roles" in page.text


def change(service: Service, actor: Membership, target: Membership, wish: Wish) -> Outcome:
    """As a page does, in a transaction of its own."""
    with service.services.database.transaction() as tx:
        who, whom = tx.get_one(Membership, actor.id), tx.get_one(Membership, target.id)
        return service.services.roles.change(tx, whom, wish, actor=Actor(who)).outcome


def test_d12_the_last_super_admin_stays_even_against_each_other(service: Service) -> None:
    """Two who demote each other at once: one of them remains."""
    account = service.account(permission_model="role")
    both = [service.member(account, email, role="super_admin", sensitive=True) for email in (DANA, PRIYA)]
    down = Wish("admin", kpi_access=False, view_only=False, data_access=False)
    outcomes = service.at_once(
        lambda: change(service, both[0], both[1], down), lambda: change(service, both[1], both[0], down)
    )
    assert sorted(outcomes) == [Outcome.DONE, Outcome.SUPER_ADMINS_ONLY]
    assert sorted(stored(service, one).role for one in both) == ["admin", "super_admin"]


def test_d12_nor_are_both_deactivated_at_once(service: Service) -> None:
    """One by a colleague and one by support, at the same moment."""
    account = service.account(permission_model="role")
    both = [service.member(account, email, role="super_admin", sensitive=True) for email in (DANA, PRIYA)]

    def deactivate(membership: Membership) -> Result:
        with service.services.database.transaction() as tx:
            return service.services.members.deactivate(tx, tx.get_one(Membership, membership.id), actor=Actor())

    outcomes = service.at_once(lambda: deactivate(both[0]), lambda: deactivate(both[1]))
    assert sorted(result.outcome for result in outcomes) == [Outcome.DONE, Outcome.LAST_SUPER_ADMIN]


def test_a_grant_asks_for_the_code_even_with_the_password_just_typed(
    service: Service, lakeside: tuple[Account, Membership, Person]
) -> None:
    """require_recent_proof("data_access", code=True); without the code nothing is saved."""
    account, _, dana = lakeside
    priya = service.member(account, PRIYA, role="admin")
    page = save(dana, priya, data_access="1")
    assert page.h1 in ("Choose how to get your code", "Enter your code", "Confirm it’s you")
    dana.open(f"/admin/team/{priya.id}/roles?role=admin&flags=data_access")
    assert dana.submit().h1 != "Admin Settings"
    assert not stored(service, priya).sensitive_data_access
