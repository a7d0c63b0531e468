"""Roles: the five with what stands beside them (domain J6, D12, D27), and the two of functionality-based accounts (D32)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.account_settings.acting import (
    DONE,
    Actor,
    Outcome,
    Result,
    hold,
    is_last_super_admin,
    is_last_with_role,
    why_not_active,
)
from authsvc.account_settings.data_access import DataAccess
from authsvc.accounts.models import Account, Membership
from authsvc.accounts.permissions import SUPER_ADMIN, is_role_based
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.messaging.courier import Courier

#: In the order of the page.
ROLES = {
    "super_admin": "Super Admin",
    "admin": "Admin",
    "crm_only": "CRM Only",
    "kpi_only": "KPI Only",
    "project_only": "Project Only",
}
#: Functionality-based accounts know two (domain D32).
PLAIN_ROLES = {"member": "Team Member", "admin": "Admin"}


def names(account: Account) -> dict[str, str]:
    """Every role of this account and what it is called."""
    return ROLES if account.permission_model == "role" else PLAIN_ROLES


def offered(account: Account, *, assigns_roles: bool) -> dict[str, str]:
    """The roles in which a person may be added. Nobody is added as Super Admin: that is a grant, proved by a fresh code.

    Who may not assign roles adds people without a say in Admin Settings only (security.md TN-04).
    """
    closed = {SUPER_ADMIN} if assigns_roles else {SUPER_ADMIN, "admin"}
    if account.permission_model != "role":
        return PLAIN_ROLES
    return {role: name for role, name in ROLES.items() if role not in closed}


@dataclass(frozen=True)
class Wish:
    """What one member's Roles tab shall say."""

    role: str
    kpi_access: bool
    view_only: bool
    data_access: bool

    @classmethod
    def of(cls, membership: Membership) -> Wish:
        """As it stands."""
        return cls(membership.role, membership.kpi_access, membership.view_only, membership.sensitive_data_access)

    def settled(self) -> Wish:
        """A Super Admin has Sensitive Data Access by default, and has it as long as they are one."""
        return Wish(self.role, self.kpi_access, self.view_only, self.data_access or self.role == SUPER_ADMIN)

    def grants_to(self, membership: Membership) -> bool:
        """Whether it gives what only a fresh code may give (domain D9, D12)."""
        return self.settled().data_access and not membership.sensitive_data_access


@dataclass(frozen=True)
class Roles:
    """Changes a member's role."""

    data_access: DataAccess
    courier: Courier
    clock: Clock
    audit: AuditLog

    def change(self, tx: Session, membership: Membership, wish: Wish, *, actor: Actor) -> Result:
        """Make it so. A Super Admin is made and changed by Super Admins alone, never by themselves, and one always stays."""
        if (refused := hold(tx, membership, actor) or why_not_active(membership)) is not None:
            return refused
        wish = wish.settled()
        if (why := self._why_not(tx, membership, wish, actor)) is not None:
            return Result(why)
        before = Wish.of(membership)
        if wish == before:
            return Result(Outcome.ALREADY)
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        if wish.role != before.role:
            self._give(tx, membership, wish.role, actor)
        changed = [name for name in ("kpi_access", "view_only") if getattr(wish, name) != getattr(before, name)]
        if changed:
            membership.kpi_access, membership.view_only = wish.kpi_access, wish.view_only
            self.audit.record(tx, Event.MEMBER_CHANGED, **about, by=actor.by, fields=changed)
        tx.flush()
        if wish.data_access and not before.data_access:
            self.data_access.grant(tx, membership, actor=actor)
        elif before.data_access and not wish.data_access:
            self.data_access.take(tx, membership, actor=actor)
        return DONE

    def make_admin(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Open Admin Settings to a member of a functionality-based account. They are told by mail."""
        return self._change_plain(tx, membership, "admin", actor)

    def remove_admin(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Close Admin Settings to them again. An account keeps one admin, and nobody does it to themselves."""
        return self._change_plain(tx, membership, "member", actor)

    def _change_plain(self, tx: Session, membership: Membership, role: str, actor: Actor) -> Result:
        if (refused := hold(tx, membership, actor) or why_not_active(membership)) is not None:
            return refused
        if is_role_based(membership):
            return Result(Outcome.OTHER_MODEL)
        if membership.role == role:
            return Result(Outcome.ALREADY)
        if membership.role == "admin" and is_last_with_role(tx, membership):
            return Result(Outcome.LAST_ADMIN)
        self._give(tx, membership, role, actor)
        tx.flush()
        self.courier.send_notice(
            tx,
            "notice_role",
            user_id=membership.user_id,
            account_id=membership.account_id,
            at=self.clock.now(),
            browser=actor.browser,
            by=actor.name,
            role=PLAIN_ROLES[role],
        )
        return DONE

    def _give(self, tx: Session, membership: Membership, role: str, actor: Actor) -> None:
        before, membership.role = membership.role, role
        self.audit.record(
            tx,
            Event.MEMBER_ROLE_CHANGED,
            user_id=membership.user_id,
            account_id=membership.account_id,
            by=actor.by,
            before=before,
            after=role,
        )

    def _why_not(self, tx: Session, membership: Membership, wish: Wish, actor: Actor) -> Outcome | None:
        if not is_role_based(membership):
            return Outcome.OTHER_MODEL
        if wish.role not in ROLES:
            return Outcome.ROLE_NOT_OFFERED
        if wish.role == SUPER_ADMIN and not actor.is_super_admin:
            return Outcome.SUPER_ADMINS_ONLY
        if wish.role == SUPER_ADMIN and wish.view_only:
            return Outcome.SUPER_ADMIN_VIEW_ONLY
        if wish.role != SUPER_ADMIN and is_last_super_admin(tx, membership):
            return Outcome.LAST_SUPER_ADMIN
        return None
