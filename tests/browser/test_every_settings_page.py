"""Every page of the settings that has an address of its own: axe in light and dark, 320 px, twice the text, few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from authsvc.accounts.models import Account, Membership
from authsvc.clock import FixedClock
from authsvc.mfa.models import AuthenticatorApp
from tests.support.here import served_here
from tests.support.looking import problems, statements
from tests.support.service import DANA, DANAS_PHONE, Service, make_ring
from tests.support.team import PRIYA, THEO
from tests.support.walk import Walk

#: Session, account, what the page shows, and one write that the browser was seen.
A_HANDFUL = 12
PAGES = (
    *("/profile", "/profile/email", "/profile/security", "/profile/password", "/profile/phone", "/profile/app"),
    "/profile/notifications",
    *("/profile/exports", "/profile/exports/new?export=team_members"),
    *("/admin/settings", "/admin/settings/sign-everyone-out", "/admin/settings/turn-off?mfa=&revision=1"),
    *(
        "/admin/team",
        "/admin/team/new",
        "/admin/team?show=waiting",
        "/admin/team?show=inactive",
        "/admin/team?verified=no",
    ),
    *("/admin/team/{member}", "/admin/team/{member}/functionality", "/admin/team/{member}/reset"),
    *("/admin/team/{member}/sign-out", "/admin/team/{member}/password-link", "/admin/team/{member}/deactivate"),
    "/admin/team/{member}/make-admin",
    *(
        "/admin/activity",
        "/admin/activity?kind=failed",
        "/admin/investors",
        "/admin/team/00000000000000000000000000000000",
    ),
)
#: In an account with roles, what looks otherwise there.
PAGES_WITH_ROLES = ("/admin/team", "/admin/team/new", "/admin/team/{member}/roles", "/admin/team/{member}/deactivate")


@pytest.fixture
def service(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server."""
    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        yield started


def test_every_page_of_the_settings(service: Service, open_page: Callable[..., Page]) -> None:
    """ux.md section 5, with long names, a phone, an app and people in every state."""
    account = service.account(mfa="email+sms+totp")
    dana = service.member(account, role="admin", sensitive=True)
    service.member(account, INVITED, accepted=False, verified=False, password=None, phone=None)
    service.member(account, THEO, active=False)
    priya = service.member(account, PRIYA, verified=False, phone=None)
    walk = Walk(open_page(viewport={"width": 1280, "height": 900}), service)
    walk.sign_in(DANA)
    walk.choose("Text message (SMS)")
    walk.enter(DANAS_PHONE, remember=True)
    now = service.clock.now()
    with service.services.database.transaction() as tx:
        tx.add(AuthenticatorApp(user_id=dana.user_id, secret_sealed="-", created_at=now, confirmed_at=now))
    found: list[str] = []
    for path in PAGES:
        found += looked_at(walk, path, path.format(member=priya.id))
    with service.services.database.transaction() as tx:
        tx.get_one(Account, account.id).permission_model = "role"
        tx.get_one(Membership, dana.id).role = "super_admin"
        tx.get_one(Membership, priya.id).role = "crm_only"
    for path in PAGES_WITH_ROLES:
        found += looked_at(walk, f"with-roles-{path}", path.format(member=priya.id))
    assert found == []


def looked_at(walk: Walk, name: str, path: str) -> list[str]:
    """What is wrong with one page, and whether it asks the database too often."""
    with statements(walk.service) as sent:
        walk.open(path)
    found = problems(walk.page, name.strip("/").replace("/", "-").replace("?", "-")[:60])
    return [*found, f"{name}: {len(sent)} statements"] if len(sent) > A_HANDFUL else found


INVITED = "somebody.with.a.rather.long.name.indeed@a-very-long-domain-name.example"
