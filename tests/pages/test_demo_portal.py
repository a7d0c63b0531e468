"""The sample portal: what a relying party must check, and what it shows."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from authsvc.clock import FixedClock, epoch_s
from authsvc.demo.portal import COOKIE, build, create_app
from tests.pages.demo_browser import PORTAL, Browser
from tests.pages.demo_provider import ISSUER, PLACES, SAMPLE, SECRET, STRANGERS_KEY, Provider

REMEMBERED_AT = 1_795_000_000


@pytest.fixture
def provider(clock: FixedClock) -> Provider:
    return Provider(clock)


@pytest.fixture
def browser(provider: Provider, clock: FixedClock) -> Browser:
    portal = build(PLACES, SAMPLE, client_secret=SECRET, send=provider.send, clock=clock)
    return Browser(create_app(portal).test_client(), provider)


def with_cookie(browser: Browser, value: str) -> Browser:
    """Somebody who has copied a cookie."""
    thief = another(browser)
    thief.client.set_cookie(COOKIE, value, domain="127.0.0.1")
    return thief


def another(browser: Browser) -> Browser:
    """A second browser at the same portal."""
    return Browser(browser.client.application.test_client(), browser.provider)


def sent(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def test_a_request_carries_state_nonce_and_a_pkce_challenge(browser: Browser) -> None:
    """RFC 9700 2.1: each request its own, and nothing in it that is secret."""
    first, second = sent(browser.leave()), sent(browser.leave())

    assert first["code_challenge_method"] == "S256"
    assert first["account"] == "northgate"
    assert first["redirect_uri"] == f"{PORTAL}/callback"
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))
    assert "code_verifier" not in first
    assert "client_secret" not in first


def test_the_page_says_how_the_person_signed_in(browser: Browser, provider: Provider) -> None:
    """In plain words, with the claims beside them."""
    assert browser.sign_in().headers["Location"] == "/"
    page = browser.get("/").text

    assert "Welcome, Dana" in page
    assert "Northgate Capital Partners (team)" in page
    assert "Password and a text message, just now" in page
    assert "Nov 22, 2026, 4:31 PM EST" in page
    assert "Not part of this sign-in" in page


def test_a_remembered_device_is_told_with_its_end(browser: Browser, provider: Provider) -> None:
    """The claim's own dates; nothing is made of them."""
    device = {
        "v": 1,
        "state": "used",
        "mfa_at": REMEMBERED_AT,
        "mfa_amr": ["pwd", "sms", "mfa"],
        "exp": REMEMBERED_AT + 30 * 86_400,
    }
    provider.said = {"acr": "urn:ims:acr:remembered", "amr": ["pwd"]}
    provider.id_token = {"remembered_device": device}
    browser.sign_in()
    page = browser.get("/").text

    assert "Password, just now. The code was skipped, because this device is remembered." in page
    assert "a text message was entered on this device on Nov 18, 2026" in page
    assert "No code is asked until Dec 18, 2026" in page


def test_the_browser_never_holds_a_token(browser: Browser) -> None:
    """No page, no cookie and no redirect but the sign-out hint carries one."""
    answer = browser.sign_in()
    pages = browser.get("/").text + browser.get("/investors").text + str(answer.headers)

    assert re.search(r"eyJ[\w-]+\.", pages + browser.cookie()) is None
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


