"""The exact claims of ID token and access token after each kind of sign-in: claims.md, no more and no less.

The rule over all others: a token never says more than what happened.
"""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.accounts.models import User
from authsvc.clock import epoch_s
from tests.protocol.portal import EVERYTHING, PASSWORD_ONLY, REMEMBERED, TWO_FACTOR, TWO_STEP, Portal, body, sent_back
from tests.support.service import API, DANA, DANAS_PHONE, ISSUER, PASSWORD, Service

MONTH_S = 30 * 86400
PASSWORD_AMR, EMAIL_AMR, SMS_AMR = ["pwd"], ["pwd", "otp", "mca"], ["pwd", "sms", "mfa"]


def check(portal: Portal, tokens: dict[str, Any], *, acr: str, amr: list[str], auth_time: int, **more: Any) -> None:
    """Compare both tokens with what claims.md lists; `remembered_device`: as the ID token has it."""
    now = epoch_s(portal.service.clock.now())
    device: dict[str, Any] | None = more.pop("remembered_device", None)
    identity, access = portal.claims(tokens["id_token"]), portal.claims(tokens["access_token"])
    both = {
        "iss": ISSUER,
        "sub": portal.membership.user_id,
        "iat": now,
        "exp": now + 300,
        "acr": acr,
        "amr": amr,
        "auth_time": auth_time,
        "sid": more.pop("sid", identity["sid"]),
        "account": {"id": portal.membership.account_id, "slug": "northgate", "audience": "team"},
    }
    assert access.pop("jti")
    assert identity.pop("at_hash")
    assert identity == {
        **both,
        "aud": ["ims-portal"],
        "azp": "ims-portal",
        "nonce": "the-nonce",
        **({"remembered_device": device} if device else {}),
        **more,
    }
    short = {name: value for name, value in (device or {}).items() if name not in ("id", "mfa_amr")}
    assert access == {
        **both,
        "aud": API,
        "client_id": "ims-portal",
        "scope": EVERYTHING,
        "roles": ["member"],
        **({"remembered_device": short} if device else {}),
    }


def test_after_a_password_alone(portal: Portal) -> None:
    """password: `["pwd"]`."""
    tokens = portal.tokens()

    check(portal, tokens, acr=PASSWORD_ONLY, amr=PASSWORD_AMR, auth_time=epoch_s(portal.service.clock.now()))


def test_after_an_emailed_code(service: Service) -> None:
    """two-step: `["pwd","otp","mca"]`, never `mfa`: email is a second step and no factor (NIST SP 800-63B-4)."""
    portal = Portal.on(service, mfa="email")

    tokens = portal.tokens(method="email")

    check(portal, tokens, acr=TWO_STEP, amr=EMAIL_AMR, auth_time=epoch_s(service.clock.now()))


def test_after_a_texted_code(service: Service) -> None:
    """two-factor: `["pwd","sms","mfa"]`."""
    portal = Portal.on(service, mfa="email+sms")

    tokens = portal.tokens(method="sms")

    check(portal, tokens, acr=TWO_FACTOR, amr=SMS_AMR, auth_time=epoch_s(service.clock.now()))


@pytest.mark.parametrize(
    ("method", "acr", "amr"), [("email", TWO_STEP, EMAIL_AMR), ("sms", TWO_FACTOR, SMS_AMR)], ids=["email", "sms"]
)
def test_after_a_sign_in_that_enrolled_the_device(service: Service, method: str, acr: str, amr: list[str]) -> None:
    """`enrolled`: set in this sign-in; the code was really entered, so acr says so."""
    portal = Portal.on(service, mfa="email+sms")
    now = epoch_s(service.clock.now())

    tokens = portal.tokens(method=method, remember=True)

    device = {"v": 1, "state": "enrolled", "mfa_at": now, "mfa_amr": amr, "exp": now + MONTH_S, "bind": "cookie"}
    check(portal, tokens, acr=acr, amr=amr, auth_time=now, remembered_device=device)


def test_after_a_sign_in_on_a_remembered_device(service: Service) -> None:
    """remembered: `["pwd"]` "and nothing else"; when the code was entered stands in the claim, whose end no use moves."""
    portal = Portal.on(service, mfa="email+sms")
    enrolled_at = epoch_s(service.clock.now())
    portal.tokens(method="sms", remember=True)
    for days in (3, 20):
        portal.dana.open("/sign-out")
        portal.dana.submit()
        service.pass_time(days=days)

        tokens = portal.tokens()

        device = {"v": 1, "state": "used", "mfa_at": enrolled_at, "mfa_amr": SMS_AMR}
        end = {"exp": enrolled_at + MONTH_S, "bind": "cookie"}
        now = epoch_s(service.clock.now())
        check(portal, tokens, acr=REMEMBERED, amr=PASSWORD_AMR, auth_time=now, remembered_device=device | end)


