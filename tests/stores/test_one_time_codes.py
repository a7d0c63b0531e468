"""One-time codes on two real connections: what is counted, what is consumed, and for how long a code works."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from authsvc.accounts.models import Membership
from authsvc.jobs.models import Job
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes, clean
from authsvc.mfa.models import Challenge
from tests.support.service import DANA, DANAS_PHONE, Service

ACCEPTED, WRONG, SUPERSEDED, EXPIRED, EXHAUSTED, GONE = CodeOutcome


@pytest.fixture
def dana(service: Service) -> Membership:
    """Somebody to send codes to."""
    return service.member(service.account(mfa="email+sms"))


@pytest.fixture
def codes(service: Service) -> OneTimeCodes:
    """The store."""
    return service.services.codes


def issue(service: Service, dana: Membership, subject: str = "a sign-in", *, channel: str = "email") -> Challenge:
    """A code of its own transaction."""
    with service.services.database.transaction() as tx:
        return service.services.codes.issue(
            tx,
            subject,
            user_id=dana.user_id,
            account_id=dana.account_id,
            purpose="sign_in",
            channel=channel,
            target=DANA if channel == "email" else DANAS_PHONE,
        )


def check(service: Service, challenge: Challenge, typed: str) -> CodeCheck:
    """One try of its own transaction, committed."""
    with service.services.database.transaction() as tx:
        return service.services.codes.verify(tx, challenge.id, typed=typed)


def resend(service: Service, challenge: Challenge) -> bool:
    """One press of "Send a new code"."""
    with service.services.database.transaction() as tx:
        return service.services.codes.resend(tx, tx.get_one(Challenge, challenge.id))


def code_of(service: Service, challenge: Challenge) -> str:
    """The digits that the worker would send now."""
    with service.services.database.transaction(read_only=True) as tx:
        return service.services.codes.code(tx.get_one(Challenge, challenge.id))


def wrong(right: str, *, times: int = 1) -> list[str]:
    """Codes that are not `right`."""
    return [f"{(int(right) + step) % 1_000_000:06}" for step in range(1, times + 1)]


def test_a_right_code_is_accepted_once(service: Service, dana: Membership) -> None:
    """MF-06: the second time it is gone."""
    challenge = issue(service, dana)
    right = code_of(service, challenge)
    assert check(service, challenge, right) == CodeCheck(ACCEPTED, 4)
    assert check(service, challenge, right) == CodeCheck(GONE)


def test_mf_03_the_fifth_wrong_code_ends_the_challenge(service: Service, dana: Membership) -> None:
    """Each wrong one says how many tries are left; after the last the right one is refused too."""
    challenge = issue(service, dana)
    right = code_of(service, challenge)
    said = [check(service, challenge, typed) for typed in wrong(right, times=5)]
    assert said == [*(CodeCheck(WRONG, left) for left in (4, 3, 2, 1)), CodeCheck(EXHAUSTED)]
    assert check(service, challenge, right) == CodeCheck(EXHAUSTED)


def test_mf_04_of_two_hundred_parallel_tries_five_are_compared(service: Service, dana: Membership) -> None:
    """The UPDATE that counts the try comes before the comparison, so parallel guesses do not outrun it."""
    challenge = issue(service, dana)
    right = code_of(service, challenge)
    guesses = wrong(right, times=200)
    found = service.at_once(
        *(lambda part=part: [check(service, challenge, typed) for typed in guesses[part::8]] for part in range(8))
    )
    outcomes = Counter(each.outcome for thread in found for each in thread)
    assert outcomes == {WRONG: 4, EXHAUSTED: 196}
    assert check(service, challenge, right).outcome is EXHAUSTED
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(Challenge, challenge.id).tries == 5


@pytest.mark.parametrize("times", range(3))
def test_mf_06_of_parallel_right_codes_one_is_accepted(service: Service, dana: Membership, times: int) -> None:
    """Two replicas, two tabs, two presses: one of them consumes the code."""
    challenge = issue(service, dana)
    right = code_of(service, challenge)
    found = service.at_once(*[lambda: check(service, challenge, right).outcome] * 4)
    assert Counter(found) == {ACCEPTED: 1, GONE: 3}


def test_a_double_press_of_send_a_new_code_sends_one(service: Service, dana: Membership) -> None:
    """One UPDATE decides; the other press comes too soon."""
    challenge = issue(service, dana)
    service.pass_time(seconds=30)
    assert sorted(service.at_once(*[lambda: resend(service, challenge)] * 4)) == [False, False, False, True]
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(Challenge, challenge.id).counter == 2


def test_a_new_code_is_sent_half_a_minute_after_the_last(service: Service, dana: Membership) -> None:
    """29 s: not yet; 30 s: yes; and the wait begins again (domain D8)."""
    challenge = issue(service, dana)
    service.pass_time(seconds=29)
    assert not resend(service, challenge)
    service.pass_time(seconds=1)
    assert resend(service, challenge)
    assert not resend(service, challenge)


def test_a_new_code_voids_the_old_one_and_gives_no_try_back(service: Service, dana: Membership) -> None:
    """A new code SHALL NOT reset the count of failures (NIST SP 800-63B-4 3.1.3.2)."""
    challenge = issue(service, dana)
    old = code_of(service, challenge)
    assert check(service, challenge, wrong(old)[0]) == CodeCheck(WRONG, 4)
    service.pass_time(seconds=30)
    assert resend(service, challenge)
    new = code_of(service, challenge)
    assert check(service, challenge, old) == CodeCheck(SUPERSEDED, 3)
    assert check(service, challenge, new) == CodeCheck(ACCEPTED, 2)


def test_a_replaced_code_is_told_apart_only_while_tries_are_left(service: Service, dana: Membership) -> None:
    """An old code costs a try like any other, so it is no way to test codes for free."""
    challenge = issue(service, dana)
    old = code_of(service, challenge)
    service.pass_time(seconds=30)
    resend(service, challenge)
    said = [check(service, challenge, old).outcome for _ in range(6)]
    assert said == [SUPERSEDED, SUPERSEDED, SUPERSEDED, SUPERSEDED, EXHAUSTED, EXHAUSTED]


def test_nothing_is_sent_again_for_a_challenge_that_is_answered_or_void(
    service: Service, codes: OneTimeCodes, dana: Membership
) -> None:
    """What is over stays over."""
    answered, void = issue(service, dana, "one"), issue(service, dana, "another")
    check(service, answered, code_of(service, answered))
    with service.services.database.transaction() as tx:
        codes.void(tx, "another")
    service.pass_time(minutes=1)
    assert not resend(service, answered)
    assert not resend(service, void)


@pytest.mark.parametrize(("channel", "lifetime_s"), [("email", 600), ("sms", 300)])
def test_mf_07_a_code_works_for_its_lifetime_and_no_second_longer(
    service: Service, dana: Membership, channel: str, lifetime_s: int
) -> None:
    """Email 10 min, SMS 5 min (domain D8), counted from the sending of the newest."""
    early, late = issue(service, dana, "early", channel=channel), issue(service, dana, "late", channel=channel)
    service.pass_time(seconds=lifetime_s - 1)
    assert check(service, early, code_of(service, early)).outcome is ACCEPTED
    service.pass_time(seconds=2)
    assert check(service, late, code_of(service, late)) == CodeCheck(EXPIRED)


def test_mf_07_a_new_code_has_a_lifetime_of_its_own(service: Service, dana: Membership) -> None:
    """The old lifetime does not end the new code."""
    challenge = issue(service, dana, channel="sms")
    service.pass_time(seconds=299)
    assert resend(service, challenge)
    service.pass_time(seconds=299)
    assert check(service, challenge, code_of(service, challenge)).outcome is ACCEPTED


def test_mf_08_a_code_of_one_challenge_is_refused_in_another(service: Service, dana: Membership) -> None:
    """A code is bound to the question it answers; another sign-in's is a wrong one there."""
    one, another = issue(service, dana, "one"), issue(service, dana, "another")
    right = code_of(service, one)
    assert check(service, another, right).outcome is WRONG
    assert check(service, one, right).outcome is ACCEPTED


