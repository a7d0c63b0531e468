"""Where an answer may be sent: to a registered address, to the letter, and nowhere else (security.md AZ-01 to AZ-04, AZ-06)."""

from __future__ import annotations

import html
from datetime import UTC, datetime

import pytest
from werkzeug.test import TestResponse

from authsvc.oauth.models import OAuthClient
from tests.protocol.portal import Portal, sent_back
from tests.support.service import CALLBACK, Service

NEAR_MISSES = (
    # AZ-01
    *("https://portal.ims.test.evil/callback", "https://portalximsxtest/callback", f"{CALLBACK}/x", f"{CALLBACK}?x"),
    *("https://portal.ims.test/CALLBACK", "https://PORTAL.ims.test/callback", "http://portal.ims.test/callback"),
    # AZ-02
    *(f"{CALLBACK}/../admin", f"{CALLBACK}/%2e%2e/admin", f"{CALLBACK}%252fadmin", f"{CALLBACK}/..;/admin"),
    *("https://portal.ims.test\\callback", "https://portal.ims.test/call\tback", "https:///portal.ims.test/callback"),
    *("https://portal.ims.test//callback", f"{CALLBACK}/", f"{CALLBACK} ", f" {CALLBACK}", f"{CALLBACK}\n"),
    # AZ-03
    *(
        "http://localhost@evil.example/callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1:9/callback",
    ),
    *("https://portal.ims.test:8443/callback", "https://portal.ims.test:443/callback", "https://portal.ims.test@evil/"),
    # AZ-04
    *("javascript:alert(document.domain)", "data:text/html,<h1>x", "JaVaScRiPt:alert(1)", f"{CALLBACK}#fragment"),
    # libraries.md 1.5, 1: a quote in the address crashed Authlib
    *(
        f'{CALLBACK}"',
        'https://evil.example/"><script>alert(1)</script>',
        "https://evil.example/é",
        "//evil.example",
        "*",
    ),
)
MOODS: tuple[dict[str, str], ...] = (
    {},
    {"prompt": "none"},
    {"response_mode": "form_post"},
    {"response_type": "bogus"},
    {"response_type": "token"},
    {"scope": "nothing-of-ours"},
)


def is_a_page(answer: TestResponse, *, without: str) -> bool:
    """Whether this is an error page that leads nowhere and repeats nothing of `without`."""
    text = answer.get_data(as_text=True)
    repeated = bool(without) and (without in text or html.escape(without) in text)
    return (
        answer.status_code == 400
        and answer.mimetype == "text/html"
        and "Location" not in answer.headers
        and "Refresh" not in answer.headers
        and "This sign-in link is wrong" in text
        and not repeated
    )


def test_an_address_that_is_not_registered_to_the_letter_gets_a_page(portal: Portal) -> None:
    """OpenID Connect Core 3.1.2.1: "This URI MUST exactly match one of the Redirection URI values for the Client
    pre-registered at the OpenID Provider, with the matching performed as described in Section 6.2.1 of [RFC3986] (Simple
    String Comparison)." RFC 9700 2.1: "authorization servers MUST utilize exact string matching".
    """
    assert portal.ask().status_code == 303

    assert [uri for uri in NEAR_MISSES if not is_a_page(portal.ask(redirect_uri=uri), without=uri)] == []


def test_no_other_mistake_in_the_request_turns_the_page_into_a_redirect(portal: Portal) -> None:
    """RFC 6749 3.1.2.4: on an "invalid, or mismatching redirection URI, the authorization server [...] MUST NOT automatically
    redirect the user-agent to the invalid redirection URI." Two Authlib releases did when another check failed first (AZ-06).
    """
    evil = "https://evil.example/landing"

    assert [mood for mood in MOODS if not is_a_page(portal.ask(redirect_uri=evil, **mood), without=evil)] == []


