"""Accounts, as their callers may see them."""

from __future__ import annotations

from typing import Any

from authsvc.accounts import team
from authsvc.accounts.models import Account
from authsvc.api import reach
from authsvc.api.operation import BASE, Call, Operation, next_page
from authsvc.api.schemas import AccountAnswer, AccountDetail, Accounts, Paged, Switch, TeamCounts


def list_accounts(call: Call) -> Accounts:
    """Those that the caller may touch."""
    query = reach.accounts_within(call).order_by(Account.slug).limit(call.query.limit + 1)
    if call.query.cursor is not None:
        query = query.where(Account.slug > call.query.cursor)
    found = call.tx.scalars(query).all()
    page = found[: call.query.limit]
    return Accounts(
        items=[AccountAnswer(**_facts(one)) for one in page],
        next=next_page(call, "/accounts", page[-1].slug) if len(found) > len(page) else None,
    )


def show_account(call: Call) -> AccountDetail:
    """One of them."""
    one = reach.account(call, call.ids["slug"])
    counts = team.counts(call.tx, one.id)
    return AccountDetail(
        **_facts(one),
        mfa=[Switch.model_validate(row, from_attributes=True) for row in sorted(one.mfa, key=lambda row: row.audience)],
        team=TeamCounts(
            active=counts.active, unverified=counts.unverified, waiting=counts.waiting, inactive=counts.inactive
        ),
    )


def _facts(one: Account) -> dict[str, Any]:
    return {name: getattr(one, name) for name in AccountAnswer.model_fields}


OPERATIONS = (
    Operation(
        "listAccounts",
        "GET",
        f"{BASE}/accounts",
        "accounts.read",
        "The accounts that this client may touch",
        list_accounts,
        Accounts,
        query=Paged,
    ),
    Operation(
        "getAccount",
        "GET",
        f"{BASE}/accounts/{{slug}}",
        "accounts.read",
        "One account: its switches, its team in numbers",
        show_account,
        AccountDetail,
        refusals=frozenset({404}),
    ),
)
