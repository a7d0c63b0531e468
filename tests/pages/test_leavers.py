"""Deactivation: within one request nothing of a leaver lives (security.md TN-11), and reactivation asks everything anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from authsvc.account_settings.acting import SUPPORT, Outcome
from authsvc.accounts.invitations import InvitationState
from authsvc.accounts.models import Invitation, Membership
from authsvc.jobs.models import Job
from authsvc.login.models import LoginAttempt
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import SESSION_ENDED
from tests.support.service import DANA, PASSWORD, Service, pkce
from tests.support.team import PRIYA, THEO, northgate, press


def tokens_of(service: Service, email: str) -> dict[str, Any]:
    """Somebody signs in at the portal."""
    verifier, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    person.submit(email=email, password=PASSWORD)
    return service.redeem(person, verifier)


def test_tn11_session_refresh_device_attempt_and_invitations_end_at_once(service: Service) -> None:
    """All dead at the next request."""
    service.client()
    account, _, dana = northgate(service)
    marcus = service.member(account, PRIYA, role="admin", phone=None)
    theo = service.member(account, THEO, accepted=False, verified=False, password=None, phone=None)
    theirs = service.person()
    service.sign_in(theirs, PRIYA)
    theirs.open(f"/admin/team/{theo.id}")
    press(theirs, "/invite")
    tokens = tokens_of(service, PRIYA)
    with service.services.database.transaction() as tx:
        person = tx.get_one(Membership, marcus.id)
        _, device = service.services.devices.remember(tx, person, mfa_amr=["pwd"], browser="Chrome", cookie=None)
        attempt, secret = service.services.attempts.open(
            tx, person.user, membership=person, password_at=service.clock.now()
        )
    dana.open(f"/admin/team/{marcus.id}/deactivate")
    assert "Switched inactive" in dana.submit().text
    assert theirs.open("/admin/team").h1 == "Sign in"
    refused = service.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refused.json["error"] == "invalid_grant"
    with service.services.database.transaction(read_only=True) as tx:
        again = tx.get_one(Membership, marcus.id)
        assert service.services.devices.recognise(tx, again, device) is None
        assert service.services.attempts.find(tx, secret) is None
        assert tx.get(LoginAttempt, attempt.id) is None
        sent = tx.scalars(select(Invitation)).one()
        assert service.services.invitations.state(sent) is InvitationState.WITHDRAWN


def test_the_leaver_is_told_only_after_the_right_password(service: Service) -> None:
    """S1: "Your access to Northgate was turned off. Ask an account admin."."""
    account, _, _ = northgate(service)
    service.member(account, PRIYA, active=False)
    person = service.person()
    service.sign_in(person, PRIYA, password="wrong horse battery staple")
    assert "turned off" not in person.here.text
    service.sign_in(person, PRIYA)
    assert "Your access to Northgate was turned off." in person.here.text


def test_tn11_reactivation_asks_everything_anew(service: Service) -> None:
    """The old session, device and sign-in under way stay dead; the password opens a new one."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    theirs = service.person()
    service.sign_in(theirs, PRIYA)
    with service.services.database.transaction() as tx:
        person = tx.get_one(Membership, priya.id)
        _, device = service.services.devices.remember(tx, person, mfa_amr=["pwd"], browser="Chrome", cookie=None)
        _, secret = service.services.attempts.open(tx, person.user, membership=None, password_at=service.clock.now())
    dana.open(f"/admin/team/{priya.id}/deactivate")
    dana.submit()
    dana.open("/admin/team")
    assert "Active again." in press(dana, "/reactivate").text
    assert theirs.open("/confirm").h1 == "Sign in"
    with service.services.database.transaction(read_only=True) as tx:
        person = tx.get_one(Membership, priya.id)
        assert service.services.devices.recognise(tx, person, device) is None
        assert service.services.attempts.find(tx, secret) is None
    service.sign_in(theirs, PRIYA)
    assert theirs.open("/confirm").h1 != "Sign in"


def test_both_are_recorded_once_with_who_did_it(service: Service) -> None:
    """A second press finds the first."""
    account, own, dana = northgate(service)
    priya = service.member(account, PRIYA)
    for _ in range(2):
        dana.open(f"/admin/team/{priya.id}/deactivate")
        dana.submit()
    (row,) = service.events("member.deactivated")
    assert (row.user_id, row.account_id, row.fields) == (priya.user_id, account.id, {"by": own.user_id})


def test_a_closed_account_ends_everything_of_it(service: Service) -> None:
    """And reopened it asks anew."""
    account, _, dana = northgate(service)
    with service.services.database.transaction() as tx:
        again = tx.merge(account)
        assert service.services.closing.close(tx, again).count == 1
        assert service.services.closing.close(tx, again).outcome is Outcome.ALREADY
        told = tx.scalars(select(Job).where(Job.kind == SESSION_ENDED)).all()
        assert [len(job.args["sids"]) for job in told] == [1]
    assert dana.open("/admin/team").h1 == "Sign in"
    service.sign_in(dana, DANA)
    assert "account is closed" in dana.here.text
    with service.services.database.transaction() as tx:
        service.services.closing.reopen(tx, tx.merge(account))
    assert dana.open("/admin/team").h1 == "Sign in"
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.scalars(select(BrowserSession).where(BrowserSession.ended_at.is_(None))).all() == []


def test_support_may_deactivate_but_not_the_last_super_admin(service: Service) -> None:
    """The rule holds for operators too (D12)."""
    account = service.account(permission_model="role")
    only = service.member(account, DANA, role="super_admin", sensitive=True)
    with service.services.database.transaction() as tx:
        result = service.services.members.deactivate(tx, tx.get_one(Membership, only.id), actor=SUPPORT)
    assert result.outcome is Outcome.LAST_SUPER_ADMIN
