"""What descends from a signing key: how many live things there are, and their end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.devices.models import RememberedDevice
from authsvc.devices.remember import Devices
from authsvc.jobs import Queue
from authsvc.keyring.schedule import Algorithm, KeyEntry, never_signs
from authsvc.keyring.words import counted
from authsvc.oauth.models import OAuthClient, RefreshToken, TokenFamily
from authsvc.oauth.tokens import ACCESS_TOKEN_ALG
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import SEEN_EVERY, announce_ended

REASON = "key_withdrawn"


@dataclass(frozen=True)
class Descent:
    """Live things: sessions and token families that got tokens of a key, clients that hold them, remembered devices."""

    sessions: int = 0
    families: int = 0
    clients: int = 0
    devices: int = 0

    def as_text(self) -> str:
        """As in "2 sessions, 1 token family, 1 client, 3 remembered devices"."""
        names = {"sessions": "session", "families": "token family", "clients": "client", "devices": "remembered device"}
        return ", ".join(counted(number, names[name]) for name, number in asdict(self).items())


def descent(tx: Session, entry: KeyEntry, now: datetime) -> Descent:
    """What would end with `entry`."""
    if not _has_signed(entry, now):
        return Descent()
    with_families = set(tx.scalars(select(TokenFamily.client_id).where(*_families(entry, now)).distinct()))
    return Descent(
        sessions=_count(tx, select(BrowserSession.id).where(*_sessions(entry, now))),
        families=_count(tx, select(TokenFamily.id).where(*_families(entry, now))),
        clients=len(with_families | _machines(tx, entry)),
        devices=count_devices(tx, now),
    )


def end_descent(tx: Session, entry: KeyEntry, devices: Devices, queue: Queue, now: datetime) -> Descent:
    """End it, in this transaction, and say what ended. One statement a table, whatever the number of rows."""
    found = descent(tx, entry, now)
    if not _has_signed(entry, now):
        return found
    take_time(tx)
    ended: dict[str, Any] = {"ended_at": now, "ended_reason": REASON}
    sessions = tx.scalars(
        update(BrowserSession).where(*_sessions(entry, now)).values(ended).returning(BrowserSession.id),
        execution_options={"synchronize_session": False},
    ).all()
    announce_ended(tx, queue, sessions)
    families = tx.execute(
        update(TokenFamily)
        .where(*_families(entry, now))
        .values(revoked_at=now, revoked_reason=REASON)
        .returning(TokenFamily.id),
        execution_options={"synchronize_session": False},
    ).all()
    devices.forget_all(tx, reason=REASON)
    return Descent(len(sessions), len(families), found.clients, found.devices)


def count_devices(tx: Session, now: datetime) -> int:
    """Remembered devices that stand in for a code now."""
    return _count(
        tx,
        select(RememberedDevice.id)
        .join(Membership, Membership.id == RememberedDevice.membership_id)
        .where(
            RememberedDevice.ended_at.is_(None),
            RememberedDevice.expires_at > now,
            RememberedDevice.epoch == Membership.security_epoch,
        ),
    )


def take_time(tx: Session) -> None:
    """Let the statements of this transaction run for a minute: they are meant to touch every row."""
    if tx.get_bind().dialect.name == "postgresql":
        tx.execute(text("SET LOCAL statement_timeout = '60s'"))


def _has_signed(entry: KeyEntry, now: datetime) -> bool:
    return entry.use_from <= now and not never_signs(entry)


def _families(entry: KeyEntry, now: datetime) -> list[ColumnElement[bool]]:
    """Not revoked, not run out, and given tokens while `entry` signed: at the beginning or by a refresh."""
    ends = entry.use_until or now
    refreshed = exists().where(
        RefreshToken.family_id == TokenFamily.id,
        RefreshToken.created_at >= entry.use_from,
        RefreshToken.created_at <= ends,
    )
    live = [
        TokenFamily.revoked_at.is_(None),
        TokenFamily.expires_at > now,
        TokenFamily.created_at <= ends,
        or_(TokenFamily.created_at >= entry.use_from, refreshed),
    ]
    if entry.algorithm != ACCESS_TOKEN_ALG:
        # Other keys sign the ID tokens of clients that asked for them, and nothing else.
        alg = OAuthClient.client_metadata["id_token_signed_response_alg"].as_string()
        asked = select(OAuthClient.client_id).where(alg == str(entry.algorithm))
        live.append(TokenFamily.client_id.in_(asked))
    return live


def _sessions(entry: KeyEntry, now: datetime) -> list[ColumnElement[bool]]:
    """Not ended, not run out, and seen while `entry` signed."""
    live = [BrowserSession.ended_at.is_(None), BrowserSession.expires_at > now]
    if entry.algorithm != ACCESS_TOKEN_ALG:
        return [*live, BrowserSession.id.in_(select(TokenFamily.session_id).where(*_families(entry, now)))]
    # last_seen_at is written once a minute at most.
    seen = BrowserSession.last_seen_at >= entry.use_from - SEEN_EVERY
    return [*live, BrowserSession.created_at <= (entry.use_until or now), seen]


def _machines(tx: Session, entry: KeyEntry) -> set[str]:
    """Clients that act for themselves: their tokens are no rows, but they hold some."""
    if entry.algorithm is not Algorithm(ACCESS_TOKEN_ALG):
        return set()
    active = select(OAuthClient).where(OAuthClient.deactivated_at.is_(None))
    return {
        client.client_id
        for client in tx.scalars(active)
        if "client_credentials" in client.client_metadata.get("grant_types", ())
    }


def _count(tx: Session, query: Select[Any]) -> int:
    return tx.scalar(select(func.count()).select_from(query.subquery())) or 0
