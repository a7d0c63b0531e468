"""Headless Chromium, what went wrong in it, and whether a page can be used by everybody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, WebError, sync_playwright

BINARIES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # as root there is no other way; it sees our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The tests' own guard does not reach into other processes.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")


def find_chromium() -> str | None:
    """Path of the Chromium on this machine."""
    return next((path for name in BINARIES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without windows, driven through pipes."""
    binary = find_chromium()
    if binary is None:
        raise AssertionError("Chromium is missing: `make test` installs it, or says which package to install")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class PageProblems:
    """Console errors (violations of the content security policy are among them), uncaught exceptions, failed parts.

    A page that itself answers 4xx or 5xx is no problem here: Chromium logs it as an error, but a refusal is a page too.
    """

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._refusing_pages: set[str] = set()

    def watch(self, context: BrowserContext) -> None:
        """Note what goes wrong in all pages of `context`."""
        context.on("console", self._console)
        context.on("weberror", self._uncaught)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A policy that only reports is logged as information.
        if message.type == "error" or "Content Security Policy" in message.text:
            self._found.append(
                (message.location["url"], f"console: {message.text} ({message.page and message.page.url})")
            )

    def _uncaught(self, error: WebError) -> None:
        self._found.append(("", f"uncaught: {error.error}"))

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self._refusing_pages.add(response.url)

    def all(self) -> list[str]:
        """One sentence for each problem so far."""
        return [
            text for url, text in self._found if not (url in self._refusing_pages and "Failed to load resource" in text)
        ]

    def clear(self) -> None:
        """Forget them; for a test that provokes one."""
        self._found.clear()


def axe_violations(page: Page, *, dark: bool) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA in one color scheme: one line for each rule, with the elements."""
    page.emulate_media(color_scheme="dark" if dark else "light")
    try:
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]})
    finally:
        page.emulate_media(color_scheme="light")
    return [
        f"{rule['id']}: {rule['help']}: {', '.join(str(node['target']) for node in rule['nodes'])}"
        for rule in found.response["violations"]
    ]
