"""Pushed authorization requests: left by their client, opened by a link, answered once (RFC 9126)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from authsvc.oauth.models import PushedRequest
from tests.protocol.portal import AUTHORIZE, EVERYTHING, PAR, TWO_STEP, Portal, body, sent_back
from tests.support.service import CALLBACK, CLIENT_SECRET, ISSUER, PORTAL, Service

URN = "urn:ietf:params:oauth:request_uri:"


def leads_nowhere(answer: TestResponse) -> bool:
    """An error page, for nothing outside the link says where to go."""
    return (
        answer.status_code == 400 and "Location" not in answer.headers and "This sign-in link is wrong" in answer.text
    )


def test_a_pushed_request_gets_a_link_and_the_link_a_code(portal: Portal) -> None:
    """RFC 9126 2.2: 201 with request_uri and expires_in, not cached. client_id and request_uri alone suffice (section 4)."""
    answer = portal.push()
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (
        201,
        "application/json",
        "no-store",
    )
    told = body(answer)
    assert told.keys() == {"request_uri", "expires_in"}
    assert told["request_uri"].startswith(URN)
    assert told["expires_in"] == 90

    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=told["request_uri"])
    portal.go_on(page)

    assert portal.dana.callback()["state"] == "the-state"
    tokens = body(portal.redeem(portal.dana.callback()["code"]))
    assert portal.claims(tokens["id_token"])["nonce"] == "the-nonce"


def test_the_link_cannot_be_guessed_and_is_not_kept(portal: Portal) -> None:
    """RFC 9126 7.1; OAuch: 160 bits. What we keep is a digest."""
    links = {portal.pushed() for _ in range(5)}

    assert len(links) == 5
    assert all(len(link.removeprefix(URN)) == 43 for link in links), "256 bits"
    assert not any(link.removeprefix(URN) in portal.service.everything_stored() for link in links)


def test_only_what_was_pushed_counts(portal: Portal) -> None:
    """RFC 9126 4, FAPI conformance ensure-different-state-inside-and-outside: what stands beside the link is ignored."""
    link = portal.pushed(scope="openid", state="pushed", nonce=None)
    portal.sign_in()
    outside = {"scope": EVERYTHING, "state": "outside", "nonce": "outside", "redirect_uri": "https://evil.example/"}

    sent = sent_back(portal.open_link(link, **outside, response_mode="bogus"))

    assert (sent["state"], sent["iss"]) == ("pushed", ISSUER)
    tokens = body(portal.redeem(sent["code"]))
    assert tokens["scope"] == "openid"
    assert "nonce" not in portal.claims(tokens["id_token"])


def test_the_link_opens_again_until_it_was_answered_and_then_no_more(portal: Portal) -> None:
    """FAPI conformance: ensure-reused-request-uri-prior-to-auth-completion-succeeds, attempt-reuse-request_uri (RFC 9126 7.3)."""
    link = portal.pushed()
    for _ in range(3):
        page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=link)
        assert page.h1 == "Sign in"
    assert portal.open_link(link, portal.service.person()).status_code == 303, "in another browser too"
    portal.go_on(page)
    assert "code" in portal.dana.callback()

    assert leads_nowhere(portal.open_link(link))
    assert sent_back(portal.open_link(link, redirect_uri=CALLBACK))["error"] == "invalid_request_uri"


def test_a_second_tab_with_the_same_link_gets_no_second_code(portal: Portal) -> None:
    """Opened twice before the sign-in, answered once; the other tab is told."""
    link = portal.pushed()
    first, second = (portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=link).path for _ in range(2))
    portal.go_on(portal.dana.open(first))
    assert "code" in portal.dana.callback()

    portal.dana.open(second)

    assert portal.dana.callback().keys() == {"error", "error_description", "state", "iss"}
    assert portal.dana.callback()["error"] == "invalid_request_uri"


def test_a_double_press_is_answered_twice(portal: Portal) -> None:
    """The same tab for a moment more: a lost answer, as without a pushed request. Each code is another one."""
    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=portal.pushed())
    parked = page.path.partition("request=")[2]
    portal.go_on(page)

    again = sent_back(portal.get(AUTHORIZE, {"request": parked}, portal.dana))

    assert again["code"] != portal.dana.callback()["code"]


def test_of_simultaneous_openings_one_gets_the_code(portal: Portal) -> None:
    """One UPDATE decides, on connections of their own."""
    portal.sign_in()
    link = portal.pushed()
    people = [portal.service.person() for _ in range(6)]
    for person in people:
        person.client.set_cookie("__Host-sid", portal.dana.cookie("sid") or "", domain="login.ims.test", secure=True)

    answers = portal.service.at_once(*[lambda p=person: portal.open_link(link, p) for person in people])

    codes = [answer for answer in answers if "code=" in answer.headers.get("Location", "")]
    assert len(codes) == 1
    late = [answer for answer in answers if answer not in codes]
    assert all(leads_nowhere(answer) or sent_back(answer)["error"] == "invalid_request_uri" for answer in late)


def test_a_link_ends_with_its_time_and_the_sign_in_may_take_longer(portal: Portal) -> None:
    """policies/tokens.yaml: pushed_request 90 s to open it; the sign-in then has its hour."""
    late, opened = portal.pushed(), portal.pushed()
    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=opened)
    portal.service.pass_time(seconds=91)

    assert leads_nowhere(portal.open_link(late))
    portal.go_on(page)
    assert "code" in portal.dana.callback()


def test_a_link_is_bound_to_its_client(portal: Portal) -> None:
    """RFC 9126 2.2: bound to the client that posted it. Another client's id opens nothing, and spends nothing."""
    portal.service.client("other", redirect_uris=["https://other.ims.test/cb"])
    portal.sign_in()
    link = portal.pushed()

    for query in ({"client_id": "other", "request_uri": link}, {"request_uri": link}):
        assert leads_nowhere(portal.get(AUTHORIZE, query, portal.dana))
    told = sent_back(
        portal.get(
            AUTHORIZE,
            {"client_id": "other", "request_uri": link, "redirect_uri": "https://other.ims.test/cb"},
            portal.dana,
        ),
        to="https://other.ims.test/cb",
    )
    assert told["error"] == "invalid_request_uri"
    assert "code" in sent_back(portal.open_link(link))


