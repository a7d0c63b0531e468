"""Consent and the way back by form, in headless Chromium: with and without script, and usable by everybody."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from tests.support.browser import axe_violations
from tests.support.client_site import ClientSite, client_site
from tests.support.processes import poll
from tests.support.remote import Serve, Served
from tests.support.service import pkce

SCREENSHOTS = os.environ.get("AUTHSVC_TEST_SCREENSHOTS")
PASSWORD = "quiet harbor maple lantern"
STATE = 'Zustand "ü" <&> +%20'
PROVISIONING = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    members:
      - {{email: dana@northgate.example, name: Dana, email_verified: true, password: {{env: DEMO_PASSWORD}}}}
clients:
  - client_id: acme
    client_name: Acme Analytics
    token_endpoint_auth_method: none
    first_party: false
    redirect_uris: ["{site}/callback"]
    client_uri: https://acme.example/about
    policy_uri: https://acme.example/privacy
    tos_uri: https://acme.example/terms
    scope: openid profile email offline_access
"""


@pytest.fixture(scope="module")
def acme() -> Iterator[ClientSite]:
    """The client's own site."""
    with client_site() as site:
        site.answer(
            "/callback", body=b"<!doctype html><title>Acme</title><h1>Back at Acme</h1>", Content_Type="text/html"
        )
        site.answer("/favicon.ico", 204)
        yield site


@pytest.fixture(scope="module")
def site(serve: Serve, acme: ClientSite) -> Iterator[Served]:
    """The service as a real process."""
    with serve("authorization", PROVISIONING.format(site=acme.url)) as started:
        yield started


def address(site: Served, acme: ClientSite, **changed: str) -> str:
    """A link of the client."""
    request = {
        "client_id": "acme",
        "response_type": "code",
        "redirect_uri": f"{acme.url}/callback",
        "scope": "openid profile email offline_access",
        "state": STATE,
        "code_challenge": pkce()[1],
        "code_challenge_method": "S256",
        "response_mode": "form_post",
        **changed,
    }
    return f"{site.issuer}/oauth/authorize?{urlencode(request)}"


def sign_in(page: Page, link: str) -> None:
    """Follow the link and send the password."""
    page.goto(link)
    page.fill("#email", "dana@northgate.example")
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_load_state()


def look(page: Page, name: str, h1: str) -> None:
    """axe in light and dark, and no sideways scroll at 320 px."""
    assert page.locator("h1").inner_text() == h1
    for dark in (False, True):
        assert axe_violations(page, dark=dark) == [], f"{name}, {'dark' if dark else 'light'}"
        if SCREENSHOTS:
            page.emulate_media(color_scheme="dark" if dark else "light")
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{'dark' if dark else 'light'}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-320.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 860})


def press(page: Page, label: str) -> None:
    """Press a button, by its label."""
    page.get_by_role("button", name=label, exact=True).click()
    page.wait_for_load_state()


def wait_out_the_hold(page: Page) -> None:
    """Until a press counts. (Playwright's own wait evaluates text, which the policy of our pages forbids.)"""
    since = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    poll(lambda: page.evaluate(f"{since} > 0 && performance.now() > {since} + 700"), what="the end of the hold")


def test_consent_and_a_form_that_posts_itself(open_page: Callable[..., Page], site: Served, acme: ClientSite) -> None:
    """The walk of a client of somebody else; its answer arrives by POST with the state as it was sent."""
    page = open_page()
    sign_in(page, address(site, acme, prompt="consent"))
    look(page, "consent", "Allow Acme Analytics?")
    # A click right after the page appeared was aimed at something else (AZ-19).
    page.reload()
    page.evaluate("document.querySelector('[value=allow]').click()")
    assert page.locator("h1").inner_text() == "Allow Acme Analytics?"
    wait_out_the_hold(page)

    press(page, "Allow")
    page.wait_for_url(f"{acme.url}/callback")

    assert page.locator("h1").inner_text() == "Back at Acme"
    arrived = [asked for asked in acme.asked if asked.method == "POST"][-1]
    assert arrived.form().keys() == {"code", "state", "iss"}
    assert arrived.form()["state"] == STATE
    assert "Referer" not in arrived.headers or arrived.headers["Referer"] == f"{site.issuer}/"


def test_both_pages_work_without_script(open_page: Callable[..., Page], site: Served, acme: ClientSite) -> None:
    """Allow or not, then Continue. Saying no is told to the client in the same way."""
    page = open_page(java_script_enabled=False)
    for label, told in (("Don’t allow", "error"), ("Allow", "code")):
        acme.asked.clear()
        link = address(site, acme, prompt="consent")
        if told == "error":
            sign_in(page, link)
        else:
            page.goto(link)
        press(page, label)
        assert page.locator("h1").inner_text() == "Continue to Acme Analytics"
        press(page, "Continue")
        [arrived] = [asked for asked in acme.asked if asked.method == "POST"]
        assert told in arrived.form()
        assert arrived.form()["state"] == STATE


def test_the_pages_on_the_way_back(open_page: Callable[..., Page], site: Served, acme: ClientSite) -> None:
    """What a bad request of a client shows (AZ-06), and the page that is posted on where script is off."""
    page = open_page()
    page.goto(address(site, acme, scope="admin"))
    look(page, "return-refused", "This request didn’t work")
    assert page.get_by_role("button", name=f"Go back to 127.0.0.1:{acme.port}").is_visible()
    page.goto(address(site, acme, scope="admin", response_mode="query"))
    look(page, "return-refused-link", "This request didn’t work")


def test_the_answer_by_query_passes_the_policy_of_the_consent_page(
    open_page: Callable[..., Page], site: Served, acme: ClientSite
) -> None:
    """Chromium holds a form's redirects against form-action: the client's origin is named there, and no other."""
    page = open_page()
    sign_in(page, address(site, acme, response_mode="query", prompt="consent"))
    wait_out_the_hold(page)

    with page.expect_request(lambda request: request.url.startswith(f"{acme.url}/callback?code=")):
        press(page, "Allow")

    assert any(asked.path.startswith("/callback?code=") for asked in acme.asked)
