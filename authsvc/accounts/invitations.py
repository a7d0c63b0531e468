"""Invitations into a membership that waits: issue, find, withdraw, accept (domain P3, D34; security.md RC-08 to RC-11).

The token is derived from the row's id under the service's secret: the worker makes it when it sends the mail, and no job,
log or table holds it. `accept` does what concerns tables of this package; whoever accepts for a person goes through
account_settings/joining.py, which also ends what another may have left behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.contacts import verify_email
from authsvc.accounts.models import EmailChange, Invitation, MailedLink, Membership, User
from authsvc.accounts.queries import lock_account
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_id

PURPOSE = "invitation"
TOKEN_PURPOSE = "invitation-token"
TOKEN_LENGTH = 64


class InvitationState(StrEnum):
    """What an invitation is good for."""

    USABLE = "usable"
    EXPIRED = "expired"
    USED = "used"
    WITHDRAWN = "withdrawn"
    #: Cut in two, or never ours.
    DAMAGED = "damaged"
    #: `accept` only: the person verified their address meanwhile, so the page asked for the wrong password. Show it again.
    CHANGED = "changed"


@dataclass(frozen=True)
class Found:
    """What a token leads to. `invitation` is None when it is damaged; `inviter` when an operator invited."""

    state: InvitationState
    invitation: Invitation | None = None
    inviter: str | None = None

    @property
    def sets_password(self) -> bool:
        """Whether the person chooses a name and a password here; else they show the one they have (ux.md S10)."""
        return self.invitation is not None and sets_password(self.invitation.membership.user)


@dataclass(frozen=True)
class Accepted:
    """Who joined. `took_over`: the address was not verified before, so whoever used it may have been somebody else."""

    membership: Membership
    took_over: bool


def sets_password(user: User) -> bool:
    """Whether accepting asks for a new password.

    An address that nobody proved may have been entered by somebody else, who then knows its password: the mailbox's owner
    begins anew (security.md RC-08).
    """
    return user.password_hash is None or user.email.verified_at is None


@dataclass(frozen=True)
class Invitations:
    """Everything that may happen to an invitation. `frozen_for`: as after any password set by mail (domain D15)."""

    lifetime: timedelta
    frozen_for: timedelta
    digester: Digester
    clock: Clock
    audit: AuditLog

    def issue(self, tx: Session, membership: Membership, *, invited_by: str | None) -> Invitation:
        """A new invitation; every earlier one of the membership is withdrawn: the newest alone counts.

        `invited_by`: a person's id, or None for an operator. The caller queues the mail (Courier.send_invitation).
        """
        now, invitation_id = self.clock.now(), new_id()
        self._withdraw(tx, Invitation.membership_id == membership.id)
        invitation = Invitation(
            id=invitation_id,
            membership_id=membership.id,
            token_digest=self.digester.digest(PURPOSE, self.token(invitation_id)),
            address=membership.user.email.address,
            invited_by=invited_by,
            created_at=now,
            expires_at=now + self.lifetime,
        )
        tx.add(invitation)
        tx.flush()
        self.audit.record(
            tx,
            Event.INVITATION_SENT,
            user_id=membership.user_id,
            account_id=membership.account_id,
            by=invited_by or "support",
        )
        return invitation

    def token(self, invitation_id: str) -> str:
        """The secret of the mailed link, 256 bits as 64 hex characters; for the worker alone, at the moment of sending."""
        return self.digester.digest(TOKEN_PURPOSE, invitation_id)

    def find(self, tx: Session, token: str) -> Found:
        """What this token leads to, whatever a link may hold. Changes nothing: mail scanners open links (RC-06)."""
        if len(token) != TOKEN_LENGTH or not token.isascii() or not token.isalnum():
            return Found(InvitationState.DAMAGED)
        invitation = tx.scalars(
            select(Invitation)
            .where(Invitation.token_digest == self.digester.digest(PURPOSE, token))
            .execution_options(populate_existing=True)
        ).one_or_none()
        if invitation is None:
            return Found(InvitationState.DAMAGED)
        inviter = tx.get(User, invitation.invited_by) if invitation.invited_by else None
        return Found(self.state(invitation), invitation, inviter.name if inviter else None)

    def state(self, invitation: Invitation) -> InvitationState:
        """What it is good for now."""
        membership = invitation.membership
        if invitation.accepted_at is not None:
            return InvitationState.USED
        moved = invitation.address != membership.user.email.address
        ended = membership.deactivated_at is not None or membership.account.closed_at is not None
        if invitation.withdrawn_at is not None or moved or ended:
            return InvitationState.WITHDRAWN
        if membership.accepted_at is not None:
            return InvitationState.USED
        return InvitationState.EXPIRED if invitation.expires_at <= self.clock.now() else InvitationState.USABLE

    def accept(
        self, tx: Session, token: str, *, name: str | None = None, password_hash: str | None = None
    ) -> Accepted | InvitationState:
        """Join. `name` and `password_hash` (hashed outside the transaction) where `Found.sets_password`, else neither.

        One conditional UPDATE, so of two at once one joins and the other learns that it was used. For a person with a
        verified address the view has checked their password, or that they are signed in as this very person (RC-11).
        """
        found = self.find(tx, token)
        if found.invitation is None or found.state is not InvitationState.USABLE:
            return found.state
        lock_account(tx, found.invitation.membership.account_id)
        # Read again behind the lock: a deactivation or a newer invitation may just have been committed.
        invitation = tx.get_one(Invitation, found.invitation.id, populate_existing=True)
        membership = tx.get_one(Membership, invitation.membership_id, populate_existing=True)
        # Two accounts may let the same new person in at once: one of them sets the password.
        tx.execute(select(User.id).where(User.id == membership.user_id).with_for_update())
        user = tx.get_one(User, membership.user_id, populate_existing=True)
        if (state := self.state(invitation)) is not InvitationState.USABLE:
            return state
        if sets_password(user) != (password_hash is not None):
            return InvitationState.CHANGED
        if not self._consume(tx, invitation.id):
            return InvitationState.USED
        took_over = user.email.verified_at is None
        now = self.clock.now()
        if password_hash is not None:
            self._begin_anew(tx, user, name=name, password_hash=password_hash)
        verify_email(tx, user, address=invitation.address, by="invitation", clock=self.clock, audit=self.audit)
        membership.accepted_at, membership.invited_as = now, None
        tx.flush()
        self.audit.record(tx, Event.INVITATION_ACCEPTED, user_id=user.id, account_id=membership.account_id)
        return Accepted(membership, took_over)

    def withdraw(self, tx: Session, membership: Membership, *, by: str | None, reason: str = "withdrawn") -> bool:
        """End the open invitation of a membership; False when there is none. `by`: a person's id; None: an operator."""
        if not self._withdraw(tx, Invitation.membership_id == membership.id):
            return False
        self.audit.record(
            tx,
            Event.INVITATION_WITHDRAWN,
            user_id=membership.user_id,
            account_id=membership.account_id,
            by=by or "support",
            reason=reason,
        )
        return True

    def withdraw_sent_by(self, tx: Session, inviter: Membership, *, by: str | None) -> int:
        """End what a leaver sent out in this account (security.md TN-11); answers how many."""
        ours = select(Membership.id).where(Membership.account_id == inviter.account_id)
        open_ones = tx.scalars(
            select(Invitation).where(
                Invitation.invited_by == inviter.user_id, Invitation.membership_id.in_(ours), *_is_open()
            )
        ).all()
        return sum(self.withdraw(tx, one.membership, by=by, reason="inviter_left") for one in open_ones)

    def newest_at(self, tx: Session, membership_id: str) -> datetime | None:
        """When the membership was last invited."""
        return tx.scalar(
            select(Invitation.created_at)
            .where(Invitation.membership_id == membership_id)
            .order_by(Invitation.created_at.desc())
            .limit(1)
        )

    def _consume(self, tx: Session, invitation_id: str) -> bool:
        now = self.clock.now()
        spent = tx.execute(
            update(Invitation)
            .where(Invitation.id == invitation_id, Invitation.expires_at > now, *_is_open())
            .values(accepted_at=now)
            .returning(Invitation.id)
        ).one_or_none()
        return spent is not None

    def _begin_anew(self, tx: Session, user: User, *, name: str | None, password_hash: str) -> None:
        now = self.clock.now()
        if user.password_hash is not None:
            user.sensitive_acts_from = now + self.frozen_for
        user.password_hash, user.password_changed_at, user.last_method = password_hash, now, None
        user.name = name or user.name
        if user.email.verified_at is None:
            tx.execute(delete(EmailChange).where(EmailChange.user_id == user.id))
            tx.execute(
                update(MailedLink)
                .where(MailedLink.user_id == user.id, MailedLink.used_at.is_(None), MailedLink.voided_at.is_(None))
                .values(voided_at=now)
            )
        tx.flush()
        self.audit.record(tx, Event.PASSWORD_CHANGED, user_id=user.id, by="invitation")

    def _withdraw(self, tx: Session, which: ColumnElement[bool]) -> int:
        ended = update(Invitation).where(which, *_is_open()).values(withdrawn_at=self.clock.now())
        return len(tx.execute(ended.returning(Invitation.id)).all())


def _is_open() -> tuple[ColumnElement[bool], ...]:
    return Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None)
