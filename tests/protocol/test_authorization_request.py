"""Reading an authorization request: what is refused, what is ignored, and what is bounded (RFC 6749 3.1 and 4.1.1)."""

from __future__ import annotations

import itertools
from typing import Any

from werkzeug.datastructures import MultiDict

from tests.protocol.portal import AUTHORIZE, EVERYTHING, PASSWORD_ONLY, TWO_STEP, Portal, body, sent_back
from tests.support.service import API, CALLBACK, ISSUER, Service

NOT_OFFERED: tuple[tuple[dict[str, str], str], ...] = (
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request_object"),
    ({"request_uri": "https://portal.ims.test/request.jwt"}, "request_uri_not_supported"),
    ({"request_uri": "http://169.254.169.254/latest/meta-data"}, "request_uri_not_supported"),
    ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request_uri"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "bogus"}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "ten"}, "invalid_request"),
    ({"max_age": "9" * 30}, "invalid_request"),
    ({"account": "no-such-account"}, "invalid_request"),
    ({"scope": "admin"}, "invalid_scope"),
    ({"resource": "https://api.evil.example/"}, "invalid_target"),
    ({"resource": "ims-portal"}, "invalid_target"),
)
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def test_only_the_code_flow_is_offered(portal: Portal) -> None:
    """RFC 6749 3.1.1: "the authorization server MUST return an error response". ASVS 10.4.4: no implicit, no hybrid (AZ-07)."""
    for signed_in in (False, True):
        for response_type in (
            "token",
            "id_token",
            "code token",
            "token code",
            "code id_token",
            "none",
            "bogus",
            "Code",
        ):
            answer = sent_back(portal.ask(response_type=response_type))
            assert answer["error"] == "unsupported_response_type"
            assert (answer["state"], answer["iss"]) == ("the-state", ISSUER)
            assert answer.keys() <= {"error", "error_description", "state", "iss"}
        if not signed_in:
            portal.sign_in()


def test_a_response_type_is_required(portal: Portal) -> None:
    """RFC 6749 3.1.1: "If an authorization request is missing the "response_type" parameter [...] the authorization server
    MUST return an error response".
    """
    for left_out in (None, ""):
        assert sent_back(portal.ask(response_type=left_out))["error"] in (
            "unsupported_response_type",
            "invalid_request",
        )


def test_hostile_characters_in_a_known_parameter_are_refused_by_redirect(portal: Portal) -> None:
    """RFC 6749 4.1.2.1: invalid_request, told to the client where client and address are good. Authlib copies values into
    descriptions and fails on a quote: 500 (libraries.md 1.5, 1). Nothing of it is repeated.
    """
    for name in ("response_type", "scope", "prompt", "acr_values", "account", "resource", "code_challenge"):
        for value in ('code"', "code\\", "cöde", "\0", HOSTILE):
            answer = portal.ask(**{name: value})
            sent = sent_back(answer)
            assert (sent["error"], sent["state"], sent["iss"]) == ("invalid_request", "the-state", ISSUER), (
                name,
                value,
            )
            assert value not in sent["error_description"]


def test_hostile_characters_in_client_or_address_get_a_page(portal: Portal) -> None:
    """RFC 6749 4.1.2.1: then the server "MUST NOT automatically redirect"."""
    for name in ("client_id", "redirect_uri"):
        for value in ('code"', "cöde", "\0", HOSTILE, CALLBACK + "\0", CALLBACK + '"'):
            answer = portal.ask(**{name: value})
            assert (answer.status_code, "Location" in answer.headers) == (400, False)
            assert value not in answer.text


def test_a_parameter_that_is_sent_twice_is_refused_and_nothing_is_picked(portal: Portal) -> None:
    """RFC 6749 3.1: "Request and response parameters MUST NOT be included more than once." (AZ-05)"""
    once = portal.request(unknown="x")
    for name, second in itertools.product(once, ("x", "https://evil.example/", "")):
        answer = portal.get(AUTHORIZE, MultiDict([*once.items(), (name, second)]), portal.dana)
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert "evil.example" not in answer.text


def test_a_body_beside_the_query_is_refused(portal: Portal) -> None:
    """One parameter in the query and another in the body is one parameter twice (AZ-05). POST is not offered here yet."""
    portal.sign_in()
    before = len(portal.service.events("authorization.code_issued"))
    answer = portal.dana.client.post(AUTHORIZE, base_url=ISSUER, query_string=portal.request(), data=portal.request())

    assert answer.status_code >= 400
    assert "Location" not in answer.headers
    assert len(portal.service.events("authorization.code_issued")) == before


