"""J10 of the help pages, a sensitive export, in headless Chromium, with JavaScript and without; and how the page looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page
from sqlalchemy import update

from authsvc.clock import FixedClock
from authsvc.exports.models import Export, Reason
from tests.browser.test_every_settings_page import problems
from tests.support.export_pages import EXPORTS, FILE, announced, file_of, hand_over, receive, rows
from tests.support.here import served_here
from tests.support.service import DANA, Service, make_ring
from tests.support.walk import Walk


@pytest.fixture
def service(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server."""
    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        yield started


def downloaded(walk: Walk, act: Callable[[], object]) -> tuple[str, bytes]:
    """Name and content of the file that comes of `act`."""
    with walk.page.expect_download() as coming:
        act()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_j10_a_sensitive_export(service: Service, open_page: Callable[..., Page], script: bool) -> None:
    """Asked for in the portal, "Processing" at My Profile > Exports, ready by itself or by "Refresh now", downloaded.

    The link of the notice, clicked while signed out, leads through the sign-in and its code to the same file (X4, D24).
    """
    account = service.account(mfa="email")
    membership = service.member(account, role="admin", sensitive=True, phone=None)
    dana = Walk(open_page(java_script_enabled=script), service)
    if script:
        dana.page.clock.install()
    dana.sign_in(DANA)
    dana.enter(DANA)
    export = announced(service, membership, "Investor bank details")
    dana.open("/profile")
    dana.follow("Exports")
    assert dana.sees("Investor bank details")
    assert dana.sees("Processing")
    assert dana.sees("We’ll notify you")
    assert dana.page.get_by_role("link", name="Download").count() == 0
    receive(service, export)
    if script:
        with dana.page.expect_response("**/exports/rows*"):
            dana.page.clock.fast_forward(20_500)
        dana.page.get_by_text("Investor bank details is ready to download.").wait_for(state="attached")
    else:
        dana.follow("Refresh now")
    link = dana.page.get_by_role("link", name="Download Investor bank details")
    assert downloaded(dana, link.click) == ("Investor bank details 2026-11-22.csv", FILE)
    dana.open(EXPORTS)
    assert dana.page.get_by_role("link", name="Download Investor bank details again").count() == 1

    elsewhere = Walk(open_page(java_script_enabled=script), service)
    elsewhere.open(file_of(export))
    elsewhere.expect("Sign in")
    elsewhere.page.fill("#email", DANA)
    elsewhere.page.fill("#password", "quiet harbor maple lantern")
    elsewhere.press("Sign in")
    assert downloaded(elsewhere, lambda: elsewhere.enter(DANA)) == ("Investor bank details 2026-11-22.csv", FILE)
    elsewhere.expect("My Profile")
    assert elsewhere.sees("Your download is starting.")

    dana.open("/admin/team")
    dana.follow("Export")
    dana.expect("Export Team Members?")
    dana.press("Export")
    assert dana.sees("Your export has started.")
    service.deliver()
    dana.open(EXPORTS)
    name, sheet = downloaded(dana, dana.page.get_by_role("link", name="Download Team Members").click)
    assert (name, sheet[:9]) == ("Team Members 2026-11-22.csv", b'\xef\xbb\xbf"Name"')


def test_the_list_can_be_used_by_everybody(service: Service, open_page: Callable[..., Page]) -> None:
    """Every status, with and without Data Access: axe in light and dark, 320 px, twice the text, few statements."""
    membership = service.member(service.account(), role="admin", sensitive=True, phone=None)
    dana = Walk(open_page(viewport={"width": 1280, "height": 900}), service)
    failed = announced(service, membership, "Distribution register of a fund with a rather long name, second closing")
    with service.services.database.transaction() as tx:
        service.services.exports.life.fail(tx, tx.get_one(Export, failed.id), Reason.NOT_HANDED_OVER)
    hand_over(service, membership, "Old investor contacts")
    service.pass_time(days=7, minutes=1)
    hand_over(service, membership, "K-1 mailing list")
    with service.services.database.transaction() as tx:
        tx.execute(update(Export).where(Export.name == "K-1 mailing list").values(downloaded_at=service.clock.now()))
    service.pass_time(minutes=1)
    announced(service, membership, "Investor bank details")
    with service.services.database.transaction() as tx:
        half = {"progress": 40, "progress_of": 100, "requested_at": service.clock.now() - timedelta(minutes=31)}
        tx.execute(update(Export).where(Export.name == "Investor bank details").values(**half))
    hand_over(service, membership)
    dana.sign_in(DANA)
    dana.open(EXPORTS)
    found = problems(dana.page, "exports")
    for said in ("Processing", "Taking longer than usual.", "Ready", "Until Dec 6, 2026", "Expired", "Failed"):
        assert dana.sees(said), said
    with service.services.database.transaction() as tx:
        membership = tx.merge(membership)
        membership.sensitive_data_access = False
    dana.open(EXPORTS)  # ends what is there, once
    dana.open(f"{EXPORTS}?lost=1")
    found += problems(dana.page, "exports-lost")
    assert dana.sees("Exports of Sensitive Information need Data Access.")
    assert {one.status for one in rows(service)} == {"failed", "expired"}
    assert found == []
