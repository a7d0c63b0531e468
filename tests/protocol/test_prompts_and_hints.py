"""Whom to ask, and what a client may suggest: prompt, id_token_hint, registered defaults and minimum (Core 3.1.2.1)."""

from __future__ import annotations

import json

import pytest
from joserfc import jwt
from pydantic import ValidationError

from authsvc.accounts.models import Account, User
from tests.protocol.portal import (
    AUTHORIZE,
    PASSWORD_ONLY,
    TWO_FACTOR,
    TWO_STEP,
    Portal,
    body,
    sent_back,
)
from tests.support.journey import Page
from tests.support.service import API, DANA, ISSUER, PASSWORD, Service

SIGN_IN, CHOOSE = "Sign in", "Choose an account"
THEO = "theo@northgate.example"


def told(portal: Portal) -> dict[str, object]:
    """The ID token's claims of the answer Dana brought back."""
    return portal.claims(body(portal.redeem(portal.dana.callback()["code"]))["id_token"])


def dana_joins_harbor(portal: Portal) -> None:
    """A second account for the same person."""
    harbor = portal.service.account("harbor")
    with portal.service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, portal.membership.user_id)
    portal.service.member(harbor, user=user)


def theo_joins(portal: Portal) -> None:
    """A colleague."""
    with portal.service.services.database.transaction(read_only=True) as tx:
        northgate = tx.get_one(Account, portal.membership.account_id)
    portal.service.member(northgate, THEO)


def choose(portal: Portal, name: str) -> Page:
    """Press the button of an account."""
    form = next(form for form in portal.dana.here.forms if any(n == "account" for n, _ in form.buttons))
    names = sorted(("Northgate", "Harbor"), key=portal.dana.here.text.index)
    value = form.buttons[names.index(name)][1]
    return portal.dana.submit(button="account", value=value)


def test_select_account_lets_the_person_choose_again(portal: Portal) -> None:
    """Core 3.1.2.1: "to select a user account [...] amongst the multiple accounts that they might have current sessions for"."""
    dana_joins_harbor(portal)
    portal.sign_in(account="northgate")
    assert told(portal)["account"]["slug"] == "northgate"  # type: ignore[index]
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="select_account"))
    assert page.h1 == CHOOSE

    choose(portal, "Harbor")

    assert told(portal)["account"]["slug"] == "harbor"  # type: ignore[index]


def test_staying_where_one_is_lowers_nothing(service: Service) -> None:
    """Choosing the account one is in already keeps the session as it is: no code again, and not less than was shown."""
    portal = Portal.on(service)
    portal.sign_in(acr_values=TWO_STEP, method="email")
    first = told(portal)
    portal.service.pass_time(minutes=5)
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="select_account"))
    assert (page.h1, len(page.forms[0].buttons)) == (CHOOSE, 1)

    portal.dana.submit(button="account")

    again = told(portal)
    assert (again["acr"], again["sid"], again["auth_time"]) == (TWO_STEP, first["sid"], first["auth_time"])


def test_somebody_else_can_sign_in_from_the_chooser(portal: Portal) -> None:
    """The link leads to the password page and not back here."""
    theo_joins(portal)
    portal.sign_in()
    portal.service.pass_time(minutes=5)
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="select_account"))
    page = portal.dana.open(page.links["Sign in as someone else"])
    assert (page.h1, page.forms[0].fields["email"]) == (SIGN_IN, "")

    portal.dana.submit(email=THEO, password=PASSWORD)

    assert told(portal)["sub"] != portal.membership.user_id


def test_select_account_without_a_session_is_done_by_signing_in(portal: Portal) -> None:
    """One account: typing the address was the choice."""
    portal.sign_in(prompt="select_account")

    assert "code" in portal.dana.callback()


def test_prompts_may_be_combined(portal: Portal) -> None:
    """Core 3.1.2.1: "space delimited, case sensitive list"; every one is done, in one walk."""
    dana_joins_harbor(portal)
    portal.sign_in(account="northgate")
    portal.service.pass_time(minutes=5)
    page = portal.dana.open(AUTHORIZE, **portal.request(prompt="select_account login consent"))
    assert page.h1 == SIGN_IN
    page = portal.dana.submit(email=DANA, password=PASSWORD)
    assert page.h1 == CHOOSE
    choose(portal, "Northgate")

    assert "code" in portal.dana.callback()


