"""The bell for other services (ux.md S23): adding to it, and reading it with the person's own token (TN-11, TN-12, TN-14)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from authsvc.accounts.models import Account, Membership, User
from authsvc.sessions.models import BrowserSession
from tests.api.conftest import PRIYA, World
from tests.api.test_browsers import sign_in
from tests.pages.test_what_pages_cost import statements
from tests.support.api import Machine
from tests.support.service import API, CLIENT_SECRET, DANA, ISSUER, PASSWORD, PORTAL, Service, pkce

SCOPE = "openid offline_access investors.read notifications.read"


def tokens_of(service: Service, email: str = DANA, *, account: str = "northgate", scope: str = SCOPE) -> dict[str, Any]:
    """Somebody signs in at the portal; what the portal gets."""
    verifier, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge, scope=scope, account=account))
    person.submit(email=email, password=PASSWORD)
    return service.redeem(person, verifier)


def for_the_bell(service: Service, tokens: dict[str, Any], client_id: str = "ims-portal") -> Machine:
    """The portal, with an access token for this service by the refresh token (RFC 8707 2.2)."""
    answer = service.token(
        client=(client_id, CLIENT_SECRET),
        grant_type="refresh_token",
        refresh_token=tokens["refresh_token"],
        resource=ISSUER,
    )
    assert answer.status_code == 200, answer.text
    return Machine(service, client_id, (answer.json or {})["access_token"])


@pytest.fixture
def portal(world: World) -> Machine:
    """The portal with Dana's token."""
    world.service.set_mfa(world.northgate, "")
    world.service.client(scope=SCOPE)
    return for_the_bell(world.service, tokens_of(world.service))


def added(world: World, status: int = 200, **changed: Any) -> Any:
    """The desk adds one to Dana's bell."""
    new = {"account": "northgate", "person": world.dana.user_id, "title": "A K-1 is there.", **changed}
    return world.desk.post("/notifications", status, **new)


def test_a_service_adds_one_and_the_person_sees_the_same_bell_everywhere(world: World, portal: Machine) -> None:
    """Here and in the portal; marked seen in one, it is seen in the other. The trail has who added, and no words."""
    assert portal.get("/notifications") == {"unread": 0, "items": [], "next": None}
    first = added(world, text="For 2026.", link=f"{PORTAL}/k-1", label="View", key="k-1/2026")
    world.service.pass_time(seconds=1)
    second = added(world, title="Another.")
    assert (first["changed"], second["changed"]) == (True, True)

    page = portal.get("/notifications", limit=1)
    assert page["unread"] == 2
    assert page["items"][0] | {"created_at": ""} == {
        "id": second["id"],
        "kind": "portal",
        "title": "Another.",
        "text": "",
        "link": None,
        "label": None,
        "created_at": "",
        "seen": False,
    }
    older = portal.call("GET", page["next"].removeprefix(ISSUER)).json or {}
    assert (older["items"][0]["link"], older["items"][0]["label"], older["next"]) == (f"{PORTAL}/k-1", "View", None)

    world.service.pass_time(seconds=1)
    person = world.service.person()
    world.service.sign_in(person)
    assert 'aria-label="Notifications, 3 new"' in person.open("/profile").response.text, "and the new browser"
    assert portal.post("/notifications/seen", up_to=second["id"]) == {"unread": 1}, "what came later stays new"
    assert 'aria-label="Notifications, 1 new"' in person.open("/profile").response.text
    person.open("/profile/notifications")
    assert portal.get("/notifications/unread") == {"unread": 0}
    rows = world.service.events("notification.added")
    assert [(row.client_id, row.user_id, row.fields) for row in rows] == [
        ("desk", world.dana.user_id, {"kind": "portal"})
    ] * 2
    own = portal.get("/notifications")["items"][0]
    assert (own["kind"], own["link"]) == ("new_device", f"{ISSUER}/profile/security#sessions")


def test_a_key_adds_once_and_belongs_to_one_client(world: World) -> None:
    """Again is the same; for another notification it is a conflict; another service's keys are its own."""
    one = added(world, key="k")
    assert added(world, key="k") == {"changed": False, "id": one["id"]}
    assert added(world, 409, key="k", title="Another.")["type"] == "urn:ims:problem:key-used"
    assert added(world, 409, key="k", person=world.priya.user_id)["type"] == "urn:ims:problem:key-used"
    other = Machine.on(world.service, "other")
    new = {"account": "northgate", "person": world.dana.user_id, "title": "A K-1 is there.", "key": "k"}
    assert other.post("/notifications", **new)["changed"]