def test_a_parameter_nobody_knows_is_ignored(portal: Portal) -> None:
    """RFC 6749 3.1: "The authorization server MUST ignore unrecognized request parameters." Whatever it holds."""
    portal.sign_in()
    extra: dict[str, Any] = {"extra": "foobar", "utm": "été", "x": HOSTILE, "display": "popup", "ui_locales": "fr-CA é"}

    assert "code" in sent_back(portal.ask(**extra))
    assert "code" in sent_back(portal.get(AUTHORIZE, {**portal.request(), 'a"é\0': "\0"}, portal.dana))


def test_a_parameter_without_a_value_counts_as_left_out(portal: Portal) -> None:
    """RFC 6749 3.1: "Parameters sent without a value MUST be treated as if they were omitted from the request." """
    portal.sign_in()
    empty = dict.fromkeys(
        ("max_age", "prompt", "acr_values", "account", "resource", "response_mode", "request", "request_uri", "nonce"),
        "",
    )

    answer = sent_back(portal.ask(**empty, state=""))

    assert answer.keys() == {"code", "iss"}


def test_what_is_not_offered_is_refused_and_never_ignored(portal: Portal) -> None:
    """OpenID Connect Core 6.1: "Should an OP not support this parameter and an RP uses it, the OP MUST return the
    request_not_supported error." 6.2 says the same of request_uri_not_supported. Who asks for these relies on them
    (libraries.md 1.5, 13). Signed in or not, the answer is the RFC's error.
    """
    for signed_in in (False, True):
        for sent, error in NOT_OFFERED:
            answer = sent_back(portal.ask(**sent))
            assert (answer["error"], answer["state"], answer["iss"]) == (error, "the-state", ISSUER), sent
            assert answer.keys() <= {"error", "error_description", "state", "iss"}, sent
        if not signed_in:
            portal.sign_in()


def test_query_is_the_response_mode_that_is_offered(portal: Portal) -> None:
    """Named explicitly it changes nothing."""
    portal.sign_in()

    assert "code" in sent_back(portal.ask(response_mode="query"))


def test_scope_must_be_sent(portal: Portal) -> None:
    """RFC 6749 3.3: "If the client omits the scope parameter when requesting authorization, the authorization server MUST
    either process the request using a pre-defined default value or fail the request indicating an invalid scope."
    """
    portal.sign_in()

    assert sent_back(portal.ask(scope=None))["error"] == "invalid_scope"
    assert sent_back(portal.ask(scope=""))["error"] == "invalid_scope"
    assert sent_back(portal.ask(scope=" "))["error"] == "invalid_scope"


def test_a_scope_that_the_client_may_not_have_is_dropped_and_the_answer_says_so(portal: Portal) -> None:
    """RFC 6749 5.1: scope is "REQUIRED" in the answer when it is not "identical to the scope requested" (AZ-18)."""
    tokens = portal.tokens(scope="openid admin investors.write investors.read investors.read")

    assert tokens["scope"] == "openid investors.read"
    assert portal.claims(tokens["access_token"])["scope"] == "openid investors.read"


def test_the_scopes_say_which_api_the_token_is_for(portal: Portal) -> None:
    """RFC 9068 3: without `resource` the aud follows from the scopes; scopes of ours alone mean this service (claims.md)."""
    assert portal.claims(portal.tokens(scope="openid investors.read")["access_token"])["aud"] == API
    assert portal.claims(portal.tokens(scope="openid email")["access_token"])["aud"] == ISSUER
    assert portal.claims(portal.tokens(scope="openid", resource=API)["access_token"])["aud"] == API


def test_the_order_of_parameters_and_scopes_does_not_matter(portal: Portal) -> None:
    """OpenID conformance, ensure-other-scope-order-succeeds."""
    portal.sign_in()
    backwards = dict(reversed(portal.request(scope=" ".join(reversed(EVERYTHING.split()))).items()))

    assert "code" in sent_back(portal.get(AUTHORIZE, backwards, portal.dana))


def test_a_huge_value_is_refused_or_bounded(portal: Portal) -> None:
    """8 KB of state, 100 KB of login_hint (AZ-17): an answer in plain words, and nothing of it kept."""
    names = ("state", "login_hint", "nonce", "ui_locales", "client_name", "error_hint", "acr_values")
    for name, length in itertools.product(names, (8192, 100_000)):
        answer = portal.ask(**{name: "x" * length})
        assert answer.status_code in (400, 414)
        assert len(answer.text) < 8000
    assert "x" * 500 not in portal.service.everything_stored()


