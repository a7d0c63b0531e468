"""The worker's part of a security notice: to the person's verified address, or to the one that was theirs until now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authsvc import logs
from authsvc.accounts.models import Account, User
from authsvc.db import Database
from authsvc.jobs.worker import TryLater
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import Outcome
from authsvc.web import text

log = logs.logger(__name__)


@dataclass(frozen=True)
class NoticeDelivery:
    """Delivers queued notices."""

    database: Database
    courier: Courier

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Send the notice that `args` names. Raises: TryLater when the next system does not take it now."""
        with self.database.transaction(read_only=True) as tx:
            user, account = tx.get(User, args["user_id"]), tx.get(Account, args["account_id"])
        to = args.get("to")
        if user is None or account is None or (to is None and user.email.verified_at is None):
            return
        at = datetime.fromisoformat(args["at"])
        told = {"notice", "user_id", "account_id", "at", "to"}
        values = {name: value for name, value in args.items() if name not in told}
        values |= {
            "account_name": account.name,
            "account_short": account.short_name,
            "asked_at": text.full_time(at, user.zone_in(account)),
            "portal_host": text.host_of(account.portal_url) or "",
        }
        delivery = self.courier.deliver(args["notice"], "email", to or user.email.address, created_at=at, **values)
        if delivery.outcome is Outcome.TRY_LATER:
            raise TryLater(detail=delivery.reason)
        if delivery.outcome is Outcome.REFUSED:
            log.warning("notice.refused", notice=args["notice"], user_id=user.id, reason=delivery.reason)