def test_tn01_only_an_active_person_of_an_account_within_reach_is_told(world: World) -> None:
    """404 for all others alike (RC-09); what belongs to others is a row of the trail."""
    service = world.service
    invited = service.member(world.northgate, "jo@northgate.example", accepted=False)
    left = service.member(world.northgate, "theo@northgate.example", active=False)
    added(world, 404, account="kestrel", person=world.omar.user_id)
    assert world.refused("account") == 1
    for person in (invited.user_id, left.user_id, "0" * 32):
        added(world, 404, person=person)
    added(world, 404, audience="investors")
    assert world.refused("member") == 0
    added(world, 404, person=world.omar.user_id)
    assert world.refused("member") == 1
    with service.services.database.transaction() as tx:
        service.services.closing.close(tx, tx.get_one(Account, world.northgate.id))
    added(world, 404)


def test_nobody_floods_a_bell(world: World) -> None:
    """policies/throttle.yaml, notifications_per_person: whichever services they come from; a colleague is not held up."""
    other = Machine.on(world.service, "other")
    new = {"account": "northgate", "person": world.dana.user_id, "title": "Spam."}
    one = added(world, key="k")
    for _ in range(29):
        other.post("/notifications", **new)
    full = world.desk.call("POST", "/notifications", json=new)
    assert (full.status_code, full.headers["Retry-After"]) == (429, "120")
    assert added(world, key="k") == {"changed": False, "id": one["id"]}, "what is there already is no flood"
    assert added(world, person=world.priya.user_id)["changed"]
    world.service.pass_time(minutes=3)
    world.desk.renew()
    assert added(world, key="k") == {"changed": False, "id": one["id"]}
    assert added(world)["changed"], "a repeated key took no slot"


def test_an_answer_to_a_wrong_body_names_the_field_and_repeats_nothing(world: World) -> None:
    """Links that lead elsewhere, texts that cannot be shown, kinds that are ours, fields that are not there."""
    for field, value in (
        ("link", "https://evil.example/"),
        ("link", f"{PORTAL}@evil.example/"),
        ("link", "/profile"),
        ("title", "a\u202eb"),
        ("title", "x" * 81),
        ("title", ""),
        ("text", "a\0"),
        ("kind", "new_device"),
        ("key", "a b"),
        ("person", "dana"),
    ):
        said = added(world, 400, **{field: value})
        told = said.get("errors") or [{"field": said["detail"].partition(":")[0]}]
        assert [one["field"] for one in told] == [field], (field, value)
        assert "evil" not in str(said)


def test_tn14_a_token_opens_the_bell_of_its_own_account_alone(world: World, portal: Machine) -> None:
    """Dana is in kestrel too, where her bell is another one."""
    with world.service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, world.dana.user_id)
    world.service.member(world.kestrel, user=user)
    added(world)
    there = for_the_bell(world.service, tokens_of(world.service, account="kestrel"))
    theirs = there.get("/notifications")
    assert [item["kind"] for item in theirs["items"]] == ["new_device"], "of the sign-in there"
    latest = portal.get("/notifications")
    assert (latest["unread"], latest["items"][0]["title"]) == (1, "A K-1 is there.")
    there.post("/notifications/seen", up_to=latest["items"][0]["id"])
    assert portal.get("/notifications/unread") == {"unread": 1}


def test_no_value_breaks_the_bell(world: World, portal: Machine) -> None:
    """What a portal may send of its own account: each answered with 400, none repeated, nothing marked."""
    added(world)
    odd = ["", "\0", "a" * 9000, "' OR 1=1 --", "../x", "\u0661" * 32, None, 7, [], {"id": 1}, True]
    for value in odd:
        assert portal.call("POST", "/notifications/seen", json={"up_to": value}).status_code == 400
        if isinstance(value, str):
            assert portal.call("GET", "/notifications", query_string={"cursor": value}).status_code == 400
            assert portal.call("GET", "/notifications", query_string={"limit": value}).status_code == 400
    for body in (b"", b"null", b"[]", b"{", b'{"up_to": "\\ud800"}', b"[" * 20_000):
        assert portal.call("POST", "/notifications/seen", data=body, content_type="application/json").status_code == 400
    assert portal.get("/notifications", cursor="z" * 32)["unread"] == 1, "no such place: what is older than it"


