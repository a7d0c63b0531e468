"""OpenID Connect Back-Channel Logout 1.0: every client of a session is told that it ended.

Three acts, so that nothing is lost and nobody waits: the session's end queues a job in its own transaction (sessions/
knows no clients), the worker writes a receipt and a job for each client, and each of those is delivered with retries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock, epoch_s
from authsvc.crypto.tokens import new_id
from authsvc.db import Database
from authsvc.jobs import Queue
from authsvc.jobs.queue import MAX_ATTEMPTS
from authsvc.jobs.worker import TryLater
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.clients import Client, Registry
from authsvc.oauth.guarded_fetch import FetchFailed, GuardedFetch
from authsvc.oauth.jose import algorithm_for, sign
from authsvc.oauth.models import LogoutDelivery, TokenFamily
from authsvc.oauth.subjects import Subjects

SEND_LOGOUT = "send_logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPE = "logout+jwt"
#: Section 2.4: "preferably at most two minutes in the future, to prevent captured Logout Tokens from being replayable".
LIFETIME = timedelta(minutes=2)
KEPT = timedelta(days=30)
#: Far longer than all tries together: a worker died at the last one.
GIVEN_UP = timedelta(hours=1)


@dataclass(frozen=True)
class LogoutFanOut:
    """Finds the clients of the sessions that ended, and queues one delivery for each."""

    database: Database
    registry: Registry
    queue: Queue
    clock: Clock

    def __call__(self, args: Mapping[str, Any]) -> None:
        """`args` as sessions/ wrote them: which sessions, and whether they are all that the person had."""
        with self.database.transaction() as tx:
            told = tx.execute(
                select(TokenFamily.client_id, TokenFamily.user_id, TokenFamily.session_id)
                .where(TokenFamily.session_id.in_(args["sids"]))
                .distinct()
                .order_by(TokenFamily.client_id, TokenFamily.session_id)
            ).all()
            for client_id, user_id, sid in told:
                client = self.registry.client(client_id, tx)
                if client is None or client.metadata.backchannel_logout_uri is None:
                    continue
                # Without `sid` it is about every session of the person (section 2.4), and once is enough.
                whole = bool(args["everywhere"]) and not client.metadata.backchannel_logout_session_required
                self._queue(tx, args["event"], client_id, user_id, None if whole else sid)

    def _queue(self, tx: Session, event: str, client_id: str, user_id: str, sid: str | None) -> None:
        # The id follows from what it is about: this job may run twice, and each client is told once.
        delivery_id = hashlib.sha256(f"{event} {client_id} {user_id} {sid}".encode()).hexdigest()[:32]
        if tx.get(LogoutDelivery, delivery_id) is not None:
            return
        tx.add(
            LogoutDelivery(
                id=delivery_id,
                client_id=client_id,
                user_id=user_id,
                session_id=sid,
                status="pending",
                attempts=0,
                problem="",
                created_at=self.clock.now(),
            )
        )
        tx.flush()
        self.queue.enqueue(tx, SEND_LOGOUT, delivery_id=delivery_id)


@dataclass(frozen=True)
class LogoutTokens:
    """Makes logout tokens, signed as the client's ID tokens are."""

    issuer: str
    ring: KeyRing
    subjects: Subjects
    clock: Clock

    def make(self, client: Client, *, user_id: str, sid: str | None) -> str:
        """One for this client (section 2.4). Never a nonce: it must not pass for an ID token (TK-19)."""
        now = self.clock.now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subjects.sub(client, user_id),
            "aud": client.client_id,
            "iat": epoch_s(now),
            "exp": epoch_s(now + LIFETIME),
            "jti": new_id(),
            "events": {EVENT: {}},
        }
        if sid is not None:
            claims["sid"] = sid
        alg = algorithm_for(self.ring, client.metadata.id_token_signed_response_alg)
        return sign(self.ring, claims, alg=alg, typ=TYPE)


