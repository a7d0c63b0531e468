"""Pushed authorization requests (RFC 9126): kept for their client, opened by a link nobody can guess, answered once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_secret
from authsvc.oauth.models import PushedRequest

PURPOSE = "pushed-request"
URN = "urn:ietf:params:oauth:request_uri:"


@dataclass(frozen=True)
class PushedRequests:
    """Keeps and hands out pushed requests."""

    lifetime: timedelta
    digester: Digester
    clock: Clock

    def keep(self, tx: Session, params: MultiDict[str, str], *, client_id: str, signed: bool) -> str:
        """Store a checked request; answers its `request_uri`, of 256 random bits (RFC 9126 2.2 and 7.1)."""
        now, secret = self.clock.now(), new_secret()
        tx.add(
            PushedRequest(
                digest=self._digest(secret),
                client_id=client_id,
                params=dict(params.items()),
                signed=signed,
                created_at=now,
                expires_at=now + self.lifetime,
            )
        )
        tx.flush()
        return URN + secret

    def open(self, tx: Session, request_uri: str, *, client_id: str) -> PushedRequest | None:
        """The request behind a link, as often as it is opened before it was answered; None when unknown, another client's
        (RFC 9126 2.2: "bound to the client"), too old or answered.
        """
        row = tx.get(PushedRequest, self._digest(request_uri.removeprefix(URN)), populate_existing=True)
        if row is None or row.client_id != client_id or row.consumed_at is not None:
            return None
        return row if row.expires_at > self.clock.now() else None

    def use(self, tx: Session, digest: str, *, by: str) -> bool:
        """Mark it answered; of simultaneous answers one wins. `by`: what it was opened for, which may be answered again.

        Not its lifetime but the parked request's counts here: a person may take longer to sign in than a link lives.
        """
        statement = (
            update(PushedRequest)
            .where(
                PushedRequest.digest == digest,
                or_(PushedRequest.consumed_at.is_(None), PushedRequest.consumed_by == by),
            )
            .values(consumed_at=self.clock.now(), consumed_by=by)
        )
        return tx.execute(statement.returning(PushedRequest.digest)).one_or_none() is not None

    def sweep(self, tx: Session, *, before: datetime) -> None:
        """Forget links that ran out before then; a parked request may need its row until it ends itself."""
        tx.execute(delete(PushedRequest).where(PushedRequest.expires_at < before))

    def _digest(self, secret: str) -> str:
        return self.digester.digest(PURPOSE, secret)
