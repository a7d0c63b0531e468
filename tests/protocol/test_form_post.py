"""Answers by form: OAuth 2.0 Form Post Response Mode, and authorization requests by POST."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.protocol.portal import AUTHORIZE, Portal, body, sent_back
from tests.support.databases import ON_SQLITE
from tests.support.journey import Form, _Reader
from tests.support.service import CALLBACK, ISSUER, PORTAL, Service

pytestmark = ON_SQLITE

BAD_STATE = ("a\nb", "a\r\nb", "\0", "\r")


def posted(answer: TestResponse) -> Form:
    """The one form of the page that carries the answer."""
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), (answer.status_code, answer.headers)
    reader = _Reader()
    reader.feed(answer.get_data(as_text=True))
    [form] = reader.forms
    return form


def test_the_answer_is_a_form_that_works_without_script(portal: Portal) -> None:
    """Form Post 2: the parameters "are encoded as HTML form values", posted to the redirect address; and iss (RFC 9207)."""
    portal.sign_in()
    answer = portal.ask(response_mode="form_post")

    form = posted(answer)
    assert form.action == CALLBACK
    assert form.fields.keys() == {"code", "state", "iss"}, "nothing of ours goes along, no CSRF token above all"
    assert (form.fields["state"], form.fields["iss"]) == ("the-state", ISSUER)
    assert 'type="submit"' in answer.text
    assert ">Continue</button>" in answer.text
    assert portal.redeem(form.fields["code"]).status_code == 200


def test_the_page_is_under_the_strict_policy_and_leads_to_one_origin(portal: Portal) -> None:
    """AZ-04, AZ-20: no script of the page, no other target, nothing cached, framed or told in a Referer."""
    portal.sign_in()
    answer = portal.ask(response_mode="form_post")

    policy = answer.headers["Content-Security-Policy"]
    assert f"form-action 'self' {PORTAL};" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "<script>" not in answer.text
    assert "data-auto" in answer.text


def test_errors_come_by_form_too(portal: Portal) -> None:
    """Form Post 2: error answers as well; state as it was sent."""
    for changed, error in (({"prompt": "none"}, "login_required"), ({"scope": "admin"}, "invalid_scope")):
        form = posted(portal.ask(response_mode="form_post", **changed))
        assert form.action == CALLBACK
        assert (form.fields["error"], form.fields["state"], form.fields["iss"]) == (error, "the-state", ISSUER)
        assert "code" not in form.fields


def test_the_mode_survives_the_sign_in(portal: Portal) -> None:
    """It waits in the parked request."""
    page = portal.sign_in(response_mode="form_post", state='Zustand "ü" <&>')

    assert page.forms[0].action == CALLBACK
    assert page.forms[0].fields["state"] == 'Zustand "ü" <&>'
    assert page.h1 == "Continue to IMS portal"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.text(min_size=1, max_size=200).filter(
        lambda text: text.encode("utf-8", "ignore").decode() == text and not set("\0\r\n") & set(text)
    )
)
def test_the_state_comes_back_byte_for_byte(portal: Portal, state: str) -> None:
    """Authlib's own form quotes values for an address, so that a state with a space comes back changed (libraries.md 1.5, 13)."""
    if portal.dana.cookie("sid") is None:
        portal.sign_in()
    portal.dana.address = f"10.1.{portal.asked >> 8}.{portal.asked & 255}"

    assert posted(portal.ask(response_mode="form_post", state=state)).fields["state"] == state


@pytest.mark.parametrize("state", BAD_STATE)
def test_a_state_that_no_form_can_carry_is_refused_whole(portal: Portal, state: str) -> None:
    """A browser writes line breaks its own way and takes a NUL for another character: refused by query, where it comes back."""
    portal.sign_in()
    sent = sent_back(portal.ask(response_mode="form_post", state=state))

    assert (sent["error"], sent["state"]) == ("invalid_request", state)


@pytest.mark.parametrize(
    "mode", ["fragment", "web_message", "jwt", "form_post.jwt", "query.jwt", "FORM_POST", "x", "\0"]
)
def test_another_mode_is_refused_by_query(portal: Portal, mode: str) -> None:
    """Never ignored: the client would wait in the wrong place."""
    assert sent_back(portal.ask(response_mode=mode))["error"] == "invalid_request"


def test_az_04_no_form_leads_to_an_address_that_is_not_registered(portal: Portal) -> None:
    """AZ-04: response_mode=form_post with javascript:, data: or another host is a page that leads nowhere."""
    for uri in (
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "https://evil.example/",
        CALLBACK + "#x",
    ):
        answer = portal.ask(response_mode="form_post", redirect_uri=uri)
        assert answer.status_code == 400
        assert uri not in answer.text


def test_a_hostile_client_name_is_only_text(service: Service) -> None:
    """AZ-17: client_name is shown on the page."""
    portal = Portal.on(service, client_name='"><script>alert(1)</script>')
    page = portal.sign_in(response_mode="form_post")

    assert "<script>alert" not in page.response.text


def post(portal: Portal, data: Any, query: Any = None, **headers: str) -> TestResponse:
    """A form of the client's own site, posted here by the browser."""
    return portal.dana.client.post(
        AUTHORIZE,
        base_url=ISSUER,
        data=data,
        query_string=query,
        headers={"Origin": PORTAL, "Sec-Fetch-Site": "cross-site", **headers},
    )


def test_a_request_may_come_by_post(portal: Portal) -> None:
    """Core 3.1.2.1: "Authorization Servers MUST support the use of the HTTP GET and POST methods". Sent on as GET, for a
    browser brings no cookie along with a form of another site (SameSite); with 303, so that nothing is posted on (AZ-15).
    """
    portal.sign_in()
    answer = post(portal, portal.request())

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{AUTHORIZE}?")
    sent = sent_back(portal.get(answer.headers["Location"], person=portal.dana))
    assert ("code" in sent, sent["state"]) == (True, "the-state")


def test_a_post_changes_nothing_by_itself(portal: Portal) -> None:
    """It is the one form without our CSRF token: what it says must first come back by GET."""
    portal.sign_in()
    before = portal.service.everything_stored()
    post(portal, portal.request())

    assert portal.service.everything_stored() == before


def test_az_05_each_parameter_is_sent_in_one_place(portal: Portal) -> None:
    """AZ-05: one in the query and one in the body, or twice in the body: nothing is picked."""
    portal.sign_in()
    beside = post(portal, portal.request(), {"redirect_uri": "https://evil.example/"})
    assert (beside.status_code, "Location" in beside.headers) == (400, False)

    doubled = post(portal, MultiDict([*portal.request().items(), ("redirect_uri", "https://evil.example/")]))
    answer = portal.get(doubled.headers["Location"], person=portal.dana)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_a_body_longer_than_any_address_is_refused_in_words(portal: Portal) -> None:
    """Whoever has more to say pushes it (RFC 9126)."""
    for size in (8100, 70_000):
        answer = post(portal, {**portal.request(), "x": "y" * size})
        assert answer.status_code in (400, 413)
        assert "Location" not in answer.headers


def test_a_hostile_body_leads_nowhere_else(portal: Portal) -> None:
    """The address it is sent on to is ours, whatever it holds."""
    for data in ({"x": "\r\nLocation: https://evil.example"}, {"//evil.example": "x"}, {}, {"request": "0" * 32}):
        answer = post(portal, data)
        assert answer.status_code == 303
        assert answer.headers["Location"].rstrip("?") == f"{AUTHORIZE}?{urlencode(data)}".rstrip("?")
    assert body(portal.get("/.well-known/openid-configuration"))["response_modes_supported"] == ["query", "form_post"]
