"""Pairwise subjects (OpenID Connect Core 8): third parties of different sectors cannot tell that two people are one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.protocol.portal import AUTHORIZE, Portal, body, sent_back
from tests.support.journey import Page
from tests.support.service import CALLBACK, CLIENT_SECRET, DANA, ISSUER, Service

PAIRWISE = {"first_party": False, "subject_type": "pairwise"}


class Agreeing(Portal):
    """Dana says yes to whatever the client may have; consent is another test's."""

    def go_on(self, page: Page, **how: Any) -> Page:
        """Past the question."""
        page = super().go_on(page, **how)
        return self.dana.submit(button="choice", value="allow") if page.h1.startswith("Allow ") else page


def of(service: Service, first: Portal, client_id: str, **client: Any) -> Portal:
    """Another client, and the same Dana at the same browser."""
    service.client(client_id, token_endpoint_auth_method="none", public=True, **{**PAIRWISE, **client})
    other = Agreeing(service, first.membership, client_id)
    other.is_public, other.dana = True, first.dana
    return other


@pytest.fixture
def portal(service: Service) -> Portal:
    """A third party with pairwise subjects."""
    return Agreeing.on(service, **PAIRWISE)


def introspected(service: Service, token: str, client_id: str = "ims-portal") -> dict[str, Any]:
    """What the endpoint says to the client itself."""
    basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    found: dict[str, Any] = (
        service.machine().post("/oauth/introspect", base_url=ISSUER, data={"token": token}, headers=headers).json
    )
    return found


def test_everything_that_a_client_is_told_has_the_same_sub(portal: Portal) -> None:
    """Core 5.3.2: the UserInfo sub "MUST be verified to exactly match the sub Claim in the ID Token"; the access token and what
    introspection says of both kinds agree, also after a refresh. It is not the person's id, and nothing of an address.
    """
    tokens = portal.tokens()
    sub = portal.claims(tokens["id_token"])["sub"]
    refreshed = body(portal.refresh(tokens["refresh_token"]))

    assert sub != portal.membership.user_id
    assert len(sub) == 64
    assert "@" not in sub
    said = [
        portal.claims(tokens["access_token"])["sub"],
        body(portal.userinfo(tokens["access_token"]))["sub"],
        introspected(portal.service, tokens["access_token"])["sub"],
        introspected(portal.service, refreshed["refresh_token"])["sub"],
        portal.claims(refreshed["id_token"])["sub"],
        portal.claims(refreshed["access_token"])["sub"],
    ]
    assert said == [sub] * 6
    assert portal.membership.user_id not in str(
        [portal.claims(t) for t in (tokens["id_token"], tokens["access_token"])]
    )


def test_it_stays_the_same_and_differs_by_sector(service: Service, portal: Portal) -> None:
    """Core 8.1: one sector, one name; another sector, another name; for another person, another one again."""

    def sub(of_client: Portal, redirect_uri: str = CALLBACK) -> str:
        code = of_client.code(redirect_uri=redirect_uri)
        tokens = body(of_client.redeem(code, redirect_uri=redirect_uri))
        return str(of_client.claims(tokens["id_token"])["sub"])

    mine = portal.claims(portal.tokens()["id_token"])["sub"]
    neighbour = of(service, portal, "same-host", redirect_uris=["https://portal.ims.test/other"])
    foreign = of(service, portal, "other-host", redirect_uris=["https://elsewhere.test/cb"])
    several = of(
        service,
        portal,
        "several-hosts",
        redirect_uris=["https://a.elsewhere.test/cb", "https://b.elsewhere.test/cb"],
        sector_identifier_uri="https://portal.ims.test/sector.json",
    )

    assert sub(portal) == mine
    assert sub(neighbour, "https://portal.ims.test/other") == mine
    assert sub(foreign, "https://elsewhere.test/cb") not in (mine, portal.membership.user_id)
    assert sub(several, "https://b.elsewhere.test/cb") == mine


@pytest.mark.parametrize("client", [{"subject_type": "pairwise"}, {"first_party": False}, {}], ids=str)
def test_first_parties_and_public_subjects_hear_the_id(service: Service, client: dict[str, Any]) -> None:
    """IMS's own clients are one party: their subjects are always public."""
    portal = Agreeing.on(service, **client)
    assert portal.claims(portal.tokens()["id_token"])["sub"] == portal.membership.user_id


def test_several_hosts_need_a_sector(service: Service) -> None:
    """Core 8.1: with several hosts "the Client MUST register a sector_identifier_uri"."""
    hosts = ["https://a.test/cb", "https://b.test/cb"]
    with pytest.raises(ValidationError, match="sector_identifier_uri"):
        service.client("x", subject_type="pairwise", redirect_uris=hosts)


def test_signing_out_by_a_hint_with_such_a_sub_is_not_asked_about(portal: Portal) -> None:
    """RP-Initiated Logout 2: the hint names the session; behind its `sub` the same person is found."""
    tokens = portal.tokens()
    answer = portal.get(
        "/oauth/logout",
        {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://portal.ims.test/"},
        portal.dana,
    )
    assert answer.headers["Location"] == "https://portal.ims.test/"
    assert portal.is_dead(tokens)


def test_a_hint_about_somebody_else_is_still_somebody_elses(service: Service, portal: Portal) -> None:
    """LG-16: Dana's hint in Theo's browser signs nobody out and leads nowhere unasked."""
    hint = portal.tokens()["id_token"]
    with service.services.database.transaction() as tx:
        account = tx.merge(portal.membership).account
    service.member(account, "theo@northgate.example")
    theo = service.person()
    service.sign_in(theo, "theo@northgate.example")
    answer = portal.get("/oauth/logout", {"id_token_hint": hint}, theo)
    assert answer.headers["Location"].startswith("/sign-out?request=")


def test_a_client_names_a_person_as_it_knows_them(portal: Portal) -> None:
    """Core 5.5.1 and 3.1.2.1: the `sub` of the claims parameter and of an id_token_hint is the one this client was told; the
    person's id, which it never heard, names nobody, and neither shows an address to whoever opens the link.
    """
    hint = portal.tokens()["id_token"]
    mine = portal.claims(hint)["sub"]

    def named(sub: str) -> str:
        return json.dumps({"id_token": {"sub": {"value": sub}}})

    assert "code" in sent_back(portal.ask(claims=named(mine), prompt="none"))
    assert "code" in sent_back(portal.ask(claims=named(mine), id_token_hint=hint, prompt="none"))
    user_id = portal.membership.user_id
    assert sent_back(portal.ask(claims=named(user_id), prompt="none"))["error"] == "login_required"
    both = portal.ask(claims=named(user_id), id_token_hint=hint, prompt="none")
    assert sent_back(both)["error"] == "invalid_request"
    for sub in (mine, user_id):
        stranger = portal.service.person()
        assert DANA not in stranger.open(AUTHORIZE, **portal.request(claims=named(sub))).text


def test_a_named_sub_shows_nobodys_address(service: Service) -> None:
    """Where the sub is the person's id too: many services know it, and the sign-in page must not turn it into an address."""
    portal = Portal.on(service)
    claims = json.dumps({"id_token": {"sub": {"value": portal.membership.user_id}}})
    page = service.person().open(AUTHORIZE, **portal.request(claims=claims))
    assert page.h1 == "Sign in"
    assert DANA not in page.text
    assert all(DANA not in form.fields.values() for form in page.forms)
