"""Sensitive Data Access in two acts by two operators (domain D12); an operator is the client that calls."""

from __future__ import annotations

from authsvc.account_settings.acting import Outcome
from authsvc.accounts.models import DataAccessRequest
from authsvc.api import reach
from authsvc.api.operation import BASE, Call, Created, Operation, Refused
from authsvc.api.outcomes import act_on, refuse
from authsvc.api.schemas import Act, Asking, Body, DataAccessRequestAnswer


def ask(call: Call) -> Asking | Created:
    """The first act. Asked for before and still waiting: the same request."""
    one = reach.member(call, call.ids["member_id"])
    result = call.s.data_access.request(call.tx, one, operator=call.operator)
    refuse(call, result)
    if result.made is None:
        return Asking(changed=False, request=None)
    row = call.tx.get_one(DataAccessRequest, result.made)
    waiting = DataAccessRequestAnswer(
        id=row.id, member=one.id, requested_by=row.requested_by, expires_at=row.expires_at
    )
    if result.outcome is Outcome.ALREADY:
        return Asking(changed=False, request=waiting)
    return Created(Asking(changed=True, request=waiting), f"{BASE}/members/{one.id}")


def approve(call: Call) -> Act:
    """The second act, by another operator."""
    row = call.tx.get(DataAccessRequest, reach.row_id(call, "request_id"))
    if row is None:
        raise Refused(404)
    one = reach.membership_of(call, row.membership_id, kind="data_access_request")
    return act_on(call, one, call.s.data_access.approve(call.tx, row.id, operator=call.operator))


def remove(call: Call) -> Act:
    """One operator is enough to take it away; waiting requests end too."""
    one = reach.member(call, call.ids["member_id"])
    return act_on(call, one, call.s.data_access.remove(call.tx, one))


OPERATIONS = (
    Operation(
        "requestDataAccess",
        "POST",
        f"{BASE}/members/{{member_id}}/data-access-requests",
        "data_access.request",
        "First act: ask for Sensitive Data Access on somebody's behalf",
        ask,
        Asking,
        body=Body,
        creates=True,
        refusals=frozenset({404, 409}),
    ),
    Operation(
        "approveDataAccess",
        "POST",
        f"{BASE}/data-access-requests/{{request_id}}/approve",
        "data_access.approve",
        "Second act, by another client: grant it",
        approve,
        Act,
        body=Body,
        refusals=frozenset({404, 409}),
    ),
    Operation(
        "removeDataAccess",
        "DELETE",
        f"{BASE}/members/{{member_id}}/data-access",
        "data_access.approve",
        "Take Sensitive Data Access away",
        remove,
        Act,
        refusals=frozenset({404, 409}),
    ),
)
