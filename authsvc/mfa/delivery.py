"""The worker's part of a code: derive it at the moment of sending, send it, write down what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import update

from authsvc.accounts.models import Account
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.db import Database
from authsvc.jobs.worker import TryLater
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import Delivery, Outcome
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.mfa.models import Challenge
from authsvc.web import text

MESSAGE = {
    "sign_in": "sign_in_code",
    "verify_email": "verify_email_code",
    "change_email": "verify_email_code",
    "enrol_phone": "phone_code",
    "change_phone": "phone_code",
}


@dataclass(frozen=True)
class CodeDelivery:
    """Delivers queued codes. A job whose code was replaced, used or has run out sends nothing."""

    database: Database
    codes: OneTimeCodes
    courier: Courier
    clock: Clock
    audit: AuditLog

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Send the code that `args` names. Raises: TryLater when the next system does not take it now."""
        with self.database.transaction(read_only=True) as tx:
            challenge = tx.get(Challenge, args["challenge_id"])
            account = tx.get(Account, challenge.account_id) if challenge else None
        if challenge is None or account is None or not self._still_wanted(challenge, args["counter"]):
            return
        delivery = self._send(challenge, account, place=args.get("place", ""))
        match delivery.outcome:
            case Outcome.DELIVERED:
                self._note(challenge, "sent", Event.CODE_SENT)
            case Outcome.REFUSED:
                self._note(challenge, "refused", Event.CODE_NOT_DELIVERED, reason=delivery.reason)
            case Outcome.TRY_LATER:
                raise TryLater(detail=delivery.reason)

    def _still_wanted(self, challenge: Challenge, counter: int) -> bool:
        open_still = challenge.consumed_at is None and challenge.voided_at is None
        return open_still and challenge.counter == counter and challenge.expires_at > self.clock.now()

    def _send(self, challenge: Challenge, account: Account, *, place: str) -> Delivery:
        zone = ZoneInfo(account.time_zone)
        values = {
            "account_name": account.name,
            "account_short": account.short_name,
            "code": self.codes.code(challenge),
            "works_until": text.clock_time(challenge.expires_at, zone),
            "asked_at": f"{text.day(challenge.sent_at, zone)}, {text.clock_time(challenge.sent_at, zone)}",
            "browser": text.near(challenge.browser or "a browser", place),
            "portal_host": text.host_of(account.portal_url) or "",
        }
        name = MESSAGE[challenge.purpose]
        if challenge.channel == "email":
            return self.courier.deliver(name, "email", challenge.target, created_at=challenge.sent_at, **values)
        return self.courier.deliver(name, "sms", challenge.target, created_at=challenge.sent_at, **values)

    def _note(self, challenge: Challenge, delivery: str, event: Event, **fields: str) -> None:
        with self.database.transaction() as tx:
            tx.execute(
                update(Challenge)
                .where(Challenge.id == challenge.id, Challenge.counter == challenge.counter)
                .values(delivery=delivery)
            )
            self.audit.record(
                tx,
                event,
                user_id=challenge.user_id,
                account_id=challenge.account_id,
                channel=challenge.channel,
                purpose=challenge.purpose,
                **fields,
            )
