"""Team Members and Sign-in activity in the browser: axe in both schemes, 320 px, without script (ux.md S21, S22, S24)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from authsvc.clock import FixedClock
from tests.support.browser import axe_violations
from tests.support.here import served_here
from tests.support.service import DANA, PASSWORD, Service, make_ring
from tests.support.team import PRIYA, THEO

#: Where screenshots go, for whoever looks at them; empty: nowhere.
SHOTS = os.environ.get("AUTHSVC_TEST_SHOTS", "")


@pytest.fixture
def site(sqlite_template: Path, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """The pages behind a real server, and the id of somebody in the team."""
    with served_here(sqlite_template, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as service:
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


def paths(member_id: str) -> list[str]:
    """Every page of this part."""
    one = f"/admin/team/{member_id}"
    return ["/admin/team", "/admin/team/new", one, f"{one}/roles", f"{one}/deactivate", "/admin/activity"]


def test_every_page_is_usable_by_everybody(site: tuple[Service, str], open_page: Callable[..., Page]) -> None:
    """WCAG 2.2 A and AA in light and dark, and no sideways scrolling at 320 px (ux.md section 5)."""
    service, member_id = site
    page = open_page(viewport={"width": 1280, "height": 900})
    issuer = signed_in(page, service)
    for path in paths(member_id):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(issuer + path)
        assert page.locator("h1").count() == 1
        for dark in (False, True):
            assert axe_violations(page, dark=dark) == [], f"{path}, dark: {dark}"
        shot(page, path, "desktop")
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        shot(page, path, "320")


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


def shot(page: Page, path: str, size: str) -> None:
    """Keep a picture where one is wanted, in both schemes."""
    if SHOTS:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            name = path.strip("/").replace("/", "-")[-30:]
            page.screenshot(path=f"{SHOTS}/{name}-{size}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