def test_mf_08_no_other_name_finds_a_challenge(service: Service, codes: OneTimeCodes, dana: Membership) -> None:
    """Neither a number nor the subject's name stands for the challenge's own id."""
    right = code_of(service, issue(service, dana))
    with service.services.database.transaction() as tx:
        for challenge_id in ("", "0", "1 OR 1=1", "a sign-in", "f" * 64):
            assert codes.verify(tx, challenge_id, typed=right) == CodeCheck(GONE)


def test_only_the_newest_challenge_of_a_sign_in_is_open(
    service: Service, codes: OneTimeCodes, dana: Membership
) -> None:
    """Asking by another way voids the code that is out: newest only (domain D8)."""
    by_email = issue(service, dana)
    right = code_of(service, by_email)
    by_text = issue(service, dana, channel="sms")
    assert check(service, by_email, right) == CodeCheck(GONE)
    with service.services.database.transaction(read_only=True) as tx:
        found = codes.newest(tx, "a sign-in")
        assert found is not None
        assert found.id == by_text.id


def test_mf_22_a_code_with_leading_zeros_works_and_keeps_them(
    service: Service, codes: OneTimeCodes, dana: Membership
) -> None:
    """It is text of six digits, not a number."""
    with service.services.database.transaction() as tx:
        challenge = codes.issue(
            tx,
            "a sign-in",
            user_id=dana.user_id,
            account_id=dana.account_id,
            purpose="sign_in",
            channel="email",
            target=DANA,
        )
        while not codes.code(challenge).startswith("0"):
            challenge.counter += 1
        right = codes.code(challenge)
        assert len(right) == 6
    assert check(service, challenge, right.lstrip("0")).outcome is WRONG
    assert check(service, challenge, right).outcome is ACCEPTED


