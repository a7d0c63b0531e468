"""The password page (ux.md S1): what it says, to whom, and what it never gives away."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.crypto.passwords import Passwords
from tests.support.databases import ON_SQLITE
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service

pytestmark = ON_SQLITE

LONG = "quiet harbor " * 19 + "maple lan"


class Counting(Passwords):
    """Passwords that note each comparison: with which hash."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, iterations=1, parallelism=1)
        self.compared: list[str] = []

    def verify(self, stored: str, password: str) -> bool:
        """Note it, and compare."""
        self.compared.append(stored)
        return super().verify(stored, password)


def counted(service: Service) -> Counting:
    """Let the service compare through a counter."""
    passwords = Counting()
    service.answer_with(passwords=passwords)
    return passwords


def post_password(service: Service, password: str | bytes, *, email: str = DANA) -> TestResponse:
    """A try from a fresh browser, nothing followed."""
    person = service.person()
    csrf = person.open("/sign-in").forms[0].fields["csrf_token"]
    return person.client.post(
        "/sign-in", base_url=person.issuer, data={"email": email, "password": password, "csrf_token": csrf}
    )


def without_nonces(answer: TestResponse) -> tuple[int, list[tuple[str, str]], str]:
    """Everything of an answer but what is random in every one of them: tokens, which are not all of one length, and ids."""
    body = re.sub(r'(name="csrf_token" value=")[^"]+', r"\1", answer.text)
    headers = [
        (name, re.sub(r"=[^;]+", "=", value, count=1) if name == "Set-Cookie" else value)
        for name, value in answer.headers
        if name not in ("X-Request-Id", "Content-Length")
    ]
    return answer.status_code, headers, body


def change_member(service: Service, member: Membership, change: Callable[[Membership], object]) -> None:
    """Put somebody into another state."""
    with service.services.database.transaction() as tx:
        change(tx.get_one(Membership, member.id))


def test_lg_01_every_refusal_is_the_same_whatever_was_wrong(service: Service) -> None:
    """Unknown, wrong, invited, deactivated, unverified, closed: byte-equal apart from random values (ASVS 6.3.8)."""
    unknown = post_password(service, "not the password of dana")
    dana = service.member(service.account())
    refused = {"wrong": post_password(service, "not the password of dana")}
    now = service.clock.now()
    changes: dict[str, Callable[[Membership], object]] = {
        "unverified": lambda m: setattr(m.user.email, "verified_at", None),
        "deactivated": lambda m: setattr(m, "deactivated_at", now),
        "closed": lambda m: setattr(m.account, "closed_at", now),
        "invited": lambda m: setattr(m, "accepted_at", None),
    }
    for name, change in changes.items():
        change_member(service, dana, change)
        refused[name] = post_password(service, "not the password of dana")
    refused["invited, right password"] = post_password(service, PASSWORD)
    change_member(service, dana, lambda m: setattr(m.user, "password_hash", None))
    refused["no password yet"] = post_password(service, PASSWORD)
    for name, answer in refused.items():
        assert without_nonces(answer) == without_nonces(unknown), name
    assert unknown.status_code == 401
    assert "We couldn’t sign you in" in unknown.text
    assert "Check your email and password, then try again." in unknown.text


def test_lg_02_an_unknown_address_costs_one_comparison_of_the_same_costs(service: Service) -> None:
    """A hash of a password nobody has is verified, so that time says nothing either."""
    service.member(service.account())
    passwords = counted(service)
    post_password(service, "not the password of dana")
    post_password(service, "not the password of dana", email="nobody@northgate.example")
    known, unknown = passwords.compared
    assert known != unknown
    assert [stored.split("$")[1:4] for stored in (known, unknown)] == [["argon2id", "v=19", "m=8,t=1,p=1"]] * 2


