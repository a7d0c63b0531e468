"""RP-Initiated Logout 1.0: at once for the session the hint names, after a question for any other, and never an open redirect."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from werkzeug.test import TestResponse

from tests.protocol.portal import LOGOUT, Portal, body, header, sent_back
from tests.support.journey import Person
from tests.support.service import CALLBACK, ISSUER, PASSWORD, PORTAL, Service

DONE, QUESTION = f"{PORTAL}/", "/sign-out?request="
SIGNED_OUT = "/sign-in?note=signed-out"
MESSAGE = "You’re signed out."


def is_signed_in(portal: Portal, person: Person | None = None) -> bool:
    """Whether a silent request still gets a code."""
    return "code" in sent_back(portal.ask(person, prompt="none"))


def logout(portal: Portal, person: Person | None = None, **params: str) -> TestResponse:
    """The bare answer to a logout request from Dana's browser."""
    return portal.get(LOGOUT, params, person or portal.dana)


def forged(portal: Portal, id_token: str) -> dict[str, str]:
    """Hints that look like Dana's and are not ours, or are not ID tokens."""
    claims, stranger = portal.claims(id_token), ECKey.generate_key("P-256")
    head, payload, signature = id_token.split(".")
    public = portal.get("/oauth/jwks").get_json()["keys"][0]

    def b64(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    def ours(typ: str, **changed: Any) -> str:
        signer = portal.service.services.ring.active("ES256")
        return jwt.encode({"alg": "ES256", "kid": signer.kid, "typ": typ}, claims | changed, signer.key)

    return {
        "alg none": f"{b64({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        "alg none with the signature": f"{b64(header(id_token) | {'alg': 'none'})}.{payload}.{signature}",
        "a foreign key": jwt.encode(header(id_token), claims, stranger),
        "a foreign key in the header": jwt.encode(
            header(id_token) | {"jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "HS256 with our public key": jwt.encode(
            header(id_token) | {"alg": "HS256"}, claims, OctKey.import_key(json.dumps(public)), algorithms=["HS256"]
        ),
        "modified claims": f"{head}.{b64(claims | {'sid': 'x'})}.{signature}",
        "modified signature": f"{head}.{payload}.{signature[:-4]}AAAA",
        "another issuer": ours("JWT", iss="https://login.evil.example"),
        "a logout token": ours("logout+jwt"),
        "an access token by type": ours("at+jwt"),
        "a header that is a list": f"{b64(['alg'])}.e30.AAAA",
        "brackets": "W1tb" * 1500 + ".e30.AAAA",
        "no token": "hint",
    }


def test_with_a_hint_and_a_registered_address_it_ends_there_with_the_state(portal: Portal) -> None:
    """RP-Initiated Logout 3: the OP "MUST include the state value if the RP's initial Logout Request included state". No
    client_id is needed: the hint names the client (OpenID conformance, the plain module).
    """
    tokens = portal.tokens()
    for state, query in (("x y&=ü/#", {"state": ["x y&=ü/#"]}), ("", {})):
        if not is_signed_in(portal):
            tokens = portal.tokens()
        answer = logout(portal, id_token_hint=tokens["id_token"], post_logout_redirect_uri=DONE, state=state)

        assert answer.status_code == 303
        assert answer.headers["Location"].partition("?")[0] == DONE
        assert parse_qs(urlsplit(answer.headers["Location"]).query) == query
        assert not is_signed_in(portal)
        assert portal.is_dead(tokens)


def test_the_client_may_be_named_beside_the_hint(portal: Portal) -> None:
    """Section 2: "When both client_id and id_token_hint are present, the OP MUST verify that the Client Identifier matches the
    one used when issuing the ID Token." Another client's id: no redirect, and nobody is signed out unasked.
    """
    portal.service.client("another", post_logout_redirect_uris=["https://another.example/"])
    hint = portal.tokens()["id_token"]
    foreign = logout(
        portal, id_token_hint=hint, client_id="another", post_logout_redirect_uri="https://another.example/"
    )
    assert foreign.headers["Location"].startswith(QUESTION)
    assert is_signed_in(portal)

    answer = logout(portal, id_token_hint=hint, client_id="ims-portal", post_logout_redirect_uri=DONE)

    assert answer.headers["Location"] == DONE
    assert not is_signed_in(portal)


def test_a_hint_is_good_long_after_its_end(portal: Portal) -> None:
    """Section 2: the OP "SHOULD accept ID Tokens [...] even when the exp time has passed". Our clock counts, not another."""
    hint = portal.tokens()["id_token"]
    portal.service.pass_time(minutes=29)

    assert logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE).headers["Location"] == DONE


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_hint_of_either_algorithm_works(service: Service, algorithm: str) -> None:
    """Whatever the client registered for."""
    portal = Portal.on(service, id_token_signed_response_alg=algorithm)
    hint = portal.tokens()["id_token"]

    assert logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE).headers["Location"] == DONE


