"""Devices that ask to be let in: asked once, decided once by a person, redeemed once (RFC 8628)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_id, new_secret
from authsvc.oauth.device.user_code import new_user_code, read
from authsvc.oauth.families import Families
from authsvc.oauth.models import DeviceAuthorization, TokenFamily
from authsvc.policy.schema import DeviceCodePolicy
from authsvc.sessions.models import BrowserSession

DEVICE_PURPOSE, USER_PURPOSE = "device-code", "device-user-code"
#: By how much a device that asks too early must wait longer from then on (RFC 8628 3.5).
SLOWER_BY_S = 5
#: A network is not a metronome.
EARLY_IS_FINE = timedelta(seconds=1)


class Waiting(StrEnum):
    """Why a device gets no token yet, or none at all; the value is the error of RFC 8628 3.5."""

    PENDING = "authorization_pending"
    TOO_FAST = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"


@dataclass(frozen=True)
class Started:
    """What the device is told."""

    device_code: str
    user_code: str


@dataclass(frozen=True)
class DeviceCodes:
    """Issues, decides and redeems."""

    policy: DeviceCodePolicy
    families: Families
    digester: Digester
    clock: Clock
    audit: AuditLog

    def start(self, tx: Session, *, client_id: str, scope: str, resource: str, remote_address: str) -> Started:
        """A new pair of codes."""
        now, device_code = self.clock.now(), new_secret()
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(DeviceAuthorization)
        while True:
            user_code = new_user_code()
            kept = tx.execute(
                insert.values(
                    id=new_id(),
                    device_code_digest=self.digester.digest(DEVICE_PURPOSE, device_code),
                    user_code_digest=self._digest_of(user_code),
                    client_id=client_id,
                    scope=scope,
                    resource=resource,
                    remote_address=remote_address[:45],
                    interval_s=int(self.policy.interval.total_seconds()),
                    not_before=now,
                    created_at=now,
                    expires_at=now + self.policy.lifetime,
                )
                .on_conflict_do_nothing()
                .returning(DeviceAuthorization.id)
            ).one_or_none()
            if kept is not None:  # else the code is another device's just now
                return Started(device_code, user_code)

    def asked(self, tx: Session, user_code: str, *, row_id: str | None = None) -> DeviceAuthorization | None:
        """The undecided request behind what a person typed; unknown, decided and expired look alike.

        `row_id`: it must be this very one. A page names both, so that opening it is no way to guess codes.
        """
        letters = read(user_code)
        if letters is None:
            return None
        row = tx.scalars(
            select(DeviceAuthorization).where(DeviceAuthorization.user_code_digest == self._digest_of(letters))
        ).one_or_none()
        if row is None or row.decided_at is not None or row.expires_at <= self.clock.now():
            return None
        return row if row_id in (None, row.id) else None

    def approve(self, tx: Session, row: DeviceAuthorization, session: BrowserSession) -> TokenFamily | None:
        """Let the device in as the person of this session; None when it was decided meanwhile."""
        if not self._decide(tx, row):
            return None
        family = self.families.begin(
            tx,
            session,
            client_id=row.client_id,
            scope=row.scope,
            resource=row.resource,
            nonce=None,
            acr=self.families.effective_acr(tx, session),
        )
        tx.execute(update(DeviceAuthorization).where(DeviceAuthorization.id == row.id).values(family_id=family.id))
        self.audit.record(
            tx, Event.DEVICE_APPROVED, **_about(row, session), scope=row.scope, acr=family.acr, family_id=family.id
        )
        return family

    def deny(self, tx: Session, row: DeviceAuthorization, session: BrowserSession) -> bool:
        """Refuse the device; False when it was decided meanwhile."""
        if not self._decide(tx, row):
            return False
        self.audit.record(tx, Event.DEVICE_DENIED, **_about(row, session))
        return True

    def redeem(self, tx: Session, device_code: str, *, client_id: str) -> TokenFamily | Waiting:
        """The family that was approved, once; else why not. One UPDATE, so of simultaneous calls one wins.

        Every other one ends the family, as with authorization codes: a device asks again only after it was answered.
        """
        now, digest = self.clock.now(), self.digester.digest(DEVICE_PURPOSE, device_code)
        spent = tx.scalars(
            update(DeviceAuthorization)
            .where(
                DeviceAuthorization.device_code_digest == digest,
                DeviceAuthorization.client_id == client_id,
                DeviceAuthorization.family_id.is_not(None),
                DeviceAuthorization.consumed_at.is_(None),
                DeviceAuthorization.expires_at > now,
            )
            .values(consumed_at=now)
            .returning(DeviceAuthorization)
        ).one_or_none()
        if spent is None:
            return self._why_not(tx, digest, client_id)
        family = tx.get(TokenFamily, spent.family_id, populate_existing=True)
        is_alive = family is not None and self.families.problem(tx, family) is None
        return family if family is not None and is_alive else Waiting.UNKNOWN

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget those that ran out; a day later, so that a late device still hears `expired_token`."""
        tx.execute(delete(DeviceAuthorization).where(DeviceAuthorization.expires_at < now - timedelta(days=1)))

    def _decide(self, tx: Session, row: DeviceAuthorization) -> bool:
        now = self.clock.now()
        decided = tx.execute(
            update(DeviceAuthorization)
            .where(
                DeviceAuthorization.id == row.id,
                DeviceAuthorization.decided_at.is_(None),
                DeviceAuthorization.expires_at > now,
            )
            .values(decided_at=now)
            .returning(DeviceAuthorization.id)
        ).one_or_none()
        return decided is not None

    def _why_not(self, tx: Session, digest: str, client_id: str) -> Waiting:
        row = tx.scalars(
            select(DeviceAuthorization)
            .where(DeviceAuthorization.device_code_digest == digest, DeviceAuthorization.client_id == client_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one_or_none()
        now = self.clock.now()
        if row is None:
            return Waiting.UNKNOWN
        if row.consumed_at is not None and row.family_id is not None:
            self.audit.record(tx, Event.DEVICE_CODE_REUSED, client_id=client_id, family_id=row.family_id)
            self.families.revoke(tx, row.family_id, "device_code_reused")
            return Waiting.UNKNOWN
        if row.expires_at <= now:
            return Waiting.EXPIRED
        if row.decided_at is not None and row.family_id is None:
            return Waiting.DENIED
        if row.decided_at is not None:
            return Waiting.PENDING  # approved since the UPDATE looked: the next question gets the tokens
        is_early = now < row.not_before - EARLY_IS_FINE
        if is_early:
            row.interval_s += SLOWER_BY_S
        row.not_before = now + timedelta(seconds=row.interval_s)
        return Waiting.TOO_FAST if is_early else Waiting.PENDING

    def _digest_of(self, user_code: str) -> str:
        return self.digester.digest(USER_PURPOSE, read(user_code) or "")


def _about(row: DeviceAuthorization, session: BrowserSession) -> dict[str, str]:
    return {
        "user_id": session.user_id,
        "account_id": session.membership.account_id,
        "session_id": session.id,
        "client_id": row.client_id,
    }