@pytest.mark.parametrize("secret", ["x", "", "\0", "x" * 5000, "é"])
def test_a_made_up_link_opens_nothing(portal: Portal, secret: str) -> None:
    """And is no error of ours."""
    portal.sign_in()
    assert leads_nowhere(portal.open_link(URN + secret))


def test_the_client_authenticates_as_for_tokens(portal: Portal) -> None:
    """RFC 9126 2: "the authorization server MUST authenticate the client in the same way as at the token endpoint"."""
    proper = portal.request()
    for client in (("ims-portal", "wrong"), ("nobody", CLIENT_SECRET)):
        answer = portal.push(client=client, client_id=None)
        assert (answer.status_code, body(answer)["error"]) == (401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    machine = portal.service.machine()
    assert machine.post(PAR, base_url=ISSUER, data=proper).status_code == 401, "no credentials at all"
    in_body = machine.post(PAR, base_url=ISSUER, data={**proper, "client_secret": CLIENT_SECRET})
    assert in_body.status_code == 401, "not the registered way"
    assert {event.fields["endpoint"] for event in portal.service.events("client.authentication_failed")} == {"par"}


def test_a_public_client_may_push_too(service: Service) -> None:
    """It says who it is, as at the token endpoint; PKCE binds the code to it."""
    portal = Portal.on(service, public=True)
    portal.sign_in()

    assert "code" in sent_back(portal.open_link(portal.pushed()))


def test_the_client_may_be_named_by_its_credentials_alone(portal: Portal) -> None:
    """And must not be another one than they say."""
    link = portal.pushed(client_id=None)
    portal.sign_in()
    assert "code" in sent_back(portal.open_link(link))

    answer = portal.push(client_id="other")
    assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")


WRONG: tuple[tuple[dict[str, str | None], str], ...] = (
    ({"request_uri": URN + "x"}, "invalid_request"),
    ({"request_uri": "https://portal.ims.test/r.jwt"}, "invalid_request"),
    ({"redirect_uri": None}, "invalid_request"),
    ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
    ({"redirect_uri": CALLBACK + "?x"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"scope": "admin"}, "invalid_scope"),
    ({"resource": "https://evil.example/"}, "invalid_target"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "x"}, "invalid_request"),
    ({"claims": "["}, "invalid_request"),
    ({"id_token_hint": "x"}, "invalid_request"),
    ({"account": "nowhere"}, "invalid_request"),
    ({"nonce": "n" * 600}, "invalid_request"),
    ({"request": "x"}, "invalid_request_object"),
)


def test_what_the_authorization_endpoint_would_refuse_is_refused_here(portal: Portal) -> None:
    """RFC 9126 2.3: the error as JSON, 400, never a redirect; "request_uri MUST NOT be provided in this case" (2.1)."""
    for changed, error in WRONG:
        answer = portal.push(**changed)
        assert (answer.status_code, body(answer)["error"]) == (400, error), changed
        assert "Location" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
    with portal.service.services.database.transaction() as tx:
        assert tx.query(PushedRequest).count() == 0


