"""What the page of the switch asks of the database, whatever the size of the account; and its headers."""

from __future__ import annotations

from tests.pages.test_what_pages_cost import assert_headers, statements
from tests.support.mfa_settings import SETTINGS, admin, choose
from tests.support.service import Service


def test_the_page_costs_a_handful_of_statements_for_few_and_for_many(service: Service) -> None:
    """The session, the switch, the pre-flight, the menu: nothing for each member."""
    account = service.account()
    person = admin(service, account)
    found = []
    for number in range(25):
        if number in (0, 24):
            with statements(service) as sent:
                person.open(SETTINGS)
            found.append(len(sent))
        service.member(account, f"p{number:02}@northgate.example", verified=bool(number % 2), password=None)
    assert found[0] == found[1] <= 6, found


def test_saving_costs_little_more(service: Service) -> None:
    """The lock, the permission, the check, the save, the trail, the mails."""
    account = service.account()
    person = admin(service, account)
    person.open(SETTINGS)
    with statements(service) as sent:
        choose(person, on=True)
    assert len(sent) <= 40, sent


def test_its_answers_have_the_strict_headers(service: Service) -> None:
    """200, 303, 403, 409 and 422 alike (ux.md section 4)."""
    account = service.account()
    person = admin(service, account)
    assert_headers(person.open(SETTINGS).response)
    assert_headers(choose(person, on=True, methods="").response)
    token = person.here.forms[0].fields["csrf_token"]
    for data in ({"mfa": "1", "methods": "email"}, {"methods": "email", "remember_device": "1", "revision": "1"}):
        assert_headers(person.post(SETTINGS, {"csrf_token": token, **data}))
    for path in ("/turn-off", "/sign-everyone-out"):
        assert_headers(person.open(SETTINGS + path).response)
