"""The audit trail: of the accounts that a caller may touch; rows of no account only for who is bound to none."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from authsvc.accounts.models import Account
from authsvc.api import reach
from authsvc.api.operation import BASE, Call, Operation, next_page
from authsvc.api.schemas import AuditQuery, Happening, Trail
from authsvc.audit.models import AuditEvent


def search(call: Call) -> Trail:
    """The rows that fit, the newest first."""
    slugs = _slugs(call)
    found = call.tx.scalars(
        select(AuditEvent).where(*_fits(call, slugs)).order_by(AuditEvent.id.desc()).limit(call.query.limit + 1)
    ).all()
    page = found[: call.query.limit]
    return Trail(
        items=[
            Happening(
                id=row.id,
                at=row.at,
                kind=row.name,
                account=slugs.get(row.account_id) if row.account_id else None,
                person=row.user_id,
                session=row.session_id,
                client=row.client_id,
                operator=row.operator,
                remote_address=row.remote_address,
                user_agent=row.user_agent,
                request_id=row.request_id,
                fields=row.fields,
            )
            for row in page
        ],
        next=next_page(call, "/audit", page[-1].id) if len(found) > len(page) else None,
    )


def _slugs(call: Call) -> dict[str, str]:
    """Of the accounts that are looked at, by id."""
    if call.query.account is not None:
        one = reach.account(call, call.query.account)
        return {one.id: one.slug}
    return {
        row.id: row.slug
        for row in call.tx.execute(reach.accounts_within(call).with_only_columns(Account.id, Account.slug))
    }


def _fits(call: Call, slugs: dict[str, str]) -> list[ColumnElement[bool]]:
    query, conditions = call.query, list[ColumnElement[bool]]()
    if query.account is not None or call.caller.accounts is not None:
        conditions.append(AuditEvent.account_id.in_(slugs))
    if query.person is not None:
        conditions.append(AuditEvent.user_id == query.person)
    if query.kind is not None:
        conditions.append(AuditEvent.name == query.kind)
    if query.since is not None:
        conditions.append(AuditEvent.at >= query.since)
    if query.until is not None:
        conditions.append(AuditEvent.at < query.until)
    if query.cursor is not None:
        conditions.append(AuditEvent.id < int(query.cursor))
    return conditions


OPERATIONS = (
    Operation(
        "searchAudit",
        "GET",
        f"{BASE}/audit",
        "audit.read",
        "The audit trail, the newest first",
        search,
        Trail,
        query=AuditQuery,
        refusals=frozenset({404}),
    ),
)
