"""Every page of the settings that has an address of its own: axe in light and dark, 320 px, twice the text, few statements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from sqlalchemy import event

from authsvc.clock import FixedClock
from authsvc.mfa.models import AuthenticatorApp
from tests.support.browser import axe_violations
from tests.support.here import served_here
from tests.support.service import DANA, DANAS_PHONE, Service, make_ring
from tests.support.team import PRIYA, THEO
from tests.support.walk import Walk

SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
#: Session, account, what the page shows, and one write that the browser was seen.
A_HANDFUL = 12
PAGES = (
    *("/profile", "/profile/email", "/profile/security", "/profile/password", "/profile/phone", "/profile/app"),
    *("/profile/exports", "/profile/exports/new?export=team_members"),
    *("/admin/settings", "/admin/settings/sign-everyone-out", "/admin/settings/turn-off?mfa=&revision=1"),
    *(
        "/admin/team",
        "/admin/team/new",
        "/admin/team?show=waiting",
        "/admin/team?show=inactive",
        "/admin/team?verified=no",
    ),
    *("/admin/team/{member}", "/admin/team/{member}/functionality", "/admin/team/{member}/reset"),
    *("/admin/team/{member}/sign-out", "/admin/team/{member}/password-link", "/admin/team/{member}/deactivate"),
    *(
        "/admin/activity",
        "/admin/activity?kind=failed",
        "/admin/investors",
        "/admin/team/00000000000000000000000000000000",
    ),
)


@pytest.fixture
def service(sqlite_template: Path, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server."""
    with served_here(sqlite_template, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        yield started


def test_every_page_of_the_settings(service: Service, open_page: Callable[..., Page]) -> None:
    """ux.md section 5, with long names, a phone, an app and people in every state."""
    account = service.account(mfa="email+sms+totp")
    dana = service.member(account, role="admin", sensitive=True)
    service.member(account, INVITED, accepted=False, verified=False, password=None, phone=None)
    service.member(account, THEO, active=False)
    priya = service.member(account, PRIYA, verified=False, phone=None)
    walk = Walk(open_page(viewport={"width": 1280, "height": 900}), service)
    walk.sign_in(DANA)
    walk.choose("Text message (SMS)")
    walk.enter(DANAS_PHONE, remember=True)
    now = service.clock.now()
    with service.services.database.transaction() as tx:
        tx.add(AuthenticatorApp(user_id=dana.user_id, secret_sealed="-", created_at=now, confirmed_at=now))
    found: list[str] = []
    for path in PAGES:
        found += [f"{path}: {problem}" for problem in problems(walk, path.format(member=priya.id))]
    assert found == []


INVITED = "somebody.with.a.rather.long.name.indeed@a-very-long-domain-name.example"


def problems(walk: Walk, path: str) -> list[str]:
    """What is wrong with one page."""
    page, statements = walk.page, 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    engine = walk.service.services.database.engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        walk.open(path)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    found = [] if page.locator("h1").count() == 1 else ["not one h1"]
    if statements > A_HANDFUL:
        found.append(f"{statements} statements")
    name = path.strip("/").replace("/", "-").replace("?", "-")[:60]
    for scheme in ("light", "dark"):
        found += axe_violations(page, dark=scheme == "dark")
        if SCREENSHOTS:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=f"{SCREENSHOTS}/{name}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 320, "height": 700})
    if not page.evaluate(FITS):
        found.append("wider than 320 px")
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}-320.png", full_page=True)
    page.set_viewport_size({"width": 640, "height": 900})
    page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    if not page.evaluate(FITS):
        found.append("wider than the window at twice the text")
    page.set_viewport_size({"width": 1280, "height": 900})
    return found