def test_without_a_hint_the_person_is_asked_and_not_redirected(portal: Portal) -> None:
    """Section 2: "the OP MUST ask the End-User this question if an id_token_hint was not provided". Section 3: without it "the OP
    MUST NOT perform post-logout redirection unless the OP has other means of confirming the legitimacy" (LG-16: no logout by an
    image on another site).
    """
    for params in (
        {},
        {"state": "x"},
        {"post_logout_redirect_uri": DONE},
        {"client_id": "ims-portal", "post_logout_redirect_uri": DONE},
    ):
        portal.dana = portal.service.person()
        portal.sign_in()
        answer = logout(portal, **params)
        assert answer.headers["Location"].startswith(QUESTION)
        assert is_signed_in(portal)
        page = portal.dana.open(answer.headers["Location"])
        assert page.status == 200
        portal.dana.submit()
        assert (portal.dana.left_for, MESSAGE in portal.dana.here.text) == (None, True)
        assert not is_signed_in(portal)


def test_an_address_that_is_not_registered_is_never_redirected_to(portal: Portal) -> None:
    """Section 3: "The OP MUST NOT perform post-logout redirection if the post_logout_redirect_uri value supplied does not exactly
    match one of the previously registered post_logout_redirect_uris values." """
    wrong = (
        *(f"{DONE}x", f"{DONE}?more=1", PORTAL, f"{PORTAL}:443/", "https://PORTAL.ims.test/", CALLBACK, f"{DONE}#x"),
        *("https://evil.example/", "//evil.example", "javascript:alert(1)", f"{DONE}\r\nSet-Cookie: x=1", f"{DONE}\0"),
    )
    for address in wrong:
        portal.dana = portal.service.person()
        hint = portal.tokens()["id_token"]
        answer = logout(portal, id_token_hint=hint, post_logout_redirect_uri=address, state="s")
        assert answer.headers["Location"].startswith((SIGNED_OUT, QUESTION)), address
        assert "evil" not in str(answer.headers) + answer.text, address
        portal.dana.open(answer.headers["Location"])
        assert portal.dana.left_for is None, address


def test_a_hint_that_is_not_ours_counts_for_nothing(portal: Portal) -> None:
    """Section 2: "the OP MUST validate that it was the issuer of the ID Token." Section 4: on errors the OP "MUST not perform
    post-logout redirection". The person is asked (conformance: modified-id-token-hint, bad-id-token-hint). Never a 500.
    """
    hint = portal.tokens()["id_token"]
    for name, bad in forged(portal, hint).items():
        answer = logout(portal, id_token_hint=bad, post_logout_redirect_uri=DONE, client_id="ims-portal")
        assert answer.status_code == 303, name
        assert answer.headers["Location"].startswith(QUESTION), name
        nobody = portal.get(LOGOUT, {"id_token_hint": bad, "post_logout_redirect_uri": DONE})
        assert nobody.headers["Location"] == SIGNED_OUT, name
    assert is_signed_in(portal)


def test_an_access_token_is_no_hint(portal: Portal) -> None:
    """Every API that Dana's portal calls holds one; none of them may sign her out (TK-07)."""
    tokens = portal.tokens()

    answer = logout(portal, id_token_hint=tokens["access_token"])

    assert answer.headers["Location"].startswith(QUESTION)
    assert is_signed_in(portal)


def test_a_hint_about_somebody_else_asks_and_leads_nowhere(portal: Portal) -> None:
    """Section 2: the OP "MUST ask the End-User this question [...] if the supplied ID Token does not belong to the current OP
    session with the RP and/or currently logged in End-User." LG-16: no redirect; the session stays the same person's.
    """
    portal.service.member(portal.service.account("harbor"), "sam@harbor.example", phone=None)
    attacker = Portal(portal.service, portal.membership)
    attacker.dana.open("/oauth/authorize", **attacker.request())
    attacker.dana.submit(email="sam@harbor.example", password=PASSWORD)
    hint = body(attacker.redeem(attacker.dana.callback()["code"]))["id_token"]
    portal.sign_in()

    answer = logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE, state="s")

    assert answer.headers["Location"].startswith(QUESTION)
    assert is_signed_in(portal)
    assert is_signed_in(attacker), "nobody else's session is touched either"
    portal.dana.open(answer.headers["Location"])
    portal.dana.submit()
    assert portal.dana.left_for is None
    assert MESSAGE in portal.dana.here.text


