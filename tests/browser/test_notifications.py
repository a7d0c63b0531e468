"""The bell in headless Chromium (ux.md S23): with script and without, by keyboard, in light and dark, at 320 px."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from authsvc.accounts.models import Membership
from authsvc.clock import FixedClock
from authsvc.notifications import Kind
from authsvc.notifications.notify import Source
from tests.support.browser import axe_violations
from tests.support.here import served_here
from tests.support.service import DANA, PORTAL, Service, make_ring
from tests.support.walk import Walk

SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
LONG = "https-and-a-very-long-word-that-a-service-has-sent-without-a-single-space-in-it"


@pytest.fixture
def service(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server."""
    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        yield started


def ring(service: Service, dana: Membership, title: str, **values: str) -> None:
    """The portal adds one."""
    s = service.services
    service.pass_time(seconds=1)
    with s.database.transaction() as tx:
        s.notifications.notify(
            tx,
            membership=tx.get_one(Membership, dana.id),
            kind=Kind.PORTAL,
            values={"title": title, "text": "Riverside Fund II.", "label": "View", **values},
            link=f"{PORTAL}/k-1",
            source=Source("portal", None),
            now=service.clock.now(),
        )


def test_the_bell(service: Service, open_page: Callable[..., Page]) -> None:
    """Its figure, its list, Escape, what comes while one looks on, and what another tab has seen."""
    dana = service.member(service.account(), role="admin", sensitive=True)
    page = open_page(viewport={"width": 1280, "height": 800})
    page.clock.install()
    walk = Walk(page, service)
    walk.sign_in(DANA)
    walk.open("/profile")
    bell, badge, entries = page.locator("#bell > summary"), page.locator("#bell .badge"), page.locator("#bell li")
    expect(bell).to_have_attribute("aria-label", "Notifications")
    expect(badge).to_be_hidden()
    assert entries.all_text_contents() == ["Nothing new"]

    ring(service, dana, LONG)
    ring(service, dana, "Your K-1 is ready.")
    walk.open("/profile")
    expect(bell).to_have_attribute("aria-label", "Notifications, 2 new")
    expect(badge).to_have_text("2")
    bell.focus()
    with page.expect_response("**/profile/notifications/seen") as marked:
        page.keyboard.press("Enter")
    assert marked.value.status == 204
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("New: Your K-1 is ready. Riverside Fund II. View")
    expect(badge).to_be_hidden()
    look(page, "bell")
    page.keyboard.press("Escape")
    expect(page.locator("#bell .pop")).to_be_hidden()
    expect(bell).to_be_focused()

    ring(service, dana, "Somebody has signed.")
    with page.expect_response("**/profile/notifications/latest"):
        page.clock.run_for(61_000)
    expect(bell).to_have_attribute("aria-label", "Notifications, 1 new")
    expect(page.locator("#bell-says")).to_have_text("1 new notification")
    expect(page.locator("#bell li.new")).to_have_count(1)

    # Another tab, without script, has a look; this one learns of it by itself.
    state = page.context.storage_state()
    plain = Walk(open_page(java_script_enabled=False, storage_state=state), service)
    plain.open("/profile")
    plain.page.locator("#bell > summary").click()
    assert "Somebody has signed." in plain.page.locator("#bell .pop").inner_text()
    plain.follow("See all notifications")
    assert plain.page.locator(".told li.new").count() == 1
    plain.open("/profile/notifications")
    assert plain.page.locator(".told li").count() == 3
    assert plain.page.locator("li.new").count() == 0
    with page.expect_response("**/profile/notifications/latest"):
        page.clock.run_for(61_000)
    expect(bell).to_have_attribute("aria-label", "Notifications")
    ring(service, dana, "One more.")
    walk.open("/profile/notifications")
    look(page, "notifications")


def look(page: Page, name: str) -> None:
    """Usable by everybody, and no wider than a phone."""
    for scheme in ("light", "dark"):
        assert axe_violations(page, dark=scheme == "dark") == []
        if SCREENSHOTS:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=f"{SCREENSHOTS}/{name}-{scheme}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate(FITS)
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}-320.png")
    page.set_viewport_size({"width": 1280, "height": 800})
