"""What a token family rests on, and that it ends with it (security.md TK-12, TK-17; domain D6, D9; claims.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from authsvc.accounts.models import Account, Membership
from authsvc.oauth.models import OAuthClient
from authsvc.sessions.models import BrowserSession
from tests.protocol.portal import EVERYTHING, PASSWORD_ONLY, REMEMBERED, TWO_STEP, Portal, body, sent_back
from tests.support.service import DANA, PASSWORD, Service

ONLINE = "openid email investors.read"


def change(portal: Portal, act: Callable[[Session], Any]) -> None:
    """One transaction of somebody else."""
    with portal.service.services.database.transaction() as tx:
        act(tx)


def sign_out(portal: Portal) -> None:
    """Dana presses the button."""
    portal.dana.open("/sign-out")
    portal.dana.submit()


def refreshed(portal: Portal, tokens: dict[str, Any]) -> dict[str, Any]:
    """The next tokens of a family that lives."""
    answer = portal.refresh(tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    return body(answer)


def on_a_remembered_device(service: Service) -> tuple[Portal, dict[str, Any]]:
    """Dana, signed in without a code; and her tokens."""
    portal = Portal.on(service, mfa="email")
    portal.sign_in(method="email", remember=True)
    sign_out(portal)
    tokens = portal.tokens()
    assert portal.claims(tokens["id_token"])["acr"] == REMEMBERED
    return portal, tokens


def test_signing_out_ends_its_tokens_at_once(portal: Portal) -> None:
    """TK-17: the offline token too (CVE-2022-3916). The access token dies here at once, elsewhere within five minutes."""
    tokens = portal.tokens()
    assert not portal.is_dead(portal.tokens())

    sign_out(portal)

    assert portal.is_dead(tokens)


def test_signing_out_on_one_browser_leaves_the_other(portal: Portal) -> None:
    """A family rests on its own session."""
    here, there = portal.dana, portal.service.person(address="198.51.100.8")
    portal.dana = there
    tokens = portal.tokens()
    portal.dana = here
    portal.sign_in()
    sign_out(portal)

    assert not portal.is_dead(tokens)


def test_signing_out_everywhere_ends_everything(portal: Portal) -> None:
    """ "Sign everyone out now", a password reset: no refresh token of any browser works afterwards (TK-17, D15)."""
    families = [portal.tokens()]
    portal.dana = portal.service.person(address="198.51.100.8")
    families.append(portal.tokens())

    change(portal, lambda tx: portal.service.services.sessions.end_all(tx, "reset", user_id=portal.membership.user_id))

    assert [portal.is_dead(tokens) for tokens in families] == [True, True]


def test_a_deactivated_member_has_no_tokens_from_that_moment(portal: Portal) -> None:
    """TK-12: refresh and userinfo refuse at once."""
    tokens, now = portal.tokens(), portal.service.clock.now()

    change(portal, lambda tx: setattr(tx.get_one(Membership, portal.membership.id), "deactivated_at", now))

    assert portal.is_dead(tokens)
    assert sent_back(portal.ask(prompt="none"))["error"] == "login_required"


def test_a_closed_account_has_no_tokens_from_that_moment(portal: Portal) -> None:
    """Everybody's membership ends with it."""
    tokens, now = portal.tokens(), portal.service.clock.now()

    change(portal, lambda tx: setattr(tx.get_one(Account, portal.membership.account_id), "closed_at", now))

    assert portal.is_dead(tokens)


def test_a_removed_member_has_no_tokens_from_that_moment(portal: Portal) -> None:
    """The rows go with the membership (TN-11)."""
    tokens = portal.tokens()

    change(portal, lambda tx: tx.delete(tx.get_one(Membership, portal.membership.id)))

    assert portal.is_dead(tokens)


def test_a_deactivated_client_can_do_nothing(portal: Portal) -> None:
    """It no longer authenticates; known at the latest after the cache's five seconds."""
    tokens, now = portal.tokens(), portal.service.clock.now()
    change(portal, lambda tx: setattr(tx.get_one(OAuthClient, "ims-portal"), "deactivated_at", now))
    portal.service.forget_clients()

    assert body(portal.refresh(tokens["refresh_token"]))["error"] == "invalid_client"


