"""Remembered devices (domain D5, D6; security.md MF-20, MF-21): who is recognised, for how long, and what ends it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.audit import Event
from authsvc.devices.models import RememberedDevice
from authsvc.devices.remember import Devices
from tests.support.service import Service

AMR = ["pwd", "sms", "mfa"]
PRIYA = "priya@northgate.example"


@pytest.fixture
def devices(service: Service) -> Devices:
    """The store."""
    return service.services.devices


@pytest.fixture
def dana(service: Service) -> Membership:
    """A member of an account that asks for codes."""
    return service.member(service.account(mfa="email+sms"))


def remember(service: Service, member: Membership, cookie: str | None = None) -> str:
    """Tick the box; answers the cookie."""
    with service.services.database.transaction() as tx:
        found = tx.get_one(Membership, member.id)
        return service.services.devices.remember(tx, found, mfa_amr=AMR, browser="Chrome on macOS", cookie=cookie)[1]


def sign_in(service: Service, member: Membership, cookie: str | None) -> str | None:
    """Come back with a cookie: the new one; "" when another tab has just renewed it; None when the code is asked."""
    with service.services.database.transaction() as tx:
        found = tx.get_one(Membership, member.id)
        device = service.services.devices.recognise(tx, found, cookie)
        return None if device is None else service.services.devices.use(tx, device, found, cookie or "") or ""


def is_recognised(service: Service, member: Membership, cookie: str | None) -> bool:
    """Whether the code would be spared, without using the device."""
    with service.services.database.transaction() as tx:
        return service.services.devices.recognise(tx, tx.get_one(Membership, member.id), cookie) is not None


def row(service: Service, cookie: str) -> RememberedDevice:
    """The record behind a cookie."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(RememberedDevice, cookie.partition(".")[0])


def test_a_remembered_browser_is_recognised(service: Service, dana: Membership) -> None:
    """And the trail says that it was remembered and used."""
    renewed = sign_in(service, dana, remember(service, dana))
    assert renewed
    assert is_recognised(service, dana, renewed)
    assert len(service.events(Event.DEVICE_REMEMBERED)) == len(service.events(Event.DEVICE_USED)) == 1


def test_remembering_lasts_thirty_days_and_no_second_longer(service: Service, dana: Membership) -> None:
    """R1, D5: fixed 30 days from the code."""
    cookie = remember(service, dana)
    service.pass_time(days=30, seconds=-1)
    assert is_recognised(service, dana, cookie)
    service.pass_time(seconds=2)
    assert not is_recognised(service, dana, cookie)


def test_mf_21_daily_use_never_moves_the_end(service: Service, dana: Membership) -> None:
    """Not sliding: renewing the secret renews nothing else."""
    cookie: str | None = remember(service, dana)
    assert cookie is not None
    ends = row(service, cookie).expires_at
    for _ in range(29):
        service.pass_time(days=1)
        cookie = sign_in(service, dana, cookie)
        assert cookie
        assert row(service, cookie).expires_at == ends
    service.pass_time(days=1, seconds=1)
    assert sign_in(service, dana, cookie) is None


def test_the_secret_is_new_after_each_use(service: Service, dana: Membership) -> None:
    """A copied cookie is worth little for long; the record stays the same one."""
    cookies = [remember(service, dana)]
    for _ in range(3):
        service.pass_time(hours=1)
        renewed = sign_in(service, dana, cookies[-1])
        assert renewed
        cookies.append(renewed)
    assert len({cookie.partition(".")[0] for cookie in cookies}) == 1
    assert len({cookie.partition(".")[2] for cookie in cookies}) == 4
    assert row(service, cookies[0]).generation == 4


def test_mf_20_only_digests_are_stored(service: Service, dana: Membership) -> None:
    """A copy of the database recognises nobody: neither the present secret nor the one before is in it."""
    first = remember(service, dana)
    second = sign_in(service, dana, first)
    assert second
    stored = service.everything_stored()
    assert first.partition(".")[2] not in stored
    assert second.partition(".")[2] not in stored


def test_a_parallel_tab_may_use_the_old_secret_within_the_grace(service: Service, dana: Membership) -> None:
    """Two tabs opened together carry the same cookie: both are spared the code, one renews it."""
    old = remember(service, dana)
    service.pass_time(days=1)
    new = sign_in(service, dana, old)
    assert new
    service.pass_time(seconds=60)
    assert sign_in(service, dana, old) == ""
    assert is_recognised(service, dana, new)


