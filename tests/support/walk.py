"""A person in a real browser, at the service of this process."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.service import DANA, PASSWORD, Service


class Walk:
    """One person in one browser."""

    def __init__(self, page: Page, service: Service) -> None:
        self.page, self.service = page, service

    def open(self, path: str) -> None:
        """Go to one of our pages."""
        self.page.goto(self.service.services.settings.issuer + path)

    def press(self, label: str) -> None:
        """Press a button and wait for what comes of it."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=label, exact=True).click()

    def follow(self, label: str) -> None:
        """Follow a link."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=label, exact=True).click()

    def menu(self, label: str) -> None:
        """The name at the top right, then an entry below it."""
        self.page.locator("summary[aria-label^='Account menu']").click()
        self.follow(label)

    def tick(self, label: str, *, on: bool = True) -> None:
        """Set a box or a switch, whatever it is now."""
        self.page.get_by_label(label, exact=True).set_checked(on)

    def sign_in(self, email: str, password: str = PASSWORD, *, account: str = "") -> None:
        """Email and password."""
        self.open(f"/sign-in?account={account}" if account else "/sign-in")
        self.page.fill("#email", email)
        self.page.fill("#password", password)
        self.press("Sign in")

    def sign_out(self) -> None:
        """Out, where it is asked."""
        self.open("/sign-out")
        self.press("Sign out")

    def choose(self, method: str) -> None:
        """Have the code sent in one of several ways."""
        self.expect("Choose how to get your code")
        self.page.get_by_text(method, exact=True).click()
        self.press("Send code")

    def prove(self) -> None:
        """ "Confirm it's you", with a fresh code by email."""
        if self.h1 == "Confirm it’s you":
            self.page.fill("#password", PASSWORD)
            self.press("Continue")
        self.choose("Email")
        self.enter(DANA)

    def enter(self, to: str, *, button: str = "Continue", remember: bool = False) -> None:
        """Type the newest code that went to an address or a number."""
        self.page.fill("#code", self.service.code_for(to))
        if remember:
            self.page.get_by_label("Remember Me on this device for 30 days").check()
        self.press(button)

    def expect(self, h1: str) -> None:
        """Where the person is now."""
        assert self.h1 == h1

    @property
    def h1(self) -> str:
        """The heading of the page."""
        return self.page.locator("h1").inner_text()

    def sees(self, text: str) -> bool:
        """Whether the page says so."""
        return text in " ".join(self.page.inner_text("main").split())
