"""Recovery codes on two real connections: ten, once each, and only their digests are kept."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import select

from authsvc.accounts.models import Membership
from authsvc.audit import Event
from authsvc.mfa.enrolment import OwnCode
from authsvc.mfa.models import AuthenticatorApp, RecoveryCode
from authsvc.mfa.recovery_codes import ALPHABET, clean
from tests.support.journey import CHROME
from tests.support.service import DANA, Service

ACCEPTED, WRONG, SPENT = OwnCode


@pytest.fixture
def dana(service: Service) -> Membership:
    """Somebody with an app."""
    member, now = service.member(service.account(mfa="totp")), service.clock.now()
    with service.services.database.transaction() as tx:
        tx.add(AuthenticatorApp(user_id=member.user_id, secret_sealed="-", created_at=now, confirmed_at=now))
    return member


def make(service: Service, dana: Membership) -> tuple[str, ...]:
    """Ten new ones."""
    with service.services.database.transaction() as tx:
        return service.services.recovery_codes.make(tx, dana.user_id, account_id=dana.account_id)


def use(service: Service, dana: Membership, typed: str) -> OwnCode:
    """Spend one."""
    with service.services.database.transaction() as tx:
        return service.services.recovery_codes.use(
            tx, dana.user_id, typed=typed, account_id=dana.account_id, browser=CHROME
        )


def left(service: Service, dana: Membership) -> int:
    """How many there are."""
    with service.services.database.transaction() as tx:
        return service.services.recovery_codes.left(tx, dana.user_id)


def test_there_are_ten_of_sixty_bits(service: Service, dana: Membership) -> None:
    """Twelve of 32 characters each, in three groups, none like another."""
    codes = make(service, dana)
    assert len(set(codes)) == 10
    for code in codes:
        assert [len(part) for part in code.split("-")] == [4, 4, 4]
        assert set(code) <= {*ALPHABET, "-"}
    assert len(ALPHABET) ** 12 == 2**60


def test_each_works_once(service: Service, dana: Membership) -> None:
    """The second time it is said to be used; another one works."""
    codes = make(service, dana)
    assert use(service, dana, codes[0]) is ACCEPTED
    assert use(service, dana, codes[0]) is SPENT
    assert use(service, dana, codes[1]) is ACCEPTED
    assert use(service, dana, "0000-0000-0000") is WRONG
    assert left(service, dana) == 8
    assert [event.fields["left"] for event in service.events(Event.RECOVERY_CODE_USED)] == [9, 8]


def test_mf_06_of_two_uses_at_once_one_wins(service: Service, dana: Membership) -> None:
    """Two connections, one code."""
    code = make(service, dana)[0]
    outcomes = service.at_once(*[lambda: use(service, dana, code)] * 5)
    assert Counter(outcomes) == {ACCEPTED: 1, SPENT: 4}
    assert left(service, dana) == 9


def test_new_ones_void_the_old(service: Service, dana: Membership) -> None:
    """All of them, used or not."""
    old = make(service, dana)
    new = make(service, dana)
    assert use(service, dana, old[3]) is WRONG
    assert use(service, dana, new[3]) is ACCEPTED


def test_two_who_make_new_ones_at_once_leave_ten(service: Service, dana: Membership) -> None:
    """A double press: one list counts, the other is void as a whole."""
    lists = service.at_once(*[lambda: make(service, dana)] * 3)
    assert left(service, dana) == 10
    outcomes = [use(service, dana, codes[0]) for codes in lists]
    assert Counter(outcomes) == {ACCEPTED: 1, WRONG: 2}


def test_they_are_kept_as_digests_bound_to_their_person(service: Service, dana: Membership) -> None:
    """A copy of the database is no list of codes; and one person's code is nothing for another."""
    codes = make(service, dana)
    stored = service.everything_stored()
    for code in codes:
        assert code not in stored
        assert code.replace("-", "") not in stored
    priya = service.member(service.account("westgate"), "priya@westgate.example")
    assert use(service, priya, codes[0]) is WRONG
    with service.services.database.transaction() as tx:
        assert len(tx.scalars(select(RecoveryCode).where(RecoveryCode.used_at.is_(None))).all()) == 10


def test_the_person_is_told_of_each_use_and_when_few_are_left(service: Service, dana: Membership) -> None:
    """How many are left; from three on, what to do about it."""
    for code in make(service, dana):
        assert use(service, dana, code) is ACCEPTED
    service.deliver()
    mails = [mail.text for mail in service.emails.to(DANA)]
    assert len(mails) == 10
    assert "9 are left." in mails[0]
    assert ["Make new ones" in mail for mail in mails] == [False] * 6 + [True] * 4
    assert "3 are left. Make new ones in My Profile, under Security." in mails[6]
    assert "1 is left." in mails[8]
    assert "0 are left." in mails[9]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("4k7m-9xqp-2wtz", "4k7m9xqp2wtz"),
        (" 4K7M 9XQP 2WTZ\n", "4k7m9xqp2wtz"),
        ("ooil-9xqp-2wtz", "00119xqp2wtz"),
        ("4k7m-9xqp-2wt", None),
        ("4k7m-9xqp-2wtzz", None),
        ("4k7m-9xqp-2wtu", None),
        ("４k7m9xqp2wtz", None),
        ("\0" * 12, None),
        ("\ud800" * 12, None),
        ("", None),
        ("4k7m9xqp2wtz" * 1000, None),
    ],
)
def test_a_code_is_read_however_it_was_typed(typed: str, read: str | None) -> None:
    """Capitals, spaces, an O for a zero; nothing else passes for a code (security.md MF-23)."""
    assert clean(typed) == read