@pytest.mark.parametrize("ends", ["session", "member", "account", "client", "family", "scope"])
def test_tn11_a_persons_token_ends_with_what_it_rests_on(world: World, portal: Machine, ends: str) -> None:
    """At once: sessions, memberships and accounts are looked up in SQL at each call, whatever the token says."""
    s = world.service.services
    assert portal.call("GET", "/notifications/unread").status_code == 200
    with s.database.transaction() as tx:
        match ends:
            case "session":
                s.sessions.end_all(tx, "signed_out", user_id=world.dana.user_id)
            case "member":
                tx.get_one(Membership, world.dana.id).deactivated_at = world.service.clock.now()
            case "account":
                s.closing.close(tx, tx.get_one(Account, world.northgate.id))
            case "client":
                s.registration.deactivate_client(tx, "ims-portal", by="operator")
            case "family":
                s.families.end_client(tx, "ims-portal", "revoked_by_client")
            case "scope":
                client = s.registration.client(tx, "ims-portal")
                narrower = client.metadata.model_copy(update={"scope": "openid"})
                s.registration.change_client(tx, "ims-portal", narrower, by="operator")
    wanted = 403 if ends == "scope" else 401
    assert portal.call("GET", "/notifications").status_code == wanted
    assert portal.call("POST", "/notifications/seen", json={"up_to": "0" * 32}).status_code == wanted


def test_tn13_machines_have_no_bell_and_people_no_desk(world: World, portal: Machine) -> None:
    """403 that says what is wanted; and a client bound to other accounts reaches nobody's bell of this one."""
    for path in ("/notifications", "/notifications/unread"):
        assert world.desk.get(path, 403)["type"] == "urn:ims:problem:no-person"
    assert portal.post("/notifications", 403)["type"] == "urn:ims:problem:insufficient-scope"
    assert world.service.events("access.refused")[-1].user_id == world.dana.user_id
    service = world.service
    service.client("bound", scope=SCOPE, accounts=["kestrel"])
    verifier, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge, scope=SCOPE, client_id="bound"))
    person.submit(email=DANA, password=PASSWORD)
    tokens = service.redeem(person, verifier, client=("bound", CLIENT_SECRET), resource=ISSUER)
    bound = Machine(service, "bound", tokens["access_token"])
    assert bound.get("/notifications", 403)["type"] == "urn:ims:problem:accounts-limited"


def test_one_sign_in_serves_an_api_and_the_bell(world: World, portal: Machine) -> None:
    """RFC 8707 2.2, RFC 9068 4: each access token is for one audience and says what that one knows; no other is taken."""
    service = world.service
    tokens = tokens_of(service)
    for_the_api, for_us = service.claims(tokens["access_token"]), service.claims(portal.token)
    assert (for_the_api["aud"], for_us["aud"]) == (API, ISSUER)
    assert "notifications.read" not in for_the_api["scope"].split()
    assert set(for_us["scope"].split()) == {"openid", "offline_access", "notifications.read"}
    assert portal.call("GET", "/notifications", token=tokens["access_token"]).status_code == 401
    # Without a scope of ours nothing was granted that we would know.
    narrow = tokens_of(service, scope="openid offline_access investors.read")
    refused = service.token(grant_type="refresh_token", refresh_token=narrow["refresh_token"], resource=ISSUER)
    assert (refused.json or {})["error"] == "invalid_target"
    elsewhere = service.token(
        grant_type="refresh_token", refresh_token=tokens["refresh_token"], resource="https://api.ims.test/other"
    )
    assert (elsewhere.json or {})["error"] == "invalid_target"
    again = service.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert service.claims((again.json or {})["access_token"])["aud"] == API, "nothing was burnt, and the default stays"


def test_reading_the_bell_costs_a_fixed_number_of_statements(world: World, portal: Machine) -> None:
    """One notification and twenty alike: the family, its session, the bell."""
    portal.get("/notifications")

    def cost(path: str) -> int:
        with statements(world.service) as sent:
            portal.get(path)
        return len(sent)

    before = cost("/notifications"), cost("/notifications/unread")
    for number in range(8):
        added(world, title=f"Number {number}.")
        sign_in(world)
    portal.get("/notifications")
    assert (cost("/notifications"), cost("/notifications/unread")) == before
    assert max(before) <= 5
    with statements(world.service) as sent:
        added(world, key="cost")
    assert len(sent) <= 12, sent


def test_bells_are_not_kept_for_sessions_that_are_over(world: World) -> None:
    """A session that timed out, without offline_access, takes its tokens along."""
    service = world.service
    service.set_mfa(world.northgate, "")
    service.client(scope=SCOPE)
    bell = for_the_bell(service, tokens_of(service, PRIYA, scope="openid notifications.read investors.read"))
    assert bell.call("GET", "/notifications/unread").status_code == 200
    with service.services.database.transaction() as tx:
        tx.execute(update(BrowserSession).values(expires_at=service.clock.now()))
    assert bell.call("GET", "/notifications/unread").status_code == 401
