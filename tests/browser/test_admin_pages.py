"""Admin Settings and Investor Settings in headless Chromium: axe in both schemes, 320 px, with and without script (S20, S26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.test_hosted_pages import Visitor
from tests.support.remote import Serve, Served

ADMIN = (
    "{email: %s, name: %s, role: admin, sensitive_data_access: %s, email_verified: true, phone: '+15125550142', "
    "phone_verified: true, password: {env: DEMO_PASSWORD}}"
)
MEMBER = "{email: %s, name: %s, email_verified: %s%s}"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    mfa: {{team: {{enabled: false}}, investors: {{enabled: false}}}}
    members:
      - {ADMIN % ("dana@northgate.example", "Dana Whitfield", "true")}
      - {MEMBER % ("priya@northgate.example", "Priya Raman", "false", "")}
      - {MEMBER % ("theo.lindqvist@northgate.example", "Theo Lindqvist", "false", "")}
      - {MEMBER % ("carla@northgate.example", "Carla Ng", "true", "")}
  - slug: westgate
    name: Westgate Partners
    portal_url: https://portal.westgate.example
    accent: "#ffd400"
    mfa: {{team: {{enabled: true, methods: [email]}}}}
    members:
      - {ADMIN % ("sam@westgate.example", "Sam Ortiz", "true")}
      - {ADMIN % ("noor@westgate.example", "Noor Haddad", "false")}
      - {ADMIN % ("ola@westgate.example", "Ola Berg", "true")}
"""
SETTINGS = "/admin/settings"


@pytest.fixture(scope="module")
def site(serve: Serve) -> Iterator[Served]:
    """The service as a real process."""
    with serve("admin", PROVISIONING) as started:
        yield started


@pytest.fixture
def visitor(open_page: Callable[..., Page], site: Served) -> Visitor:
    """Somebody with a fresh browser profile."""
    return Visitor(open_page(), site)


def sign_in_with_code(visitor: Visitor, email: str) -> None:
    """Password, then the code: by email, where another test has opened a second method before."""
    before = visitor.site.messages_to(email)
    visitor.sign_in(email)
    if visitor.page.url.partition("?")[0].endswith("/sign-in/method"):
        visitor.page.locator("label[for=method-email]").click()
        visitor.press("Send code")
    visitor.page.fill("#code", visitor.site.code_for(email, after=before))
    visitor.press("Continue")


def test_the_page_that_refuses_and_reminds(visitor: Visitor) -> None:
    """The pre-flight as it is, refused, and after a reminder; what was chosen stays."""
    page = visitor.page
    visitor.sign_in("dana@northgate.example")
    page.get_by_role("button", name="Skip For Now").count()
    visitor.open(SETTINGS)
    visitor.look("admin-blocked", "Admin Settings")
    toggle = page.get_by_role("switch", name="Require a code from all Team Members")
    assert not toggle.is_checked()
    toggle.check()
    assert page.locator("#dirty").inner_text() == "You have unsaved changes."
    page.get_by_label("SMS").check()
    page.get_by_text("Without a verified number", exact=True).click()
    assert page.get_by_text("Carla Ng").first.is_visible()
    visitor.press("Save")
    assert page.title() == "Error: Admin Settings – Northgate Capital Partners"
    assert page.evaluate("document.activeElement.className") == "summary"
    visitor.look("admin-refused", "Admin Settings")
    visitor.press("Send reminder to Priya Raman")
    assert page.get_by_role("status").filter(has_text="Sent. We’ll show here when they’re done.").is_visible()
    assert toggle.is_checked()
    assert page.get_by_label("SMS").is_checked()
    visitor.look("admin-reminded", "Admin Settings")


def test_enter_saves_and_reminds_nobody(visitor: Visitor) -> None:
    """The reminder buttons stand before Save in the page: Enter in a field must not press one."""
    visitor.sign_in("dana@northgate.example")
    visitor.open(SETTINGS)
    visitor.page.get_by_role("switch").check()
    visitor.page.get_by_label("SMS").press("Enter")
    visitor.page.wait_for_load_state()
    assert visitor.page.get_by_text("Multi-Factor Authentication is still off").is_visible()


def test_switched_on_with_the_questions_before_anything_ends(visitor: Visitor) -> None:
    """On, off with its question, everybody out with its question."""
    sign_in_with_code(visitor, "sam@westgate.example")
    visitor.open(SETTINGS)
    visitor.look("admin-on", "Admin Settings")
    visitor.page.get_by_role("link", name="Sign everyone out now").click()
    visitor.look("admin-sign-everyone-out", "Sign everyone out now?")
    visitor.page.get_by_role("link", name="Cancel").click()
    visitor.page.get_by_role("switch").uncheck()
    visitor.press("Save")
    visitor.look("admin-turn-off", "Turn off Multi-Factor Authentication?")
    visitor.page.get_by_role("link", name="Keep it on").click()
    assert visitor.page.get_by_role("switch").is_checked()


def test_without_sensitive_data_access(visitor: Visitor) -> None:
    """Read-only, with the reason."""
    sign_in_with_code(visitor, "noor@westgate.example")
    visitor.open(SETTINGS)
    assert visitor.page.get_by_role("switch").count() == 0
    visitor.look("admin-read-only", "Admin Settings")


def test_m11_sms_ticks_email_too(visitor: Visitor) -> None:
    """Shown at once where script runs; unticking Email alone is not possible then."""
    visitor.sign_in("dana@northgate.example")
    visitor.open("/admin/investors")
    page = visitor.page
    page.get_by_label("Email").uncheck()
    page.get_by_label("SMS").check()
    assert page.get_by_label("Email").is_checked()
    page.get_by_label("Email").click()
    assert page.get_by_label("Email").is_checked()
    visitor.look("investors", "Investor Settings")


def test_it_works_without_script(open_page: Callable[..., Page], site: Served) -> None:
    """Rule 1: a change is saved, and said."""
    visitor = Visitor(open_page(java_script_enabled=False), site)
    sign_in_with_code(visitor, "ola@westgate.example")
    visitor.open(SETTINGS)
    visitor.page.get_by_label("SMS").check()
    visitor.press("Save")
    assert visitor.page.get_by_text("Saved. It counts from each person’s next sign-in.").is_visible()
    assert "Last changed by Ola Berg on" in visitor.page.inner_text(".savebar")


def test_focus_is_not_hidden_by_the_save_bar(visitor: Visitor) -> None:
    """WCAG 2.2 2.4.11: what has the focus is above the bar that sticks to the bottom."""
    visitor.sign_in("dana@northgate.example")
    visitor.open(SETTINGS)
    page = visitor.page
    page.set_viewport_size({"width": 320, "height": 560})
    page.locator("#main").focus()
    hidden = """() => { const e = document.activeElement; if (!e.closest('form') || e.closest('.savebar')) return null;
        const r = e.getBoundingClientRect(), bar = document.querySelector('.savebar').getBoundingClientRect();
        return r.bottom > bar.top && r.top >= bar.top ? e.outerHTML : null }"""
    for _ in range(25):
        page.keyboard.press("Tab")
        assert page.evaluate(hidden) is None
