"""The user journeys J1 to J9 of the help pages (domain 3), in headless Chromium, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from authsvc.accounts.models import Account, AccountMfa, Membership, User
from authsvc.accounts.queries import user_by_email
from authsvc.clock import FixedClock
from tests.support.here import served_here
from tests.support.links import NEW_PASSWORD, newest_link
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service, make_ring
from tests.support.walk import Walk

PRIYA = "priya@northgate.example"
JO = "jo@northgate.example"
INES = "ines@meridian.example"
SETTINGS = "/admin/settings"


@pytest.fixture
def service(one_database: str, clock: FixedClock, ring_folder: Path, tmp_path: Path) -> Iterator[Service]:
    """The service of this process, behind a real server."""
    with served_here(one_database, tmp_path, clock=clock, ring=make_ring(ring_folder, clock)) as started:
        yield started


@pytest.fixture(params=["script", "no script"])
def opened(open_page: Callable[..., Page], request: pytest.FixtureRequest) -> Callable[[Service], Walk]:
    """Makes a person with a browser of their own; every journey is walked with JavaScript and without."""
    return lambda service: Walk(open_page(java_script_enabled=request.param == "script"), service)


def switch_of(service: Service, account_id: str, audience: str = "team") -> AccountMfa:
    """As it is stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(AccountMfa, (account_id, audience))


def person(service: Service, email: str) -> User:
    """As they are stored."""
    with service.services.database.transaction(read_only=True) as tx:
        found = user_by_email(tx, email)
        assert found is not None
        return found


def invite(service: Service, account: Account) -> None:
    """Ines, an investor, by mail."""
    waiting = service.member(
        account, INES, audience="investors", accepted=False, verified=False, password=None, phone=None
    )
    s = service.services
    with s.database.transaction() as tx:
        invitation = s.invitations.issue(tx, tx.get_one(Membership, waiting.id), invited_by=None)
        s.courier.send_invitation(tx, invitation.id)


