"""Whether one more code may be sent: every limit that holds for it, whatever it is for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.throttle.counters import Throttle, Wait
from authsvc.throttle.texts import TextLimits, prefix_of


@dataclass(frozen=True)
class SendLimits:
    """Per destination, person and account, and for text messages per phone prefix and by their price (security.md 5)."""

    throttle: Throttle
    texts: TextLimits
    audit: AuditLog

    def take(
        self, tx: Session, *, channel: str, target: str, user_id: str, account_id: str, members: int
    ) -> Wait | None:
        """Take a slot of each for one code; None: taken. An account with `members` people may send so many times more."""
        if (wait := self.throttle.take(tx, "send_per_destination", target)) is not None:
            return wait
        if (wait := self.throttle.take(tx, "send_per_user", user_id)) is not None:
            self.throttle.give_back(tx, "send_per_destination", target)
            return wait
        if (wait := self.throttle.take(tx, "send_per_account_member", account_id, times=members)) is not None:
            self.throttle.give_back(tx, "send_per_destination", target)
            self.throttle.give_back(tx, "send_per_user", user_id)
            return wait
        if channel != "sms":
            return None
        wait = self.throttle.take(tx, "send_per_phone_prefix", prefix_of(target)) or self.texts.take(tx, target)
        if wait is not None:
            # The person's own slots stay taken: so the rows of this are limited as the messages are.
            self.audit.record(tx, Event.TEXTS_STOPPED, user_id=user_id, limit=wait.limit)
        return wait

    def answered(self, tx: Session, *, channel: str, target: str) -> None:
        """The code was entered: somebody reads what is sent there."""
        if channel == "sms":
            self.texts.answered(tx, target)
