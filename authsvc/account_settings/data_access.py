"""Sensitive Data Access: given and taken (domain D6, D12, D27).

In functionality-based accounts support does it, in two acts by two operators; in role-based ones a Super Admin (roles.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from authsvc.account_settings.acting import DONE, SUPPORT, Actor, Outcome, Result, hold, why_not_active
from authsvc.accounts.models import Audience, DataAccessRequest, Membership
from authsvc.accounts.permissions import is_role_based
from authsvc.accounts.queries import data_access_holders
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.policy.schema import PermissionPolicy


@dataclass(frozen=True)
class DataAccess:
    """Every way to come to Sensitive Data Access, and to lose it."""

    policy: PermissionPolicy
    devices: Devices
    courier: Courier
    clock: Clock
    audit: AuditLog

    def request(self, tx: Session, membership: Membership, *, operator: str) -> Result:
        """The first act: support asks for it on somebody's behalf. `made` is the id that another operator approves."""
        if (refused := hold(tx, membership, SUPPORT) or self._not_by_support(membership)) is not None:
            return refused
        if membership.sensitive_data_access:
            return Result(Outcome.ALREADY)
        now = self.clock.now()
        waiting = tx.scalars(
            select(DataAccessRequest).where(
                DataAccessRequest.membership_id == membership.id, *_is_open(), DataAccessRequest.expires_at > now
            )
        ).first()
        if waiting is not None:
            return Result(Outcome.ALREADY, until=waiting.expires_at, made=waiting.id)
        request = DataAccessRequest(
            id=new_id(),
            membership_id=membership.id,
            requested_by=operator,
            requested_at=now,
            expires_at=now + self.policy.data_access_request,
        )
        tx.add(request)
        tx.flush()
        self.audit.record(
            tx,
            Event.DATA_ACCESS_REQUESTED,
            user_id=membership.user_id,
            account_id=membership.account_id,
            request_id=request.id,
        )
        return Result(Outcome.DONE, until=request.expires_at, made=request.id)

    def approve(self, tx: Session, request_id: str, *, operator: str) -> Result:
        """The second act, by another operator. One conditional UPDATE: of two approvals at once one grants."""
        request = tx.get(DataAccessRequest, request_id) if request_id.isalnum() and request_id.isascii() else None
        if request is None:
            return Result(Outcome.NOT_FOUND)
        membership = tx.get_one(Membership, request.membership_id)
        if (refused := hold(tx, membership, SUPPORT) or self._not_by_support(membership)) is not None:
            return refused
        now = self.clock.now()
        approved = tx.execute(
            update(DataAccessRequest)
            .where(
                DataAccessRequest.id == request_id,
                *_is_open(),
                DataAccessRequest.expires_at > now,
                DataAccessRequest.requested_by != operator,
            )
            .values(approved_by=operator, approved_at=now)
            .returning(DataAccessRequest.id)
        ).one_or_none()
        if approved is None:
            tx.refresh(request)
            return Result(_why_not(request, operator, now), made=request.id)
        self.grant(tx, membership, actor=SUPPORT, request_id=request_id)
        return Result(Outcome.DONE, made=request.id)

    def remove(self, tx: Session, membership: Membership) -> Result:
        """Take it away: one operator is enough, and it holds at the next request. Waiting requests end too."""
        if (refused := hold(tx, membership, SUPPORT)) is not None:
            return refused
        if is_role_based(membership):
            return Result(Outcome.OTHER_MODEL)
        return self.take(tx, membership, actor=SUPPORT)

    def grant(self, tx: Session, membership: Membership, *, actor: Actor, request_id: str | None = None) -> None:
        """Give it, end the person's remembered devices (domain D6), and tell them and everybody who had it before."""
        about = {"user_id": membership.user_id, "account_id": membership.account_id}
        told = [one.user_id for one in data_access_holders(tx, membership.account_id)]
        membership.sensitive_data_access = True
        tx.flush()
        self.audit.record(tx, Event.DATA_ACCESS_GRANTED, **about, by=actor.by, request_id=request_id)
        self.devices.forget_all(tx, reason="sensitive_data_access_granted", **about)
        for user_id in {*told, membership.user_id}:
            self.courier.send_notice(
                tx,
                "notice_data_access",
                user_id=user_id,
                account_id=membership.account_id,
                at=self.clock.now(),
                browser=actor.browser,
                person="You" if user_id == membership.user_id else membership.user.name,
                verb="have" if user_id == membership.user_id else "has",
                by=actor.name,
            )

    def take(self, tx: Session, membership: Membership, *, actor: Actor) -> Result:
        """Take it, and end what was asked for; ALREADY when there was neither."""
        waiting = update(DataAccessRequest).where(DataAccessRequest.membership_id == membership.id, *_is_open())
        ended = tx.execute(waiting.values(withdrawn_at=self.clock.now()).returning(DataAccessRequest.id)).all()
        if not membership.sensitive_data_access:
            return DONE if ended else Result(Outcome.ALREADY)
        membership.sensitive_data_access = False
        tx.flush()
        self.audit.record(
            tx, Event.DATA_ACCESS_REMOVED, user_id=membership.user_id, account_id=membership.account_id, by=actor.by
        )
        return DONE

    def _not_by_support(self, membership: Membership) -> Result | None:
        if is_role_based(membership):
            return Result(Outcome.OTHER_MODEL)
        if membership.audience != Audience.TEAM:
            return Result(Outcome.NOT_FOUND)
        return why_not_active(membership)


def waiting_requests(tx: Session, membership_id: str, *, now: datetime) -> list[DataAccessRequest]:
    """What still waits for its second operator."""
    return list(
        tx.scalars(
            select(DataAccessRequest).where(
                DataAccessRequest.membership_id == membership_id, *_is_open(), DataAccessRequest.expires_at > now
            )
        )
    )


def _is_open() -> tuple[ColumnElement[bool], ...]:
    return DataAccessRequest.approved_at.is_(None), DataAccessRequest.withdrawn_at.is_(None)


def _why_not(request: DataAccessRequest, operator: str, now: datetime) -> Outcome:
    if request.approved_at is not None:
        return Outcome.ALREADY
    if request.withdrawn_at is not None:
        return Outcome.NOT_FOUND
    if request.expires_at <= now:
        return Outcome.EXPIRED
    return Outcome.SAME_OPERATOR if request.requested_by == operator else Outcome.NOT_FOUND