@pytest.mark.parametrize(("minutes", "dead"), [(29, False), (30, True)])
def test_without_offline_access_tokens_end_with_the_session(portal: Portal, minutes: int, dead: bool) -> None:
    """architecture 2.5: "past the session's own time-out it lives on only with offline_access". Idle: 30 minutes."""
    tokens = portal.tokens(scope=ONLINE)
    portal.service.pass_time(minutes=minutes)

    assert (portal.refresh(tokens["refresh_token"]).status_code == 400) == dead
    assert portal.service.events("token.family_revoked") == []


def test_with_offline_access_they_live_for_thirty_days_and_no_longer(service: Service) -> None:
    """ASVS 10.4.8: an absolute end, "30 d even if used daily". Sessions of 12 hours have long ended by then."""
    assert service.services.policies.tokens.refresh.lifetime == timedelta(days=30)
    portal = Portal.on(service)
    tokens = portal.tokens()
    for _ in range(29):
        service.pass_time(days=1)
        tokens = refreshed(portal, tokens)
    service.pass_time(hours=23, minutes=59)
    tokens = refreshed(portal, tokens)
    assert not portal.is_dead(tokens)
    tokens = refreshed(portal, tokens)

    service.pass_time(minutes=1)

    assert portal.is_dead(tokens)


def test_below_what_the_account_came_to_ask_they_live_for_twelve_hours(service: Service) -> None:
    """domain D9: when the switch is turned on "open sessions go on until they end (at most 12 h)"; so do their tokens, with
    offline_access too, and they say acr password as before (MF-18).
    """
    portal = Portal.on(service)
    tokens = portal.tokens()
    service.pass_time(hours=11)
    service.set_mfa(account_of(portal), "email")
    tokens = refreshed(portal, tokens)
    assert portal.claims(tokens["id_token"])["acr"] == PASSWORD_ONLY
    service.pass_time(minutes=59)
    tokens = refreshed(portal, tokens)

    service.pass_time(minutes=2)

    assert portal.is_dead(tokens)


def test_at_the_level_the_account_asks_they_live_on(service: Service) -> None:
    """A sign-in with a code is no less worth because the switch is on; nor is a remembered one where that is allowed."""
    portal = Portal.on(service, mfa="email")
    tokens = portal.tokens(method="email", remember=True)
    sign_out(portal)
    again = portal.tokens()
    assert portal.claims(again["id_token"])["acr"] == REMEMBERED
    assert portal.is_dead(tokens), "signed out"
    service.pass_time(days=2)

    assert not portal.is_dead(refreshed(portal, again))


def test_a_silent_answer_after_the_switch_says_password(service: Service) -> None:
    """D9: "nothing new is issued above their true acr". A request for two-step asks for the code, silently it is refused."""
    portal = Portal.on(service)
    portal.sign_in()
    service.set_mfa(account_of(portal), "email")

    silent = body(portal.redeem(sent_back(portal.ask(prompt="none"))["code"]))

    assert portal.claims(silent["id_token"])["acr"] == PASSWORD_ONLY
    assert sent_back(portal.ask(prompt="none", acr_values=TWO_STEP))["error"] == "login_required"
    assert portal.sign_in(acr_values=TWO_STEP).h1 == "Enter your code"


def test_when_the_device_ends_a_remembered_family_ends(service: Service) -> None:
    """claims.md: "When the device behind a remembered sign-in ends (domain D6), its refresh fails with invalid_grant and its
    session counts as password; claims are never silently rewritten." A request for `remembered` then asks for the code.
    """
    portal, tokens = on_a_remembered_device(service)
    devices = service.services.devices

    change(portal, lambda tx: devices.forget_all(tx, reason="phone_changed", user_id=portal.membership.user_id))

    assert portal.is_dead(tokens)
    silent = portal.claims(body(portal.redeem(sent_back(portal.ask(prompt="none"))["code"]))["id_token"])
    assert (silent["acr"], silent["amr"]) == (PASSWORD_ONLY, ["pwd"])
    assert "remembered_device" not in silent
    assert sent_back(portal.ask(prompt="none", acr_values=REMEMBERED))["error"] == "login_required"
    page = portal.sign_in(acr_values=REMEMBERED)
    assert page.h1 == "Enter your code"
    portal.go_on(page, method="email")
    assert portal.claims(body(portal.redeem(portal.dana.callback()["code"]))["id_token"])["acr"] == TWO_STEP


