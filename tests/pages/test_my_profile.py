"""My Profile > Details (ux.md S16): name and time zone, and nothing else that a form may hold."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import Account, Membership
from tests.pages.test_what_pages_cost import assert_headers, statements
from tests.support.journey import Person
from tests.support.profile import NEW, enter, stored
from tests.support.service import DANA, PASSWORD, Service


@pytest.fixture
def account(service: Service) -> Account:
    """Northgate, which asks for no codes."""
    return service.account(mfa="")


@pytest.fixture
def dana(service: Service, account: Account) -> Person:
    """Signed in."""
    service.member(account)
    return enter(service)


def test_the_page_shows_who_they_are(dana: Person) -> None:
    """Name, time zone, email with its pill, and both tabs."""
    page = dana.open("/profile")
    assert page.title == "Details – Northgate Capital Partners"
    assert page.forms[0].fields["name"] == "Dana"
    assert page.forms[0].fields["time_zone"] == ""
    assert "Same as the account (America/New York)" in page.text
    assert f"{DANA} Verified" in page.text
    assert page.links["Details"] == "/profile"
    assert page.links["Security"] == "/profile/security"
    assert page.links["Change email"] == "/profile/email"


def test_name_and_time_zone_are_saved(dana: Person, service: Service) -> None:
    """And the trail says which of them changed."""
    dana.open("/profile")
    page = dana.submit(name=" Dana Whitfield ", time_zone="America/Chicago")
    assert "Saved." in page.text
    assert "DW" in page.text
    assert (stored(service).name, stored(service).time_zone) == ("Dana Whitfield", "America/Chicago")
    assert service.events("member.changed")[-1].fields == {"fields": ["name", "time_zone"]}
    dana.submit(name="Dana Whitfield", time_zone="")
    assert stored(service).time_zone is None


def test_times_are_in_the_persons_own_zone(dana: Person) -> None:
    """ux.md, rule 11: the person's zone, falling back to the account's."""
    assert "today, 4:31 PM EST" in dana.open("/profile/security").text
    dana.open("/profile")
    dana.submit(time_zone="Asia/Tokyo")
    assert "today, 6:31 AM JST" in dana.open("/profile/security").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "  "}, "Enter your name"),
        ({"name": "D" * 201}, "Names have 200 characters at most."),
        ({"name": "Dana\x00"}, "Enter your name in letters"),
        ({"name": "Dana\u202e"}, "Enter your name in letters"),
        ({"time_zone": "Mars/Olympus"}, "Choose a time zone from the list"),
        ({"time_zone": "../../etc/passwd"}, "Choose a time zone from the list"),
        ({"time_zone": "\x00"}, "Choose a time zone from the list"),
    ],
)
def test_a_bad_value_is_said_and_nothing_is_saved(
    dana: Person, service: Service, typed: dict[str, str], said: str
) -> None:
    """422; what was typed stays, and the error stands first."""
    dana.open("/profile")
    page = dana.submit(**{"name": "Somebody Else", **typed})
    assert (page.status, page.title.startswith("Error: ")) == (422, True)
    assert said in page.text
    assert page.forms[0].fields["name"] == typed.get("name", "Somebody Else").strip()
    assert stored(service).name == "Dana"


def test_tn03_nothing_but_name_and_time_zone_is_taken(dana: Person, service: Service, account: Account) -> None:
    """TN-03: what else a form holds is ignored, whatever it is called."""
    before = stored(service).memberships[0]
    form = dana.open("/profile").forms[0].fields
    forged = {
        "sensitive_data_access": "1",
        "role": "admin",
        "account_id": "x",
        "id": "x",
        "email": NEW,
        "email_verified": "1",
        "acr": "urn:ims:acr:two-factor",
        "phone": "+15125550199",
        "password_hash": "x",
        "sensitive_acts_from": "",
        "verified_at": "2026-01-01",
        "security_epoch": "9",
    }
    assert dana.post("/profile", {**form, **forged, "name": "Dana W"}).status_code == 303
    with service.services.database.transaction(read_only=True) as tx:
        after = tx.get_one(Membership, before.id)
        columns = [column.key for column in Membership.__table__.columns]
        assert {c: getattr(after, c) for c in columns} == {c: getattr(before, c) for c in columns}
        assert (after.user.email.address, after.user.phone.e164) == (DANA, "+15125550142")
    assert stored(service).name == "Dana W"


def test_a_form_from_before_the_password_was_shown_again_keeps_what_was_typed(dana: Person, service: Service) -> None:
    """Rule 6: another tab confirmed the password meanwhile, which gave the session a new secret (LG-10)."""
    form = dana.open("/profile").forms[0].fields
    service.pass_time(minutes=16)
    dana.open("/profile/email")
    dana.submit(password=PASSWORD)
    answer = dana.post("/profile", {**form, "name": "Dana Whitfield"})
    assert answer.status_code == 400
    assert "This page was open too long. Nothing was changed." in answer.text
    assert 'value="Dana Whitfield"' in answer.text
    assert stored(service).name == "Dana"


def test_a_forged_form_is_refused_without_a_word_of_it(dana: Person, service: Service) -> None:
    """LG-12: no token, and what an attacker wrote is not shown in our form."""
    answer = dana.post("/profile", {"name": "Mallory was here"})
    assert (answer.status_code, "Mallory" in answer.text) == (400, False)
    form = dana.open("/profile").forms[0].fields
    answer = dana.post("/profile", {**form, "name": "Mallory was here"}, Origin="https://evil.example")
    assert (answer.status_code, "Mallory" in answer.text) == (400, False)
    nobody = service.person().post("/profile", {**form, "name": "Mallory was here"})
    assert (nobody.status_code, "Mallory" in nobody.text) == (400, False)
    assert stored(service).name == "Dana"


def test_whoever_is_not_signed_in_signs_in_first(service: Service, account: Account) -> None:
    """And comes back to the page."""
    service.member(account)
    person = service.person()
    assert person.open("/profile/security/password").h1 == "Sign in"
    assert person.submit(email=DANA, password=PASSWORD).h1 == "Change your password"


def test_every_page_has_the_strict_headers(dana: Person) -> None:
    """No inline code, nothing kept, no form that ends elsewhere."""
    for path in ("/profile", "/profile/security", "/profile/email", "/profile/security/password"):
        assert_headers(dana.open(path).response)


def test_what_each_page_asks_of_the_database(dana: Person, service: Service, account: Account) -> None:
    """A handful of statements, however many devices and sessions and colleagues there are."""
    counts = {}
    for path in ("/profile", "/profile/security", "/profile/email", "/profile/security/password"):
        with statements(service) as sent:
            dana.open(path)
        counts[path] = len(sent)
    for number in range(5):
        service.member(account, f"person{number}@northgate.example")
        enter(service)
    with statements(service) as sent:
        dana.open("/profile/security")
    assert len(sent) == counts["/profile/security"]
    bounds = {"/profile": 4, "/profile/security": 6, "/profile/email": 4, "/profile/security/password": 4}
    assert {path: n for path, n in counts.items() if n > bounds[path]} == {}, counts
