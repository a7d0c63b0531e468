"""Admin Settings > Sign-in activity (ux.md S24): the account's own team, in words, and nothing of anybody else."""

from __future__ import annotations

import re

import pytest

from authsvc.accounts.models import User
from authsvc.admin.activity_words import LEFT_OUT, WORDS, describe
from authsvc.audit import Event
from tests.support.journey import Page
from tests.support.service import DANA, Service
from tests.support.team import PRIYA, admin, northgate

#: Of clients, keys and the installation: no member of an account did or suffered them.
OF_NO_MEMBER = ("client.", "resource_server.", "key.", "database.")


def lines(page: Page) -> list[str]:
    """Each row's text."""
    found = page.response.text.split("<tbody")[-1].split("<tr")[1:]
    return [" ".join(re.sub(r"<[^>]*>", " ", row.partition(">")[2]).split()) for row in found]


@pytest.mark.parametrize("event", list(Event), ids=str)
def test_every_event_of_a_member_has_words_or_is_left_out_on_purpose(event: Event) -> None:
    """One table; a new event is put in it or in the list."""
    of_nobody = event.value.startswith(OF_NO_MEMBER)
    assert (event.value in WORDS) + (event.value in LEFT_OUT) + of_nobody == 1
    if event.value in WORDS:
        assert describe(event.value, {}, "").strip()


def test_a_sign_in_is_told_with_how_and_where(service: Service) -> None:
    """ "Signed in with a code by text message", the browser, and the address in a smaller line."""
    account = service.account(mfa="email+sms")
    service.member(account, DANA, role="admin")
    dana = service.person(address="203.0.113.9")
    service.sign_in(dana)
    dana.submit(method="sms")
    dana.submit(code=service.code_for("+15125550142"), remember="1")
    found = lines(dana.open("/admin/activity"))
    assert "Nov 22, 2026, 4:31 PM EST Dana Signed in with a code by text message Chrome on macOS 203.0.113.9" in found
    dana.open("/sign-out")
    dana.submit()
    service.sign_in(dana)
    assert any("Signed in, remembered device" in line for line in lines(dana.open("/admin/activity")))


def test_wrong_passwords_and_codes_are_seen_and_unknown_addresses_never(service: Service) -> None:
    """S24."""
    account, _, dana = northgate(service)
    service.member(account, PRIYA)
    stranger = service.person()
    for email in (PRIYA, "nobody@northgate.example"):
        service.sign_in(stranger, email, password="wrong horse battery")
    page = dana.open("/admin/activity")
    assert sum("Priya Wrong password" in line for line in lines(page)) == 1
    assert sum("Wrong password" in line for line in lines(page)) == 1
    assert "nobody" not in page.text


def test_tn14_a_person_of_two_accounts_shows_codes_only_where_they_entered(service: Service) -> None:
    """The password is the person's, and shown in both; the sign-in and its codes are the account's."""
    one, _, dana = northgate(service)
    other = service.account("lakeside", mfa="email")
    service.member(other, "ola@lakeside.example", role="admin", phone=None)
    first = service.member(one, PRIYA)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, first.user_id)
    service.member(other, PRIYA, user=user)
    service.pass_time(seconds=1)
    priya = service.person()
    service.sign_in(priya, PRIYA, password="wrong horse battery")
    service.sign_in(priya, PRIYA, account="lakeside")
    priya.submit(code="000000")
    priya.submit(code=service.code_for(PRIYA))
    here = lines(dana.open("/admin/activity"))
    assert any("Wrong password" in line for line in here)
    assert not any("Priya" in line and ("Wrong code" in line or "Signed in" in line) for line in here)
    ola = service.person()
    service.sign_in(ola, "ola@lakeside.example")
    ola.submit(code=service.code_for("ola@lakeside.example"))
    there = lines(ola.open("/admin/activity"))
    for words in ("Wrong password", "Wrong code", "Signed in with a code by email"):
        assert any("Priya" in line and words in line for line in there), words


def test_what_happened_before_somebody_joined_is_not_told(service: Service) -> None:
    """An account learns of a person from when they are in it (RC-09)."""
    first = service.member(service.account("lakeside"), PRIYA)
    stranger = service.person()
    service.sign_in(stranger, PRIYA, password="wrong horse battery")
    service.pass_time(minutes=1)
    account, _, dana = northgate(service)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, first.user_id)
    service.member(account, PRIYA, user=user)
    assert not any("Wrong password" in line for line in lines(dana.open("/admin/activity")))


def test_tn01_only_this_accounts_rows(service: Service) -> None:
    """Nor by a filter that names somebody of another account."""
    other = service.account("lakeside")
    stranger = service.member(other, "ola@lakeside.example", role="admin", phone=None)
    admin(service, other, "ola@lakeside.example")
    _, _, dana = northgate(service)
    for page in (dana.open("/admin/activity"), dana.open("/admin/activity", person=stranger.user_id)):
        assert "ola" not in page.text.lower()
        assert page.status == 200


def test_filters_live_in_the_address_and_can_be_cleared(service: Service) -> None:
    """Person, kind, from, to; "Nothing matches. Clear filters"."""
    account, member, dana = northgate(service)
    service.member(account, PRIYA)
    service.sign_in(service.person(), PRIYA)
    service.sign_in(service.person(), PRIYA, password="wrong horse battery")
    page = dana.open("/admin/activity", person=member.user_id)
    assert {line.split(" EST ")[1].split()[0] for line in lines(page)} == {"Dana"}
    page = dana.open("/admin/activity", kind="failed")
    assert all("Wrong password" in line for line in lines(page))
    assert lines(dana.open("/admin/activity", **{"from": "2026-11-22", "to": "2026-11-22"}))
    page = dana.open("/admin/activity", to="2026-11-21")
    assert "Nothing matches" in page.text
    assert page.links["Clear filters"] == "/admin/activity"


def test_older_and_newer_lead_through_everything_once(service: Service) -> None:
    """Keyset paging: rows that come meanwhile move nothing."""
    account, _, dana = northgate(service)
    service.member(account, PRIYA)
    with service.services.database.transaction() as tx:
        for number in range(120):
            service.services.audit.record(tx, Event.PHONE_ADDED, account_id=account.id, ending=f"{number:03}")
    page, seen = dana.open("/admin/activity"), []
    assert "Newer" not in page.links
    while True:
        seen += [match for line in lines(page) for match in re.findall(r"ending in (\d{3})", line)]
        if "Older" not in page.links:
            break
        page = dana.open(page.links["Older"])
    assert seen == [f"{number:03}" for number in reversed(range(120))]
    back = dana.open(page.links["Newer"])
    assert len(lines(back)) == 50
    back = dana.open(back.links["Newer"])
    assert "Newer" not in back.links or not lines(dana.open(back.links["Newer"]))


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "to=2026-13-45",
        "from=0001-01-01",
        "to=9999-12-31",
        "person=\0",
        "kind=%ff",
        "before=-1",
        "after=9" * 30,
    ],
)
def test_whatever_stands_in_the_address_is_answered(service: Service, query: str) -> None:
    """A filter that says nothing is left out, and a date that is none is said."""
    _, _, dana = northgate(service)
    assert dana.open(f"/admin/activity?{query}").status == 200


def test_d32_only_admins_read_it(service: Service) -> None:
    """403 for everybody else."""
    account = service.account()
    service.member(account, DANA)
    assert admin(service, account).open("/admin/activity").status == 403
