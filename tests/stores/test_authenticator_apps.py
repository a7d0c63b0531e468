"""Authenticator apps on two real connections: which code counts, once, and what is kept of the key (RFC 6238)."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlalchemy import select

from authsvc.accounts.models import Membership, User
from authsvc.audit import Event
from authsvc.crypto.seal import SealBroken
from authsvc.mfa.enrolment import AuthenticatorApps, OwnCode, has_app
from authsvc.mfa.models import AppEnrolment, AuthenticatorApp
from tests.support.journey import CHROME
from tests.support.service import Service

ACCEPTED, WRONG, SPENT = OwnCode
#: RFC 6238 appendix B, SHA-1: the key of the vectors, and the last six digits of each.
VECTOR_KEY = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.fixture
def dana(service: Service) -> Membership:
    """Somebody with a phone in their hand."""
    return service.member(service.account(mfa="email+totp"))


@pytest.fixture
def apps(service: Service) -> AuthenticatorApps:
    """The store."""
    return service.services.apps


def begin(service: Service, dana: Membership, subject: str = "a session") -> pyotp.TOTP:
    """Start setting an app up; answers what the person's app makes of the QR code."""
    apps = service.services.apps
    with service.services.database.transaction() as tx:
        apps.begin(tx, dana.user_id, subject_id=subject)
        found = apps.setup(tx, tx.get_one(User, dana.user_id), subject_id=subject)
    assert found is not None
    totp = pyotp.parse_uri(found.uri)
    assert isinstance(totp, pyotp.TOTP)
    assert found.key.replace(" ", "") == totp.secret
    return totp


def confirm(service: Service, dana: Membership, typed: str, subject: str = "a session") -> OwnCode | None:
    """Type the first code."""
    with service.services.database.transaction() as tx:
        return service.services.apps.confirm(
            tx,
            tx.get_one(User, dana.user_id),
            subject_id=subject,
            typed=typed,
            account_id=dana.account_id,
            browser=CHROME,
        )


def verify(service: Service, dana: Membership, typed: str) -> OwnCode:
    """One try of its own transaction."""
    with service.services.database.transaction() as tx:
        return service.services.apps.verify(tx, dana.user_id, typed=typed)


def code(service: Service, totp: pyotp.TOTP, *, steps: int = 0) -> str:
    """What the app shows now, or so many steps from now."""
    return totp.at(service.clock.now(), counter_offset=steps)


def with_app(service: Service, dana: Membership) -> pyotp.TOTP:
    """Set up, a minute ago: the code that confirmed it is over."""
    totp = begin(service, dana)
    assert confirm(service, dana, code(service, totp)) is ACCEPTED
    service.pass_time(minutes=1)
    return totp


def test_the_key_is_what_every_app_can_read(service: Service, dana: Membership) -> None:
    """SHA-1, 6 digits, 30 seconds, 160 bits (RFC 4226 4: "RECOMMENDS a shared secret length of 160 bits")."""
    totp = begin(service, dana)
    assert (totp.digits, totp.interval, totp.digest().name) == (6, 30, "sha1")
    assert len(base64.b32decode(totp.secret)) == 20
    assert (totp.issuer, totp.name) == ("IMS", "dana@northgate.example")
    assert begin(service, dana).secret != totp.secret


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_the_vectors_of_rfc_6238(service: Service, dana: Membership, seconds: int, digits: str) -> None:
    """Appendix B, as this store reads the clock."""
    apps, now = service.services.apps, datetime.fromtimestamp(seconds, UTC)
    service.clock.advance(now - service.clock.now())
    with service.services.database.transaction() as tx:
        tx.add(
            AuthenticatorApp(
                user_id=dana.user_id,
                secret_sealed=apps.sealer.seal(VECTOR_KEY.encode(), where=f"authenticator_app/secret/{dana.user_id}"),
                created_at=now,
                confirmed_at=now,
                last_step=0,
            )
        )
    assert verify(service, dana, digits) is ACCEPTED


def test_an_app_counts_once_its_first_code_was_right(service: Service, dana: Membership) -> None:
    """Until then there is none, and a wrong code leaves what was begun as it is."""
    totp = begin(service, dana)
    with service.services.database.transaction() as tx:
        assert not has_app(tx, dana.user_id)
    assert verify(service, dana, code(service, totp)) is WRONG
    assert confirm(service, dana, "000000") is WRONG
    assert confirm(service, dana, code(service, totp)) is ACCEPTED
    with service.services.database.transaction() as tx:
        assert has_app(tx, dana.user_id)
        assert tx.scalars(select(AppEnrolment)).all() == []
    assert [event.fields["replaces"] for event in service.events(Event.APP_ADDED)] == [False]


def test_mf_06_the_code_that_confirmed_the_app_is_spent(service: Service, dana: Membership) -> None:
    """It signs nobody in besides."""
    totp = begin(service, dana)
    right = code(service, totp)
    assert confirm(service, dana, right) is ACCEPTED
    assert verify(service, dana, right) is SPENT


def test_mf_06_a_code_and_every_earlier_one_is_spent_by_its_use(service: Service, dana: Membership) -> None:
    """RFC 6238 5.2: "the verifier MUST NOT accept the second attempt of the OTP"."""
    totp = with_app(service, dana)
    earlier, now = code(service, totp, steps=-1), code(service, totp)
    assert verify(service, dana, now) is ACCEPTED
    assert verify(service, dana, now) is SPENT
    assert verify(service, dana, earlier) is SPENT
    service.pass_time(seconds=30)
    assert verify(service, dana, code(service, totp)) is ACCEPTED


