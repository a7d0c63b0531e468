"""The hash chain: the worker seals finished events in batches; anyone can check that none was changed, added or removed.

Sealing happens behind the acts: chaining inside each transaction would make all sign-ins wait for one another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from authsvc.audit.models import AuditEvent, AuditSeal

GENESIS = "0" * 64
BATCH = 500
#: A transaction lives 15 s at most (db/engine.py), so every row with a smaller id is committed by then.
SETTLED = timedelta(seconds=60)


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: how many events are sealed, up to which instant, and the first thing that is wrong."""

    sealed_events: int
    sealed_until: datetime | None
    unsealed_events: int
    problem: str | None


def seal(tx: Session, now: datetime) -> int:
    """Add one link over the settled events that have none; answers how many it covers.

    Raises: IntegrityError when another worker added the same link first; its work is as good.
    """
    last = tx.scalars(select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1)).one_or_none()
    after = last.last_id if last else 0
    events = tx.scalars(select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id).limit(BATCH)).all()
    # Up to the first that is still settling: a row committed late must not fall into a gap.
    settled = [*_while_settled(events, now - SETTLED)]
    if not settled:
        return 0
    previous = last.digest if last else GENESIS
    tx.add(
        AuditSeal(
            number=last.number + 1 if last else 1,
            first_id=settled[0].id,
            last_id=settled[-1].id,
            events=len(settled),
            previous=previous,
            digest=_link(previous, settled),
            sealed_at=now,
        )
    )
    tx.flush()
    return len(settled)


def verify(tx: Session) -> Verdict:
    """Walk the whole chain."""
    previous, covered, until, count = GENESIS, 0, None, 0
    for number, link in enumerate(tx.scalars(select(AuditSeal).order_by(AuditSeal.number)), start=1):
        events = tx.scalars(
            select(AuditEvent).where(AuditEvent.id > covered, AuditEvent.id <= link.last_id).order_by(AuditEvent.id)
        ).all()
        if link.number != number or link.previous != previous:
            return Verdict(count, until, 0, f"seal {number} is missing or was replaced")
        if len(events) != link.events or _link(previous, events) != link.digest:
            return Verdict(count, until, 0, f"events {covered + 1} to {link.last_id} are not what was sealed")
        previous, covered, count = link.digest, link.last_id, count + link.events
        until = events[-1].at
    unsealed = len(tx.scalars(select(AuditEvent.id).where(AuditEvent.id > covered)).all())
    return Verdict(count, until, unsealed, None)


def unsealed_since(tx: Session) -> datetime | None:
    """When the oldest event without a seal happened; None: every one has its seal."""
    covered = select(func.coalesce(func.max(AuditSeal.last_id), 0)).scalar_subquery()
    return tx.scalar(select(AuditEvent.at).where(AuditEvent.id > covered).order_by(AuditEvent.id).limit(1))


def _while_settled(events: Iterable[AuditEvent], before: datetime) -> Iterable[AuditEvent]:
    for event in events:
        if event.at > before:
            return
        yield event


def _link(previous: str, events: Iterable[AuditEvent]) -> str:
    digest = hashlib.sha256(previous.encode())
    for event in events:
        row = [getattr(event, column.key) for column in AuditEvent.__table__.columns]
        digest.update(json.dumps(row, sort_keys=True, default=lambda instant: instant.isoformat()).encode() + b"\n")
    return digest.hexdigest()