def test_a_long_login_hint_is_only_a_hint(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.1: its use "is left to the OP's discretion". One that cannot be an address is left out."""
    for hint in ("x" * 400, "dana\0@northgate.example", "dana\r\n@northgate.example"):
        page = portal.dana.open(AUTHORIZE, **portal.request(login_hint=hint))
        assert (page.status, page.h1) == (200, "Sign in")
        assert page.forms[0].fields["email"] == ""


def test_a_login_hint_fills_the_field_and_is_escaped(portal: Portal) -> None:
    """It is the only parameter that a page repeats (AZ-17)."""
    page = portal.dana.open(AUTHORIZE, **portal.request(login_hint="dana@northgate.example"))
    assert page.forms[0].fields["email"] == "dana@northgate.example"

    page = portal.dana.open(AUTHORIZE, **portal.request(login_hint=HOSTILE))
    assert page.forms[0].fields["email"] == HOSTILE
    assert HOSTILE not in page.response.text
    assert "script-src 'self'" in page.response.headers["Content-Security-Policy"]


def test_a_nonce_comes_back_whole_or_is_refused(portal: Portal) -> None:
    """FAPI conformance, long-nonce: "returned whole or refused, never cut" (protocol.md). PostgreSQL keeps no NUL."""
    for nonce in ("n" * 64, "n" * 500, "n ö \"'\\ \U0001f600"):
        assert portal.claims(portal.tokens(nonce=nonce)["id_token"])["nonce"] == nonce
    for nonce in ("n" * 501, "n" * 7000, "n\0"):
        assert sent_back(portal.ask(nonce=nonce))["error"] == "invalid_request"


def test_a_nonce_is_optional(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.1: "nonce OPTIONAL." Nothing is invented in its place."""
    assert "nonce" not in portal.claims(portal.tokens(nonce=None)["id_token"])


def test_nothing_on_the_way_through_sign_in_changes_the_request(portal: Portal) -> None:
    """Parameters are frozen server-side at the first hop (AZ-07): what is added to the way back is refused or ignored."""
    page = portal.dana.open(AUTHORIZE, **portal.request(scope="openid", acr_values=PASSWORD_ONLY))
    parked = page.path.partition("request=")[2]
    widened = {
        "request": parked,
        "scope": EVERYTHING,
        "redirect_uri": "https://evil.example/",
        "response_type": "token",
    }
    portal.dana.open("/sign-in", **widened)
    portal.go_on(portal.dana.here)
    assert portal.dana.left_for is not None
    assert portal.dana.left_for.startswith(f"{CALLBACK}?")
    assert portal.dana.callback().keys() == {"code", "state", "iss"}
    tokens = body(portal.redeem(portal.dana.callback()["code"]))
    assert tokens["scope"] == "openid"

    refused = portal.get(AUTHORIZE, widened, portal.dana)

    assert (refused.status_code, "Location" in refused.headers) == (400, False)


def test_a_way_back_belongs_to_the_browser_that_was_sent(service: Service) -> None:
    """An attacker starts a sign-in and sends its link to somebody who is signed in (LG-11, CVE-2026-7507): no answer leaves."""
    portal = Portal.on(service)
    attacker = service.person(address="203.0.113.9")
    parked = attacker.open(AUTHORIZE, **portal.request(state="attackers")).path.partition("request=")[2]
    portal.sign_in()

    for path in (AUTHORIZE, "/sign-in"):
        answer = portal.get(path, {"request": parked}, portal.dana)
        assert (answer.status_code, "Location" in answer.headers) == (410, False)
    assert portal.get(AUTHORIZE, {"request": parked}).status_code == 410, "a caller without cookies"


def test_a_way_back_ends_with_its_hour(portal: Portal) -> None:
    """policies/sessions.yaml: authorization_request 60 m. After that the page says what to do."""
    page = portal.dana.open(AUTHORIZE, **portal.request(acr_values=TWO_STEP))
    portal.service.pass_time(minutes=61)

    answer = portal.get(AUTHORIZE, {"request": page.path.partition("request=")[2]}, portal.dana)

    assert answer.status_code == 410
    assert "This link has expired" in answer.text


def test_the_answer_to_a_form_is_see_other(portal: Portal) -> None:
    """RFC 9700 4.12: with credentials in the request the server "MUST NOT use the HTTP 307 status code for redirection"; 303 is
    recommended (AZ-15).
    """
    page = portal.dana.open(AUTHORIZE, **portal.request())
    [form] = page.forms
    answer = portal.dana.post(form.action, {**form.fields, "email": "dana@northgate.example", "password": "wrong"})
    assert answer.status_code == 401
    answer = portal.dana.post(
        form.action, {**form.fields, "email": "dana@northgate.example", "password": "quiet harbor maple lantern"}
    )
    assert answer.status_code == 303
    assert portal.get(answer.headers["Location"], person=portal.dana).status_code == 303
