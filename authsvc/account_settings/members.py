"""Who is in the team: add, invite, withdraw, deactivate, reactivate (domain J5, D32, D34; security.md TN-11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.account_settings import roles
from authsvc.account_settings.acting import (
    DONE,
    Actor,
    Outcome,
    Result,
    hold,
    is_last_super_admin,
    why_not_active,
)
from authsvc.accounts.invitations import Invitations
from authsvc.accounts.models import Account, Audience, EmailAddress, Membership, User
from authsvc.accounts.permissions import Permission, refusal
from authsvc.accounts.queries import canonical_email, lock_account, user_by_email
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.db import after_commit
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.policy.schema import PermissionPolicy
from authsvc.sessions.session import Sessions
from authsvc.throttle import AddressWindows, Throttle
from authsvc.web import facts


@dataclass(frozen=True)
class Added:
    """The membership; `is_new` False: that address was in the team already, and nothing was changed."""

    membership: Membership
    is_new: bool
    invited: Result | None = None


@dataclass(frozen=True)
class Members:
    """The team's comings and goings. `end_attempts`: login/ is above this package, so it is handed the one act it needs."""

    invitations: Invitations
    sessions: Sessions
    devices: Devices
    courier: Courier
    throttle: Throttle
    windows: AddressWindows
    permissions: PermissionPolicy
    resend_after: timedelta
    clock: Clock
    audit: AuditLog
    end_attempts: Callable[[Session, str, str | None], None]

    def add(
        self, tx: Session, account: Account, *, name: str, email: str, role: str, actor: Actor, invite: bool
    ) -> Added | Result:
        """Put a person into the team; they are in it once they accept. `email`: one plain address, as typed.

        Nothing tells whether somebody of that address signs in elsewhere already (security.md RC-09). A role that this actor
        may not give is refused: ROLE_NOT_OFFERED.
        """
        lock_account(tx, account.id)
        if role not in roles.offered(account, assigns_roles=self.may_assign(actor)):
            return Result(Outcome.ROLE_NOT_OFFERED)
        user = user_by_email(tx, email) or self._new_person(tx, name, email)
        known = tx.scalars(
            select(Membership).where(
                Membership.user_id == user.id,
                Membership.account_id == account.id,
                Membership.audience == Audience.TEAM,
            )
        ).one_or_none()
        if known is not None:
            return Added(known, is_new=False)
        membership = Membership(
            id=new_id(),
            user_id=user.id,
            account_id=account.id,
            audience=Audience.TEAM.value,
            role=role,
            sensitive_data_access=False,
            invited_as=name,
            created_at=self.clock.now(),
        )
        membership.user, membership.account = user, account
        tx.add(membership)
        tx.flush()
        self.audit.record(
            tx,
            Event.MEMBER_CREATED,
            user_id=user.id,
            account_id=account.id,
            audience=Audience.TEAM.value,
            role=role,
            by=actor.by,
        )
        return Added(membership, is_new=True, invited=self.invite(tx, membership, actor=actor) if invite else None)

    def may_assign(self, actor: Actor) -> bool:
        """Whether this actor may give any role."""
        if actor.membership is None:
            return True
        return refusal(actor.membership, Permission.ASSIGN_ROLES, self.permissions, now=self.clock.now()) is None

    def invite(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Mail an invitation; an earlier one is void. The resend gap and the limits of a destination hold (security.md 5)."""
        if (refused := hold(tx, membership, actor)) is not None:
            return refused
        if membership.accepted_at is not None:
            return Result(Outcome.ALREADY)
        if membership.deactivated_at is not None:
            return Result(Outcome.INACTIVE)
        last = self.invitations.newest_at(tx, membership.id)
        if last is not None and self.clock.now() < last + self.resend_after:
            return Result(Outcome.TOO_SOON, until=last + self.resend_after)
        if (wait := self.throttle.take(tx, "send_per_destination", membership.user.email.address)) is not None:
            return Result(Outcome.TOO_MANY, until=wait.until)
        invitation = self.invitations.issue(tx, membership, invited_by=actor.user_id)
        self.courier.send_invitation(tx, invitation.id)
        if address := facts.current().remote_address:
            after_commit(tx, partial(self.windows.admit, "send_per_address", address))
        return Result(Outcome.DONE, made=invitation.id)

    def withdraw(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """End the open invitation; the person stays added."""
        if (refused := hold(tx, membership, actor)) is not None:
            return refused
        withdrawn = self.invitations.withdraw(tx, membership, by=actor.user_id)
        return DONE if withdrawn else Result(Outcome.ALREADY)

    def deactivate(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Switch a leaver inactive: signed out, forgotten, and what they sent out is void, all in this transaction (TN-11).

        Token families end with their sessions. History stays (ROLES); so does the role, for a reactivation.
        """
        if (refused := hold(tx, membership, actor)) is not None:
            return refused
        if membership.deactivated_at is not None:
            return Result(Outcome.ALREADY)
        if is_last_super_admin(tx, membership):
            return Result(Outcome.LAST_SUPER_ADMIN)
        membership.deactivated_at = self.clock.now()
        tx.flush()
        self._record(tx, Event.MEMBER_DEACTIVATED, membership, actor)
        self._forget(tx, membership)
        self.invitations.withdraw(tx, membership, by=actor.user_id, reason="deactivated")
        self.invitations.withdraw_sent_by(tx, membership, by=actor.user_id)
        return DONE

    def reactivate(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Let them in again. Everything is asked anew: what was remembered or under way stays dead."""
        if (refused := hold(tx, membership, actor)) is not None:
            return refused
        if membership.deactivated_at is None:
            return Result(Outcome.ALREADY)
        membership.deactivated_at = None
        tx.flush()
        self._record(tx, Event.MEMBER_REACTIVATED, membership, actor)
        self._forget(tx, membership)
        return DONE

    def sign_out_everywhere(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """End every session of this membership, and with them its tokens; a sign-in under way too. Devices stay remembered."""
        if (refused := hold(tx, membership, actor) or why_not_active(membership)) is not None:
            return refused
        ended = self.sessions.end_all(tx, "signed_out_by_admin", membership_id=membership.id)
        self.end_attempts(tx, membership.user_id, membership.id)
        self.audit.record(
            tx,
            Event.MEMBER_SIGNED_OUT,
            user_id=membership.user_id,
            account_id=membership.account_id,
            by=actor.by,
            sessions=ended,
        )
        return Result(Outcome.DONE, count=ended)

    def _forget(self, tx: Session, membership: Membership) -> None:
        self.sessions.end_all(tx, "deactivated", membership_id=membership.id)
        self.end_attempts(tx, membership.user_id, membership.id)
        self.devices.forget_all(
            tx,
            reason="deactivated",
            user_id=membership.user_id,
            account_id=membership.account_id,
            audience=membership.audience,
        )

    def _new_person(self, tx: Session, name: str, email: str) -> User:
        user = User(id=new_id(), name=name, created_at=self.clock.now())
        user.email = EmailAddress(address=email.strip(), canonical=canonical_email(email))
        user.phone = None
        tx.add(user)
        tx.flush()
        return user

    def _record(self, tx: Session, event: Event, membership: Membership, actor: Actor) -> None:
        self.audit.record(tx, event, user_id=membership.user_id, account_id=membership.account_id, by=actor.by)
