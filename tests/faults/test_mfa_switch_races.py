"""The account's switch against everything that makes a member active or leaves one unverified (security.md TN-06, SR3)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from authsvc.account_settings.acting import SUPPORT
from authsvc.account_settings.mfa_switch import ChangedMeanwhile, NotReady, Saved
from authsvc.accounts.models import Account, AccountMfa, EmailAddress, Membership, User
from authsvc.accounts.queries import lock_account, lock_accounts_of
from authsvc.mfa.rules import Switch
from authsvc.mfa.switch import Change
from authsvc.sessions.models import BrowserSession
from tests.support.rounds import rounds
from tests.support.service import Service

ON, OFF = Switch(True, ("email",), True), Switch(False, ("email",), True)


def save(service: Service, account: Account, wish: Switch, *, revision: int = 1, by: User | None = None) -> Any:
    """Save in a transaction of its own."""
    with service.services.database.transaction() as tx:
        return service.services.mfa_switch.save(
            tx, account.id, "team", wish, revision=revision, by=by, browser="Chrome on macOS"
        )


def is_on(tx: Any, account: Account) -> bool:
    """As it is now."""
    return bool(
        tx.scalar(select(AccountMfa.enabled).where(AccountMfa.account_id == account.id, AccountMfa.audience == "team"))
    )


def become_active(service: Service, account: Account, membership: Membership, *, accepted: bool) -> None:
    """Accept, or come back: where the switch is on, only with a verified address. Under the lock, as its docstring asks."""
    with service.services.database.transaction() as tx:
        lock_account(tx, account.id)
        if is_on(tx, account):
            return
        now = service.clock.now()
        changed = {"accepted_at": now} if accepted else {"deactivated_at": None}
        tx.execute(update(Membership).where(Membership.id == membership.id).values(**changed))


def lose_verification(service: Service, account: Account, membership: Membership) -> None:
    """Another address, not verified yet: only while no account of theirs asks for codes."""
    with service.services.database.transaction() as tx:
        lock_accounts_of(tx, membership.user_id)
        if not is_on(tx, account):
            tx.execute(update(EmailAddress).where(EmailAddress.user_id == membership.user_id).values(verified_at=None))


def locked_out(service: Service, account: Account) -> bool:
    """What must never be: on, with an active, accepted, unverified member."""
    with service.services.database.transaction(read_only=True) as tx:
        waiting = tx.scalars(
            select(Membership.id)
            .join(EmailAddress, EmailAddress.user_id == Membership.user_id)
            .where(
                Membership.account_id == account.id,
                Membership.audience == "team",
                Membership.accepted_at.is_not(None),
                Membership.deactivated_at.is_(None),
                EmailAddress.verified_at.is_(None),
            )
        ).all()
        return is_on(tx, account) and bool(waiting)


@pytest.mark.parametrize("act", ["accept", "reactivate", "address"])
def test_tn06_it_is_never_on_with_an_unverified_active_member(service: Service, act: str) -> None:
    """Enable against accept, reactivate and address change: two real connections each; 1,000 interleavings in full."""
    account = service.account()
    service.member(account, role="admin", sensitive=True)
    priya = service.member(
        account,
        "priya@northgate.example",
        verified=act == "address",
        accepted=act != "accept",
        active=act != "reactivate",
    )
    other: dict[str, Callable[[], None]] = {
        "accept": lambda: become_active(service, account, priya, accepted=True),
        "reactivate": lambda: become_active(service, account, priya, accepted=False),
        "address": lambda: lose_verification(service, account, priya),
    }
    chance, outcomes = random.Random(6), set()
    for _ in range(rounds(25)):
        with service.services.database.transaction() as tx:
            tx.execute(update(AccountMfa).values(enabled=False, revision=1))
            tx.execute(
                update(Membership)
                .where(Membership.id == priya.id)
                .values(
                    accepted_at=None if act == "accept" else service.clock.now(),
                    deactivated_at=service.clock.now() if act == "reactivate" else None,
                )
            )
            verified = service.clock.now() if act == "address" else None
            tx.execute(update(EmailAddress).where(EmailAddress.user_id == priya.user_id).values(verified_at=verified))
        acts: list[Callable[[], Any]] = [lambda: save(service, account, ON), other[act]]
        chance.shuffle(acts)
        outcomes |= {type(found) for found in service.at_once(*acts) if found is not None}
        assert not locked_out(service, account)
    assert outcomes <= {Saved, NotReady}


@pytest.mark.parametrize("act", ["accept", "reactivate", "address"])
def test_tn06_the_acts_of_the_pages_keep_it(service: Service, act: str) -> None:
    """The functions behind the pages themselves, each against MfaSwitch.save, two real connections.

    Whoever loses meets the rule at their own sign-in: an invitation proves its address, a person back from being inactive
    must verify without skip, a new address counts only once its code came back. So nobody is ever locked out.
    """
    s, owner = service.services, service.account()
    service.member(owner, role="admin", sensitive=True)
    for number in range(rounds(3)):
        account = service.account(f"account-{number}")
        email = f"priya-{number}@northgate.example"
        priya = service.member(
            account,
            email,
            verified=act == "address",
            accepted=act != "accept",
            active=act != "reactivate",
            password=None if act == "accept" else "quiet harbor maple lantern",
            phone=None,
        )
        other = _prepared(service, act, priya)
        found, _ = service.at_once(lambda account=account: save(service, account, ON), other)
        assert isinstance(found, Saved | NotReady)
        if act == "reactivate" and isinstance(found, Saved) and number < 10:
            with s.database.transaction(read_only=True) as tx:
                assert tx.get_one(EmailAddress, priya.user_id).verified_at is None
            person = service.person()
            service.sign_in(person, email, account=account.slug)
            assert person.here.h1 == "Verify your email"
            assert not person.here.has_button("Skip For Now")
        elif act != "reactivate":
            assert not locked_out(service, account)


def _prepared(service: Service, act: str, priya: Membership) -> Callable[[], Any]:
    """Everything up to the last press."""
    s = service.services
    if act == "accept":
        with s.database.transaction() as tx:
            token = s.invitations.token(s.invitations.issue(tx, tx.get_one(Membership, priya.id), invited_by=None).id)

        def press() -> Any:
            with s.database.transaction() as tx:
                return s.joining.accept(tx, token, name="Priya", password_hash="$argon2id$made-by-the-view")

    elif act == "reactivate":

        def press() -> Any:
            with s.database.transaction() as tx:
                return s.members.reactivate(tx, tx.get_one(Membership, priya.id), actor=SUPPORT)

    else:
        new = f"new-{priya.id[:8]}@northgate.example"
        with s.database.transaction() as tx:
            person = tx.get_one(Membership, priya.id)
            s.own_email.begin(tx, person, new, browser="Chrome on macOS")
            change = s.own_email.waiting(tx, person)
            challenge = s.codes.newest(tx, change.id) if change else None
            assert challenge is not None
            code = s.codes.code(challenge)

        def press() -> Any:
            with s.database.transaction() as tx:
                return s.own_email.confirm(tx, tx.get_one(Membership, priya.id), code, browser="Chrome on macOS")

    return press


def test_tn06_the_lock_makes_the_second_wait_until_the_first_has_finished(service: Service) -> None:
    """Not chance: while an acceptance holds the account, the switch waits, then sees it."""
    account = service.account()
    priya = service.member(account, "priya@northgate.example", verified=False, accepted=False)
    holds, begun, found = threading.Event(), threading.Event(), []

    def accept() -> None:
        with service.services.database.transaction() as tx:
            lock_account(tx, account.id)
            holds.set()
            begun.wait(5)
            tx.execute(update(Membership).where(Membership.id == priya.id).values(accepted_at=service.clock.now()))

    def enable() -> None:
        holds.wait(5)
        begun.set()
        found.append(save(service, account, ON))

    service.at_once(accept, enable)
    assert [type(one) for one in found] == [NotReady]
    assert not locked_out(service, account)


def test_tn06_what_is_pending_is_written_after_the_lock(service: Service) -> None:
    """A request notes that its browser was seen; held before the account, that row and "Sign everyone out" deadlock."""
    account = service.account()
    service.member(account)
    person = service.person()
    service.sign_in(person)
    with service.services.database.transaction() as tx:
        session = tx.scalars(select(BrowserSession)).one()
        session.last_seen_at = service.clock.now()
        session.browser = "another"
        lock_account(tx, account.id)
        lock_accounts_of(tx, session.user_id)
        assert session in tx.dirty


def test_of_two_admins_at_once_one_is_told(service: Service) -> None:
    """The revision is compared under the lock: never both saved, never one lost without a word."""
    account = service.account()
    wishes = Switch(True, ("email",), True), Switch(True, ("sms",), True)
    for _ in range(rounds(5)):
        with service.services.database.transaction() as tx:
            tx.execute(update(AccountMfa).values(enabled=False, methods=["email"], revision=1))
        found = service.at_once(*(lambda wish=wish: save(service, account, wish) for wish in wishes))
        assert sorted(type(one).__name__ for one in found) == ["ChangedMeanwhile", "Saved"]
        saved = next(one for one in found if isinstance(one, Saved))
        told = next(one for one in found if isinstance(one, ChangedMeanwhile))
        assert told.standing.switch == saved.standing.switch


def test_the_same_wish_twice_at_once_is_one_change(service: Service) -> None:
    """A double press: both are answered alike, one of them did it."""
    account = service.account()
    found = service.at_once(*[lambda: save(service, account, ON)] * 6)
    assert all(isinstance(one, Saved) for one in found)
    assert sorted(one.change for one in found) == [Change.NOTHING] * 5 + [Change.TURNED_ON]
    assert len(service.events("mfa.turned_on")) == 1


def test_an_account_that_never_chose_is_switched_by_two_at_once(service: Service) -> None:
    """There is no row to lock yet: the account's is."""
    account = service.account()
    with service.services.database.transaction() as tx:
        for row in tx.scalars(select(AccountMfa)):
            tx.delete(row)
    found = service.at_once(*[lambda: save(service, account, ON, revision=0)] * 4)
    assert sorted(one.change for one in found) == [Change.NOTHING] * 3 + [Change.TURNED_ON]


def test_an_operators_save_names_nobody(service: Service) -> None:
    """The API and commands save too: the page then says so without a name."""
    account = service.account()
    saved = save(service, account, ON)
    assert isinstance(saved, Saved)
    assert (saved.standing.changed_by, saved.standing.revision) == (None, 2)
    assert isinstance(save(service, account, OFF, revision=1), ChangedMeanwhile)