def test_silence_goes_with_nothing_else(portal: Portal) -> None:
    """Core 3.1.2.1: none with another value: "an error is returned". And there is no choosing in silence."""
    portal.sign_in()
    for prompt in ("none login", "consent none", "none select_account", "none x"):
        assert sent_back(portal.ask(prompt=prompt))["error"] == "invalid_request"
    assert "code" in sent_back(portal.ask(prompt="none"))
    assert sent_back(portal.ask(prompt="none", max_age="0", account="northgate")).keys() >= {"state", "iss"}


def test_a_hint_at_who_is_here_succeeds_in_silence(portal: Portal) -> None:
    """OpenID conformance id-token-hint; also with a token that ended an hour ago."""
    hint = portal.tokens()["id_token"]
    portal.service.pass_time(minutes=20)

    assert "code" in sent_back(portal.ask(prompt="none", id_token_hint=hint))


def test_a_hint_at_another_person_or_with_nobody_here_says_login_required(portal: Portal) -> None:
    """Core 3.1.2.1: "otherwise, it SHOULD return an error, such as login_required"."""
    theo_joins(portal)
    hint = portal.tokens()["id_token"]
    portal.dana.open("/sign-out")
    portal.dana.submit()
    assert sent_back(portal.ask(prompt="none", id_token_hint=hint))["error"] == "login_required"
    portal.dana.open("/sign-in")
    portal.dana.submit(email=THEO, password=PASSWORD)

    assert sent_back(portal.ask(prompt="none", id_token_hint=hint))["error"] == "login_required"
    assert "code" in sent_back(portal.ask(prompt="none"))


def test_the_person_hinted_at_finds_their_address_filled_in(portal: Portal) -> None:
    """Without prompt=none; a login_hint goes first."""
    hint = portal.tokens()["id_token"]
    stranger = portal.service.person()

    page = stranger.open(AUTHORIZE, **portal.request(id_token_hint=hint))
    assert (page.h1, page.forms[0].fields["email"]) == (SIGN_IN, DANA)
    page = stranger.open(AUTHORIZE, **portal.request(id_token_hint=hint, login_hint="x@y.example"))
    assert page.forms[0].fields["email"] == "x@y.example"


def test_another_person_is_asked_for_the_one_hinted_at_and_then_refused(portal: Portal) -> None:
    """Core 3.1.2.2: no token for a different user. Once: signing in again as somebody else ends it, without a loop."""
    theo_joins(portal)
    hint = portal.tokens()["id_token"]
    portal.dana.open("/sign-out")
    portal.dana.submit()
    portal.dana.open("/sign-in")
    portal.dana.submit(email=THEO, password=PASSWORD)

    page = portal.dana.open(AUTHORIZE, **portal.request(id_token_hint=hint))
    assert (page.h1, page.forms[0].fields["email"]) == (SIGN_IN, DANA)
    portal.dana.submit(email=THEO, password=PASSWORD)
    assert portal.dana.callback()["error"] == "login_required"

    portal.dana.open(AUTHORIZE, **portal.request(id_token_hint=hint))
    portal.dana.submit(email=DANA, password=PASSWORD)
    assert told(portal)["sub"] == portal.membership.user_id


def test_tk_07_only_an_id_token_of_this_client_is_a_hint(portal: Portal) -> None:
    """TK-07: an access token is no hint, which any API may hold; nor a refresh token, somebody else's ID token or rubbish."""
    tokens = portal.tokens()
    portal.service.client("other", redirect_uris=[portal.request()["redirect_uri"]])
    other = Portal(portal.service, portal.membership, "other")
    foreign = other.tokens()["id_token"]
    head, payload, signature = tokens["id_token"].split(".")
    for hint in (
        tokens["access_token"],
        tokens["refresh_token"],
        foreign,
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.",
        "eyJhbGciOiJub25lIn0.e30.",
        "ImFsZyI.e30.AAAA",
        "x",
        "\0",
    ):
        for prompt in (None, "none"):
            assert sent_back(portal.ask(id_token_hint=hint, prompt=prompt))["error"] == "invalid_request", hint


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "token-introspection+jwt", "x"])
def test_tk_07_another_type_of_token_of_ours_is_no_hint(portal: Portal, typ: str) -> None:
    """TK-07: not even with every claim of an ID token; the type in the signed header decides (RFC 8725 3.11)."""
    claims = portal.claims(portal.tokens()["id_token"])
    key = portal.service.services.ring.active("ES256")
    hint = jwt.encode({"alg": "ES256", "kid": key.kid, "typ": typ}, claims, key.key)

    assert sent_back(portal.ask(id_token_hint=hint))["error"] == "invalid_request"