def test_signing_in_gives_the_session_a_new_name(browser: Browser) -> None:
    """A cookie planted before the sign-in is worth nothing after it (session fixation)."""
    answer = browser.provider.approve(browser.leave())
    planted = browser.cookie()
    browser.get("/callback", **answer)
    before_step_up = browser.cookie()
    browser.sign_in()

    assert len({planted, before_step_up, browser.cookie()}) == 3
    assert not with_cookie(browser, planted).is_signed_in()
    assert not with_cookie(browser, before_step_up).is_signed_in()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:9999"},
        {"aud": ["another-client"], "azp": None},
        {"aud": ["ims-portal", "another-client"]},
        {"azp": "another-client"},
        {"nonce": "somebody-elses"},
        {"nonce": None},
        {"exp": REMEMBERED_AT},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sub": None},
    ],
    ids=[
        "issuer",
        "audience",
        "two audiences",
        "authorized party",
        "nonce",
        "no nonce",
        "expired",
        "access token",
        "no subject",
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(browser: Browser, changes: dict[str, Any]) -> None:
    """OpenID Connect Core 3.1.3.7."""
    browser.provider.id_token = changes
    answer = browser.sign_in()

    assert answer.status_code == 400
    assert "You are not signed in" in answer.text
    assert not browser.is_signed_in()


def test_an_id_token_with_a_strangers_signature_is_refused(browser: Browser) -> None:
    """Even under the name of a published key."""
    browser.provider.key = STRANGERS_KEY

    assert browser.sign_in().status_code == 400
    assert not browser.is_signed_in()


@pytest.mark.parametrize("iss", ["http://127.0.0.1:9999", ""])
def test_an_answer_of_another_issuer_never_reaches_the_token_endpoint(browser: Browser, iss: str) -> None:
    """RFC 9207 2.4: a mix-up would send our code and secret to the wrong place."""
    answer = browser.sign_in(iss=iss)

    assert answer.status_code == 400
    assert not any("token" in call for call in browser.provider.asked)


def test_a_state_works_once_and_in_one_browser(browser: Browser) -> None:
    """Otherwise somebody could be signed in as somebody else (RFC 9700 4.7)."""
    answer = browser.provider.approve(browser.leave())
    stranger = another(browser)
    stranger.leave()

    assert stranger.get("/callback", **answer).status_code == 400
    assert not stranger.is_signed_in()
    assert browser.get("/callback", **answer).status_code == 303
    assert browser.get("/callback", **answer).headers["Location"] == "/"
    assert len([call for call in browser.provider.asked if call.endswith("/oauth/token")]) == 1
    assert browser.is_signed_in()


def test_nobody_is_swapped_by_a_link(browser: Browser) -> None:
    """Who is signed in stays so, whatever answer somebody else's link brings (RFC 9700 4.7)."""
    thief = another(browser)
    answer = browser.provider.approve(thief.leave())
    browser.sign_in()
    before = browser.cookie()

    assert browser.get("/callback", **answer).headers["Location"] == "/"
    assert browser.cookie() == before


def test_a_refusal_by_the_service_is_told(browser: Browser) -> None:
    """By the registered error, in a sentence."""
    answer = browser.provider.approve(browser.leave())
    page = browser.get("/callback", state=answer["state"], iss=ISSUER, error="access_denied")

    assert page.status_code == 400
    assert "access_denied" in page.text


def test_userinfo_of_another_person_is_refused(browser: Browser) -> None:
    """OpenID Connect Core 5.3.2: the subjects must be one."""
    browser.provider.userinfo["sub"] = "u-priya"

    assert browser.sign_in().status_code == 400
    assert not browser.is_signed_in()


def test_the_access_token_is_renewed_shortly_before_it_ends(browser: Browser, clock: FixedClock) -> None:
    """And not at every call."""
    browser.sign_in()
    browser.get("/investors")
    tokens = [call for call in browser.provider.asked if call.endswith("/oauth/token")]
    browser.provider.said |= {"auth_time": epoch_s(clock.now())}
    clock.advance(timedelta(minutes=4, seconds=45))
    page = browser.get("/investors")

    assert len(tokens) == 1
    assert "Meridian Pension Fund" in page.text
    assert len([call for call in browser.provider.asked if call.endswith("/oauth/token")]) == 2


def test_a_session_that_ended_at_the_service_ends_here(browser: Browser, clock: FixedClock) -> None:
    """The refused refresh is the news."""
    browser.sign_in()
    browser.provider.refuses_refresh = True
    clock.advance(timedelta(minutes=5))

    assert browser.get("/investors").headers["Location"] == "/?note=over"
    assert "Your session has ended" in browser.get("/", note="over").text
    assert not browser.is_signed_in()


def test_renewed_tokens_of_another_person_end_the_session(browser: Browser, clock: FixedClock) -> None:
    """OpenID Connect Core 12.2."""
    browser.sign_in()
    browser.provider.id_token = {"sub": "u-priya", "auth_time": epoch_s(clock.now())}
    clock.advance(timedelta(minutes=5))
    browser.get("/investors")

    assert not browser.is_signed_in()


def test_a_challenge_becomes_a_new_sign_in_and_the_call_is_repeated(browser: Browser) -> None:
    """RFC 9470: the challenge's parameters go into the request as they are."""
    browser.provider.said = {"acr": "urn:ims:acr:remembered", "amr": ["pwd"]}
    browser.sign_in()
    location = browser.leave("/bank-details")
    browser.provider.said = {"acr": "urn:ims:acr:two-step", "amr": ["pwd", "otp", "mca"]}
    back = browser.get("/callback", **browser.provider.approve(location))
    page = browser.get(back.headers["Location"])

    assert (sent(location)["acr_values"], sent(location)["max_age"]) == ("urn:ims:acr:two-step", "900")
    assert back.headers["Location"] == "/bank-details"
    assert "First Prairie Bank" in page.text
    assert "First it answered 401" in page.text
    assert "First it answered 401" not in browser.get("/bank-details").text


def test_a_challenge_that_stays_is_shown_and_not_followed_again(browser: Browser) -> None:
    """Otherwise the browser would go round for ever."""
    browser.provider.said = {"acr": "urn:ims:acr:password", "amr": ["pwd"]}
    browser.sign_in()
    browser.sign_in("/bank-details")
    page = browser.get("/bank-details")

    assert page.status_code == 200
    assert "insufficient_user_authentication" in page.text


def test_a_sign_in_that_is_older_than_was_asked_for_is_refused(browser: Browser, clock: FixedClock) -> None:
    """OpenID Connect Core 3.1.2.1, max_age."""
    browser.provider.said = {"acr": "urn:ims:acr:password", "amr": ["pwd"]}
    browser.sign_in()
    browser.provider.id_token = {"auth_time": epoch_s(clock.now() - timedelta(hours=1))}

    assert browser.sign_in("/bank-details").status_code == 400


def press_export(browser: Browser) -> TestResponse:
    """Press the button of the home page; the answer to that."""
    token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)
    assert token
    return browser.post("/bank-details/export", csrf=token[1])


