"""My Profile in headless Chromium: usable by everybody, in light and dark, at 320 px and at twice the text size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.test_hosted_pages import PASSWORD, Visitor
from tests.support.remote import Serve, Served

DANA = "dana@northgate.example"
PROVISIONING = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    mfa: {team: {enabled: true, methods: [email]}}
    members:
      - {email: dana@northgate.example, name: Dana Whitfield, email_verified: true, password: {env: DEMO_PASSWORD},
         phone: "+15125550142", phone_verified: true}
"""


@pytest.fixture(scope="module")
def site(serve: Serve) -> Iterator[Served]:
    """The service as a real process."""
    with serve("profile", PROVISIONING) as started:
        yield started


def enter(visitor: Visitor, site: Served) -> None:
    """Sign in with a code, on a remembered device."""
    before = site.messages_to(DANA)
    visitor.sign_in(DANA)
    visitor.page.fill("#code", site.code_for(DANA, after=before))
    visitor.page.get_by_label("Remember Me").check()
    visitor.press("Continue")


def test_every_page_of_my_profile(open_page: Callable[..., Page], site: Served) -> None:
    """S16, S17, S18, with their errors and what waits."""
    other = Visitor(open_page(user_agent="Mozilla/5.0 (iPhone) AppleWebKit/605 Version/18.0 Mobile Safari/604"), site)
    enter(other, site)
    visitor = Visitor(open_page(), site)
    enter(visitor, site)
    visitor.open("/profile")
    visitor.page.fill("#name", "")
    assert visitor.page.inner_text("#dirty") == "You have unsaved changes."
    visitor.press("Save")
    visitor.look("profile-no-name", "My Profile")
    visitor.open("/profile/email")
    visitor.look("profile-email", "Change your email address")
    visitor.page.fill("#email", "dana.new@northgate.example")
    visitor.press("Send code")
    visitor.look("profile-email-code", "Check your email")
    visitor.page.fill("#code", "000000")
    visitor.press("Continue")
    visitor.look("profile-email-wrong", "Check your email")
    visitor.open("/profile")
    visitor.look("profile-details", "My Profile")
    visitor.open("/profile/security")
    visitor.look("profile-security", "My Profile")
    visitor.open("/profile/security/password")
    visitor.page.fill("#current", PASSWORD)
    visitor.page.fill("#password", "too short")
    visitor.press("Change password")
    visitor.look("profile-password", "Change your password")
    visitor.open("/profile/security/phone")
    visitor.look("profile-phone", "Change your phone number")
    visitor.open("/profile/security/phone/remove")
    visitor.look("profile-phone-remove", "Remove your phone number?")
    visitor.open("/profile/security")
    visitor.page.get_by_role("link", name="Sign out Safari on iPhone").click()
    visitor.page.wait_for_load_state()
    visitor.look("profile-session", "Sign out Safari on iPhone?")
    visitor.press("Sign out")
    assert visitor.page.evaluate("document.activeElement.id") == "sessions-s"
    visitor.look("profile-signed-out", "My Profile")


def test_everything_works_without_script(open_page: Callable[..., Page], site: Served) -> None:
    """ux.md rule 1: the name is saved, a device is removed, others are signed out."""
    enter(Visitor(open_page(), site), site)
    visitor = Visitor(open_page(java_script_enabled=False), site)
    enter(visitor, site)
    visitor.open("/profile")
    visitor.page.fill("#name", "Dana W. Whitfield")
    visitor.page.select_option("#time_zone", "America/Denver")
    visitor.press("Save")
    assert "Saved." in visitor.page.inner_text("main")
    visitor.open("/profile/security")
    assert "MST" in visitor.page.inner_text("main")
    visitor.page.get_by_role("button", name="Remove all").click()
    visitor.page.wait_for_load_state()
    assert "No remembered devices." in visitor.page.inner_text("main")
    visitor.press("Sign out everywhere else")
    assert "other session" in visitor.page.inner_text("main")