def test_mf_20_an_old_secret_beyond_the_grace_ends_the_record(service: Service, dana: Membership) -> None:
    """A copy was used, by the thief or by the owner: the code is asked from both, and the trail says why."""
    old = remember(service, dana)
    service.pass_time(days=1)
    new = sign_in(service, dana, old)
    service.pass_time(seconds=61)
    assert sign_in(service, dana, old) is None
    assert sign_in(service, dana, new) is None
    assert [event.fields["reason"] for event in service.events(Event.DEVICE_ENDED)] == ["old_generation"]


def test_the_grace_is_for_the_last_secret_alone(service: Service, dana: Membership) -> None:
    """One from two uses ago is no parallel tab."""
    first = remember(service, dana)
    third = sign_in(service, dana, sign_in(service, dana, first))
    assert third
    assert not is_recognised(service, dana, first)
    assert not is_recognised(service, dana, third)


@pytest.mark.parametrize("times", range(3))
def test_two_tabs_at_once_leave_one_live_secret(service: Service, dana: Membership, times: int) -> None:
    """One UPDATE on the secret's digest: both are spared the code, one gets the new cookie, which alone stays good."""
    cookie = remember(service, dana)
    service.pass_time(days=1)
    answers = service.at_once(*[lambda: sign_in(service, dana, cookie)] * 4)
    assert None not in answers
    renewed = [answer for answer in answers if answer]
    assert len(renewed) == 1
    assert row(service, cookie).generation == 2
    service.pass_time(minutes=2)
    assert is_recognised(service, dana, renewed[0])


FORGED = [
    *("", "ID", "ID.", ".SECRET", "SECRET", "ID.SECRE", "ID.SECRETA", "ID.SECRET ", "ID.SECRET.SECRET", "ID .SECRET"),
    *("ID.ID", "ZEROS.SECRET", "PERCENT.SECRET", "NUL.SECRET", "SURROGATE.SECRET"),
]


def forge(pattern: str, cookie: str) -> str:
    """A cookie like `cookie`, and not it."""
    device_id, _, secret = cookie.partition(".")
    parts = {
        "ZEROS": "0" * 32,
        "PERCENT": "%" * 32,
        "NUL": f"{device_id[:31]}\0",
        "SURROGATE": f"{device_id[:31]}\ud800",
        "ID": device_id,
        "SECRET": secret,
        "SECRE": secret[:-1],
    }
    return re.sub("|".join(parts), lambda found: parts[found[0]], pattern)


def test_mf_20_a_forged_or_altered_cookie_is_refused(service: Service, dana: Membership) -> None:
    """And refusing it breaks nothing, whatever characters it holds."""
    for pattern in FORGED:
        assert not is_recognised(service, dana, forge(pattern, remember(service, dana))), pattern


def test_mf_21_a_device_counts_for_its_person_and_account_alone(service: Service, dana: Membership) -> None:
    """Not for a colleague, not for the same person elsewhere, not for the same person as an investor (D33)."""
    with service.services.database.transaction() as tx:
        user, account = tx.get_one(Membership, dana.id).user, tx.get_one(Membership, dana.id).account
    others = (
        service.member(account, PRIYA),
        service.member(service.account("westgate", mfa="email"), user=user),
        service.member(account, user=user, audience="investors"),
    )
    cookie = remember(service, dana)
    for other in others:
        assert not is_recognised(service, other, cookie)
    assert is_recognised(service, dana, cookie)


def test_remembering_again_replaces_the_record_of_this_browser(service: Service, dana: Membership) -> None:
    """One record per person, account and browser; another browser's stays."""
    elsewhere, first = remember(service, dana), remember(service, dana)
    second = remember(service, dana, cookie=first)
    assert [is_recognised(service, dana, cookie) for cookie in (elsewhere, first, second)] == [True, False, True]
    assert row(service, first).ended_reason == "replaced"


def test_a_record_keeps_the_reason_for_which_it_ended(service: Service, dana: Membership) -> None:
    """Remembering the browser again does not rewrite why the code was asked."""
    old = remember(service, dana)
    sign_in(service, dana, old)
    service.pass_time(minutes=2)
    assert sign_in(service, dana, old) is None
    ended_at = row(service, old).ended_at
    service.pass_time(minutes=1)
    remember(service, dana, cookie=old)
    assert (row(service, old).ended_reason, row(service, old).ended_at) == ("old_generation", ended_at)
    assert len(service.events(Event.DEVICE_ENDED)) == 1


def test_every_end_of_a_record_names_the_account(service: Service, dana: Membership) -> None:
    """So that the account's own trail is complete."""
    cookie = remember(service, dana, cookie=remember(service, dana))
    with service.services.database.transaction() as tx:
        service.services.devices.forget(tx, tx.get_one(Membership, dana.id), cookie)
    assert [event.account_id for event in service.events(Event.DEVICE_ENDED)] == [dana.account_id] * 2