def test_a_code_on_its_way_dies_with_the_device(service: Service) -> None:
    """What was granted as remembered is not redeemed once that is over."""
    portal, _ = on_a_remembered_device(service)
    code = sent_back(portal.ask())["code"]

    change(
        portal,
        lambda tx: service.services.devices.forget_all(tx, reason="policy", account_id=portal.membership.account_id),
    )

    assert body(portal.redeem(code))["error"] == "invalid_grant"


def test_a_remembered_family_ends_with_the_thirty_days_of_the_device(service: Service) -> None:
    """The fixed end of the claim is the end of what rests on it, whatever the family's own thirty days say."""
    portal = Portal.on(service, mfa="email")
    portal.sign_in(method="email", remember=True)
    service.pass_time(days=20)
    tokens = portal.tokens()
    assert portal.claims(tokens["id_token"])["acr"] == REMEMBERED
    service.pass_time(days=9, hours=23)
    tokens = refreshed(portal, tokens)

    service.pass_time(hours=1)

    assert portal.is_dead(tokens)


def test_the_family_of_the_sign_in_that_enrolled_the_device_lives_on(service: Service) -> None:
    """There the code was entered: acr two-step stays true when the device is forgotten."""
    portal = Portal.on(service, mfa="email")
    tokens = portal.tokens(method="email", remember=True)
    devices = service.services.devices

    change(portal, lambda tx: devices.forget_all(tx, reason="forgotten", user_id=portal.membership.user_id))

    assert not portal.is_dead(tokens)


def test_a_password_session_that_is_taken_over_by_another_person_ends(portal: Portal) -> None:
    """One browser, one session: signing in as somebody else replaces it, and its tokens end (LG-13)."""
    other = portal.service.account("harbor")
    portal.service.member(other, "someone@harbor.example", phone=None)
    tokens = portal.tokens()
    sign_out(portal)
    portal.dana.open("/sign-in")
    portal.dana.submit(email="someone@harbor.example", password=PASSWORD)

    assert portal.is_dead(tokens)


def test_what_ended_does_not_come_back(portal: Portal) -> None:
    """Signing in again is a new session and a new family; the old refresh token stays dead."""
    tokens = portal.tokens()
    sign_out(portal)
    again = portal.tokens()

    assert portal.is_dead(tokens)
    assert not portal.is_dead(again)


def test_ends_are_looked_up_and_not_remembered(portal: Portal) -> None:
    """ "Sessions, families and permissions are never cached" (architecture 2.5): the row alone decides, at the next request."""
    tokens, now = portal.tokens(), portal.service.clock.now()
    sid = portal.claims(tokens["id_token"])["sid"]
    assert not portal.is_dead(tokens)
    tokens = refreshed(portal, tokens)

    change(portal, lambda tx: setattr(tx.get_one(BrowserSession, sid), "ended_at", now))
    assert portal.is_dead(tokens)
    change(portal, lambda tx: setattr(tx.get_one(BrowserSession, sid), "ended_at", None))
    assert not portal.is_dead(tokens)


def test_a_refused_refresh_says_no_more_than_invalid_grant(portal: Portal) -> None:
    """Why a family ended is for the trail, not for the client."""
    tokens = portal.tokens(scope=EVERYTHING)
    sign_out(portal)

    answer = portal.refresh(tokens["refresh_token"])

    assert (answer.status_code, body(answer)) == (400, {"error": "invalid_grant"})
    assert DANA not in answer.text


def account_of(portal: Portal) -> Account:
    """Dana's account."""
    with portal.service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Account, portal.membership.account_id)