def test_each_parameter_is_sent_once_and_in_the_body(portal: Portal) -> None:
    """RFC 6749 3.1, AZ-05."""
    doubled = MultiDict([*portal.request().items(), ("state", "again")])
    assert body(portal.push(form=doubled))["error"] == "invalid_request"
    in_query = portal.service.machine().post(f"{PAR}?{urlencode(portal.request())}", base_url=ISSUER)
    assert (in_query.status_code, body(in_query)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_taken(portal: Portal, method: str) -> None:
    """RFC 9126 2.3: 405 for another method."""
    answer = portal.service.machine().open(PAR, method=method, base_url=ISSUER)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_body_without_end_is_refused_unread(portal: Portal) -> None:
    """RFC 9126 2.3: 413 (PL-02)."""
    assert portal.push(form={**portal.request(), "x": "y" * 70_000}).status_code == 413


def test_credentials_are_not_kept_with_the_request(service: Service) -> None:
    """They are no part of it."""
    portal = Portal.on(service, token_endpoint_auth_method="client_secret_post")
    form: dict[str, Any] = {**portal.request(), "client_secret": CLIENT_SECRET, "client_assertion_type": "x"}
    form.pop("client_assertion_type")
    answer = portal.service.machine().post(PAR, base_url=ISSUER, data=form)

    assert answer.status_code == 201
    with service.services.database.transaction() as tx:
        assert "client_secret" not in tx.query(PushedRequest).one().params
    assert CLIENT_SECRET not in service.everything_stored()


def test_a_client_that_must_push_sends_nothing_through_the_browser(service: Service) -> None:
    """RFC 9126 5 and 6: require_pushed_authorization_requests, registered for one client (FAPI: PAR compulsory)."""
    portal = Portal.on(service, require_pushed_authorization_requests=True)
    portal.sign_in(acr_values=TWO_STEP)
    for changed in ({}, {"prompt": "none"}):
        assert sent_back(portal.ask(**changed))["error"] == "invalid_request"

    portal.dana = service.person()
    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=portal.pushed())
    portal.go_on(page)
    assert "code" in portal.dana.callback(), "and how it came is still known after the sign-in"


def test_az_13_a_link_is_no_code_and_no_token(portal: Portal) -> None:
    """AZ-13: what is single-use of one kind is nothing of another kind."""
    secret = portal.pushed().removeprefix(URN)
    code = portal.code()

    for value in (secret, URN + secret):
        assert body(portal.redeem(value))["error"] == "invalid_grant"
        assert body(portal.refresh(value))["error"] == "invalid_grant"
    assert leads_nowhere(portal.open_link(URN + code))
    assert portal.redeem(code).status_code == 200


def test_a_pushed_request_that_was_refused_by_the_person_is_over(service: Service) -> None:
    """access_denied completes it too."""
    portal = Portal.on(service, first_party=False)
    link = portal.pushed()
    portal.go_on(portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=link))
    portal.dana.submit(button="choice", value="deny")
    assert portal.dana.callback()["error"] == "access_denied"

    assert leads_nowhere(portal.open_link(link))


def test_what_ran_out_is_forgotten(portal: Portal) -> None:
    """Rows are swept a day after their time: a parked request may need one until then."""
    portal.pushed()
    s = portal.service.services
    for hours, left in ((23, 1), (2, 0)):
        portal.service.pass_time(hours=hours)
        with s.database.transaction() as tx:
            s.authorization.reader.pushed.sweep(tx, before=s.clock.now() - timedelta(days=1))
            assert tx.query(PushedRequest).count() == left


def test_a_client_that_pushes_too_often_is_told(portal: Portal) -> None:
    """policies/throttle.yaml: token_per_client, which counts pushed requests too: each is a row."""
    assert portal.push().status_code == 201
    assert portal.service.held_up("ims-portal", portal.push).headers["Retry-After"] == "1"


def test_the_metadata_names_the_endpoint(portal: Portal) -> None:
    """RFC 9126 5."""
    told = body(portal.get("/.well-known/oauth-authorization-server"))

    assert told["pushed_authorization_request_endpoint"] == f"{ISSUER}/oauth/par"
    assert told["require_pushed_authorization_requests"] is False


def test_the_link_works_from_a_form_too(portal: Portal) -> None:
    """POST to the authorization endpoint, as for any request."""
    portal.sign_in()
    sent = {"client_id": "ims-portal", "request_uri": portal.pushed()}
    answer = portal.dana.client.post(AUTHORIZE, base_url=ISSUER, data=sent, headers={"Origin": PORTAL})

    assert answer.status_code == 303
    assert "code" in sent_back(portal.get(answer.headers["Location"], person=portal.dana))
