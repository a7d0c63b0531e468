"""Who acts on a Team Member, what may stand in the way, and the lock under which it is decided.

Whoever calls a use case of this package has made sure, in the same transaction and after `lock_account`, that the person may
administer, assign roles or grant (accounts/permissions.py); here stand the rules about whom they do it to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Audience, Membership
from authsvc.accounts.permissions import SUPER_ADMIN, is_role_based
from authsvc.accounts.queries import lock_account


class Outcome(StrEnum):
    """What became of it. All but DONE changed nothing."""

    DONE = "done"
    #: It was so before: a second press, or a colleague was quicker.
    ALREADY = "already"
    #: Nobody does this to themselves here.
    YOURSELF = "yourself"
    #: Only a Super Admin changes a Super Admin, or makes one.
    SUPER_ADMINS_ONLY = "super_admins_only"
    LAST_SUPER_ADMIN = "last_super_admin"
    #: The same in functionality-based accounts (domain D32).
    LAST_ADMIN = "last_admin"
    #: They have not accepted their invitation.
    NOT_JOINED = "not_joined"
    INACTIVE = "inactive"
    #: They belong to another account too, which has no say here: support does it.
    BELONGS_ELSEWHERE = "belongs_elsewhere"
    #: The account uses the other permission model.
    OTHER_MODEL = "other_model"
    SUPER_ADMIN_VIEW_ONLY = "super_admin_view_only"
    ROLE_NOT_OFFERED = "role_not_offered"
    TOO_SOON = "too_soon"
    TOO_MANY = "too_many"
    #: A second act by the operator of the first (domain D12).
    SAME_OPERATOR = "same_operator"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"


@dataclass(frozen=True)
class Result:
    """The outcome; until when to wait, where that applies; the id or the number of what was made or ended."""

    outcome: Outcome
    until: datetime | None = None
    made: str | None = None
    count: int = 0

    @property
    def is_done(self) -> bool:
        """Whether it is so now."""
        return self.outcome in (Outcome.DONE, Outcome.ALREADY)


DONE = Result(Outcome.DONE)


@dataclass(frozen=True)
class Actor:
    """A member of the account, or an operator of ours (`membership` None; the trail has the name)."""

    membership: Membership | None = None
    browser: str = ""

    @property
    def user_id(self) -> str | None:
        """The person's id; None for an operator."""
        return self.membership.user_id if self.membership else None

    @property
    def by(self) -> str:
        """For the trail."""
        return self.user_id or "support"

    @property
    def name(self) -> str:
        """For notices."""
        return self.membership.user.name if self.membership else "IMS support"

    @property
    def is_super_admin(self) -> bool:
        """Whether they may touch a Super Admin; support may."""
        return self.membership is None or (is_role_based(self.membership) and self.membership.role == SUPER_ADMIN)


SUPPORT = Actor()


def hold(tx: Session, membership: Membership, actor: Actor) -> Result | None:
    """Lock the account, read both memberships anew, and say why this actor may not touch this member; None when they may."""
    lock_account(tx, membership.account_id)
    for row in (membership, actor.membership):
        if row is not None:
            tx.refresh(row)
    if actor.membership is not None and actor.membership.user_id == membership.user_id:
        return Result(Outcome.YOURSELF)
    if is_super_admin(membership) and not actor.is_super_admin:
        return Result(Outcome.SUPER_ADMINS_ONLY)
    return None


def is_super_admin(membership: Membership) -> bool:
    """Whether the role is Super Admin, in an account that has roles."""
    return is_role_based(membership) and membership.role == SUPER_ADMIN


def is_last_super_admin(tx: Session, membership: Membership) -> bool:
    """Whether without them nobody active would be Super Admin (domain D12). Ask under the account's lock."""
    return is_super_admin(membership) and is_last_with_role(tx, membership)


def is_last_with_role(tx: Session, membership: Membership) -> bool:
    """Whether nobody else who is active has their role. Ask under the account's lock."""
    if not membership.is_active:
        return False
    others = select(func.count()).where(
        Membership.account_id == membership.account_id,
        Membership.audience == Audience.TEAM,
        Membership.role == membership.role,
        Membership.id != membership.id,
        Membership.accepted_at.is_not(None),
        Membership.deactivated_at.is_(None),
    )
    return not tx.scalar(others)


def why_not_active(membership: Membership) -> Result | None:
    """For acts that need somebody who has joined and was not switched inactive."""
    if membership.accepted_at is None:
        return Result(Outcome.NOT_JOINED)
    return Result(Outcome.INACTIVE) if membership.deactivated_at is not None else None
