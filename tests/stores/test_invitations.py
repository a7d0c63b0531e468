"""Invitations: one use, the newest only, seven days, and nothing of whoever came first (security.md RC-08, RC-11)."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from authsvc.accounts.invitations import Accepted, InvitationState
from authsvc.accounts.models import EmailChange, Invitation, Membership, PhoneNumber, User
from authsvc.crypto.tokens import new_id
from authsvc.mfa.models import AuthenticatorApp, RecoveryCode
from tests.support.service import Service

PRIYA = "priya@northgate.example"
HASH = "$argon2id$chosen-while-accepting"


def invite(service: Service, membership: Membership, *, by: str | None = None) -> str:
    """Invite, as the use case does; answers the token in the mail."""
    s = service.services
    with s.database.transaction() as tx:
        again = tx.get_one(Membership, membership.id)
        s.courier.send_invitation(tx, s.invitations.issue(tx, again, invited_by=by).id)
    service.deliver()
    found = re.search(r"/invite/(\S+)", service.emails.to(PRIYA)[-1].text)
    assert found
    return found[1]


def waiting(service: Service, **person: object) -> Membership:
    """Priya, added to Northgate and not there yet; without a password unless told otherwise."""
    options = {"password": None, "verified": False, "phone": None, "accepted": False, **person}
    return service.member(service.account(), PRIYA, **options)  # type: ignore[arg-type]


def accept(service: Service, token: str, **given: str) -> Accepted | InvitationState:
    """In a transaction of its own."""
    with service.services.database.transaction() as tx:
        return service.services.joining.accept(tx, token, **given)


def state(service: Service, token: str) -> InvitationState:
    """What the page would say."""
    with service.services.database.transaction(read_only=True) as tx:
        return service.services.invitations.find(tx, token).state


def test_p3_access_starts_on_acceptance(service: Service) -> None:
    """The new person's name and password are set, the address is verified by the mailbox, and it is recorded."""
    membership = waiting(service)
    token = invite(service, membership)
    accepted = accept(service, token, name="Priya Raman", password_hash=HASH)
    assert isinstance(accepted, Accepted)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, membership.user_id)
        assert (user.name, user.password_hash) == ("Priya Raman", HASH)
        assert user.email.verified_at == service.clock.now()
        assert tx.get_one(Membership, membership.id).is_active
    assert [event.fields for event in service.events("email.verified")] == [{"by": "invitation"}]
    assert len(service.events("invitation.accepted")) == 1


def test_rc11_an_invitation_cannot_be_used_twice(service: Service) -> None:
    """The second use learns that it was used."""
    token = invite(service, waiting(service))
    accept(service, token, name="Priya", password_hash=HASH)
    assert accept(service, token, name="Mallory", password_hash="$argon2id$other") is InvitationState.USED


def test_rc11_of_two_at_once_one_joins(service: Service) -> None:
    """One conditional UPDATE decides."""
    token = invite(service, waiting(service))
    outcomes = service.at_once(*[lambda: accept(service, token, name="P", password_hash=HASH)] * 2)
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 1
    assert InvitationState.USED in outcomes


def test_rc11_the_newest_alone_counts(service: Service) -> None:
    """Inviting again ends what was sent before."""
    membership = waiting(service)
    first, second = invite(service, membership), invite(service, membership)
    assert first != second
    assert state(service, first) is InvitationState.WITHDRAWN
    assert state(service, second) is InvitationState.USABLE


def test_it_works_for_seven_days(service: Service) -> None:
    """policies/sessions.yaml, links.invitation."""
    token = invite(service, waiting(service))
    service.pass_time(days=6, hours=23)
    assert state(service, token) is InvitationState.USABLE
    service.pass_time(hours=1)
    assert accept(service, token, name="P", password_hash=HASH) is InvitationState.EXPIRED


