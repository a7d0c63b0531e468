"""The pages of the authenticator app in headless Chromium: axe in both schemes, 320 px, twice the text, no script."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyotp
import pytest
from playwright.sync_api import Page

from tests.browser.test_hosted_pages import PERSON, Visitor
from tests.support.remote import Serve, Served

#: Nine accounts for one person: the chooser then has its search.
MANY = "".join(
    f"""
  - slug: gate{number}
    name: Gate {number} Partners
    portal_url: https://gate{number}.example
    members:
      - {PERSON % ("theo@northgate.example", "true")}
"""
    for number in range(9)
)
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    mfa: {{team: {{enabled: true, methods: [totp]}}}}
    members:
      - {PERSON % ("dana@northgate.example", "true")}
  - slug: westgate
    name: Westgate Partners
    portal_url: https://portal.westgate.example
    mfa: {{team: {{enabled: true, methods: [email, sms, totp]}}}}
    members:
      - {PERSON % ("dana@northgate.example", "true")}
{MANY}
"""


@pytest.fixture(scope="module")
def site(serve: Serve) -> Iterator[Served]:
    """The service as a real process."""
    with serve("authenticator", PROVISIONING) as started:
        yield started


def look(visitor: Visitor, name: str, h1: str) -> None:
    """As Visitor does, and the pictures of the page have loaded."""
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert visitor.page.evaluate(broken) == 0
    visitor.look(name, h1)


def app_of(page: Page) -> pyotp.TOTP:
    """The app of somebody who types the key."""
    return pyotp.TOTP(page.locator("code.key").inner_text().replace(" ", ""))


def test_from_setting_the_app_up_to_taking_it_away(open_page: Callable[..., Page], site: Served) -> None:
    """Behind an emailed code; then S3 and S4 with the app, a recovery code, and the pages of My Profile."""
    dana = "dana@northgate.example"
    visitor = Visitor(open_page(), site)
    before = site.messages_to(dana)
    visitor.sign_in(dana, path="/sign-in?account=northgate")
    visitor.page.fill("#code", site.code_for(dana, after=before))
    visitor.press("Continue")
    look(visitor, "app-setup", "Set up your authenticator app")
    app = app_of(visitor.page)
    visitor.page.fill("#code", app.now())
    visitor.press("Continue")
    look(visitor, "app-recovery-codes", "Save your recovery codes")
    codes = visitor.page.locator(".recovery code").all_inner_texts()
    assert len(codes) == 10
    visitor.press("I have saved them")
    visitor.open("/accounts")
    look(visitor, "accounts-signed-in", "Choose an account")

    other = Visitor(open_page(java_script_enabled=False), site)
    other.sign_in(dana, path="/sign-in?account=westgate")
    assert "Text message" not in other.page.inner_text("main"), "no first phone where there is an app"
    other.page.locator("#method-totp").check()
    other.press("Continue")
    assert other.page.locator("h1").inner_text() == "Enter your code"
    other.page.get_by_role("link", name="Use a recovery code").click()
    other.page.fill("#recovery", codes[0])
    other.press("Continue")
    assert other.page.title() == "You’re signed in – Westgate Partners"

    third = Visitor(open_page(), site)
    third.sign_in(dana, path="/sign-in?account=westgate")
    look(third, "method-app", "Choose how to get your code")
    third.page.get_by_text("Authenticator app", exact=True).click()
    third.press("Continue")
    third.page.fill("#code", "000000")
    third.press("Continue")
    look(third, "app-code-wrong", "Enter your code")
    third.page.get_by_role("link", name="Use a recovery code").click()
    look(third, "recovery-code", "Use a recovery code")
    third.page.fill("#recovery", codes[1])
    third.press("Continue")
    third.open("/profile/security/app")
    look(third, "profile-app", "Authenticator app")
    third.press("Replace")
    look(third, "profile-app-setup", "Set up your authenticator app")
    third.page.get_by_role("link", name="Cancel").click()
    third.press("Make new recovery codes")
    look(third, "profile-app-codes", "Save your recovery codes")
    third.page.get_by_role("link", name="I have saved them").click()
    third.page.get_by_role("link", name="Remove").click()
    assert "Northgate asks for a code from an authenticator app" in third.page.inner_text("main")
    look(third, "profile-app-remove", "Remove your authenticator app?")


def test_the_search_of_the_chooser_hides_what_does_not_match(open_page: Callable[..., Page], site: Served) -> None:
    """Beyond eight accounts; without script there is no field and the whole list."""
    visitor = Visitor(open_page(), site)
    visitor.sign_in("theo@northgate.example")
    look(visitor, "accounts-searched", "Choose an account")
    visitor.page.get_by_label("Search your accounts").fill("gate 7")
    assert visitor.page.locator("#accounts li:visible").count() == 1
    assert visitor.page.locator("#search-say").inner_text() == "1 of 9 accounts"
    plain = Visitor(open_page(java_script_enabled=False), site)
    plain.sign_in("theo@northgate.example")
    assert plain.page.locator("#accounts li:visible").count() == 9
    assert not plain.page.get_by_label("Search your accounts").is_visible()
