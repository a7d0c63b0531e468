"""The way through the sign-in in headless Chromium, at a real process; the other pages: test_every_hosted_page.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support.browser import axe_violations
from tests.support.remote import Serve, Served

PASSWORD = "quiet harbor maple lantern"
SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")
PERSON = "{email: %s, name: A Person, email_verified: %s, password: {env: DEMO_PASSWORD}}"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    mfa: {{team: {{enabled: true, methods: [email, sms]}}}}
    members:
      - {PERSON % ("dana@northgate.example", "true")}
      - {PERSON % ("theo@northgate.example", "true")}
  - slug: westgate
    name: Westgate Partners
    portal_url: https://portal.westgate.example
    accent: "#ffd400"
    mfa: {{team: {{enabled: true, methods: [sms]}}}}
    members:
      - {PERSON % ("theo@northgate.example", "true")}
"""


@pytest.fixture(scope="module")
def site(serve: Serve) -> Iterator[Served]:
    """The service as a real process."""
    with serve("hosted", PROVISIONING) as started:
        yield started


class Visitor:
    """Somebody at a page, who looks at it closely each time."""

    def __init__(self, page: Page, site: Served) -> None:
        self.page, self.site = page, site

    def open(self, path: str) -> None:
        """Go to one of our pages."""
        self.page.goto(self.site.issuer + path)

    def sign_in(self, email: str, password: str = PASSWORD, path: str = "/sign-in") -> None:
        """Send the password."""
        self.open(path)
        self.page.fill("#email", email)
        self.page.fill("#password", password)
        self.page.locator("main button[type=submit]").click()
        self.page.wait_for_load_state()

    def press(self, label: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=label, exact=True).click()
        self.page.wait_for_load_state()

    def look(self, name: str, h1: str) -> None:
        """axe in light and dark, no sideways scroll at 320 px nor at twice the text size."""
        page = self.page
        assert page.locator("h1").inner_text() == h1
        for dark in (False, True):
            assert axe_violations(page, dark=dark) == [], f"{name}, {'dark' if dark else 'light'}"
            if SCREENSHOTS:
                page.emulate_media(color_scheme="dark" if dark else "light")
                page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{'dark' if dark else 'light'}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 320, "height": 640})
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(fits), f"{name} is wider than 320 px"
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-320.png", full_page=True)
        page.set_viewport_size({"width": 640, "height": 900})
        page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
        assert page.evaluate(fits), f"{name} overflows at 200 % text"
        page.evaluate("document.documentElement.style.removeProperty('font-size')")
        page.set_viewport_size({"width": 1280, "height": 860})


@pytest.fixture
def visitor(open_page: Callable[..., Page], site: Served) -> Visitor:
    """Somebody with a fresh browser profile."""
    return Visitor(open_page(), site)


def test_the_password_page_and_its_refusal(visitor: Visitor) -> None:
    """S1, branded and neutral; the one error, with focus on its summary."""
    visitor.open("/sign-in")
    visitor.look("sign-in-neutral", "Sign in")
    visitor.sign_in("nobody@northgate.example", "not the right password", "/sign-in?account=northgate")
    assert visitor.page.title() == "Error: Sign in – Northgate Capital Partners"
    assert visitor.page.evaluate("document.activeElement.className") == "summary"
    assert visitor.page.input_value("#email") == "nobody@northgate.example"
    assert visitor.page.input_value("#password") == ""
    visitor.look("sign-in-refused", "Sign in")


def test_method_code_and_where_it_ends(visitor: Visitor, site: Served) -> None:
    """S3, S4 with its error, the last page, S13 with the remembered device."""
    before = site.messages_to("dana@northgate.example")
    visitor.sign_in("dana@northgate.example")
    visitor.look("method", "Choose how to get your code")
    visitor.page.get_by_text("Email", exact=True).click()
    visitor.press("Send code")
    visitor.look("code", "Enter your code")
    visitor.page.fill("#code", "000000")
    visitor.page.get_by_label("Remember Me").check()
    visitor.press("Continue")
    assert visitor.page.get_by_label("Remember Me").is_checked(), "ticks survive errors"
    visitor.look("code-wrong", "Enter your code")
    code = site.code_for("dana@northgate.example", after=before)
    visitor.page.fill("#code", f"{code[:3]} {code[3:]}")
    visitor.press("Continue")
    visitor.look("signed-in", "You’re signed in")
    visitor.open("/sign-out")
    assert "This device stays remembered until" in visitor.page.inner_text("main")
    visitor.look("sign-out", "Sign out?")


def test_the_account_chooser(visitor: Visitor) -> None:
    """S14 for somebody in two accounts."""
    visitor.sign_in("theo@northgate.example")
    visitor.look("accounts", "Choose an account")
    visitor.page.get_by_role("button", name="Westgate Partners").click()
    visitor.page.wait_for_load_state()
    assert visitor.page.title() == "Enter your code – Westgate Partners"