def test_mf_07_one_step_of_drift_counts_and_two_do_not(service: Service, dana: Membership) -> None:
    """ASVS 6.5.5; policies/mfa.yaml, totp.drift_steps: 1. Each from a fresh clock, for each spends the ones before."""
    totp = with_app(service, dana)
    for steps in (-3, -2, 2, 3):
        assert verify(service, dana, code(service, totp, steps=steps)) is WRONG
    assert verify(service, dana, code(service, totp, steps=-1)) is ACCEPTED
    assert verify(service, dana, code(service, totp)) is ACCEPTED
    assert verify(service, dana, code(service, totp, steps=1)) is ACCEPTED
    assert verify(service, dana, code(service, totp)) is SPENT


def test_mf_06_of_two_right_codes_at_once_one_wins(service: Service, dana: Membership) -> None:
    """Two connections, the same digits; and of four more, none."""
    totp = with_app(service, dana)
    right = code(service, totp)
    outcomes = service.at_once(*[lambda: verify(service, dana, right)] * 6)
    assert Counter(outcomes) == {ACCEPTED: 1, SPENT: 5}


def test_of_two_confirmations_at_once_one_wins(service: Service, dana: Membership) -> None:
    """One app, one event, one notice."""
    totp = begin(service, dana)
    right = code(service, totp)
    outcomes = service.at_once(*[lambda: confirm(service, dana, right)] * 4)
    assert Counter(outcomes) == {ACCEPTED: 1, None: 3}
    assert len(service.events(Event.APP_ADDED)) == 1


def test_two_who_begin_at_once_leave_one_key(service: Service, dana: Membership) -> None:
    """Two tabs; the later key is the one that counts."""
    service.at_once(*[lambda: begin(service, dana)] * 4)
    with service.services.database.transaction() as tx:
        assert len(tx.scalars(select(AppEnrolment)).all()) == 1


def test_what_was_begun_in_one_session_is_not_there_for_another(service: Service, dana: Membership) -> None:
    """Neither shown nor confirmed: a thief's page cannot hand the owner a key that the thief has seen."""
    thief = begin(service, dana, "the thief's session")
    with service.services.database.transaction() as tx:
        user = tx.get_one(User, dana.user_id)
        assert service.services.apps.setup(tx, user, subject_id="the owner's session") is None
    assert confirm(service, dana, code(service, thief), "the owner's session") is None
    owner = begin(service, dana, "the owner's session")
    assert confirm(service, dana, code(service, thief), "the thief's session") is None
    assert confirm(service, dana, code(service, owner), "the owner's session") is ACCEPTED


def test_setting_up_has_its_time(service: Service, dana: Membership) -> None:
    """A quarter of an hour, the time for which the proof before it counts; then it is swept."""
    totp = begin(service, dana)
    service.pass_time(minutes=15)
    assert confirm(service, dana, code(service, totp)) is None
    with service.services.database.transaction() as tx:
        service.services.apps.sweep(tx, now=service.clock.now() + timedelta(seconds=1))
        assert tx.scalars(select(AppEnrolment)).all() == []


def test_an_app_in_use_stays_until_the_new_one_is_proved(service: Service, dana: Membership) -> None:
    """Beginning costs nobody their codes; then the old key is dead."""
    old = with_app(service, dana)
    new = begin(service, dana)
    assert verify(service, dana, code(service, old)) is ACCEPTED
    service.pass_time(seconds=30)
    assert confirm(service, dana, code(service, new)) is ACCEPTED
    service.pass_time(minutes=1)
    assert verify(service, dana, code(service, old)) is WRONG
    assert verify(service, dana, code(service, new)) is ACCEPTED
    assert [event.fields["replaces"] for event in service.events(Event.APP_ADDED)] == [False, True]


def test_a_removed_app_counts_no_more_and_twice_removes_once(service: Service, dana: Membership) -> None:
    """Two presses at once: one event, one notice."""
    totp = with_app(service, dana)

    def remove() -> bool:
        with service.services.database.transaction() as tx:
            user = tx.get_one(User, dana.user_id)
            return service.services.apps.remove(tx, user, account_id=dana.account_id, browser=CHROME)

    assert sorted(service.at_once(remove, remove)) == [False, True]
    assert verify(service, dana, code(service, totp)) is WRONG
    assert len(service.events(Event.APP_REMOVED)) == 1


def test_d6_adding_replacing_and_removing_end_remembering(service: Service, dana: Membership) -> None:
    """The ways to get a code have changed; the epoch says what it was."""
    with_app(service, dana)
    with service.services.database.transaction() as tx:
        service.services.apps.remove(tx, tx.get_one(User, dana.user_id), account_id=dana.account_id, browser=CHROME)
    with service.services.database.transaction() as tx:
        membership = tx.get_one(Membership, dana.id)
        assert (membership.security_epoch, membership.epoch_reason) == (2, "app_changed")


def test_the_key_is_nowhere_in_the_database(service: Service, dana: Membership) -> None:
    """Sealed, for its own row alone: moved to another person's it does not open."""
    pending = begin(service, dana)
    assert pending.secret not in service.everything_stored()
    totp = with_app(service, dana)
    assert totp.secret not in service.everything_stored()
    priya = service.member(service.account("westgate"), "priya@westgate.example")
    apps = service.services.apps
    with service.services.database.transaction() as tx:
        sealed = tx.get_one(AuthenticatorApp, dana.user_id).secret_sealed
        assert apps.sealer.open(sealed, where=f"authenticator_app/secret/{dana.user_id}").decode() == totp.secret
        with pytest.raises(SealBroken):
            apps.sealer.open(sealed, where=f"authenticator_app/secret/{priya.user_id}")