def test_a_hint_about_an_earlier_session_of_the_same_person_asks_and_then_goes_back(portal: Portal) -> None:
    """The client could not know that Dana signed in anew. After her yes she is where the client wanted her, with its state, be
    it longer than any address of ours.
    """
    hint = portal.tokens()["id_token"]
    portal.dana.open("/sign-out")
    portal.dana.submit()
    portal.sign_in()
    state = "ü" * 600

    answer = logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE, state=state)

    assert answer.headers["Location"].startswith(QUESTION)
    page = portal.dana.open(answer.headers["Location"])
    assert f"form-action 'self' {PORTAL}" in page.response.headers["Content-Security-Policy"]
    assert is_signed_in(portal)
    portal.dana.submit()
    assert portal.dana.left_for is not None
    assert portal.dana.left_for.startswith(f"{DONE}?")
    assert portal.dana.callback() == {"state": state}
    assert not is_signed_in(portal)


def test_the_way_back_from_the_question_is_the_browsers_own(portal: Portal) -> None:
    """What waits there is bound to the browser (LG-11), and answers only once the person has said yes."""
    hint = portal.tokens()["id_token"]
    portal.dana.open("/sign-out")
    portal.dana.submit()
    portal.sign_in()
    question = logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE).headers["Location"]
    parked = question.removeprefix(QUESTION)

    assert logout(portal, request=parked).headers["Location"] == question, "still signed in"
    assert is_signed_in(portal)
    assert portal.get(LOGOUT, {"request": parked}).headers["Location"] == SIGNED_OUT
    assert logout(portal, portal.service.person(), request=parked).headers["Location"] == SIGNED_OUT
    elsewhere = portal.get("/oauth/authorize", {"request": parked}, portal.dana)
    assert (elsewhere.status_code, "Location" in elsewhere.headers) == (410, False), "no authorization request"


def test_somebody_who_is_not_signed_in_is_sent_on_at_once(portal: Portal) -> None:
    """The session timed out before the button was pressed: with a good hint back to the client, else to our own page."""
    hint = portal.tokens()["id_token"]
    portal.service.pass_time(minutes=45)

    assert logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE).headers["Location"] == DONE
    assert logout(portal).headers["Location"] == SIGNED_OUT
    assert MESSAGE in portal.dana.open(SIGNED_OUT).text


def test_a_hint_without_an_address_ends_on_our_own_page(portal: Portal) -> None:
    """OpenID conformance, no-post-logout-redirect-uri: signed out, and a page that says so; a state alone leads nowhere."""
    tokens = portal.tokens()
    answer = logout(portal, id_token_hint=tokens["id_token"], state="s")
    assert answer.headers["Location"] == SIGNED_OUT
    assert not is_signed_in(portal)
    assert portal.is_dead(tokens)