@pytest.mark.parametrize(
    "typed", ["", "0", "12345", "1234567", "abcdef", "１２３４５６", "1e5", "\0" * 6, "9" * 10_000]
)
def test_whatever_else_is_typed_is_a_wrong_code(service: Service, dana: Membership, typed: str) -> None:
    """The comparison takes any text."""
    assert check(service, issue(service, dana), typed) == CodeCheck(WRONG, 4)


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("123456", "123456"),
        (" 123456 ", "123456"),
        ("123 456", "123456"),
        ("123-456", "123456"),
        ("123\u2011456", "123456"),
        ("１２３４５６", "123456"),
        ("012345", "012345"),
        ("١٢٣٤٥٦", None),
        ("²³¹²³¹", None),
        ("1e5000", None),
        ("12345six", None),
        ("123456\n", None),
        ("123.456", None),
        ("", None),
        (" ", None),
        ("1" * 41, None),
    ],
)
def test_mf_23_spaces_and_hyphens_are_forgiven_and_nothing_else(typed: str, digits: str | None) -> None:
    """What people copy along goes; digits of other scripts, exponents and fractions are no code."""
    assert clean(typed) == digits


def test_mf_10_the_code_is_nowhere_in_the_database(service: Service, dana: Membership) -> None:
    """A sealed secret and a counter; the digits exist at the moment of sending and of comparing."""
    challenge = issue(service, dana)
    with service.services.database.transaction() as tx:
        service.services.courier.send_code(tx, challenge.id, counter=1)
    right = code_of(service, challenge)
    service.deliver()
    assert service.emails.code(DANA) == right
    # By itself: six digits within an id or an instant mean nothing.
    assert not re.search(rf"(?<![0-9A-Za-z]){right}(?![0-9A-Za-z])", service.everything_stored())


def test_a_job_whose_code_was_replaced_sends_nothing(service: Service, dana: Membership) -> None:
    """Two presses before the worker comes leave one message, with the newest code."""
    challenge = issue(service, dana)
    with service.services.database.transaction() as tx:
        service.services.courier.send_code(tx, challenge.id, counter=1)
    service.pass_time(seconds=30)
    resend(service, challenge)
    with service.services.database.transaction() as tx:
        service.services.courier.send_code(tx, challenge.id, counter=2)
    service.deliver()
    assert [service.emails.code(DANA)] == [code_of(service, challenge)]
    assert len(service.emails.to(DANA)) == 1
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.scalar(select(func.count()).select_from(Job).where(Job.finished_at.is_(None))) == 0


def test_old_challenges_are_swept(service: Service, codes: OneTimeCodes, dana: Membership) -> None:
    """Rows go a day after their code ran out, and no sooner."""
    issue(service, dana)
    now = service.clock.now()
    with service.services.database.transaction() as tx:
        codes.sweep(tx, before=now + timedelta(minutes=10))
        assert tx.scalar(select(func.count()).select_from(Challenge)) == 1
        codes.sweep(tx, before=now + timedelta(minutes=10, seconds=1))
        assert tx.scalar(select(func.count()).select_from(Challenge)) == 0
