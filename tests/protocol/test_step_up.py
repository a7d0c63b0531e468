"""Asking for more (acr_values), asking again (prompt=login, max_age), and what a session then says (Core 3.1.2.1)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from authsvc.accounts.models import Account, PhoneNumber, User
from authsvc.clock import epoch_s
from tests.protocol.portal import AUTHORIZE, PASSWORD_ONLY, REMEMBERED, TWO_FACTOR, TWO_STEP, Portal, body, sent_back
from tests.support.service import DANA, PASSWORD, Service

CHOOSE, CODE, SIGN_IN = "Choose how to get your code", "Enter your code", "Sign in"


def on_a_remembered_device(service: Service) -> Portal:
    """Dana, signed in today with her password alone on a device that passed a code three days ago."""
    portal = Portal.on(service, mfa="email+sms")
    portal.sign_in(method="sms", remember=True)
    portal.dana.open("/sign-out")
    portal.dana.submit()
    service.pass_time(days=3)
    portal.sign_in()
    assert portal.dana.left_for
    return portal


def silently(portal: Portal, **changed: str) -> dict[str, Any]:
    """The ID token's claims of an answer that came without any page."""
    return portal.claims(body(portal.redeem(sent_back(portal.ask(**changed))["code"]))["id_token"])


def told(portal: Portal) -> dict[str, Any]:
    """The ID token's claims of the answer Dana brought back."""
    return portal.claims(body(portal.redeem(portal.dana.callback()["code"]))["id_token"])


def test_two_step_asks_the_code_although_the_device_is_remembered(service: Service) -> None:
    """claims.md: "A request for two-step or more ignores a remembered device: the code is asked for." """
    portal = on_a_remembered_device(service)
    for wanted in (TWO_STEP, TWO_FACTOR):
        assert portal.sign_in(acr_values=wanted).h1 in (CHOOSE, CODE)
    assert silently(portal)["acr"] == REMEMBERED


def test_remembered_is_enough_for_a_request_for_remembered(service: Service) -> None:
    """And for less: no page is shown."""
    portal = on_a_remembered_device(service)

    assert silently(portal, acr_values=REMEMBERED)["acr"] == REMEMBERED
    assert silently(portal, acr_values=PASSWORD_ONLY)["acr"] == REMEMBERED


def test_a_request_for_more_than_the_account_asks_gets_a_code_too(portal: Portal) -> None:
    """The account's switch is off and the client asks for two-step: a parameter may raise the bar."""
    page = portal.sign_in(acr_values=TWO_STEP)
    assert page.h1 in (CHOOSE, CODE)
    portal.go_on(page, method="email")

    assert told(portal)["acr"] == TWO_STEP
    assert silently(portal, acr_values=TWO_STEP)["acr"] == TWO_STEP, "once is enough for the session"


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        (f"{TWO_STEP} {PASSWORD_ONLY}", TWO_STEP),
        (f"{PASSWORD_ONLY} {TWO_STEP}", PASSWORD_ONLY),
        # Dana has no phone: two-factor cannot be met, the next one can.
        (f"{TWO_FACTOR} {TWO_STEP}", TWO_STEP),
        (f"urn:example:gold phr {TWO_STEP}", TWO_STEP),
        ("urn:example:gold phr urn:ims:acr", PASSWORD_ONLY),
        (f"{TWO_STEP}x", PASSWORD_ONLY),
    ],
    ids=["first", "password first", "first that can be met", "unknown before", "unknown only", "nearly"],
)
def test_the_first_value_that_can_be_met_counts(service: Service, asked: str, reached: str) -> None:
    """claims.md: "first value in the client's order that can be met"; what nobody knows is passed over."""
    portal = Portal.on(service)
    take_the_phone_away(portal)
    portal.sign_in()
    assert told(portal)["acr"] == PASSWORD_ONLY

    portal.sign_in(acr_values=asked, method="email")

    assert told(portal)["acr"] == reached


def test_what_cannot_be_met_is_answered_with_the_truth(service: Service) -> None:
    """claims.md: "a voluntary request may be answered lower only with the true acr". Two-factor, and nobody can text here: the
    session stays as it is, silently, and the client reads what it is.
    """
    portal = Portal.on(service, mfa="email")
    portal.sign_in(method="email", acr_values=TWO_FACTOR)
    assert told(portal)["acr"] == TWO_STEP

    assert silently(portal, acr_values=TWO_FACTOR)["acr"] == TWO_STEP
    assert silently(portal, acr_values=TWO_FACTOR, prompt="none")["acr"] == TWO_STEP


def test_prompt_none_with_too_little_says_login_required(service: Service) -> None:
    """OpenID Connect Core 3.1.2.1: an error "if an End-User is not already Authenticated" as wanted (MF-18)."""
    portal = on_a_remembered_device(service)

    assert sent_back(portal.ask(prompt="none", acr_values=TWO_STEP))["error"] == "login_required"
    assert silently(portal, prompt="none", acr_values=REMEMBERED)["acr"] == REMEMBERED


def test_prompt_login_asks_the_password_again_and_auth_time_moves(portal: Portal) -> None:
    """OpenID conformance, prompt-login: "asks again; auth_time later than before". The session is the same one."""
    portal.sign_in()
    first = told(portal)
    portal.service.pass_time(minutes=5)
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="login"))
    assert (page.h1, page.forms[0].fields["email"]) == (SIGN_IN, DANA)
    portal.go_on(page)

    again = told(portal)

    assert again["auth_time"] == first["auth_time"] + 300
    assert (again["sid"], again["sub"]) == (first["sid"], first["sub"])