def test_d6_forgetting_this_device_ends_it(service: Service, devices: Devices, dana: Membership) -> None:
    """ "Forget this device": once; somebody else's cookie forgets nothing."""
    cookie, elsewhere = remember(service, dana), remember(service, dana)
    priya = service.member(service.account("westgate", mfa="email"), PRIYA)
    with service.services.database.transaction() as tx:
        assert not devices.forget(tx, tx.get_one(Membership, priya.id), cookie)
        assert devices.forget(tx, tx.get_one(Membership, dana.id), cookie)
        assert not devices.forget(tx, tx.get_one(Membership, dana.id), cookie)
        assert not devices.forget(tx, tx.get_one(Membership, dana.id), "nonsense")
    assert not is_recognised(service, dana, cookie)
    assert is_recognised(service, dana, elsewhere)


def test_d6_a_change_about_the_person_ends_all_their_devices(service: Service, dana: Membership) -> None:
    """Password, email, phone, deactivation: by raising the epoch of the memberships, whatever the number of devices."""
    priya = service.member(service.account("westgate", mfa="email"), PRIYA)
    mine, others = [remember(service, dana) for _ in range(3)], remember(service, priya)
    assert forget_all(service, reason="password_changed", user_id=dana.user_id) == 1
    assert not any(is_recognised(service, dana, cookie) for cookie in mine)
    assert is_recognised(service, priya, others)
    assert is_recognised(service, dana, remember(service, dana))
    (event,) = service.events(Event.REMEMBERING_ENDED)
    assert (event.user_id, event.fields) == (dana.user_id, {"reason": "password_changed", "memberships": 1})


def test_d7_a_change_of_the_policy_ends_the_devices_of_its_audience(service: Service, dana: Membership) -> None:
    """Methods tightened, or remembering forbidden: for this account and audience; the other audience keeps its own."""
    with service.services.database.transaction() as tx:
        account = tx.get_one(Membership, dana.id).account
    investor = service.member(account, "ines@fund.example", audience="investors")
    elsewhere = service.member(service.account("westgate", mfa="email"), PRIYA)
    cookies = {each.id: remember(service, each) for each in (dana, investor, elsewhere)}
    assert forget_all(service, reason="mfa_policy_changed", account_id=account.id, audience="team") == 1
    found = [is_recognised(service, each, cookies[each.id]) for each in (dana, investor, elsewhere)]
    assert found == [False, True, True]


def test_d6_an_end_is_seen_by_what_the_transaction_does_next(
    service: Service, devices: Devices, dana: Membership
) -> None:
    """Binding a phone ends remembering, and the same sign-in may then be remembered: under the new epoch."""
    old = remember(service, dana)
    with service.services.database.transaction() as tx:
        member = tx.get_one(Membership, dana.id)
        devices.forget_all(tx, reason="phone_changed", user_id=dana.user_id)
        assert devices.recognise(tx, member, old) is None
        _, new = devices.remember(tx, member, mfa_amr=AMR, browser="", cookie=old)
    assert is_recognised(service, dana, new)


def test_what_a_page_may_ask_about_a_device_changes_nothing(
    service: Service, devices: Devices, dana: Membership
) -> None:
    """`behind` and `live` only look, in a transaction that could not write."""
    cookie = remember(service, dana)
    device_id = cookie.partition(".")[0]

    def look(tx: Session) -> tuple[bool, bool]:
        found = devices.behind(tx, tx.get_one(Membership, dana.id), cookie)
        return found is not None, devices.live(tx, device_id) is not None

    with service.services.database.transaction(read_only=True) as tx:
        assert look(tx) == (True, True)
        assert devices.live(tx, "unknown") is None
    forget_all(service, reason="password_changed", user_id=dana.user_id)
    with service.services.database.transaction(read_only=True) as tx:
        assert look(tx) == (False, False)


def test_expired_records_are_swept(service: Service, devices: Devices, dana: Membership) -> None:
    """Only those that ran out before the date given."""
    cookie = remember(service, dana)
    end = row(service, cookie).expires_at
    for before, left in ((end, 1), (end + timedelta(seconds=1), 0)):
        with service.services.database.transaction() as tx:
            devices.sweep(tx, before=before)
            assert len(tx.scalars(select(RememberedDevice)).all()) == left


def forget_all(service: Service, **whose: str) -> int:
    """Raise the epoch, in a transaction of its own."""
    with service.services.database.transaction() as tx:
        return service.services.devices.forget_all(tx, **whose)
