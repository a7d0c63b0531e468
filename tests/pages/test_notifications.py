"""My Profile > Notifications, the bell, and what rings it by itself (ux.md S23)."""

from __future__ import annotations

import json
from typing import Any

from authsvc.accounts.models import Membership, User
from authsvc.mfa.rules import Switch
from authsvc.notifications import Kind
from authsvc.notifications.notify import Source
from tests.pages.test_what_pages_cost import statements
from tests.support.databases import ON_SQLITE
from tests.support.journey import Person
from tests.support.service import DANA, PORTAL, Service

BELL, LATEST, SEEN = "/profile/notifications", "/profile/notifications/latest", "/profile/notifications/seen"


def ring(service: Service, membership: Membership, title: str) -> None:
    """The portal adds one."""
    s = service.services
    service.pass_time(seconds=1)
    with s.database.transaction() as tx:
        s.notifications.notify(
            tx,
            membership=tx.get_one(Membership, membership.id),
            kind=Kind.PORTAL,
            values={"title": title, "text": "", "label": "View"},
            link=f"{PORTAL}/x?a=1&b=2",
            source=Source("portal", None),
            now=service.clock.now(),
        )


def told(person: Person) -> Any:
    """What the bell says as JSON."""
    answer = person.client.get(LATEST, base_url=person.issuer)
    return answer.json if answer.status_code == 200 else answer.status_code


def signed_in(service: Service, email: str = DANA) -> Person:
    """Somebody on a browser of their own."""
    person = service.person()
    service.sign_in(person, email)
    return person


def test_a_new_browser_rings_and_the_page_marks_what_it_shows(service: Service) -> None:
    """Where the mail is decided: never for the first browser, once for each other one. Seen by the visit, new this once."""
    service.member(service.account())
    first = signed_in(service)
    assert told(first) == {"unread": 0, "items": []}
    service.pass_time(minutes=1)
    signed_in(service)
    page = first.open("/profile").response.text
    assert 'aria-label="Notifications, 1 new"' in page
    item = told(first)["items"][0]
    assert item["title"].startswith("New sign-in from ")
    assert (item["link"], item["label"], item["is_new"]) == ("/profile/security#sessions", "Review", True)
    assert item["time"] == "Today, 4:32 PM EST"
    first.client.head(BELL, base_url=first.issuer)
    assert told(first)["unread"] == 1, "a HEAD shows nothing to anybody"
    assert '<li class="new">' in first.open(BELL).response.text
    again = first.open(BELL).response.text
    assert 'class="new"' not in again
    assert "New sign-in from" in again


def test_d10_turning_it_on_and_off_rings_for_those_who_are_mailed(service: Service) -> None:
    """Everybody with Sensitive Data Access, and nobody else; the link for who may open it."""
    account = service.account()
    dana = service.member(account, role="admin", sensitive=True)
    theo = service.member(account, "theo@northgate.example", sensitive=True)
    priya = service.member(account, "priya@northgate.example")
    s = service.services
    for number, enabled in enumerate((True, False)):
        service.pass_time(seconds=1)
        with s.database.transaction() as tx:
            s.mfa_switch.save(
                tx,
                account.id,
                "team",
                Switch(enabled, ("email", "sms"), True),
                revision=1 + number,
                by=tx.get_one(User, dana.user_id),
                browser="",
            )
    with s.database.transaction(read_only=True) as tx:
        bells = {one.id: s.notifications.bell(tx, one.id).latest for one in (dana, theo, priya)}
    assert [(item.words.title, item.words.text, item.link) for item in bells[dana.id]] == [
        ("Multi-Factor Authentication was turned off.", "For Team Members, by Dana.", "/admin/settings"),
        (
            "Multi-Factor Authentication was turned on.",
            "For Team Members, by Dana. Methods: Email and SMS.",
            "/admin/settings",
        ),
    ]
    assert [item.link for item in bells[theo.id]] == [None, None]
    assert bells[priya.id] == ()


@ON_SQLITE
def test_the_page_goes_back_in_time(service: Service) -> None:
    """Twenty at once, a way to older ones and to the newest; the badge says 9+; a value that is no place is none."""
    dana = service.member(service.account())
    person = signed_in(service)
    for number in range(25):
        ring(service, dana, f"Number {number}.")
    page = person.open("/profile").response.text
    assert 'aria-label="Notifications, 25 new"' in page
    assert ">9+</span>" in page
    first = person.open(BELL)
    shown = [f"Number {number}." in first.response.text for number in range(25)]
    assert shown == [False] * 5 + [True] * 20
    older = person.open(f"{BELL}?before={told(person)['items'][0]['id'][:8]}")
    assert "Number 24." in older.response.text
    query = first.response.text.partition('href="/profile/notifications?')[2].partition('"')[0]
    page = person.open(f"{BELL}?{query}")
    assert "Number 4." in page.response.text
    assert "Number 5." not in page.response.text.partition("<main")[2]
    assert ">Newest</a>" in page.response.text
    for odd in ("\0", "x" * 9000, "%F0", "' OR 1=1"):
        assert person.client.get(BELL, base_url=person.issuer, query_string={"before": odd}).status_code == 200


@ON_SQLITE
def test_looking_by_itself_keeps_nobody_signed_in(service: Service) -> None:
    """ASVS 7.3.1: idle time is of the person, not of a page left open. Signed out it is 401, and no page."""
    service.member(service.account())
    person = signed_in(service)
    for _ in range(3):
        service.pass_time(minutes=9)
        assert told(person) == {"unread": 0, "items": []}
    service.pass_time(minutes=4)
    assert told(person) == 401
    assert told(service.person()) == 401


@ON_SQLITE
def test_marking_seen_is_ones_own_and_no_other_sites(service: Service) -> None:
    """A form token, and the bell of the account one is in; another person's is left alone (TN-08, LG-12)."""
    account = service.account()
    dana, priya = service.member(account), service.member(account, "priya@northgate.example")
    ring(service, dana, "Hers.")
    mine, hers = signed_in(service), signed_in(service, "priya@northgate.example")
    newest = told(mine)["items"][0]["id"]
    token = hers.open("/profile").response.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert hers.post(SEEN, {"csrf_token": token, "up_to": newest}).status_code == 204
    assert mine.post(SEEN, {"up_to": newest}).status_code == 400
    assert told(mine)["unread"] == 1
    token = mine.open("/profile").response.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    for odd in ("", "\0", "x" * 9000):
        assert mine.post(SEEN, {"csrf_token": token, "up_to": odd}).status_code == 400
    assert mine.post(SEEN, {"csrf_token": token, "up_to": newest}).status_code == 204
    assert told(mine)["unread"] == 0
    ring(service, priya, "Not for Dana.")
    assert told(mine)["unread"] == 0


@ON_SQLITE
def test_the_bell_costs_one_statement_and_says_no_more_than_text(service: Service) -> None:
    """However many there are; what a service sent is text, in the page and in the JSON (PL-03)."""
    dana = service.member(service.account())
    person = signed_in(service)
    person.open("/profile")
    with statements(service) as few:
        person.open("/profile")
    assert sum("notification" in sent for sent in few) == 1
    for number in range(9):
        ring(service, dana, f"<img src=x onerror=alert({number})>")
    with statements(service) as many:
        page = person.open("/profile").response.text
    assert len(many) == len(few)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert 'href="https://portal.ims.test/x?a=1&amp;b=2"' in page
    answer = person.client.get(LATEST, base_url=person.issuer)
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("application/json", "nosniff")
    assert len(json.loads(answer.data)["items"]) == 5