def test_somebody_who_is_signed_in_gets_the_page_too(portal: Portal) -> None:
    """A session is what makes an open redirect worth having: the code would go along."""
    portal.sign_in()

    for uri in NEAR_MISSES[:8]:
        assert is_a_page(portal.ask(redirect_uri=uri), without=uri)


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_the_address_must_be_sent(service: Service, public: bool) -> None:
    """OpenID Connect Core 3.1.2.1: "redirect_uri REQUIRED." Authlib would take the first that is registered (libraries.md
    1.5, 8), which decides for a client that has two.
    """
    portal = Portal.on(service, public=public, redirect_uris=[CALLBACK, f"{CALLBACK}/two"])

    assert is_a_page(portal.ask(redirect_uri=None), without="")
    assert is_a_page(portal.ask(redirect_uri=""), without="")


def test_each_registered_address_works(service: Service) -> None:
    """The one asked for, not another one of the same client."""
    portal = Portal.on(service, redirect_uris=[CALLBACK, f"{CALLBACK}/two"])
    portal.sign_in()

    assert "code" in sent_back(portal.ask(redirect_uri=f"{CALLBACK}/two"), to=f"{CALLBACK}/two")


def test_the_query_of_a_registered_address_is_kept(service: Service) -> None:
    """RFC 6749 3.1.2: a query component "MUST be retained when adding additional query parameters"."""
    registered = f"{CALLBACK}?tenant=north+gate&empty=&next=%2Fa%3Fb"
    portal = Portal.on(service, redirect_uris=[registered])
    portal.dana.open("/oauth/authorize", **portal.request(redirect_uri=registered))
    portal.go_on(portal.dana.here)

    answer = sent_back(portal.ask(redirect_uri=registered))

    assert {"tenant": "north gate", "empty": "", "next": "/a?b"}.items() <= answer.items()
    assert answer.keys() == {"tenant", "empty", "next", "code", "state", "iss"}


def test_a_registered_query_is_compared_too(service: Service) -> None:
    """OpenID conformance, redirect-uri-query-mismatch and -added: a page, never a redirect."""
    registered = f"{CALLBACK}?tenant=northgate"
    portal = Portal.on(service, redirect_uris=[registered])

    for uri in (f"{CALLBACK}?tenant=other", f"{registered}&more=1", CALLBACK, f"{CALLBACK}?"):
        assert is_a_page(portal.ask(redirect_uri=uri), without="more=1")


@pytest.mark.parametrize(
    "client_id", ["nobody", "IMS-PORTAL", "ims-portal ", "", 'ims"portal', "ims-portal\0", "x" * 300]
)
def test_an_unknown_client_gets_a_page(portal: Portal, client_id: str) -> None:
    """RFC 6749 4.1.2.1: "if the client identifier is missing or invalid, the authorization server [...] MUST NOT automatically
    redirect the user-agent to the invalid redirection URI."
    """
    assert is_a_page(portal.ask(client_id=client_id), without=client_id.strip() and client_id)


def test_a_missing_client_gets_a_page(portal: Portal) -> None:
    """The same without any client_id, and with no parameter at all."""
    assert is_a_page(portal.ask(client_id=None), without="evil")
    assert is_a_page(portal.get("/oauth/authorize"), without="evil")


def test_a_deactivated_client_gets_a_page(portal: Portal) -> None:
    """Its registered address counts for nothing any more."""
    with portal.service.services.database.transaction() as tx:
        tx.get_one(OAuthClient, "ims-portal").deactivated_at = datetime(2026, 11, 1, tzinfo=UTC)
    portal.service.forget_clients()

    assert is_a_page(portal.ask(), without=CALLBACK)


def test_a_refusal_is_in_the_trail_and_issues_nothing(portal: Portal) -> None:
    """*No grant* (security.md, notation): no code, and one audit row with the error."""
    portal.ask(redirect_uri="https://evil.example/")

    [refused] = portal.service.events("authorization.refused")
    assert refused.fields["error"] == "invalid_request"
    assert portal.service.events("authorization.code_issued") == []
    assert "evil.example" not in portal.service.everything_stored()
