"""What a newcomer does after `make run`: the whole demonstration, as real processes, in a real browser."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from authsvc.web.text import day
from tests.support.browser import axe_violations
from tests.support.processes import accepts, free_port, poll, running

EMAIL = "dana@northgate.example"
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")


@dataclass(frozen=True)
class Demo:
    """The running demonstration, as its screen tells it."""

    sign_in: str
    portal: str
    microservice: str
    inbox: str
    password: str


@pytest.fixture(scope="module")
def demo(worker_folder: Path) -> Iterator[Demo]:
    """`authsvc demo` in an empty folder, on ports of its own."""
    folder = worker_folder / "demo"
    folder.mkdir()
    ports: list[int] = []
    while len(ports) < 4:
        if (port := free_port()) not in ports:
            ports.append(port)
    command = [sys.executable, "-m", "authsvc", "demo"]
    with running(
        command,
        {"AUTHSVC_DEMO_PORTS": ",".join(map(str, ports))},
        ready=lambda: all(map(accepts, ports)),
        cwd=folder,
        deadline_s=120,
    ) as started:
        poll(lambda: "Ctrl-C" in started.output(), 30, what="the screen with the addresses")
        password = re.search(r"Password +(.+)", started.output())
        assert password, "the screen does not say the password"
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        assert all(url in started.output() for url in urls)
        yield Demo(*urls, password=password[1].strip())


class Walk:
    """One person in one browser; the inbox is open in another, for a tab in the background is drawn once a second."""

    def __init__(self, page: Page, inbox: Page, demo: Demo) -> None:
        self.page, self.inbox, self.demo = page, inbox, demo
        self.codes_seen = 0

    def start(self) -> None:
        """Open the portal and go to the sign-in page."""
        self.page.goto(self.demo.portal)
        self.page.get_by_role("link", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Sign in")

    def password(self) -> None:
        self.page.get_by_label("Email").fill(EMAIL)
        self.page.get_by_label("Password", exact=True).fill(self.demo.password)
        self.page.get_by_role("button", name="Sign in").click()

    def choose(self, method: str) -> None:
        """Have the code sent by `method`, as the page names it."""
        self.codes_seen = len(self.code_messages())
        self.page.get_by_text(method, exact=True).click()  # the whole card is its label
        self.page.get_by_role("button", name="Send code").click()
        self.expect_title("Enter your code")

    def code(self) -> str:
        """The code of the newest message, read off the inbox page."""
        poll(lambda: len(self.code_messages()) > self.codes_seen, 15, what="the message with the code")
        self.code_messages()[0].click()
        found = CODE.search(self.inbox.get_by_role("article").inner_text())
        assert found, "the message shows no code"
        return found.group()

    def enter(self, code: str, *, remember: bool = False) -> None:
        self.page.get_by_label("6-digit code").fill(code)
        if remember:
            self.page.get_by_label("Remember Me on this device for 30 days").check()
        self.page.get_by_role("button", name="Continue").click()

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.page.get_by_role("status")).to_have_text("You’re signed out.")
        assert self.page.url.startswith(self.demo.portal)

    def expect_home(self) -> None:
        self.expect_title("Welcome, Dana")
        assert self.page.url == f"{self.demo.portal}/"

    def expect_title(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def claims(self) -> dict[str, Any]:
        """The raw claims that the portal shows."""
        claims: dict[str, Any] = json.loads(self.page.locator("details pre").text_content() or "")
        return claims

    def line(self, label: str) -> str:
        """One line of the portal's summary."""
        return self.page.locator(f"dt:text-is('{label}') + dd").inner_text()

    def code_messages(self) -> list[Any]:
        """The inbox's entries that hold a sign-in code, newest first."""
        self.inbox.goto(f"{self.demo.inbox}/?pause")
        return self.inbox.get_by_role("link", name="sign-in code").all()


@pytest.fixture
def walk(open_page: Callable[..., Page], demo: Demo) -> Walk:
    """A person with a fresh browser profile."""
    return Walk(open_page(), open_page(), demo)


def look(page: Page, name: str) -> None:
    """Everybody can use this page, in light and dark; a picture of it where one is wanted."""
    for dark in (False, True):
        assert axe_violations(page, dark=dark) == [], f"{name}, {'dark' if dark else 'light'}"
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    wide = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate(overflow) == 0, f"{name} is wider than a small phone"
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-320.png", full_page=True)
    page.set_viewport_size(wide or {"width": 1280, "height": 720})
    if SCREENSHOTS:
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{scheme}.png", full_page=True)


