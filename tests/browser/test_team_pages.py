"""Team Members in the browser, without script (ux.md S21, S22)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from authsvc.clock import FixedClock
from tests.support.here import served_here
from tests.support.service import DANA, PASSWORD, Service, make_ring
from tests.support.team import PRIYA, THEO


@pytest.fixture
def site(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """The pages behind a real server, and the id of somebody in the team."""
    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as service:
        account = service.account(permission_model="role")
        service.member(account, DANA, role="super_admin", sensitive=True)
        service.member(account, THEO, role="admin", verified=False)
        service.member(account, "marcus@northgate.example", phone=None, role="crm_only", active=False)
        service.member(account, "lee@northgate.example", phone=None, role="admin", accepted=False)
        priya = service.member(account, PRIYA, phone=None, role="admin")
        yield service, priya.id


def signed_in(page: Page, service: Service) -> str:
    """Dana at her account's settings; answers the issuer."""
    issuer: str = service.services.settings.issuer
    page.goto(f"{issuer}/sign-in")
    page.fill("#email", DANA)
    page.fill("#password", PASSWORD)
    page.click("form button[type=submit]")
    return issuer


def test_people_are_added_and_let_go_without_script(site: tuple[Service, str], open_page: Callable[..., Page]) -> None:
    """D34 and the row's forms work with JavaScript off."""
    service, member_id = site
    page = open_page(java_script_enabled=False)
    issuer = signed_in(page, service)
    page.goto(f"{issuer}/admin/team")
    page.click("text=Invite Team Member")
    page.fill("#first", "Jo")
    page.fill("#last", "Field")
    page.click("label[for=role-kpi_only]")
    page.fill("#email", "jo@northgate.example")
    page.click("main button[type=submit]")
    assert "Invitation sent." in page.inner_text("main")
    page.click("button[aria-label='Withdraw: Jo Field']")
    assert "Invitation withdrawn." in page.inner_text("main")
    page.goto(f"{issuer}/admin/team/{member_id}/deactivate")
    page.click("main button[type=submit]")
    assert "Switched inactive" in page.inner_text("main")