def test_after_a_step_up(portal: Portal) -> None:
    """The same session, a level up: sid stays, auth_time is "the last time the person actively proved anything"."""
    first = portal.claims(portal.tokens()["id_token"])
    portal.service.pass_time(minutes=20)

    tokens = portal.tokens(acr_values=TWO_STEP, method="email")

    now = epoch_s(portal.service.clock.now())
    check(portal, tokens, acr=TWO_STEP, amr=EMAIL_AMR, auth_time=now, sid=first["sid"])


def test_after_a_step_up_on_a_remembered_device(service: Service) -> None:
    """The device is no part of it: the code was asked, and nothing of a skipped one is said."""
    portal = Portal.on(service, mfa="email+sms")
    portal.sign_in(method="sms", remember=True)
    portal.dana.open("/sign-out")
    portal.dana.submit()
    assert portal.claims(portal.tokens()["id_token"])["acr"] == REMEMBERED
    service.pass_time(minutes=1)

    tokens = portal.tokens(acr_values=TWO_STEP, method="email")

    check(portal, tokens, acr=TWO_STEP, amr=EMAIL_AMR, auth_time=epoch_s(service.clock.now()))


def test_after_a_phone_was_added(service: Service) -> None:
    """First the emailed code, then the one to the new number: what ends the sign-in is the text message (domain D2)."""
    membership = service.member(service.account(mfa="sms"), phone=None)
    service.client()
    portal = Portal(service, membership)
    dana = portal.dana
    dana.open("/oauth/authorize", **portal.request())
    dana.submit(email=DANA, password=PASSWORD)
    dana.submit(code=service.code_for(DANA))
    dana.submit(phone=DANAS_PHONE)
    dana.submit(code=service.code_for(DANAS_PHONE))

    tokens = body(portal.redeem(dana.callback()["code"]))

    check(portal, tokens, acr=TWO_FACTOR, amr=SMS_AMR, auth_time=epoch_s(service.clock.now()))


def test_a_silent_sign_in_says_when_the_person_really_was_there(portal: Portal) -> None:
    """auth_time is not the time of the token."""
    portal.sign_in()
    then = epoch_s(portal.service.clock.now())
    portal.service.pass_time(minutes=25)

    tokens = body(portal.redeem(sent_back(portal.ask(prompt="none"))["code"]))

    check(portal, tokens, acr=PASSWORD_ONLY, amr=PASSWORD_AMR, auth_time=then)


def test_the_claim_is_what_its_published_schema_says(service: Service) -> None:
    """claims.md: described by a JSON Schema "that the service publishes at /schemas/remembered_device.json"."""
    portal = Portal.on(service, mfa="email")
    schema = body(portal.get("/schemas/remembered_device.json"))
    tokens = portal.tokens(method="email", remember=True)
    types = {"integer": int, "string": str, "array": list}
    for token in ("id_token", "access_token"):
        claim = portal.claims(tokens[token])["remembered_device"]
        assert set(schema["required"]) <= claim.keys() <= schema["properties"].keys()
        for name, value in claim.items():
            rule = schema["properties"][name]
            assert value in rule.get("enum", [rule.get("const", value)]), name
            assert isinstance(value, types.get(rule.get("type"), object)), name


def test_the_subject_is_the_same_for_every_client_and_no_address(portal: Portal) -> None:
    """claims.md: "sub is globally unique and never an email"; subject type public in discovery."""
    first = portal.claims(portal.tokens()["id_token"])
    portal.service.client("another")
    other = Portal(portal.service, portal.membership, "another")
    other.dana = portal.dana

    second = portal.claims(other.tokens()["id_token"])

    assert first["sub"] == second["sub"] == portal.membership.user_id
    assert "@" not in first["sub"]
    assert (second["aud"], second["azp"]) == (["another"], "another")


def test_a_token_is_for_the_account_that_was_entered(service: Service) -> None:
    """claims.md: "exactly one account per token" (domain D14); the same person has the same sub in both (TK-11)."""
    portal = Portal.on(service)
    harbor = service.account("harbor", investors="")
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, portal.membership.user_id)
    service.member(harbor, user=user, audience="investors", role="investor")

    northgate = portal.claims(portal.tokens(account="northgate")["access_token"])
    portal.sign_in(account="harbor")
    entered = portal.claims(body(portal.redeem(portal.dana.callback()["code"]))["access_token"])

    assert northgate["account"]["slug"] == "northgate"
    assert entered["account"] == {"id": harbor.id, "slug": "harbor", "audience": "investors"}
    assert entered["roles"] == ["investor"]
    assert northgate["sub"] == entered["sub"]
    assert northgate["sid"] != entered["sid"]