def test_the_trail_tells_apart_what_the_page_does_not(service: Service) -> None:
    """Every refused authentication is a row, with its reason and never an address."""
    service.member(service.account())
    service.member(service.account("westgate"), "ines@westgate.example", accepted=False)
    for email in (DANA, "nobody@northgate.example", "ines@westgate.example"):
        post_password(service, PASSWORD if email.startswith("ines") else "not the password", email=email)
    rows = service.events(Event.PASSWORD_WRONG)
    assert [row.fields["reason"] for row in rows] == ["wrong", "unknown_person", "invitation_not_accepted"]
    assert "northgate.example" not in str([row.fields for row in rows])


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("deactivated_at", "Your access to Northgate was turned off. Ask an account admin."),
        ("closed_at", "Northgate’s account is closed. Email support@imscre.com."),
    ],
)
def test_why_somebody_may_not_enter_is_said_after_the_right_password_only(
    service: Service, end: str, words: str
) -> None:
    """ux.md S1. Told to whoever proved the password; nobody is signed in."""
    dana = service.member(service.account())
    now = service.clock.now()
    change_member(service, dana, lambda m: setattr(m if hasattr(m, end) else m.account, end, now))
    person = service.person()
    service.sign_in(person, password="not the password of dana")
    assert words not in person.here.text
    person.submit(email=DANA, password=PASSWORD)
    assert (person.here.status, words in person.here.text) == (403, True)
    assert person.cookie("sid") is None
    assert PASSWORD not in person.here.response.text


def test_a_link_of_another_account_names_the_reason_to_its_owner(service: Service) -> None:
    """`?account=` of an account the person does not belong to; said after the right password only."""
    service.member(service.account())
    service.account("westgate")
    person = service.person()
    service.sign_in(person, account="westgate", password="not the password of dana")
    assert person.here.status == 401
    person.submit(email=DANA, password=PASSWORD)
    assert person.here.status == 403
    assert "This sign-in doesn’t belong to that account." in person.here.text


MISSHAPEN = [
    ("", "", ["Enter your email address", "Enter your password"]),
    ("   ", PASSWORD, ["Enter your email address"]),
    (DANA, "", ["Enter your password"]),
    ("dana", PASSWORD, ["Enter an email address like name@company.com"]),
    ("dana@", PASSWORD, ["Enter an email address like name@company.com"]),
    ("da na@northgate.example", PASSWORD, ["Enter an email address like name@company.com"]),
    ("a@b@c", PASSWORD, ["Enter an email address like name@company.com"]),
    ("dana\r\n@northgate.example", PASSWORD, ["Enter an email address like name@company.com"]),
    ("d" * 65 + "@northgate.example", PASSWORD, ["Enter an email address like name@company.com"]),
    (DANA, LONG + "x" * 30, ["Passwords have 256 characters at most. This one is longer."]),
]


def test_a_field_that_is_empty_or_misshapen_is_named_and_nothing_is_compared(service: Service) -> None:
    """Both messages at once; what was typed stays, but for the password (rule 8)."""
    passwords = counted(service)
    person = service.person()
    person.open("/sign-in")
    for email, password, errors in MISSHAPEN:
        page = person.submit(email=email, password=password)
        assert page.status == 422
        assert page.title.startswith("Error: ")
        for error in errors:
            assert page.text.count(error) == 2  # in the summary and at the field
        assert page.forms[0].fields["email"] == email.strip()
        assert page.forms[0].fields["password"] == ""
        assert not password or password not in page.response.text
    assert passwords.compared == []


def test_a_refusal_keeps_the_address_and_never_the_password(service: Service) -> None:
    """Also where the address would break out of its attribute."""
    person = service.person()
    service.sign_in(person, '"><b>dana@northgate.example', password="not the password of dana")
    assert person.here.status == 401
    assert person.here.forms[0].fields["email"] == '"><b>dana@northgate.example'
    assert "<b>" not in person.here.response.text
    assert "not the password of dana" not in person.here.response.text


def test_lg_09_a_megabyte_of_password_is_refused_before_hashing(service: Service) -> None:
    """Work for us and none for the sender: the body is not even read to its end (PL-02)."""
    service.member(service.account())
    passwords = counted(service)
    assert post_password(service, "x" * 257).status_code == 422
    answer = post_password(service, "x" * 2**20)
    assert answer.status_code == 413
    assert "That was too much at once" in answer.text
    assert passwords.compared == []


def test_lg_09_the_longest_password_works_whole(service: Service) -> None:
    """256 characters, each of which counts; a space at the end is one of them."""
    assert len(LONG) == 256
    service.member(service.account(), password=LONG)
    assert [post_password(service, typed).status_code for typed in (LONG[:-1], LONG[:-1] + "m", LONG)] == [
        401,
        401,
        303,
    ]