def test_a_hint_lets_nobody_in(portal: Portal) -> None:
    """claims.md: "No token presented back skips a code", nor a password."""
    hint = portal.tokens()["id_token"]

    assert portal.service.person().open(AUTHORIZE, **portal.request(id_token_hint=hint)).h1 == SIGN_IN


def test_a_registered_max_age_counts_where_none_is_sent(service: Service) -> None:
    """OpenID Connect Registration 2: default_max_age; the parameter "overrides this default value"."""
    portal = Portal.on(service, default_max_age=600)
    portal.sign_in()
    service.pass_time(minutes=9)
    assert "code" in sent_back(portal.ask(prompt="none"))
    service.pass_time(minutes=2)

    assert sent_back(portal.ask(prompt="none"))["error"] == "login_required"
    assert "code" in sent_back(portal.ask(prompt="none", max_age="3600"))
    portal.sign_in()
    assert "code" in portal.dana.callback()


def test_registered_acr_values_count_where_none_are_sent(service: Service) -> None:
    """OpenID Connect Registration 2: default_acr_values; voluntary, as acr_values are."""
    portal = Portal.on(service, default_acr_values=[TWO_STEP])
    portal.sign_in(method="email")
    assert told(portal)["acr"] == TWO_STEP

    portal.dana = service.person()
    portal.sign_in(acr_values=PASSWORD_ONLY)
    assert told(portal)["acr"] == PASSWORD_ONLY


def test_no_parameter_lowers_the_minimum_of_a_client(service: Service) -> None:
    """claims.md: "A parameter can never lower a client's minimum." """
    portal = Portal.on(service, minimum_acr=TWO_STEP)
    essential = json.dumps({"id_token": {"acr": {"essential": True, "value": PASSWORD_ONLY}}})
    for changed in ({}, {"acr_values": PASSWORD_ONLY}, {"claims": essential}):
        portal.dana = service.person()
        portal.sign_in(method="email", **changed)
        assert told(portal)["acr"] == TWO_STEP


def test_a_session_below_the_minimum_is_raised_first(service: Service) -> None:
    """Signed in for another client, with less."""
    portal = Portal.on(service, minimum_acr=TWO_STEP)
    service.client("plain")
    Portal.sign_in(portal, client_id="plain")
    assert "code" in portal.dana.callback()

    assert sent_back(portal.ask(prompt="none"))["error"] == "login_required"
    portal.sign_in(method="email")
    assert told(portal)["acr"] == TWO_STEP


def test_a_minimum_that_cannot_be_met_is_an_error(service: Service) -> None:
    """claims.md: "ends in unmet_authentication_requirements". Nobody can be texted here."""
    portal = Portal.on(service, mfa="email", minimum_acr=TWO_FACTOR)
    portal.sign_in(method="email")

    assert portal.dana.callback()["error"] == "unmet_authentication_requirements"


def test_a_client_has_tokens_for_its_own_resources_alone(service: Service) -> None:
    """RFC 8707 2: invalid_target for a resource that this client was not given."""
    portal = Portal.on(service, resources=[])
    portal.sign_in(scope="openid")

    assert sent_back(portal.ask(resource=API))["error"] == "invalid_target"
    assert "code" in sent_back(portal.ask(resource=ISSUER, scope="openid"))


@pytest.mark.parametrize("name", ["display", "ui_locales", "claims_locales"])
def test_what_is_only_a_preference_changes_nothing(portal: Portal, name: str) -> None:
    """OpenID conformance display-page, display-popup, ui-locales, claims-locales: no error, whatever they say."""
    portal.sign_in()
    for value in ("page", "popup", "touch", "wap", "se fr-CA", "x", "é\0"):
        assert "code" in sent_back(portal.ask(**{name: value}))


def test_a_scope_without_end_is_refused(service: Service) -> None:
    """PostgreSQL keeps 2,000 characters of it and 200 of a name: plain words instead of an error of ours."""
    names = " ".join(f"scope-{number}" for number in range(300))
    with pytest.raises(ValidationError, match="scope"):
        service.client("endless", scope=names)
    portal = Portal.on(service, scope=f"openid {'x' * 201}")
    portal.sign_in(scope="openid")

    assert sent_back(portal.ask(scope=f"openid {'x' * 201}"))["error"] == "invalid_scope"