def test_a_newcomer_walks_through_remember_me_and_step_up(walk: Walk) -> None:
    """Code, no box: asked again. Box: not asked again, and the claims say so. Bank details: asked all the same."""
    page, began = walk.page, datetime.now(UTC)
    page.goto(walk.demo.portal)
    look(page, "portal-welcome")
    walk.start()
    look(page, "sign-in")
    walk.password()
    walk.expect_title("Choose how to get your code")
    look(page, "method")
    walk.choose("Text message (SMS)")
    expect(page.get_by_label("Remember Me on this device for 30 days")).not_to_be_checked()
    look(page, "code")
    code = walk.code()
    look(walk.inbox, "inbox-text")
    walk.enter(code)
    walk.expect_home()
    look(page, "portal-two-factor")
    claims = walk.claims()
    assert (claims["acr"], claims["amr"]) == ("urn:ims:acr:two-factor", ["pwd", "sms", "mfa"])
    assert "remembered_device" not in claims
    assert "Password and a text message, just now" in walk.line("Sign-in")
    assert "Northgate Capital Partners" in walk.line("Account")
    assert EMAIL in walk.line("Person")
    walk.sign_out()

    walk.start()
    walk.password()
    walk.expect_title("Choose how to get your code")
    walk.choose("Email")
    code = walk.code()
    expect(walk.inbox.frame_locator("iframe").get_by_text(code)).to_be_visible()
    look(walk.inbox, "inbox-email")
    walk.enter(code, remember=True)
    walk.expect_home()
    claims = walk.claims()
    assert (claims["acr"], claims["amr"]) == ("urn:ims:acr:two-step", ["pwd", "otp", "mca"])
    assert claims["remembered_device"]["state"] == "enrolled"
    passed_at = claims["remembered_device"]["mfa_at"]
    page.get_by_role("link", name="Call the investors service").click()
    expect(page.get_by_role("row", name="Meridian Pension Fund")).to_contain_text("$12,000,000")
    walk.sign_out()

    walk.start()
    walk.password()
    walk.expect_home()
    claims = walk.claims()
    assert (claims["acr"], claims["amr"]) == ("urn:ims:acr:remembered", ["pwd"])
    device = claims["remembered_device"]
    assert (device["state"], device["mfa_at"], device["mfa_amr"]) == ("used", passed_at, ["pwd", "otp", "mca"])
    assert device["exp"] == passed_at + 30 * 86_400
    until = day(began + timedelta(days=30), ZoneInfo("America/New_York"))
    assert "The code was skipped" in walk.line("Sign-in")
    assert f"No code is asked until {until}" in walk.line("Remember Me")
    page.get_by_text("All claims of the ID token").click()
    look(page, "portal-remembered")

    page.get_by_role("link", name="Call the investors service").click()
    expect(page.get_by_role("row", name="Meridian Pension Fund")).to_be_visible()
    page.get_by_role("link", name="Open investor bank details").click()
    walk.expect_title("Choose how to get your code")
    look(page, "step-up-method")
    walk.choose("Text message (SMS)")
    expect(page.get_by_text("IMS portal asks for a code before you go on.")).to_be_visible()
    look(page, "step-up-code")
    walk.enter(walk.code())
    expect(page.get_by_role("row", name="Meridian Pension Fund")).to_contain_text("First Prairie Bank")
    expect(page.get_by_text("First it answered 401")).to_be_visible()
    assert walk.claims()["acr"] == "urn:ims:acr:two-factor"
    look(page, "portal-bank-details")
    page.get_by_role("link", name="Open investor bank details").click()
    expect(page.get_by_text("First it answered 401")).to_have_count(0)
    expect(page.get_by_role("row", name="Meridian Pension Fund")).to_be_visible()

    page.get_by_role("button", name="Export bank details").click()
    expect(page.get_by_text("Your export has started.")).to_be_visible()
    look(page, "portal-export")
    page.locator("p.note").get_by_role("link", name="My Profile > Exports").click()
    row = page.get_by_role("row", name="Investor bank details")
    expect(row).to_contain_text("Ready")
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert "First Prairie Bank" in download.value.path().read_text()


def press_to(page: Page, selector: str, *, key: str = "Tab") -> None:
    """Press `key` until the focus is on `selector`."""
    for _ in range(25):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not reach {selector} on {page.url}")


def test_signing_in_needs_nothing_but_a_keyboard(walk: Walk) -> None:
    """Every control is reached in order and works by key (WCAG 2.2, 2.1.1)."""
    page, keys = walk.page, walk.page.keyboard
    page.goto(walk.demo.portal)
    press_to(page, "a[href='/sign-in']")
    keys.press("Enter")
    walk.expect_title("Sign in")
    press_to(page, "#email")
    keys.type(EMAIL)
    press_to(page, "#password")
    keys.type(walk.demo.password)
    keys.press("Enter")
    walk.expect_title("Choose how to get your code")
    walk.codes_seen = len(walk.code_messages())
    press_to(page, "input[name=method]")
    press_to(page, "#method-email", key="ArrowDown")
    press_to(page, "button:text-is('Send code')")
    keys.press("Space")
    walk.expect_title("Enter your code")
    code = walk.code()
    press_to(page, "#code")
    keys.type(f"{code[:3]} {code[3:]}")
    press_to(page, "#remember")
    keys.press("Space")
    press_to(page, "button:text-is('Continue')")
    keys.press("Enter")
    walk.expect_home()
    assert walk.claims()["remembered_device"]["state"] == "enrolled"
    press_to(page, "button:text-is('Sign out')")
    keys.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You’re signed out.")


def test_signing_in_and_stepping_up_need_no_script(open_page: Callable[..., Page], demo: Demo) -> None:
    """With JavaScript off, everything is still there: sign-in, Remember Me, step-up, sign-out."""
    walk = Walk(open_page(java_script_enabled=False), open_page(), demo)
    page = walk.page
    walk.start()
    walk.password()
    walk.choose("Text message (SMS)")
    walk.enter(walk.code(), remember=True)
    walk.expect_home()
    walk.sign_out()
    walk.start()
    walk.password()
    walk.expect_home()
    page.get_by_role("link", name="Open investor bank details").click()
    walk.choose("Email")
    walk.enter(walk.code())
    expect(page.get_by_role("row", name="Meridian Pension Fund")).to_contain_text("First Prairie Bank")
    walk.sign_out()
