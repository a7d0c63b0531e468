"""The worker's part of a mailed link: make it, send it. Until then it exists nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.accounts.links import PATHS, Links
from authsvc.accounts.models import Account, MailedLink, User
from authsvc.audit import AuditLog, Event
from authsvc.db import Database
from authsvc.jobs.worker import TryLater
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import Outcome
from authsvc.policy.values import length_in_words
from authsvc.web import text

MESSAGE = {"reset": "reset_password", "verify_email": "verify_email_link"}
#: The zone and the name of a mail that belongs to no account, or to several.
NEUTRAL_ZONE, NEUTRAL_NAME = "America/New_York", "IMS"

log = logs.logger(__name__)


@dataclass(frozen=True)
class LinkDelivery:
    """Delivers queued links. A job for nobody does nothing: it was queued so that nobody could tell (security.md RC-09)."""

    database: Database
    links: Links
    courier: Courier
    audit: AuditLog
    issuer: str

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Send the link that `args` names. Raises: TryLater when the next system does not take it now."""
        with self.database.transaction() as tx:
            found = self._link(tx, args)
        if found is None:
            return
        link, account = found
        at = datetime.fromisoformat(args["at"])
        purpose = args["purpose"]
        delivery = self.courier.deliver(
            MESSAGE[purpose],
            "email",
            link.address,
            created_at=at,
            account_name=account.name if account else NEUTRAL_NAME,
            account_short=account.short_name if account else NEUTRAL_NAME,
            link=self.issuer + PATHS[purpose] + self.links.secret(purpose, link.id),
            works_for=length_in_words(link.expires_at - link.created_at),
            asked_at=text.full_time(at, ZoneInfo(account.time_zone if account else NEUTRAL_ZONE)),
            browser=args["browser"] or "a browser",
            address=link.address,
        )
        if delivery.outcome is Outcome.TRY_LATER:
            raise TryLater(detail=delivery.reason)
        with self.database.transaction() as tx:
            sent = delivery.outcome is Outcome.DELIVERED
            event = Event.LINK_SENT if sent else Event.LINK_NOT_DELIVERED
            why = {} if sent else {"reason": delivery.reason}
            self.audit.record(tx, event, user_id=link.user_id, account_id=link.account_id, purpose=purpose, **why)

    def _link(self, tx: Session, args: Mapping[str, Any]) -> tuple[MailedLink, Account | None] | None:
        """The link, made at the first try and found again at the next; None when it is not wanted (any more)."""
        link = tx.get(MailedLink, args["link_id"])
        if link is not None:
            wanted = link.used_at is None and link.voided_at is None
            return (link, link.account) if wanted else None
        user = tx.get(User, args["user_id"])
        entered = [m for m in user.memberships if m.accepted_at is not None] if user else []
        if user is None or not entered:
            return None
        if args["purpose"] == "verify_email" and user.email.verified_at is not None:
            return None
        account = _spoken_for([m.account for m in entered], args["account_id"])
        link = self.links.issue(
            tx, user, args["purpose"], link_id=args["link_id"], account_id=account.id if account else None
        )
        return link, account


def _spoken_for(accounts: list[Account], wanted: str) -> Account | None:
    """In whose name the mail is: the account of the page that asked, else the person's only one."""
    by_id = {account.id: account for account in accounts}
    if wanted in by_id:
        return by_id[wanted]
    return accounts[0] if len(by_id) == 1 else None
