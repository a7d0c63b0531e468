"""What the sign-in page says at first (ux.md S1), and after a hundred wrong passwords (security.md 5, LG-01, LG-06)."""

from __future__ import annotations

import pytest

from tests.support.databases import ON_SQLITE
from tests.support.links import NEW_PASSWORD, newest_link
from tests.support.service import DANA, ISSUER, PASSWORD, Service

pytestmark = ON_SQLITE

NOBODY = "nobody@northgate.example"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/profile/exports?page=2", "Exports"),
        ("/profile", "My Profile"),
        ("/admin/settings", "Admin Settings"),
        ("/admin/investors", "Investor Settings"),
    ],
)
def test_it_says_where_the_person_was_going(service: Service, path: str, place: str) -> None:
    """Known places of ours alone: what a link says is never repeated."""
    page = service.person().open("/sign-in", **{"continue": path})
    assert f"Sign in to continue to {place}." in page.text


@pytest.mark.parametrize("path", ["/nowhere", "/profilex", "//evil.example/profile", "https://evil.example/profile"])
def test_of_other_places_it_says_nothing(service: Service, path: str) -> None:
    """Neither of what is no place of ours."""
    assert "Sign in to continue" not in service.person().open("/sign-in", **{"continue": path}).text


def test_after_half_an_hour_of_nothing_it_says_why(service: Service) -> None:
    """Not after signing out, and not to a browser that never signed in."""
    service.member(service.account())
    person = service.person()
    service.sign_in(person)
    service.pass_time(minutes=30)
    said = "You were signed out because nothing happened for 30 minutes. Nothing was lost on the server."
    assert said in person.open("/").text
    service.sign_in(person)
    person.open("/sign-out")
    person.submit()
    assert said not in person.open("/sign-in").text
    assert said not in service.person().open("/sign-in").text


@pytest.mark.parametrize("path", ["/sign-in", "/forgot", "/reset"])
def test_blocked_cookies_are_said(service: Service, path: str) -> None:
    """S1 "No cookies": what to do, with the address kept; a form without cookies does nothing."""
    service.member(service.account())
    answer = service.machine().post(path, base_url=ISSUER, data={"email": DANA, "password": PASSWORD})
    assert answer.status_code == 400
    assert "Your browser is blocking cookies for this site. Allow them, then try again." in answer.text
    assert (DANA in answer.text) == (path == "/sign-in")
    assert service.deliver() == 0


def hundred(service: Service, email: str) -> None:
    """A hundred wrong passwords in a row, each after its pause and from elsewhere."""
    begin, clear = service.services.password_step.begin, service.services.password_step.confirm
    for _ in range(100):
        service.pass_time(hours=1)
        with service.services.database.transaction() as tx:
            begun = begin(tx, email, browser_secret=None)
        with service.services.database.transaction() as tx:
            clear(tx, begun, right=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("email", [DANA, NOBODY])
def test_lg_01_after_a_hundred_in_a_row_only_a_new_password_helps(service: Service, email: str) -> None:
    """The same words for an address that nobody has; the right password is not compared, tomorrow neither."""
    service.member(service.account())
    hundred(service, email)
    service.pass_time(days=1)
    person = service.person()
    service.sign_in(person, email)
    assert person.here.status == 429
    assert "Too many tries. Choose a new password to sign in again." in person.here.text
    assert person.here.links["Choose a new password"] == "/forgot"
    if email == DANA:
        person.open("/forgot")
        person.submit()
        person.open(newest_link(service, "reset"))
        person.submit(password=NEW_PASSWORD)
        person.submit(email=DANA, password=NEW_PASSWORD)
        assert person.here.h1 == "You’re signed in"


def test_lg_06_the_owners_browser_is_not_stopped_by_a_stranger(service: Service) -> None:
    """Its lane counts apart, to a hundred of its own."""
    service.member(service.account())
    dana = service.person()
    service.sign_in(dana)
    dana.open("/sign-out")
    dana.submit()
    hundred(service, DANA)
    service.sign_in(dana)
    assert dana.here.h1 == "You’re signed in"


def test_lg_08_confirming_shares_the_count(service: Service) -> None:
    """ "Confirm it's you" is no second chance at the password: its wrong ones are wrong ones of the sign-in."""
    service.member(service.account())
    person = service.person()
    service.sign_in(person)
    service.pass_time(minutes=20)
    for _ in range(10):
        person.open("/confirm", **{"for": "phone", "continue": "/"})
        assert person.submit(password="not the password of dana").status == 401
    page = person.submit(password=PASSWORD)
    assert page.status == 429
    assert "Too many tries. You can try again at" in page.text
    service.sign_in(service.person(address="203.0.113.4"))
    person.open("/sign-out")
    person.submit()
    service.sign_in(person)
    assert person.here.status == 429
