"""Admin Settings > Team Members: the list and who may see it (ux.md S21, domain E6, D32, D33)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from authsvc.accounts.models import Membership
from tests.support.journey import Page
from tests.support.service import DANA, Service
from tests.support.team import PRIYA, THEO, admin, northgate


def row(page: Page, name: str) -> str:
    """The text of this person's row, its cells apart."""
    found = next(part for part in page.response.text.split("<tr") if name in part)
    return " ".join(re.sub(r"<[^>]*>", " ", found.partition(name)[2]).split())


def test_e6_a_check_shows_who_is_verified(service: Service) -> None:
    """Green check, or "Not verified"; and the note says who is missing."""
    account, _, dana = northgate(service)
    service.member(account, PRIYA, phone=None, verified=False)
    page = dana.open("/admin/team")
    assert page.h1 == "Admin Settings"
    assert "Verified" in row(page, DANA)
    assert row(page, PRIYA).startswith("Not verified")
    assert "1 Team Member still needs to verify their email before Multi-Factor Authentication" in page.text
    only = dana.open("/admin/team", verified="no")
    assert PRIYA in only.text
    assert DANA not in only.text


def test_the_columns_say_access_phone_and_last_sign_in(service: Service) -> None:
    """As the help page: Data Access Yes or No, the phone masked or None (domain, M4; ux.md S21)."""
    account, _, dana = northgate(service)
    service.member(account, PRIYA, phone=None, sensitive=True)
    page = dana.open("/admin/team")
    assert "No (•••) •••-••42 ending in 4 2 Today, 4:31 PM EST" in row(page, DANA)
    assert "Yes None Never" in row(page, PRIYA)
    assert "+1512" not in page.response.text


@pytest.mark.parametrize("role", ["member"])
def test_d32_only_admins_open_it(service: Service, role: str) -> None:
    """403 for everybody else, on every page and form below it."""
    account = service.account()
    other = service.member(account, PRIYA, role="admin", phone=None)
    service.member(account, DANA, role=role)
    dana = admin(service, account)
    for path in ("", "/new", f"/{other.id}", f"/{other.id}/functionality", f"/{other.id}/reset"):
        assert dana.open(f"/admin/team{path}").status == 403, path
    token = dana.open("/sign-out").forms[0].fields["csrf_token"]
    for path in ("/new", f"/{other.id}/invite", f"/{other.id}/deactivate", f"/{other.id}/roles"):
        assert dana.post(f"/admin/team{path}", {"csrf_token": token}).status_code == 403, path


@pytest.mark.parametrize(
    ("role", "view_only", "status"),
    [
        ("super_admin", False, 200),
        ("admin", False, 200),
        ("admin", True, 403),
        ("crm_only", False, 403),
        ("kpi_only", False, 403),
        ("project_only", False, 403),
    ],
)
def test_d32_in_role_based_accounts_both_kinds_of_admin_open_it(
    service: Service, role: str, view_only: bool, status: int
) -> None:
    """And a View-Only one does not: it narrows whatever the role allows."""
    account = service.account(permission_model="role")
    membership = service.member(account, role=role)
    with service.services.database.transaction() as tx:
        tx.get_one(Membership, membership.id).view_only = view_only
    assert admin(service, account).open("/admin/team").status == status


def test_d33_an_investor_of_the_same_account_is_no_team_member(service: Service) -> None:
    """Membership is unique on person, account and audience; the list is the team's."""
    account, _, dana = northgate(service)
    investor = service.member(account, "ines@investor.example", audience="investors")
    assert "ines@investor.example" not in dana.open("/admin/team").text
    assert dana.open(f"/admin/team/{investor.id}").status == 404


def test_waiting_and_inactive_people_stand_below(service: Service) -> None:
    """ "Invited Nov 20 by Dana. Send again / Withdraw"; leavers can be let in again."""
    account, _, dana = northgate(service)
    service.member(account, PRIYA, accepted=False, verified=False, phone=None, password=None)
    service.member(account, THEO, active=False)
    page = dana.open("/admin/team")
    assert "Not invited yet Invite" in row(page, PRIYA)
    assert "Reactivate" in row(page, THEO)
    assert THEO not in page.text.partition("Waiting to join")[0]


def test_a_large_team_is_paged_at_a_fixed_cost(service: Service) -> None:
    """Fifty a page, "Next" and "Previous"; and the number of statements does not grow with the team."""
    account, _, dana = northgate(service)
    seen: list[str] = []

    def count(*arguments: object) -> None:
        if str(arguments[2]).startswith("SELECT"):
            seen.append(str(arguments[2]))

    for replica in service.replicas:
        event.listen(replica.database.engine, "before_cursor_execute", count)
    dana.open("/admin/team")
    few = len(seen)
    for number in range(60):
        service.member(account, f"m{number:02}@northgate.example", phone=None, verified=number % 2 == 0, password=None)
        if number < 15:
            service.member(account, f"w{number:02}@northgate.example", phone=None, accepted=False, password=None)
    service.pass_time(seconds=10)
    seen.clear()
    page = dana.open("/admin/team")
    # One more for the invitations of those who wait.
    assert len(seen) <= few + 2, seen
    for replica in service.replicas:
        event.remove(replica.database.engine, "before_cursor_execute", count)
    assert "See all 15" in page.text
    assert "m59@northgate.example" not in page.text
    assert "m59@northgate.example" in dana.open(page.links["Next"]).text
    assert "w14@northgate.example" in dana.open("/admin/team", show="waiting").text


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=99999999999999999999", "show=\0", "verified=maybe"]
)
def test_whatever_stands_in_the_address_is_answered(service: Service, query: str) -> None:
    """Filters live in the URL, and anybody can write one."""
    _, _, dana = northgate(service)
    assert dana.open(f"/admin/team?{query}").status == 200


def test_nobody_signed_in_is_sent_to_sign_in_first(service: Service) -> None:
    """And comes back to the list."""
    account = service.account()
    service.member(account, role="admin")
    person = service.person()
    person.open("/admin/team")
    assert person.submit(email=DANA, password="quiet harbor maple lantern").h1 == "Admin Settings"


def test_last_sign_in_is_a_day_when_it_was_not_today(service: Service) -> None:
    """ "Nov 20, 2026" as in the mock."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    with service.services.database.transaction() as tx:
        tx.get_one(Membership, priya.id).last_sign_in_at = service.clock.now() - timedelta(days=2)
    assert "Nov 20, 2026" in row(dana.open("/admin/team"), PRIYA)
