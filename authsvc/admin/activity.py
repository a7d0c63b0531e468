"""Looking up what an account's admins may read of the trail: their own team's, and nothing of anybody else (ux.md S24)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Audience, Membership, User
from authsvc.admin.activity_words import PERSONAL, names_of
from authsvc.audit.models import AuditEvent


@dataclass(frozen=True)
class Wanted:
    """The filter. `after`, `before`: ids of the trail; newer than the one, older than the other."""

    names: Collection[str]
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int | None = None


def find(tx: Session, account_id: str, wanted: Wanted, *, limit: int) -> list[AuditEvent]:
    """The newest rows that fit, newest first; with `after`, those that follow it. Two statements.

    Rows of this account, about its team or about nobody. Of rows that name a person and no account (a wrong password), only
    those from when the person was active here: a person in two accounts has them in both, and what happened before they
    joined, or to an address that nobody has, is no business of an account's (domain D14, security.md TN-14).
    """
    team = select(Membership.user_id).where(Membership.account_id == account_id, Membership.audience == Audience.TEAM)
    ours = select(AuditEvent).where(
        AuditEvent.account_id == account_id, or_(AuditEvent.user_id.is_(None), AuditEvent.user_id.in_(team))
    )
    theirs = (
        select(AuditEvent)
        .join(Membership, Membership.user_id == AuditEvent.user_id)
        .where(
            AuditEvent.account_id.is_(None),
            AuditEvent.name.in_(PERSONAL),
            Membership.account_id == account_id,
            Membership.audience == Audience.TEAM,
            Membership.accepted_at <= AuditEvent.at,
            or_(Membership.deactivated_at.is_(None), Membership.deactivated_at >= AuditEvent.at),
        )
    )
    forwards = wanted.after is not None
    order = AuditEvent.id.asc() if forwards else AuditEvent.id.desc()
    found = list(tx.scalars(ours.where(*_fits(wanted)).order_by(order).limit(limit)))
    if len(found) == limit:
        # What lies beyond the last of ours is on another page; else each page would read to the end of everybody's rows.
        last = found[-1].id
        theirs = theirs.where(AuditEvent.id < last if forwards else AuditEvent.id > last)
    found += tx.scalars(theirs.where(*_fits(wanted)).order_by(order).limit(limit))
    found.sort(key=lambda event: event.id, reverse=not forwards)
    page = found[:limit]
    return page[::-1] if forwards else page


def chosen(filters: Mapping[str, str], joined: Collection[str], zone: ZoneInfo) -> Wanted:
    """The filter that an address says: person, kind, from, to; what cannot be read counts as not chosen."""
    first, last = day(filters.get("from", "")), day(filters.get("to", ""))
    person = filters.get("person", "")
    return Wanted(
        names_of(filters.get("kind", "")),
        user_id=person if person in joined else None,
        since=_midnight(first, zone) if first else None,
        until=_midnight(last + timedelta(days=1), zone) if last and last < date.max else None,
    )


def day(typed: str) -> date | None:
    """The day that is written like 2026-11-22, or None."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None


def people(tx: Session, account_id: str) -> dict[str, str]:
    """Everybody who ever joined the team, by id, for the filter and for the rows."""
    rows = tx.execute(
        select(User.id, User.name)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.account_id == account_id,
            Membership.audience == Audience.TEAM,
            Membership.accepted_at.is_not(None),
        )
        .order_by(User.name)
    )
    return dict(list(rows))


def waiting_names(tx: Session, account_id: str) -> dict[str, str | None]:
    """What those who have not joined are called here, by id (security.md RC-09)."""
    rows = tx.execute(
        select(Membership.user_id, Membership.invited_as).where(
            Membership.account_id == account_id,
            Membership.audience == Audience.TEAM,
            Membership.accepted_at.is_(None),
        )
    )
    return dict(list(rows))


def _midnight(day: date, zone: ZoneInfo) -> datetime | None:
    """The day's beginning where the person is; None at the edges of the calendar."""
    return datetime.combine(day, time.min, zone) if date.min < day < date.max else None


def _fits(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [AuditEvent.name.in_(wanted.names)]
    if wanted.user_id is not None:
        conditions.append(AuditEvent.user_id == wanted.user_id)
    if wanted.since is not None:
        conditions.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEvent.at < wanted.until)
    if wanted.before is not None:
        conditions.append(AuditEvent.id < wanted.before)
    if wanted.after is not None:
        conditions.append(AuditEvent.id > wanted.after)
    return conditions
