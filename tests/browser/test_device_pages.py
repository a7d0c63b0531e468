"""Letting a device in, in headless Chromium: each page usable by everybody, and the whole walk without script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Page

from tests.browser.test_hosted_pages import Visitor
from tests.support.remote import Serve, Served

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    members:
      - {{email: dana@northgate.example, name: Dana Whitfield, email_verified: true, password: {{env: DEMO_PASSWORD}}}}
clients:
  - client_id: ims-kiosk
    client_name: IMS lobby kiosk
    token_endpoint_auth_method: none
    grant_types: ["{GRANT}"]
    scope: openid profile email offline_access investors.read
resource_servers:
  - {{identifier: "https://api.ims.example/investors", scopes: [investors.read]}}
"""


@pytest.fixture(scope="module")
def site(serve: Serve) -> Iterator[Served]:
    """The service as a real process."""
    with serve("device", PROVISIONING) as started:
        yield started


def post(site: Served, path: str, **form: str) -> dict[str, Any]:
    """A request of the device."""
    with requests.Session() as http:
        http.trust_env = False
        answer: dict[str, Any] = http.post(f"{site.issuer}{path}", data={"client_id": "ims-kiosk", **form}).json()
    return answer


def test_the_pages_that_let_a_device_in(open_page: Callable[..., Page], site: Served) -> None:
    """Enter, its error, the question, the end; axe in light and dark, 320 px, twice the text size."""
    codes = post(site, "/oauth/device_authorization", scope="openid profile email offline_access investors.read")
    visitor = Visitor(open_page(), site)
    visitor.sign_in("dana@northgate.example", path="/sign-in?continue=/device")
    visitor.look("device", "Connect a device")
    visitor.page.fill("#user_code", "BCDF-GHJK")
    visitor.press("Continue")
    assert visitor.page.input_value("#user_code") == "BCDF-GHJK"
    assert visitor.page.evaluate("document.activeElement.className") == "summary"
    visitor.look("device-wrong", "Connect a device")
    visitor.page.fill("#user_code", codes["user_code"].lower())
    visitor.press("Continue")
    visitor.look("device-confirm", "Let this device in?")
    visitor.press("Allow")
    visitor.look("device-done", "Your device is signed in")
    visitor.page.go_back()
    visitor.look("device-over", "This code has expired")
    tokens = post(site, "/oauth/token", grant_type=GRANT, device_code=codes["device_code"])
    assert "id_token" in tokens, tokens


def test_the_walk_works_without_script(open_page: Callable[..., Page], site: Served) -> None:
    """From the link with the code in it, through the sign-in, to no; the code is filled in and waits for a press."""
    codes = post(site, "/oauth/device_authorization", scope="openid")
    page = open_page(java_script_enabled=False)
    page.goto(codes["verification_uri_complete"])
    page.fill("#email", "dana@northgate.example")
    page.fill("#password", "quiet harbor maple lantern")
    page.get_by_role("button", name="Sign in").click()
    assert page.input_value("#user_code") == codes["user_code"]
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Don’t allow").click()
    assert page.locator("h1").inner_text() == "You said no"
    answer = post(site, "/oauth/token", grant_type=GRANT, device_code=codes["device_code"])
    assert answer["error"] == "access_denied"