def test_post_works_too(portal: Portal) -> None:
    """Section 2: "OpenID Providers MUST support the use of the HTTP GET and POST methods [...] at the Logout Endpoint." From
    another site a browser brings no cookies along with a POST (SameSite), so it is sent on as GET; nothing is done before that.
    """
    hint = portal.tokens()["id_token"]
    answer = portal.service.machine().post(
        LOGOUT,
        base_url=ISSUER,
        data={"id_token_hint": hint, "post_logout_redirect_uri": DONE, "state": "s ü"},
        headers={"Origin": PORTAL, "Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 303
    assert is_signed_in(portal)

    assert portal.get(answer.headers["Location"], person=portal.dana).headers["Location"] == f"{DONE}?state=s+%C3%BC"
    assert not is_signed_in(portal)


def test_a_parameter_that_is_sent_twice_is_not_picked_from(portal: Portal) -> None:
    """By GET and by POST (AZ-05): the person is asked, and ends on our own page."""
    hint = portal.tokens()["id_token"]
    twice = [("id_token_hint", hint), ("post_logout_redirect_uri", DONE), ("post_logout_redirect_uri", DONE)]
    posted = portal.dana.client.post(
        LOGOUT, base_url=ISSUER, data={"id_token_hint": hint, "post_logout_redirect_uri": [DONE, DONE]}
    )
    for answer in (portal.get(LOGOUT, twice, portal.dana), portal.get(posted.headers["Location"], person=portal.dana)):
        assert answer.headers["Location"].startswith(QUESTION)
    assert is_signed_in(portal)


def test_the_end_is_in_the_trail_and_the_cookie_is_gone(portal: Portal) -> None:
    """ASVS 7.4.1: "Ended session unusable": replaying the cookie brings nothing."""
    tokens = portal.tokens()
    cookie = portal.dana.cookie("sid")

    logout(portal, id_token_hint=tokens["id_token"])

    assert portal.dana.cookie("sid") is None
    [ended] = portal.service.events("session.ended")
    assert (ended.session_id, ended.fields["reason"]) == (portal.claims(tokens["id_token"])["sid"], "signed_out")
    thief = portal.service.person()
    thief.client.set_cookie("__Host-sid", cookie or "", domain="login.ims.test", secure=True, path="/")
    assert not is_signed_in(portal, thief)


def test_a_hint_of_whom_and_in_which_language_decides_nothing(portal: Portal) -> None:
    """Section 2: logout_hint and ui_locales are hints: without a good id_token_hint the person is asked all the same; with
    one it is its session that counts, whoever the hint names.
    """
    hints = {"logout_hint": "sam@harbor.example", "ui_locales": "fr-CA", "unknown": "x\0"}
    tokens = portal.tokens()
    asked = logout(portal, **hints, post_logout_redirect_uri=DONE)
    assert asked.headers["Location"].startswith(QUESTION)
    assert is_signed_in(portal)

    answer = logout(portal, **hints, id_token_hint=tokens["id_token"], post_logout_redirect_uri=DONE)

    assert answer.headers["Location"] == DONE
    assert not is_signed_in(portal)


def test_a_registered_query_is_kept_and_none_is_added(service: Service) -> None:
    """Conformance, query-added-to-post-logout-redirect-uri; and what was registered with a query keeps it beside the state."""
    portal = Portal.on(service, post_logout_redirect_uris=[f"{DONE}?tenant=north+gate"])
    hint = portal.tokens()["id_token"]
    assert logout(portal, id_token_hint="x", post_logout_redirect_uri=DONE).headers["Location"].startswith(QUESTION)
    answer = logout(portal, id_token_hint=hint, post_logout_redirect_uri=f"{DONE}?tenant=north+gate", state="s")
    assert parse_qs(urlsplit(answer.headers["Location"]).query) == {"tenant": ["north gate"], "state": ["s"]}


def test_a_client_id_alone_never_redirects(portal: Portal) -> None:
    """Section 3: a known client_id is no "other means of confirming the legitimacy": anybody knows it. Signed in or not."""
    for person in (portal.dana, portal.service.person()):
        answer = logout(portal, person, client_id="ims-portal", post_logout_redirect_uri=DONE, state="s")
        assert answer.headers["Location"] == SIGNED_OUT
    portal.sign_in()
    for client_id in ("ims-portal", "nobody", "x" * 5000, "\0"):
        answer = logout(portal, client_id=client_id, post_logout_redirect_uri=DONE)
        assert answer.headers["Location"].startswith(QUESTION)


def test_a_hint_of_a_client_that_was_deactivated_leads_nowhere(portal: Portal) -> None:
    """Its addresses are nobody's any more."""
    hint = portal.tokens()["id_token"]
    s = portal.service.services
    with s.database.transaction() as tx:
        s.registration.deactivate_client(tx, "ims-portal", by="operator")
    answer = logout(portal, id_token_hint=hint, post_logout_redirect_uri=DONE)
    assert answer.headers["Location"].startswith(QUESTION)


def test_lg16_no_other_site_signs_anybody_out_unasked(portal: Portal) -> None:
    """LG-16: an image, a form, a frame on another site; whatever headers a browser sends along."""
    portal.tokens()
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
        {"Origin": "https://evil.example"},
        {},
    ):
        answer = portal.get(LOGOUT, {"post_logout_redirect_uri": "https://evil.example/"}, portal.dana, **headers)
        assert answer.headers["Location"].startswith(QUESTION)
        posted = portal.dana.client.post(LOGOUT, base_url=ISSUER, data={"client_id": "ims-portal"}, headers=headers)
        assert posted.status_code == 303
    assert is_signed_in(portal)
