"""Wrong passwords (security.md LG-03, LG-04, LG-06 and section 5): how many are compared, for whom, from where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from authsvc.audit import Event
from authsvc.clock import FixedClock
from authsvc.crypto.passwords import Passwords
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service, make_ring

GUESS = "not the password of dana"
#: 4:31 PM in New York; ten at once, then a pause of half a minute.
AGAIN = "You can try again at 4:31:30 PM EST, or choose a new password now."


def guess(service: Service, email: str = DANA, *, address: str, password: str = GUESS) -> Person:
    """One try from a browser and an address of its own."""
    person = service.person(address=address)
    service.sign_in(person, email, password=password)
    return person


def exhaust(service: Service, email: str = DANA) -> list[int]:
    """Ten wrong passwords, each from elsewhere."""
    return [guess(service, email, address=f"203.0.113.{number}").here.status for number in range(10)]


@pytest.mark.parametrize("email", [DANA, "nobody@northgate.example"])
def test_the_eleventh_wrong_password_is_not_compared(service: Service, email: str) -> None:
    """429 with Retry-After and a clock time; the same for an address that nobody has, else 429 would mean "exists"."""
    service.member(service.account())
    assert exhaust(service, email) == [401] * 10
    person = guess(service, email, address="203.0.113.99")
    assert person.here.status == 429
    assert int(person.here.response.headers["Retry-After"]) == 30
    assert f"Too many tries. {AGAIN}" in person.here.text
    assert person.here.title.startswith("Error: Sign in")
    assert person.here.forms[0].fields["email"] == email
    assert GUESS not in person.here.response.text
    assert service.events()[-1].name == Event.SIGN_IN_THROTTLED


def test_the_throttled_page_is_the_same_for_an_unknown_address(service: Service) -> None:
    """Byte for byte, but for the address that was typed and random values."""
    pages = []
    service.member(service.account())
    for email in (DANA, "dona@northgate.example"):
        exhaust(service, email)
        page = guess(service, email, address="203.0.113.99").here
        token = page.forms[0].fields["csrf_token"]
        pages.append(page.response.text.replace(token, "").replace(email, ""))
    assert pages[0] == pages[1]


def test_while_throttled_the_right_password_is_not_compared_either(service: Service) -> None:
    """A pause that the right guess ends would tell the guesser that it was right."""
    service.member(service.account())
    exhaust(service)
    assert guess(service, address="203.0.113.99", password=PASSWORD).here.status == 429
    service.pass_time(seconds=30)
    person = guess(service, address="203.0.113.99", password=PASSWORD)
    assert person.here.h1 == "You’re signed in"


def test_a_success_does_not_count(service: Service) -> None:
    """Failures are counted, not sign-ins: one who signs in all day is never asked to wait (security.md 5)."""
    service.member(service.account())
    for number in range(12):
        person = guess(service, address=f"203.0.113.{number}", password=PASSWORD)
        assert person.here.h1 == "You’re signed in"


def test_lg_03_spellings_of_one_address_share_one_counter(service: Service) -> None:
    """Case, blanks and compatibility forms do not multiply the tries."""
    service.member(service.account())
    spellings = (DANA, DANA.upper(), f"  {DANA} ", "Ｄana@northgate.example", "dana@Northgate.Example")
    found = [guess(service, spellings[number % 5], address=f"203.0.113.{number}").here.status for number in range(11)]
    assert found == [401] * 10 + [429]


def test_lg_06_a_stranger_cannot_lock_the_owner_out(service: Service) -> None:
    """A browser the person has used before has a lane of its own; a stranger's has not, whatever cookie it makes up."""
    service.member(service.account())
    dana = service.person()
    service.sign_in(dana)
    dana.open("/sign-out")
    dana.submit()
    exhaust(service)
    assert guess(service, address="203.0.113.99", password=PASSWORD).here.status == 429
    stranger = service.person(address="203.0.113.98")
    stranger.client.set_cookie("__Host-browser", "made-up", domain="login.ims.test", secure=True, path="/")
    service.sign_in(stranger)
    assert stranger.here.status == 429
    service.sign_in(dana)
    assert dana.here.h1 == "You’re signed in"


def test_lg_06_the_lane_of_a_known_browser_is_no_wider(service: Service) -> None:
    """Ten wrong passwords there too, counted apart."""
    service.member(service.account())
    dana = service.person()
    service.sign_in(dana)
    dana.open("/sign-out")
    dana.submit()
    found = []
    for number in range(11):
        dana.address = f"203.0.113.{number}"
        dana.open("/sign-in")
        found.append(dana.submit(email=DANA, password=GUESS).status)
    assert found == [401] * 10 + [429]
    assert guess(service, address="203.0.113.99", password=PASSWORD).here.h1 == "You’re signed in"


def test_one_address_has_twenty_wrong_passwords_in_five_minutes(service: Service) -> None:
    """Whoever they are for; another address goes on (security.md 5)."""
    found = [
        guess(service, f"somebody{number}@northgate.example", address="203.0.113.7").here.status for number in range(21)
    ]
    assert found == [401] * 20 + [429]
    throttled = guess(service, "another@northgate.example", address="203.0.113.7").here
    assert "Too many tries. You can try again at 4:36 PM EST, or choose a new password now." in throttled.text
    assert int(throttled.response.headers["Retry-After"]) == 300
    assert guess(service, "another@northgate.example", address="203.0.113.8").here.status == 401
    # One home network of IPv6 is one address (LG-05).
    for number in range(20):
        guess(service, f"person{number}@northgate.example", address=f"2001:db8:1:2::{number + 1}")
    assert guess(service, "another@northgate.example", address="2001:db8:1:2:ffff::1").here.status == 429
    assert guess(service, "another@northgate.example", address="2001:db8:1:3::1").here.status == 401


class Counting(Passwords):
    """Passwords that count comparisons; list.append is atomic."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, iterations=1, parallelism=1)
        self.compared: list[str] = []

    def verify(self, stored: str, password: str) -> bool:
        """Note it, and compare."""
        self.compared.append(password)
        return super().verify(stored, password)


@pytest.fixture
def busy_service(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Service]:
    """A service that takes forty requests at once."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=60)
    yield service
    service.dispose()


def test_lg_04_of_two_hundred_parallel_guesses_ten_are_compared(busy_service: Service) -> None:
    """The slot of the limit is taken before the hash is computed, so parallel guesses do not outrun it."""
    service = busy_service
    service.member(service.account())
    passwords = Counting()
    service.answer_with(passwords=passwords)
    opened = service.person()
    form = opened.open("/sign-in").forms[0].fields
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in opened.client._cookies.values())

    def guesses(part: int) -> list[int]:
        browser = Client(service.app, use_cookies=False)
        return [
            browser.post(
                "/sign-in",
                base_url=opened.issuer,
                data={**form, "email": DANA, "password": f"{GUESS} {part} {number}"},
                headers={"Cookie": cookies},
                environ_base={"REMOTE_ADDR": f"203.0.113.{5 * part + number}"},
            ).status_code
            for number in range(5)
        ]

    found = service.at_once(*(lambda part=part: guesses(part) for part in range(40)))
    statuses = Counter(status for thread in found for status in thread)
    # A database that is too busy answers 503, which compares nothing either.
    assert statuses.keys() <= {401, 429, 503}
    assert statuses.total() == 200
    assert statuses[401] <= len(passwords.compared) <= 10
    assert statuses[429] > 100
