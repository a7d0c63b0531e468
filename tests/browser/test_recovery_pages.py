"""The pages behind mailed links in headless Chromium: axe in both schemes, 320 px, twice the text size, and without script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from sqlalchemy import select

from authsvc.accounts.invitations import Invitations
from authsvc.accounts.links import Links
from authsvc.accounts.models import Account, EmailAddress, Membership, User
from authsvc.audit import AuditLog
from authsvc.clock import SystemClock
from authsvc.crypto.seal import derive
from authsvc.crypto.tokens import Digester, new_id
from authsvc.db import Database
from authsvc.policy.load import load
from tests.browser.test_hosted_pages import PERSON, Visitor
from tests.support.links import NEW_PASSWORD
from tests.support.processes import poll
from tests.support.remote import Served, served
from tests.support.service import SECRET

DANA, PRIYA = "dana@northgate.example", "priya@northgate.example"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    accent: "#14465e"
    members:
      - {PERSON % (DANA, "true")}
      - {PERSON % (PRIYA, "true")}
"""


@pytest.fixture(scope="module")
def site(worker_folder: Path) -> Iterator[Served]:
    """The service as a real process."""
    folder = worker_folder / "recovery"
    folder.mkdir()
    with served(folder, PROVISIONING) as started:
        yield started


@pytest.fixture(params=["script", "no script"])
def visitor(open_page: Callable[..., Page], site: Served, request: pytest.FixtureRequest) -> Visitor:
    """Somebody with a fresh browser profile, with and without JavaScript."""
    return Visitor(open_page(java_script_enabled=request.param == "script"), site)


def mailed(site: Served, to: str, kind: str) -> str:
    """The path of the first link of a kind that was mailed to somebody."""

    def found() -> str | None:
        messages = [json.loads(path.read_text()) for path in sorted((site.folder / "var/outbox").glob("*.json"))]
        pattern = re.compile(rf"(/{kind}/[0-9a-f]{{64}})$", re.MULTILINE)
        paths = [path for message in messages if message["to"] == to for path in pattern.findall(message["text"])]
        return paths[0] if paths else None

    return poll(found, what=f"a link for {to}") or ""


def has_script(visitor: Visitor) -> bool:
    """Whether pages may run scripts: ours mark the root."""
    if visitor.page.url == "about:blank":
        visitor.open("/sign-in")
    return bool(visitor.page.evaluate("document.documentElement.classList.contains('js')"))


def look(visitor: Visitor, name: str, h1: str) -> None:
    """As for every hosted page; axe is a script of the page, so without one only the words are looked at."""
    if has_script(visitor):
        visitor.look(name, h1)
    assert visitor.page.locator("h1").inner_text() == h1


def test_from_forgotten_to_new_and_not_me(visitor: Visitor, site: Served) -> None:
    """S7, S8, S9 with its error, S1 with its note, S11, the notice's page and what it did."""
    # Two links for one person are half a minute apart.
    person = DANA if has_script(visitor) else PRIYA
    visitor.open("/forgot?account=northgate")
    look(visitor, "forgot", "Reset your password")
    visitor.page.fill("#email", person)
    visitor.press("Send link")
    look(visitor, "forgot-sent", "Check your email")
    path = mailed(site, person, "reset")
    visitor.open(path)
    assert visitor.page.url == site.issuer + "/reset"
    look(visitor, "reset", "Choose a new password")
    visitor.page.fill("#password", "short one")
    visitor.press("Reset Password")
    look(visitor, "reset-refused", "Choose a new password")
    visitor.page.fill("#password", NEW_PASSWORD)
    visitor.press("Reset Password")
    assert "Your password is changed." in visitor.page.inner_text("main")
    look(visitor, "sign-in-after-reset", "Sign in")
    visitor.open(path)
    look(visitor, "link-used", "This link was already used")
    visitor.open(mailed(site, person, "not-me"))
    look(visitor, "not-me", "Was this not you?")
    visitor.press("This was not me")
    look(visitor, "not-me-done", "Your sign-in is secured")


def test_joining(visitor: Visitor, site: Served) -> None:
    """S10 for somebody new, with its errors."""
    visitor.open(invite(site, f"{new_id()}@northgate.example"))
    look(visitor, "invite", "Join Northgate Capital Partners")
    visitor.press("Create my sign-in")
    assert visitor.page.title() == "Error: Join Northgate Capital Partners – Northgate Capital Partners"
    look(visitor, "invite-refused", "Join Northgate Capital Partners")
    visitor.page.fill("#name", "Priya Raman")
    visitor.page.fill("#password", NEW_PASSWORD)
    visitor.press("Create my sign-in")
    look(visitor, "joined", "You’re signed in")


def invite(site: Served, email: str) -> str:
    """Somebody new in Northgate, invited; answers the path of the mailed link."""
    clock = SystemClock()
    database = Database(f"sqlite:///{site.folder / 'var/authsvc.db'}")
    audit = AuditLog(clock, "test")
    policy = load(None).sessions
    links = Links(policy.links, Digester(derive(SECRET, "links")), clock)
    invitations = Invitations(policy, links, clock, audit)
    now = clock.now()
    user = User(id=new_id(), name="Priya", created_at=now)
    user.email = EmailAddress(address=email, canonical=email)
    with database.transaction() as tx:
        account, dana = tx.scalars(select(Account)).one(), tx.scalars(select(User).order_by(User.created_at)).first()
        membership = Membership(id=new_id(), user=user, account=account, audience="team", role="member", created_at=now)
        tx.add_all([user, membership])
        tx.flush()
        invitation = invitations.issue(tx, membership, invited_by=dana.id if dana else None)
        path = f"/invite/{invitations.token(invitation.id)}"
    database.dispose()
    return path