def test_exporting_hands_a_file_over_and_says_where_it_is(browser: Browser, provider: Provider) -> None:
    """The microservice announces and sends it, as itself and for the person in the token; the page says where it will be."""
    browser.sign_in()
    assert press_export(browser).headers["Location"] == "/bank-details/export"
    page = browser.get("/bank-details/export").text
    assert "Your export has started" in page
    assert f'href="{ISSUER}/profile/exports"' in page
    [(announced, content)] = provider.handed_over
    assert (announced["person"], announced["account"], announced["size"]) == ("u-dana", "northgate", len(content))
    assert content.splitlines()[:2] == [b"Name,Bank,Account", b"Halloran Family Trust,Lakeshore Savings,000123454417"]
    # A form of another site, and one without a session.
    assert browser.post("/bank-details/export", csrf="x").status_code == 403
    assert another(browser).post("/bank-details/export").headers["Location"] == "/"
    assert len(provider.handed_over) == 1


def test_a_refused_export_is_said_in_plain_words(browser: Browser, provider: Provider) -> None:
    """No Sensitive Data Access; too many; the service away; and a code asked for first, after which the person decides anew."""
    browser.sign_in()
    for problem, said in (
        ((403, {"type": "urn:ims:problem:no-data-access", "detail": "x"}), "You don’t have Sensitive Data Access"),
        ((429, {"type": "urn:ims:problem:too-many-requests", "detail": "x"}), "as many exports as you may have"),
        (
            (409, {"type": "urn:ims:problem:account-closed", "detail": "The account is closed."}),
            "The account is closed.",
        ),
        ((502, {"html": "<b>bad gateway</b>"}), "Exports are unavailable at the moment."),
    ):
        provider.refuses_exports = problem
        press_export(browser)
        assert said in browser.get("/bank-details/export").text
    provider.said = {"acr": "urn:ims:acr:password", "amr": ["pwd"]}
    browser.sign_in()
    assert press_export(browser).headers["Location"].startswith(f"{ISSUER}/oauth/authorize?")
    assert provider.handed_over == []


def test_signing_out_ends_both_sessions(browser: Browser) -> None:
    """Here at once, there by RP-Initiated Logout."""
    browser.sign_in()
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)
    assert csrf
    refused = browser.post("/sign-out", csrf="guessed")
    still, cookie = browser.is_signed_in(), browser.cookie()
    target = browser.post("/sign-out", csrf=csrf[1]).headers["Location"]

    assert (refused.status_code, still) == (403, True)
    assert target.startswith(f"{ISSUER}/oauth/logout?")
    assert sent(target)["post_logout_redirect_uri"] == f"{PORTAL}/"
    assert sent(target)["id_token_hint"].count(".") == 2
    assert not browser.is_signed_in()
    assert not with_cookie(browser, cookie).is_signed_in()
    assert "You’re signed out." in browser.get("/", state=sent(target)["state"]).text


def test_a_service_that_is_away_is_a_page(browser: Browser) -> None:
    """No stack trace, and the session stays."""
    browser.sign_in()
    browser.provider.down = True

    assert browser.get("/investors").status_code == 503
    assert browser.is_signed_in()


def test_pages_carry_no_script_and_answer_to_their_own_name(browser: Browser) -> None:
    """A strict policy, and a foreign Host is refused: another site's name could point here."""
    page = browser.get("/")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "script" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert browser.client.get("/", base_url="http://evil.example").status_code == 400
    assert json.loads(browser.provider.api.get("/").text)["paths"][:2] == ["/investors", "/investors/bank-details"]


def test_the_portal_shows_the_same_bell(browser: Browser, provider: Provider) -> None:
    """By the person's own token for the sign-in service (RFC 8707 2.2), renewed when it ends; the page does without it."""
    provider.unread = 12
    browser.sign_in()
    assert 'aria-label="Notifications, 12 new"' in browser.get("/").text
    assert ">9+</span>" in browser.get("/investors").text
    renewals = [call for call in provider.asked if call.endswith("/oauth/token for the bell")]
    assert len(renewals) == 1
    provider.unread = 0
    assert 'aria-label="Notifications"' in browser.get("/").text
    provider.unread = None
    page = browser.get("/")
    assert page.status_code == 200
    assert "Notifications" not in page.text
