"""Sensitive Data Access by support: two acts by two operators (domain D12, D6)."""

from __future__ import annotations

import pytest

from authsvc.account_settings.acting import Outcome, Result
from authsvc.accounts.models import Membership
from tests.support.service import DANA, Service
from tests.support.team import PRIYA


@pytest.fixture
def priya(service: Service) -> Membership:
    """Of a functionality-based account where Dana has access."""
    account = service.account()
    service.member(account, DANA, sensitive=True)
    return service.member(account, PRIYA)


def request(service: Service, membership: Membership, operator: str = "alice") -> Result:
    """The first act."""
    with service.services.database.transaction() as tx:
        return service.services.data_access.request(tx, tx.get_one(Membership, membership.id), operator=operator)


def approve(service: Service, request_id: str | None, operator: str = "bob") -> Result:
    """The second act."""
    with service.services.database.transaction() as tx:
        return service.services.data_access.approve(tx, request_id or "", operator=operator)


def remove(service: Service, membership: Membership) -> Result:
    """One operator is enough."""
    with service.services.database.transaction() as tx:
        return service.services.data_access.remove(tx, tx.get_one(Membership, membership.id))


def stored(service: Service, membership: Membership) -> Membership:
    """As it is now."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Membership, membership.id)


def test_d12_two_operators_grant_it(service: Service, priya: Membership) -> None:
    """It ends remembered devices (D6), and the person and the holders are told by mail."""
    asked = request(service, priya)
    assert not stored(service, priya).sensitive_data_access
    assert approve(service, asked.made).outcome is Outcome.DONE
    now = stored(service, priya)
    assert (now.sensitive_data_access, now.security_epoch) == (True, priya.security_epoch + 1)
    service.deliver()
    assert sorted(mail.to for mail in service.emails.messages) == [DANA, PRIYA]
    assert "You now have Sensitive Data Access" in service.emails.to(PRIYA)[-1].subject
    assert "IMS support granted it" in service.emails.to(DANA)[-1].text


def test_d12_the_same_operator_twice_is_refused(service: Service, priya: Membership) -> None:
    """Four eyes."""
    asked = request(service, priya, "alice")
    assert approve(service, asked.made, "alice").outcome is Outcome.SAME_OPERATOR
    assert not stored(service, priya).sensitive_data_access


def test_d12_of_two_approvals_at_once_one_grants(service: Service, priya: Membership) -> None:
    """One conditional UPDATE."""
    asked = request(service, priya)
    outcomes = service.at_once(
        lambda: approve(service, asked.made, "bob"), lambda: approve(service, asked.made, "carol")
    )
    assert sorted(result.outcome for result in outcomes) == [Outcome.ALREADY, Outcome.DONE]
    assert len(service.events("data_access.granted")) == 1


def test_a_request_expires_after_a_week(service: Service, priya: Membership) -> None:
    """policies/permissions.yaml, data_access_request."""
    asked = request(service, priya)
    service.pass_time(days=7)
    assert approve(service, asked.made).outcome is Outcome.EXPIRED
    assert request(service, priya).outcome is Outcome.DONE


def test_a_second_request_finds_the_first(service: Service, priya: Membership) -> None:
    """Nobody approves their own by asking again under another name's request."""
    first, second = request(service, priya, "alice"), request(service, priya, "bob")
    assert (second.outcome, second.made) == (Outcome.ALREADY, first.made)
    assert approve(service, first.made, "bob").outcome is Outcome.DONE


def test_removing_ends_what_waits_and_holds_at_once(service: Service, priya: Membership) -> None:
    """A request that was made before grants nothing afterwards."""
    asked = request(service, priya)
    assert remove(service, priya).outcome is Outcome.DONE
    assert approve(service, asked.made).outcome is Outcome.NOT_FOUND
    approve(service, request(service, priya).made)
    assert remove(service, priya).outcome is Outcome.DONE
    assert not stored(service, priya).sensitive_data_access
    assert remove(service, priya).outcome is Outcome.ALREADY


def test_nobody_inactive_is_given_it(service: Service, priya: Membership) -> None:
    """Asked for, then deactivated: the approval is refused."""
    asked = request(service, priya)
    with service.services.database.transaction() as tx:
        tx.get_one(Membership, priya.id).deactivated_at = service.clock.now()
    assert approve(service, asked.made).outcome is Outcome.INACTIVE
    assert request(service, priya).outcome is Outcome.INACTIVE


def test_d12_support_does_not_grant_in_role_based_accounts(service: Service) -> None:
    """A Super Admin does."""
    account = service.account(permission_model="role")
    member = service.member(account, PRIYA, role="admin")
    assert request(service, member).outcome is Outcome.OTHER_MODEL
    assert remove(service, member).outcome is Outcome.OTHER_MODEL


@pytest.mark.parametrize("name", ["", "x", "\0", "é" * 32, "0" * 32, "' OR 1=1"])
def test_an_unknown_request_is_not_found(service: Service, name: str) -> None:
    """Whatever is typed."""
    assert approve(service, name).outcome is Outcome.NOT_FOUND