def test_j1_turn_on_mfa_for_the_team(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Refused while Priya is unverified; she is reminded and verifies; then a fresh code, and everybody is asked."""
    account = service.account()
    service.member(account, role="admin", sensitive=True)
    service.member(account, PRIYA, verified=False, phone=None)
    dana, priya = opened(service), opened(service)
    dana.sign_in(DANA)
    dana.open("/profile")
    dana.menu("Admin Settings")
    dana.expect("Admin Settings")
    dana.tick("Require a code from all Team Members")
    dana.press("Save")
    assert dana.sees("Multi-Factor Authentication is still off")
    assert dana.sees("1 Team Member hasn’t verified their email: Priya.")
    dana.press("Send reminder to Priya")
    assert dana.sees("Sent. We’ll show here when they’re done.")

    priya.open(newest_link(service, "verify", to=PRIYA))
    priya.press("Verify email")
    assert person(service, PRIYA).email.verified_at is not None

    dana.follow("Team Members")
    dana.follow("Details")
    dana.tick("Require a code from all Team Members")
    dana.press("Save")
    dana.prove()
    if not dana.sees("Saved."):
        dana.tick("Require a code from all Team Members")
        dana.press("Save")
    assert dana.sees("will be asked for a code at their next sign-in.")
    stored = switch_of(service, account.id)
    assert (stored.enabled, stored.methods) == (True, ["email"])

    service.pass_time(minutes=1)
    priya.sign_in(PRIYA)
    priya.expect("Enter your code")
    priya.enter(PRIYA)
    priya.expect("You’re signed in")


def test_j2_sign_in_with_both_methods(service: Service, opened: Callable[[Service], Walk]) -> None:
    """No skip while unverified; text and no phone: number, then code; Remember Me spares the code, not the password."""
    service.member(service.account(mfa="email+sms"), verified=False, phone=None)
    dana = opened(service)
    dana.sign_in(DANA)
    dana.expect("Verify your email")
    assert dana.page.get_by_role("button", name="Skip For Now").count() == 0
    dana.enter(DANA, button="Verify Email")
    # That code came by email: whoever takes email now has shown it, and a phone may be added behind it (D2).
    dana.expect("Choose how to get your code")
    dana.page.get_by_text("Text message (SMS)", exact=True).click()
    dana.press("Continue")
    dana.expect("Add your phone number")
    dana.page.fill("#tel", "512 555 0142")
    dana.press("Text me a code")
    dana.expect("Check your phone")
    dana.enter(DANAS_PHONE, remember=True)
    dana.expect("You’re signed in")
    dana.sign_out()
    dana.sign_in(DANA)
    dana.expect("You’re signed in")

    service.pass_time(days=30, seconds=1)
    dana.sign_in(DANA)
    dana.choose("Email")
    dana.expect("Enter your code")
    dana.enter(DANA)
    dana.expect("You’re signed in")


def test_j3_skip_for_now(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Without Multi-Factor Authentication: skipped, asked again next time, verified, and then the list has its check."""
    account = service.account()
    service.member(account, role="admin")
    service.member(account, PRIYA, verified=False, phone=None)
    priya, dana = opened(service), opened(service)
    priya.sign_in(PRIYA)
    priya.expect("Verify your email")
    priya.press("Skip For Now")
    priya.expect("You’re signed in")
    dana.sign_in(DANA)
    dana.open("/admin/team")
    row = dana.page.get_by_role("row").filter(has_text="Priya")
    assert "Not verified" in row.inner_text()
    priya.sign_out()
    service.pass_time(minutes=1)
    priya.sign_in(PRIYA)
    priya.enter(PRIYA, button="Verify Email")
    priya.expect("You’re signed in")
    dana.open("/admin/team")
    assert "Not verified" not in row.inner_text()
    assert "Verified" in row.inner_text()


def test_j4_change_own_email(service: Service, opened: Callable[[Service], Walk]) -> None:
    """My Profile, a new address, the code that went there; it signs in, the old one does not and is told."""
    service.member(service.account())
    dana, new = opened(service), "dana.new@northgate.example"
    dana.sign_in(DANA)
    dana.open("/profile/security")
    dana.menu("My Profile")
    dana.follow("Change email")
    if dana.h1 == "Confirm it’s you":
        dana.page.fill("#password", PASSWORD)
        dana.press("Continue")
    dana.page.fill("#email", new)
    dana.press("Send code")
    dana.expect("Check your email")
    dana.enter(new)
    assert dana.page.locator(".to").first.inner_text() == new
    service.deliver()
    assert service.emails.to(DANA)[-1].subject.startswith("Your email")
    dana.sign_out()
    dana.sign_in(DANA)
    dana.expect("Sign in")
    dana.sign_in(new)
    dana.expect("You’re signed in")


def test_j5_add_a_colleague(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Added without an invitation, invited from the row, accepted: access only then; Data Access: none."""
    account = service.account()
    service.member(account, role="admin")
    dana, jo = opened(service), opened(service)
    dana.sign_in(DANA)
    dana.open(SETTINGS)
    dana.follow("Team Members")
    dana.follow("Invite Team Member")
    dana.expect("Add Team Member")
    dana.press("Save")
    assert dana.sees("We couldn’t add this person")
    dana.page.fill("#first", "Jo")
    dana.page.fill("#last", "Field")
    dana.page.get_by_text("Team Member", exact=True).last.click()
    dana.page.fill("#email", JO)
    dana.tick("Send the invitation now", on=False)
    dana.press("Save")
    jo.sign_in(JO, NEW_PASSWORD)
    jo.expect("Sign in")
    dana.press("Invite: Jo Field")
    assert dana.sees("Invitation sent.")
    jo.open(newest_link(service, "invite", to=JO))
    assert jo.sees("Dana invited you as a Team Member.")
    jo.page.fill("#name", "Jo Field")
    jo.page.fill("#password", NEW_PASSWORD)
    jo.press("Create my sign-in")
    jo.expect("You’re signed in")
    jo.sign_out()
    jo.sign_in(JO, NEW_PASSWORD)
    jo.expect("You’re signed in")
    with service.services.database.transaction(read_only=True) as tx:
        joined = user_by_email(tx, JO).memberships[0]
        assert joined.accepted_at is not None
        assert not joined.sensitive_data_access


def test_j6_set_a_role(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Role-based: the Super Admin picks a role and the switches; Sensitive Data Access asks for a fresh code."""
    account = service.account(permission_model="role")
    service.member(account, role="super_admin", sensitive=True)
    priya = service.member(account, PRIYA, role="admin", phone=None)
    dana = opened(service)
    dana.sign_in(DANA)
    dana.open("/admin/team")
    dana.follow("Priya")
    dana.follow("Roles")

    def wish() -> None:
        dana.page.get_by_text("KPI Only", exact=True).click()
        dana.tick("KPI access")
        dana.tick("Sensitive Data Access")
        dana.tick("View-Only")
        dana.press("Save")

    wish()
    dana.prove()
    if "Saved." not in dana.page.inner_text("main"):
        wish()
    with service.services.database.transaction(read_only=True) as tx:
        now = tx.get_one(Membership, priya.id)
        assert (now.role, now.kpi_access, now.sensitive_data_access, now.view_only) == ("kpi_only", True, True, True)
    dana.open(f"/admin/team/{priya.id}/roles")
    dana.follow("Deactivate")
    dana.press("Deactivate")
    assert dana.sees("Switched inactive")


def test_j7_forgotten_password(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Link, email, mail, "Reset Password", new password, back to the sign-in; nobody is signed in by it."""
    service.member(service.account(mfa="email"))
    dana = opened(service)
    dana.open("/sign-in")
    dana.follow("Forgot your password?")
    dana.page.fill("#email", DANA)
    dana.press("Send link")
    dana.expect("Check your email")
    dana.open(newest_link(service, "reset"))
    dana.expect("Choose a new password")
    dana.page.fill("#password", NEW_PASSWORD)
    dana.press("Reset Password")
    dana.expect("Sign in")
    assert dana.sees("Your password is changed. Sign in with the new one.")
    dana.sign_in(DANA, NEW_PASSWORD)
    dana.expect("Enter your code")
    dana.enter(DANA)
    dana.expect("You’re signed in")


def test_j8_turn_on_mfa_for_investors(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Investor Settings: SMS brings Email along; whether browsers may be remembered is the sponsor's choice."""
    account = service.account()
    service.member(account, role="admin", sensitive=True)
    service.member(account, INES, audience="investors", role="member", phone=None)
    dana = opened(service)
    dana.sign_in(DANA)
    dana.open("/profile")
    dana.menu("Investor Settings")
    dana.expect("Investor Settings")

    def save() -> None:
        dana.tick("Require a code from all investors")
        dana.tick("SMS")
        dana.tick("Allow Remember Me", on=False)
        dana.press("Save")

    save()
    dana.prove()
    if not dana.sees("Saved."):
        save()
    stored = switch_of(service, account.id, "investors")
    assert (stored.enabled, stored.methods, stored.remember_device) == (True, ["email", "sms"], False)
    assert not switch_of(service, account.id).enabled
    ines = opened(service)
    ines.sign_in(INES)
    assert not ines.sees("Remember Me")


def test_j9_an_investors_first_sign_in(service: Service, opened: Callable[[Service], Walk]) -> None:
    """Invitation good for a week, a password, the email code; only then may a phone be added, and used."""
    account = service.account(investors="email+sms")
    service.member(account, role="admin")
    invite(service, account)
    ines = opened(service)
    link = newest_link(service, "invite", to=INES)
    service.pass_time(days=6, hours=23)
    ines.open(link)
    ines.page.fill("#name", "Ines Moreau")
    ines.page.fill("#password", NEW_PASSWORD)
    ines.press("Create my sign-in")
    if ines.h1 == "Choose how to get your code":
        ines.choose("Text message (SMS)")
        ines.expect("Enter your code")
    ines.enter(INES)
    ines.expect("Add your phone number")
    ines.page.fill("#tel", "(512) 555-0142")
    ines.press("Text me a code")
    ines.enter(DANAS_PHONE)
    ines.expect("You’re signed in")
    assert person(service, INES).phone.e164 == DANAS_PHONE
    ines.sign_out()
    service.pass_time(minutes=1)
    ines.sign_in(INES, NEW_PASSWORD)
    ines.choose("Text message (SMS)")
    ines.enter(DANAS_PHONE)
    ines.expect("You’re signed in")


def test_j9_an_invitation_ends_after_a_week(service: Service, opened: Callable[[Service], Walk]) -> None:
    """P4: the link is dead after seven days, and says what to do."""
    account = service.account()
    invite(service, account)
    link = newest_link(service, "invite", to=INES)
    service.pass_time(days=7, seconds=1)
    ines = opened(service)
    ines.open(link)
    assert "expired" in ines.h1
