"""What a person lets a client of somebody else have: asked once for each scope, remembered for each account."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.oauth.models import Consent
from authsvc.sessions.models import BrowserSession

#: The standard scopes in plain words; an API's scope is named as it is registered.
WORDS = {
    "openid": "Know that it’s you, and which account you’re in",
    "profile": "See your name and time zone",
    "email": "See your email address",
    "offline_access": "Stay connected for up to 30 days, also while you’re away",
}


@dataclass(frozen=True)
class Consents:
    """Remembers what was agreed to."""

    clock: Clock
    audit: AuditLog

    def covers(
        self, tx: Session, session: BrowserSession, client_id: str, scopes: Collection[str], *, since: datetime | None
    ) -> bool:
        """Whether this person has agreed to all of it, in this account; after `since`, where it must be said anew."""
        membership = session.membership
        statement = select(Consent.scope).where(
            Consent.user_id == membership.user_id,
            Consent.account_id == membership.account_id,
            Consent.client_id == client_id,
        )
        if since is not None:
            statement = statement.where(Consent.granted_at >= since)
        return set(scopes) <= set(tx.scalars(statement))

    def grant(self, tx: Session, session: BrowserSession, client_id: str, scopes: Collection[str]) -> None:
        """Remember the person's yes; one statement, so that two at once cannot lose each other's scopes."""
        about = {"user_id": session.user_id, "account_id": session.membership.account_id, "client_id": client_id}
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(Consent)
        # In one order, so that two at once cannot wait for each other.
        statement = insert.values(
            [{**about, "scope": name, "granted_at": self.clock.now()} for name in sorted(set(scopes))]
        )
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "account_id", "client_id", "scope"],
                set_={"granted_at": statement.excluded.granted_at},
            )
        )
        self.audit.record(tx, Event.CONSENT_GRANTED, **about, session_id=session.id, scope=" ".join(scopes))

    def deny(self, tx: Session, session: BrowserSession, client_id: str, scopes: Collection[str]) -> None:
        """Record the person's no; what was agreed to before stays."""
        self.audit.record(
            tx,
            Event.CONSENT_DENIED,
            user_id=session.user_id,
            account_id=session.membership.account_id,
            client_id=client_id,
            session_id=session.id,
            scope=" ".join(scopes),
        )


def in_plain_words(scopes: Collection[str]) -> list[str]:
    """What a person reads for these scopes."""
    return [WORDS.get(name, f"Use {name} on your behalf") for name in scopes]