@pytest.mark.parametrize(
    "password", ["quiet harbor maple  ", " quiet harbor maple", "quiet\0harbor\0maple", "тихая гавань клён"]
)
def test_lg_09_a_password_is_taken_as_it_is_typed(service: Service, password: str) -> None:
    """Not stripped, not cut at a NUL, not folded."""
    service.member(service.account(), password=password)
    for other in (password.strip(), password.partition("\0")[0], password.upper()):
        if other != password:
            assert post_password(service, other).status_code == 401
    assert post_password(service, password).status_code == 303


def test_lg_09_bytes_that_are_no_text_are_a_wrong_password(service: Service) -> None:
    """A lone surrogate, a broken sequence: refused like any other, and no crash."""
    service.member(service.account())
    for password in (b"\xed\xa0\x80 quiet harbor maple", b"\xff\xfe quiet harbor", b"%ud800"):
        assert post_password(service, password).status_code == 401


def test_a_costlier_hash_reaches_a_person_at_their_next_sign_in(service: Service) -> None:
    """ASVS 11.4.2: the password just proved is hashed anew, once; a wrong one changes nothing."""
    dana = service.member(service.account())

    def stored(tx: Session) -> str:
        return tx.get_one(User, dana.user_id).password_hash or ""

    cheaper = Passwords(memory_kib=16, iterations=1, parallelism=1).hash(PASSWORD)
    with service.services.database.transaction() as tx:
        tx.get_one(User, dana.user_id).password_hash = cheaper
    post_password(service, "not the password of dana")
    with service.services.database.transaction(read_only=True) as tx:
        assert stored(tx) == cheaper
    for _ in range(2):
        assert post_password(service, PASSWORD).status_code == 303
    with service.services.database.transaction(read_only=True) as tx:
        assert stored(tx).startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert len(service.events(Event.PASSWORD_REHASHED)) == 1


def test_one_person_has_one_address_however_it_is_typed(service: Service) -> None:
    """Case, blanks and compatibility forms are the same address (LG-03, RC-05)."""
    service.member(service.account())
    for typed in ("DANA@northgate.example", "  dana@northgate.example ", "Ｄana@northgate.example"):
        assert post_password(service, PASSWORD, email=typed).status_code == 303


def test_whatever_a_link_names_the_page_opens_or_says_why_not(service: Service) -> None:
    """Never a crash: an unknown account is nobody's brand, an unknown request is out of date."""
    for query in ("account=%00", "account=" + "a" * 300, "account=../..", "account=northgate%0d"):
        page = service.person().open(f"/sign-in?{query}")
        assert (page.status, page.title) == (200, "Sign in – IMS")
    for query in ("request=" + "%00" * 32, "request=x", "request=" + "0" * 32):
        page = service.person().open(f"/sign-in?{query}")
        assert (page.status, page.h1) == (410, "This link has expired")


def test_an_address_with_a_control_character_is_nobodys(service: Service) -> None:
    """PostgreSQL takes no NUL in a text: that is a refusal like any other, and no crash."""
    service.member(service.account())
    for email in ("d\0ana@northgate.example", "dana@northgate.example\0", "dana\x1b@northgate.example"):
        assert post_password(service, PASSWORD, email=email).status_code == 401


def test_whoever_is_signed_in_goes_on_at_once(service: Service) -> None:
    """Back to the sign-in page redirects to where the person belongs (rule 4)."""
    service.member(service.account())
    person = service.person()
    service.sign_in(person)
    assert person.open("/sign-in").h1 == "You’re signed in"
    assert "Northgate Capital Partners" in person.here.text
    person.open("/sign-out")
    person.submit()
    assert "You’re signed out." in person.here.text
    assert person.open("/").h1 == "Sign in"


def test_the_page_wears_the_accounts_name_where_the_link_names_it(service: Service) -> None:
    """Else it is neutral IMS (S1 branding)."""
    service.account()
    person: Person = service.person()
    assert person.open("/sign-in").title == "Sign in – IMS"
    assert person.open("/sign-in", account="northgate").title == "Sign in – Northgate Capital Partners"


def test_no_row_is_written_for_a_page_that_is_only_opened(service: Service) -> None:
    """Scanners and link previews leave nothing behind (security.md 5, unauthenticated growth)."""
    account = service.account()
    before = service.everything_stored()
    service.person().open("/sign-in", account=account.slug)
    service.person().open("/sign-in/code")
    assert service.everything_stored() == before
