"""Looking a team up: who is in it, who waits, who left. A fixed number of statements, however many people."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session, contains_eager

from authsvc.accounts.models import Audience, EmailAddress, Invitation, Membership, PhoneNumber, User


class Part(StrEnum):
    """Where somebody stands in the team."""

    ACTIVE = "active"
    #: Added or invited, not there yet.
    WAITING = "waiting"
    INACTIVE = "inactive"


@dataclass(frozen=True)
class Counts:
    """How many there are. `unverified`: of the active ones."""

    active: int
    unverified: int
    waiting: int
    inactive: int


@dataclass(frozen=True)
class Sent:
    """The newest invitation of a membership, and who sent it; None: support."""

    invitation: Invitation
    inviter: str | None


def part_of(membership: Membership) -> Part:
    """Where this membership stands."""
    if membership.deactivated_at is not None:
        return Part.INACTIVE
    return Part.ACTIVE if membership.accepted_at is not None else Part.WAITING


def members(
    tx: Session, account_id: str, part: Part, *, limit: int, offset: int = 0, unverified: bool = False
) -> list[Membership]:
    """One page of a part of the team, by name; each with its person, address and phone loaded. One statement."""
    query = _team(account_id).where(_IN[part])
    if unverified:
        query = query.where(EmailAddress.verified_at.is_(None))
    shown = func.lower(func.coalesce(Membership.invited_as, User.name))
    return list(tx.scalars(query.order_by(shown, Membership.id).limit(limit).offset(offset)))


def counts(tx: Session, account_id: str) -> Counts:
    """How many there are in each part. One statement."""

    def how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    unverified = _IN[Part.ACTIVE] & EmailAddress.verified_at.is_(None)
    row = tx.execute(
        select(
            how_many(_IN[Part.ACTIVE]), how_many(unverified), how_many(_IN[Part.WAITING]), how_many(_IN[Part.INACTIVE])
        )
        .select_from(Membership)
        .join(EmailAddress, EmailAddress.user_id == Membership.user_id)
        .where(Membership.account_id == account_id, Membership.audience == Audience.TEAM)
    ).one()
    return Counts(*(int(number) for number in row))


def open_invitations(tx: Session, membership_ids: Collection[str]) -> dict[str, Sent]:
    """The open invitation of each of these memberships, expired ones among them. One statement."""
    rows = tx.execute(
        select(Invitation, User.name)
        .outerjoin(User, User.id == Invitation.invited_by)
        .where(
            Invitation.membership_id.in_(membership_ids),
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
        )
    )
    return {invitation.membership_id: Sent(invitation, name) for invitation, name in rows}


def member(tx: Session, account_id: str, membership_id: str) -> Membership | None:
    """The Team Member with this id, of this account alone (security.md TN-01); whatever an address may hold."""
    if not _may_be_id(membership_id):
        return None
    return tx.scalars(_team(account_id).where(Membership.id == membership_id)).one_or_none()


def anywhere(tx: Session, membership_id: str) -> Membership | None:
    """The Team Member with this id, of whichever account: for callers who then look whether it is one of theirs."""
    if not _may_be_id(membership_id):
        return None
    return tx.scalars(_teams().where(Membership.id == membership_id)).one_or_none()


def by_id(tx: Session, account_ids: Select[str], *, after: str | None, limit: int) -> list[Membership]:
    """The members of these accounts, by id, from the one after `after` on. One statement."""
    query = _teams().where(Membership.account_id.in_(account_ids))
    if after is not None:
        query = query.where(Membership.id > after)
    return list(tx.scalars(query.order_by(Membership.id).limit(limit)))


def is_of_another_account(tx: Session, account_id: str, membership_id: str) -> bool:
    """Whether this id names somebody, only not here: worth a row in the trail."""
    found = tx.get(Membership, membership_id) if _may_be_id(membership_id) else None
    return found is not None and found.account_id != account_id


def _team(account_id: str) -> Select[Membership]:
    return _teams().where(Membership.account_id == account_id)


def _teams() -> Select[Membership]:
    return (
        select(Membership)
        .join(Membership.user)
        .join(User.email)
        .outerjoin(PhoneNumber, PhoneNumber.user_id == User.id)
        .where(Membership.audience == Audience.TEAM)
        .options(
            contains_eager(Membership.user).contains_eager(User.email),
            contains_eager(Membership.user).contains_eager(User.phone),
        )
    )


def _may_be_id(text: str) -> bool:
    return len(text) == 32 and text.isascii() and text.isalnum()


_IN: dict[Part, ColumnElement[bool]] = {
    Part.ACTIVE: Membership.accepted_at.is_not(None) & Membership.deactivated_at.is_(None),
    Part.WAITING: Membership.accepted_at.is_(None) & Membership.deactivated_at.is_(None),
    Part.INACTIVE: Membership.deactivated_at.is_not(None),
}
