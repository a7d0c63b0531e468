"""What comes back to the client: code or error, always with `iss` and with the state as it was sent."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from authsvc.web.page import SUPPORT_EMAIL
from tests.protocol.portal import AUTHORIZE, TWO_STEP, Portal, body, sent_back
from tests.support.databases import ON_SQLITE
from tests.support.service import CALLBACK, ISSUER, Service

pytestmark = ON_SQLITE

EVIL = "evil.example"
#: Every way a proxy or a client can name another host.
OTHER_HOSTS = (
    {"Host": EVIL},
    {"Host": f"login.ims.test.{EVIL}"},
    {"Host": f"login.ims.test@{EVIL}"},
    {"Host": "login.ims.test:8443"},
    {"Host": ""},
    {"Host": f"login.ims.test, {EVIL}"},
)
FORWARDED = (
    {"X-Forwarded-Host": EVIL},
    {"Forwarded": f"host={EVIL};proto=http"},
    {"X-Forwarded-Server": EVIL, "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "http"},
    {"X-Original-URL": f"https://{EVIL}/", "X-Rewrite-URL": f"https://{EVIL}/", "X-Host": EVIL},
)


def test_a_code_comes_with_state_and_issuer(portal: Portal) -> None:
    """RFC 9207 2: the server "MUST indicate its identity by including the iss parameter in the response" (AZ-14)."""
    portal.sign_in()

    answer = sent_back(portal.ask())

    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("the-state", ISSUER)


def test_the_code_leaks_nowhere_on_its_way(portal: Portal) -> None:
    """Not cached, not in a Referer (AZ-20); 303, so that no form is posted on (AZ-15)."""
    portal.sign_in()

    answer = portal.ask()

    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert sent_back(answer)["code"] not in answer.text
    assert sent_back(answer)["code"] not in portal.service.everything_stored()


def test_without_a_state_none_is_invented(portal: Portal) -> None:
    """FAPI conformance: state is optional, "and nothing invented in the answer" (protocol.md)."""
    assert sent_back(portal.ask(state=None, prompt="none")).keys() == {"error", "iss"}
    portal.sign_in(state=None)

    assert portal.dana.callback().keys() == {"code", "iss"}


def test_every_error_that_is_sent_back_carries_state_and_issuer(portal: Portal) -> None:
    """RFC 9207 2: "In authorization responses to the client, including error responses". Authlib leaves it out of them
    (libraries.md 1.5, 13). RFC 6749 4.1.2.1: state is "REQUIRED if a "state" parameter was present".
    """
    wrong: tuple[dict[str, str | None], ...] = (
        {"prompt": "none"},
        {"prompt": "none", "max_age": "0"},
        {"prompt": "none", "account": "northgate"},
        {"prompt": "none login"},
        {"response_type": "token"},
        {"response_type": None},
        {"scope": "admin"},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"request": "x"},
        {"request_uri": "https://portal.ims.test/r"},
        {"response_mode": "fragment"},
        {"max_age": "x"},
        {"resource": "x"},
        {"nonce": "n" * 600},
    )
    for changed in wrong:
        answer = portal.ask(state="Zustand ü &=#+%", **changed)
        sent = sent_back(answer)
        assert sent["error"], changed
        assert (sent["state"], sent["iss"]) == ("Zustand ü &=#+%", ISSUER), changed
        assert answer.headers["Cache-Control"] == "no-store"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=st.text(min_size=1, max_size=300).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_the_state_comes_back_as_it_was_sent(portal: Portal, state: str) -> None:
    """RFC 6749 4.1.2: "The exact value received from the client." With the code and with an error."""
    if portal.dana.cookie("sid") is None:
        portal.sign_in()
    # Each from another address: how often one may ask is another test's.
    portal.dana.address = f"10.{portal.asked >> 8}.{portal.asked & 255}.1"
    granted, refused = sent_back(portal.ask(state=state)), sent_back(portal.ask(state=state, scope="admin"))

    assert ("code" in granted, granted["state"]) == (True, state)
    assert (refused["error"], refused["state"]) == ("invalid_scope", state)


def test_the_state_survives_the_sign_in(portal: Portal) -> None:
    """It waits in the parked request and comes back with the code."""
    for state in ("e\u0301 \U0001f680 %00 %2e + & = # \u2028", "\0\r\nSet-Cookie: x=1", "x" * 7000, '"><script>'):
        portal.dana = portal.service.person()
        portal.sign_in(state=state)
        assert portal.dana.callback()["state"] == state


def test_prompt_none_without_a_session_says_login_required(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.1: with none the server "MUST NOT display any authentication or consent user interface pages"."""
    assert sent_back(portal.ask(prompt="none"))["error"] == "login_required"


