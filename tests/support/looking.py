"""Looking at one page of a real browser: can everybody use it, and what did it cost?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page
from sqlalchemy import event

from tests.support.browser import axe_violations
from tests.support.service import Service

SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@contextmanager
def statements(service: Service) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    engines = [replica.database.engine for replica in service.replicas]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def problems(page: Page, name: str) -> list[str]:
    """What is wrong with it: axe in light and dark, 320 px, twice the text (ux.md section 5)."""
    found = [] if page.locator("h1").count() == 1 else ["not one h1"]
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
    page.evaluate("document.documentElement.style.removeProperty('font-size')")
    page.set_viewport_size({"width": 1280, "height": 900})
    return [f"{name}: {problem}" for problem in found]