@dataclass(frozen=True)
class LogoutDeliveries:
    """Carries logout tokens to clients, and keeps the receipts."""

    database: Database
    registry: Registry
    tokens: LogoutTokens
    fetch: GuardedFetch
    clock: Clock
    audit: AuditLog

    def __call__(self, args: Mapping[str, Any]) -> None:
        """One try of the delivery that `args` names. Raises: TryLater until the tries are used up."""
        with self.database.transaction(read_only=True) as tx:
            delivery = tx.get(LogoutDelivery, args["delivery_id"])
            client = self.registry.client(delivery.client_id, tx) if delivery else None
        if delivery is None or delivery.status != "pending":
            return
        address = client.metadata.backchannel_logout_uri if client else None
        if client is None or address is None:
            self._give_up(delivery.id, "the client does not want it any more")
            return
        # A new token with each try: an answer that was lost must not make the next one a replay.
        token = self.tokens.make(client, user_id=delivery.user_id, sid=delivery.session_id)
        try:
            self.fetch.post(address, {"logout_token": token})
        except FetchFailed as exc:
            self._failed(delivery.id, exc.reason)
        else:
            self._delivered(delivery.id)

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Give up what hangs, and forget old receipts."""
        hanging = select(LogoutDelivery.id).where(
            LogoutDelivery.status == "pending", LogoutDelivery.created_at < now - GIVEN_UP
        )
        for delivery_id in tx.scalars(hanging).all():
            self._close(tx, delivery_id, "failed", problem="not delivered within an hour")
        tx.execute(delete(LogoutDelivery).where(LogoutDelivery.created_at < now - KEPT))

    def _delivered(self, delivery_id: str) -> None:
        with self.database.transaction() as tx:
            self._close(tx, delivery_id, "delivered", attempts=LogoutDelivery.attempts + 1, problem="")

    def _give_up(self, delivery_id: str, problem: str) -> None:
        with self.database.transaction() as tx:
            self._close(tx, delivery_id, "failed", problem=problem)

    def _failed(self, delivery_id: str, problem: str) -> None:
        with self.database.transaction() as tx:
            attempts = tx.scalar(
                update(LogoutDelivery)
                .where(LogoutDelivery.id == delivery_id, LogoutDelivery.status == "pending")
                .values(attempts=LogoutDelivery.attempts + 1, problem=problem)
                .returning(LogoutDelivery.attempts)
            )
            if attempts is None:
                return
            if attempts >= MAX_ATTEMPTS:
                self._close(tx, delivery_id, "failed", problem=problem)
                return
        raise TryLater(detail=problem)

    def _close(self, tx: Session, delivery_id: str, status: str, **values: Any) -> None:
        """End a delivery; one UPDATE, so it is recorded once."""
        if status == "delivered":
            values["delivered_at"] = self.clock.now()
        closed = tx.execute(
            update(LogoutDelivery)
            .where(LogoutDelivery.id == delivery_id, LogoutDelivery.status == "pending")
            .values(status=status, **values)
            .returning(
                LogoutDelivery.client_id,
                LogoutDelivery.user_id,
                LogoutDelivery.session_id,
                LogoutDelivery.attempts,
                LogoutDelivery.problem,
            )
        ).one_or_none()
        if closed is None:
            return
        about = {"client_id": closed.client_id, "user_id": closed.user_id, "session_id": closed.session_id}
        if status == "delivered":
            self.audit.record(tx, Event.LOGOUT_SENT, **about, attempts=closed.attempts)
        else:
            self.audit.record(tx, Event.LOGOUT_FAILED, **about, attempts=closed.attempts, reason=closed.problem)


def receipts(tx: Session, client_id: str, *, most: int = 10) -> list[LogoutDelivery]:
    """The last deliveries to a client, newest first, for operators."""
    newest = select(LogoutDelivery).where(LogoutDelivery.client_id == client_id)
    found: Iterable[LogoutDelivery] = tx.scalars(newest.order_by(LogoutDelivery.created_at.desc()).limit(most))
    return list(found)