def test_prompt_login_cannot_be_walked_round(portal: Portal) -> None:
    """Opening the way back without typing leads to the password page again; other requests go on meanwhile (LG-16)."""
    portal.sign_in()
    before = told(portal)
    portal.service.pass_time(minutes=1)
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="login"))
    parked = page.path.partition("request=")[2]
    for _ in range(2):
        assert portal.dana.open(AUTHORIZE, request=parked).h1 == SIGN_IN
    portal.dana.submit(email=DANA, password="not the password")
    assert portal.dana.open(AUTHORIZE, request=parked).h1 == SIGN_IN

    assert silently(portal)["auth_time"] == before["auth_time"]


def test_a_password_typed_for_one_request_does_not_answer_the_next(portal: Portal) -> None:
    """Each prompt=login is a question of its own (libraries.md 1.2: "mark the login transaction as done")."""
    portal.sign_in(prompt="login")
    assert portal.dana.left_for
    portal.service.pass_time(seconds=1)

    assert portal.dana.open(AUTHORIZE, **portal.request(prompt="login")).h1 == SIGN_IN


def test_prompt_login_by_somebody_else_ends_the_first_session(service: Service) -> None:
    """The client learns who it was: another sub, another sid; the first one's tokens die with their session."""
    portal = Portal.on(service)
    account = account_of(portal)
    other = service.member(account, "sam@northgate.example", phone=None)
    tokens = portal.tokens()
    service.pass_time(minutes=1)
    portal.dana.open(AUTHORIZE, **portal.request(prompt="login"))
    portal.dana.submit(email="sam@northgate.example", password=PASSWORD)

    claims = told(portal)

    assert claims["sub"] == other.user_id
    assert claims["sid"] != portal.claims(tokens["id_token"])["sid"]
    assert portal.is_dead(tokens)


def test_max_age_asks_again_when_it_is_over(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.1: "If the elapsed time is greater than this value, the OP MUST attempt to actively
    re-authenticate the End-User." "When max_age is used, the ID Token returned MUST include an auth_time Claim Value."
    """
    portal.sign_in(max_age="1")
    first = told(portal)
    portal.service.pass_time(seconds=2)
    assert silently(portal, max_age="10000")["auth_time"] == first["auth_time"]
    page = portal.dana.open(AUTHORIZE, **portal.request(max_age="1"))
    assert page.h1 == SIGN_IN
    portal.go_on(page)

    assert told(portal)["auth_time"] == first["auth_time"] + 2


def test_max_age_zero_is_prompt_login(portal: Portal) -> None:
    """OpenID Connect Core errata: max_age=0 is equivalent to prompt=login; it asks once and is then answered."""
    portal.sign_in()
    portal.service.pass_time(seconds=1)

    page = portal.sign_in(max_age="0")

    assert portal.dana.left_for, page.h1
    assert told(portal)["auth_time"] == epoch_s(portal.service.clock.now())


def test_max_age_alone_asks_a_password_and_no_code(service: Service) -> None:
    """claims.md: "So max_age alone forces a password, not a code: a challenge for a fresh code names an acr." """
    portal = on_a_remembered_device(service)
    service.pass_time(minutes=10)
    page = portal.dana.open(AUTHORIZE, **portal.request(max_age="60"))
    assert page.h1 == SIGN_IN
    portal.go_on(page)

    assert told(portal)["acr"] == REMEMBERED


def test_max_age_and_acr_together_ask_for_both(service: Service) -> None:
    """RFC 9470: a challenge with acr_values and max_age wants a fresh code."""
    portal = on_a_remembered_device(service)
    service.pass_time(minutes=10)
    page = portal.dana.open(AUTHORIZE, **portal.request(max_age="60", acr_values=TWO_STEP))
    assert page.h1 == SIGN_IN
    page = portal.go_on(page)
    assert page.h1 == CHOOSE
    portal.go_on(page, method="email")

    claims = told(portal)

    assert (claims["acr"], claims["auth_time"]) == (TWO_STEP, epoch_s(service.clock.now()))


def test_typing_only_the_password_again_lowers_what_the_session_says(portal: Portal) -> None:
    """A token never says more than what happened: after prompt=login with a password alone, the code of before is not said."""
    portal.sign_in(acr_values=TWO_STEP, method="email")
    assert told(portal)["acr"] == TWO_STEP
    portal.service.pass_time(minutes=5)

    portal.sign_in(prompt="login")

    assert (told(portal)["acr"], silently(portal)["acr"]) == (PASSWORD_ONLY, PASSWORD_ONLY)


def test_another_account_is_entered_by_its_own_rules(service: Service) -> None:
    """domain D14: entering a stricter account steps up; a session never carries its level over (TN-12)."""
    portal = Portal.on(service)
    harbor = service.account("harbor", mfa="email")
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, portal.membership.user_id)
    service.member(harbor, user=user)
    portal.sign_in(account="northgate")
    assert told(portal)["acr"] == PASSWORD_ONLY

    page = portal.dana.open(AUTHORIZE, **portal.request(account="harbor"))
    assert page.h1 == CODE
    portal.go_on(page, method="email")

    claims = told(portal)
    assert (claims["account"]["slug"], claims["acr"]) == ("harbor", TWO_STEP)


def account_of(portal: Portal) -> Account:
    """Dana's account."""
    with portal.service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Account, portal.membership.account_id)


def take_the_phone_away(portal: Portal) -> None:
    """Two-factor is then out of Dana's reach."""
    with portal.service.services.database.transaction() as tx:
        tx.execute(delete(PhoneNumber).where(PhoneNumber.user_id == portal.membership.user_id))