def test_rc11_a_withdrawn_one_is_worth_nothing(service: Service) -> None:
    """Nor one whose membership was switched inactive meanwhile."""
    membership = waiting(service)
    token = invite(service, membership)
    with service.services.database.transaction() as tx:
        assert service.services.invitations.withdraw(tx, tx.get_one(Membership, membership.id), by=None)
    assert accept(service, token, name="P", password_hash=HASH) is InvitationState.WITHDRAWN
    token = invite(service, membership)
    with service.services.database.transaction() as tx:
        tx.get_one(Membership, membership.id).deactivated_at = service.clock.now()
    assert accept(service, token, name="P", password_hash=HASH) is InvitationState.WITHDRAWN


@pytest.mark.parametrize("token", ["", "short", "x" * 64, "\0" * 64, "é" * 64, "a" * 10_000])
def test_what_is_no_token_of_ours_is_damaged(service: Service, token: str) -> None:
    """Whatever a link may hold."""
    assert state(service, token) is InvitationState.DAMAGED


def test_rc10_it_proves_only_the_address_it_went_to(service: Service) -> None:
    """The old mailbox is worth nothing once the address is another."""
    membership = waiting(service)
    token = invite(service, membership)
    with service.services.database.transaction() as tx:
        tx.get_one(User, membership.user_id).email.address = "new@northgate.example"
    assert state(service, token) is InvitationState.WITHDRAWN


def test_rc08_an_unverified_identity_keeps_nothing_of_whoever_came_first(service: Service) -> None:
    """Its password, session, phone, authenticator app, recovery codes and pending change end with the acceptance."""
    here = service.account("lakeside")
    first = service.member(here, PRIYA, verified=False)
    mallory = service.person()
    service.sign_in(mallory, PRIYA)
    mallory.submit(button="skip")
    assert mallory.cookie("sid")
    now = service.clock.now()
    with service.services.database.transaction() as tx:
        user = tx.get_one(User, first.user_id)
        tx.add(AuthenticatorApp(user_id=user.id, secret_sealed="x", created_at=now, confirmed_at=now))
        tx.add(RecoveryCode(code_digest="d" * 64, user_id=user.id, created_at=now))
        change = {"id": new_id(), "address": "m@evil.example", "canonical": "m@evil.example"}
        tx.add(EmailChange(user_id=user.id, created_at=now, expires_at=now, **change))
        tx.expunge(user)
    membership = service.member(service.account(), PRIYA, user=user, accepted=False)
    token = invite(service, membership)
    assert accept(service, token) is InvitationState.CHANGED
    assert isinstance(accept(service, token, name="Priya", password_hash=HASH), Accepted)
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(User, user.id).password_hash == HASH
        for table in (PhoneNumber, AuthenticatorApp, RecoveryCode, EmailChange):
            assert tx.scalars(select(table).where(table.user_id == user.id)).all() == []
    assert mallory.open("/confirm").h1 == "Sign in"


def test_p6_who_signs_in_already_keeps_the_password(service: Service) -> None:
    """And is told so by the mail; the page may not set another."""
    service.member(service.account("lakeside"), PRIYA)
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.scalars(select(User)).unique().one()
        had = user.password_hash
    membership = service.member(service.account(), PRIYA, user=user, accepted=False)
    token = invite(service, membership)
    assert "use the password you already have" in service.emails.to(PRIYA)[-1].text
    assert accept(service, token, name="Mallory", password_hash=HASH) is InvitationState.CHANGED
    assert isinstance(accept(service, token), Accepted)
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.get_one(User, user.id).password_hash == had


def test_no_table_holds_the_token(service: Service) -> None:
    """The worker makes it; a copy of the database is no list of invitations."""
    token = invite(service, waiting(service))
    assert token not in service.everything_stored()


def test_rc06_looking_changes_nothing(service: Service) -> None:
    """Mail scanners open links."""
    token = invite(service, waiting(service))
    for _ in range(10):
        assert state(service, token) is InvitationState.USABLE
    with service.services.database.transaction(read_only=True) as tx:
        assert tx.scalars(select(Invitation)).one().accepted_at is None