def test_prompt_none_with_a_session_succeeds_in_silence(portal: Portal) -> None:
    """OpenID conformance, prompt-none-logged-in: same sub and auth_time."""
    first = portal.claims(portal.tokens()["id_token"])
    portal.service.pass_time(minutes=5)

    silent = portal.claims(body(portal.redeem(sent_back(portal.ask(prompt="none"))["code"]))["id_token"])

    assert (silent["sub"], silent["auth_time"], silent["sid"]) == (first["sub"], first["auth_time"], first["sid"])
    assert silent["iat"] == first["iat"] + 300


def test_prompt_none_names_what_is_missing(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.6: login_required, account_selection_required. Never a page, whatever the session lacks."""
    other = portal.service.account("harbor")
    portal.service.member(other, "someone@harbor.example")
    portal.sign_in()
    portal.service.pass_time(minutes=10)

    assert sent_back(portal.ask(prompt="none", acr_values=TWO_STEP))["error"] == "login_required"
    assert sent_back(portal.ask(prompt="none", max_age="60"))["error"] == "login_required"
    assert sent_back(portal.ask(prompt="none", account="harbor"))["error"] == "account_selection_required"
    assert "code" in sent_back(portal.ask(prompt="none", account="northgate", max_age="3600"))


def test_prompt_none_after_the_session_timed_out_says_login_required(portal: Portal) -> None:
    """policies/sessions.yaml: idle 30 m, absolute 12 h, both by the server's clock (ASVS 7.3.1, 7.3.2)."""
    portal.sign_in()
    portal.service.pass_time(minutes=29)
    assert "code" in sent_back(portal.ask(prompt="none"))
    for _ in range(25):
        portal.service.pass_time(minutes=28)
        answer = sent_back(portal.ask(prompt="none"))
    assert answer["error"] == "login_required"


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/oauth/jwks", AUTHORIZE, "/oauth/userinfo", "/oauth/logout"]
)
def test_another_host_is_never_repeated(portal: Portal, path: str) -> None:
    """RC-01: addresses come from the configuration alone. Another Host gets 400; what proxies say of the host is not read."""
    portal.sign_in()
    query = portal.request() if path == AUTHORIZE else None

    def leaks(answer: TestResponse) -> bool:
        return EVIL in answer.text or any(EVIL in value or ":8443" in value for _, value in answer.headers)

    for headers in OTHER_HOSTS:
        answer = portal.get(path, query, portal.dana, **headers)
        assert answer.status_code == 400
        assert not leaks(answer)
    plain = portal.get(path, query)
    for headers in FORWARDED:
        answer = portal.get(path, query, **headers)
        assert (answer.status_code, leaks(answer)) == (plain.status_code, False)


def test_the_token_endpoint_does_not_repeat_another_host(portal: Portal) -> None:
    """The same for what is signed: iss is the configured issuer."""
    code = portal.code()
    for headers in (*OTHER_HOSTS, *FORWARDED):
        answer = portal.service.machine().post(
            "/oauth/token", base_url=ISSUER, data={"grant_type": "x"}, headers=headers
        )
        assert answer.status_code == 400
        assert EVIL not in answer.text
    assert portal.claims(body(portal.redeem(code))["access_token"])["iss"] == ISSUER


def test_too_many_requests_from_one_address_get_a_page_that_says_so(service: Service) -> None:
    """policies/throttle.yaml: authorize_per_address 120 in a minute. The page leads nowhere."""
    portal = Portal.on(service)
    limit = service.services.policies.throttle.rates("authorize_per_address")[0]
    assert (limit.count, limit.per) == (120, timedelta(minutes=1))
    for _ in range(limit.count):
        assert portal.ask(prompt="none").status_code == 303

    answer = portal.ask(prompt="none")

    assert (answer.status_code, "Location" in answer.headers) == (429, False)
    assert SUPPORT_EMAIL in answer.text
    assert portal.ask(service.person(address="203.0.113.77"), prompt="none").status_code == 303


def test_an_error_page_is_for_people_and_not_json(portal: Portal) -> None:
    """Errors without a safe address: "HTML page for people, not its JSON" (libraries.md 1.5, 15)."""
    answer = portal.ask(client_id="nobody")

    assert answer.mimetype == "text/html"
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)
    assert CALLBACK not in answer.text
