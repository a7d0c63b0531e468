"""Remember, recognise, renew, forget (domain D5, D6).

The cookie holds `<device id>.<secret>`. It proves nothing without the password, and it is asked only after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, is_id, new_id, new_secret, same
from authsvc.devices.models import RememberedDevice
from authsvc.policy.schema import RememberedDevicePolicy
from authsvc.web import facts

PURPOSE = "remembered-device"
#: For how long a row, and its cookie, outlive what they stand for: the next sign-in can then say why a code is asked for.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Devices:
    """Everything that may happen to a remembered device."""

    policy: RememberedDevicePolicy
    digester: Digester
    clock: Clock
    audit: AuditLog

    def remember(
        self, tx: Session, membership: Membership, *, mfa_amr: list[str], browser: str, cookie: str | None
    ) -> tuple[RememberedDevice, str]:
        """Remember this browser for 30 days from now; answers the row and the cookie's value.

        One record per person, account and browser: what the browser brought along for the same membership is replaced.
        """
        now = self.clock.now()
        known = self._by_cookie(tx, cookie) if cookie else None
        if known is not None and known.membership_id == membership.id and known.ended_at is None:
            self._end(tx, known, "replaced", account_id=membership.account_id)
        secret = new_secret()
        device = RememberedDevice(
            id=new_id(),
            user_id=membership.user_id,
            membership_id=membership.id,
            secret_digest=self.digester.digest(PURPOSE, secret),
            generation=1,
            renewed_at=now,
            epoch=membership.security_epoch,
            mfa_at=now,
            mfa_amr=mfa_amr,
            expires_at=now + self.policy.lifetime,
            browser=browser,
            remote_address=facts.current().remote_address[:64],
            created_at=now,
        )
        tx.add(device)
        tx.flush()
        self.audit.record(
            tx,
            Event.DEVICE_REMEMBERED,
            user_id=membership.user_id,
            account_id=membership.account_id,
            device_id=device.id,
            until=device.expires_at.isoformat(),
        )
        return device, f"{device.id}.{secret}"

    def recognise(self, tx: Session, membership: Membership, cookie: str | None) -> RememberedDevice | None:
        """The live device behind this cookie, for this membership; None otherwise.

        A secret that was renewed long ago is a copy (or a lost answer: the two look the same): the record ends, the code
        is asked, the trail says why (domain D5, security.md MF-20).
        """
        device = self._by_cookie(tx, cookie) if cookie else None
        if device is None or device.membership_id != membership.id or not self.is_live(device, membership):
            return None
        digest = self.digester.digest(PURPOSE, (cookie or "").partition(".")[2])
        if same(digest, device.secret_digest) or self._in_grace(device, digest):
            return device
        self._end(tx, device, "old_generation", account_id=membership.account_id)
        return None

    def use(self, tx: Session, device: RememberedDevice, membership: Membership, cookie: str) -> str | None:
        """Mark the use and renew the secret; answers the new cookie, or None when a parallel tab has just renewed it.

        One UPDATE on the generation's digest, so two tabs never leave two live secrets. The end date never moves.
        """
        now, secret = self.clock.now(), new_secret()
        digest = self.digester.digest(PURPOSE, cookie.partition(".")[2])
        renewed = tx.execute(
            update(RememberedDevice)
            .where(RememberedDevice.id == device.id, RememberedDevice.secret_digest == digest)
            .values(
                secret_digest=self.digester.digest(PURPOSE, secret),
                previous_digest=digest,
                generation=RememberedDevice.generation + 1,
                renewed_at=now,
                last_used_at=now,
                remote_address=facts.current().remote_address[:64],
            )
            .returning(RememberedDevice.generation)
        ).one_or_none()
        if renewed is None:
            return None
        self.audit.record(
            tx,
            Event.DEVICE_USED,
            user_id=device.user_id,
            account_id=membership.account_id,
            device_id=device.id,
            generation=renewed.generation,
        )
        return f"{device.id}.{secret}"

    def is_live(self, device: RememberedDevice, membership: Membership) -> bool:
        """Whether the device still stands in for a code: not ended, not expired, nothing of D6 happened since."""
        return (
            device.ended_at is None
            and device.expires_at > self.clock.now()
            and device.epoch == membership.security_epoch
        )

    def cookie_name(self, membership_id: str) -> str:
        """The cookie of one membership, so that several people can be remembered on one browser (domain D5)."""
        return f"remember-{self.digester.digest('device-cookie', membership_id)[:12]}"

    def live_of(self, tx: Session, user_id: str) -> list[tuple[RememberedDevice, Membership]]:
        """A person's remembered devices, in any account they may enter; the newest first."""
        rows = tx.execute(
            select(RememberedDevice, Membership)
            .join(Membership, Membership.id == RememberedDevice.membership_id)
            .where(RememberedDevice.user_id == user_id, RememberedDevice.ended_at.is_(None))
            .order_by(RememberedDevice.created_at.desc(), RememberedDevice.id)
        )
        return [(device, member) for device, member in rows if self.is_live(device, member) and member.is_active]

    def of(self, tx: Session, user_id: str, device_id: str) -> tuple[RememberedDevice, Membership] | None:
        """This person's device with that id, live or not; None for anybody else's (security.md TN-01)."""
        if not is_id(device_id):
            return None
        row = tx.execute(
            select(RememberedDevice, Membership)
            .join(Membership, Membership.id == RememberedDevice.membership_id)
            .where(RememberedDevice.id == device_id, RememberedDevice.user_id == user_id)
        ).one_or_none()
        return (row[0], row[1]) if row else None

    def remove(self, tx: Session, device: RememberedDevice, membership: Membership) -> bool:
        """End one device by its row; False when it had ended already. One UPDATE, so it is recorded once."""
        ended = tx.scalar(
            update(RememberedDevice)
            .where(RememberedDevice.id == device.id, RememberedDevice.ended_at.is_(None))
            .values(ended_at=self.clock.now(), ended_reason="removed")
            .returning(RememberedDevice.id)
        )
        if ended is None or device.epoch != membership.security_epoch:
            return False
        self.audit.record(
            tx,
            Event.DEVICE_ENDED,
            user_id=device.user_id,
            account_id=membership.account_id,
            device_id=device.id,
            reason="removed",
        )
        return True

    def behind(self, tx: Session, membership: Membership, cookie: str) -> RememberedDevice | None:
        """The live device that this cookie names, for showing on a page; decides nothing and writes nothing."""
        device = self.known(tx, membership, cookie)
        return device if device and self.is_live(device, membership) else None

    def known(self, tx: Session, membership: Membership, cookie: str) -> RememberedDevice | None:
        """The device that this cookie names, live or ended: for saying why it does not stand in for a code."""
        device = self._by_cookie(tx, cookie)
        return device if device and device.membership_id == membership.id else None

    def live(self, tx: Session, device_id: str) -> RememberedDevice | None:
        """The device with this id while it is live."""
        row = tx.execute(
            select(RememberedDevice, Membership)
            .join(Membership, Membership.id == RememberedDevice.membership_id)
            .where(RememberedDevice.id == device_id)
        ).one_or_none()
        return row[0] if row and self.is_live(row[0], row[1]) else None

    def forget(self, tx: Session, membership: Membership, cookie: str) -> bool:
        """End the device behind this cookie ("Forget this device"); False when there is none."""
        device = self._by_cookie(tx, cookie)
        if device is None or device.membership_id != membership.id or device.ended_at is not None:
            return False
        self._end(tx, device, "forgotten", account_id=membership.account_id)
        return True

    def forget_all(
        self,
        tx: Session,
        *,
        reason: str,
        user_id: str | None = None,
        account_id: str | None = None,
        audience: str | None = None,
    ) -> int:
        """Void every remembered device of a person, or of an account and audience, by raising the epoch of the memberships.

        One UPDATE whatever the number of devices; answers how many memberships it touched.
        """
        touched = update(Membership).values(security_epoch=Membership.security_epoch + 1, epoch_reason=reason)
        if user_id is not None:
            touched = touched.where(Membership.user_id == user_id)
        if account_id is not None:
            touched = touched.where(Membership.account_id == account_id)
        if audience is not None:
            touched = touched.where(Membership.audience == audience)
        count = len(
            tx.execute(touched.returning(Membership.id), execution_options={"synchronize_session": "fetch"}).all()
        )
        if count:
            self.audit.record(
                tx, Event.REMEMBERING_ENDED, user_id=user_id, account_id=account_id, reason=reason, memberships=count
            )
        return count

    def sweep(self, tx: Session, *, before: datetime) -> None:
        """Forget rows that expired before `before`."""
        tx.execute(delete(RememberedDevice).where(RememberedDevice.expires_at < before))

    def _by_cookie(self, tx: Session, cookie: str) -> RememberedDevice | None:
        device_id, _, secret = cookie.partition(".")
        if not secret or not is_id(device_id):
            return None
        return tx.get(RememberedDevice, device_id, populate_existing=True)

    def _in_grace(self, device: RememberedDevice, digest: str) -> bool:
        recent = self.clock.now() - device.renewed_at <= self.policy.renewal_grace
        return recent and device.previous_digest is not None and same(digest, device.previous_digest)

    def _end(self, tx: Session, device: RememberedDevice, reason: str, *, account_id: str) -> None:
        device.ended_at, device.ended_reason = self.clock.now(), reason
        self.audit.record(
            tx, Event.DEVICE_ENDED, user_id=device.user_id, account_id=account_id, device_id=device.id, reason=reason
        )
