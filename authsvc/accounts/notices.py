"""The worker's part of a security notice: to the person's verified address, or to the one that was theirs until now.

Every notice about what somebody did as this person carries a link that says "this was not me" (NIST SP 800-63B-4 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.accounts.link_delivery import NEUTRAL_NAME, NEUTRAL_ZONE
from authsvc.accounts.links import PATHS, Links
from authsvc.accounts.models import Account, MailedLink, User
from authsvc.crypto.tokens import new_id
from authsvc.db import Database
from authsvc.jobs.worker import TryLater
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import Outcome
from authsvc.web import text

log = logs.logger(__name__)

#: Of what others did, or what became of one's own export; there is nothing to disown.
ABOUT_OTHERS = frozenset(
    {
        *("notice_member_reset", "notice_invitation_wanted", "notice_mfa"),
        *("notice_data_access", "notice_second_step_reset", "notice_export_ready", "notice_export_failed"),
    }
)
_OURS = frozenset({"notice", "user_id", "account_id", "at", "to", "link_id"})


@dataclass(frozen=True)
class NoticeDelivery:
    """Delivers queued notices. `issuer`: links begin with it (security.md RC-01)."""

    database: Database
    links: Links
    courier: Courier
    issuer: str

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Send the notice that `args` names. Raises: TryLater when the next system does not take it now."""
        notice, values = args["notice"], {name: value for name, value in args.items() if name not in _OURS}
        with self.database.transaction() as tx:
            user, account = tx.get(User, args["user_id"]), tx.get(Account, args["account_id"])
            if user is None or (account is None and args["account_id"]):
                return
            if "to" not in args and user.email.verified_at is None:
                return
            link = None if notice in ABOUT_OTHERS else self._not_me(tx, user, account, args, values)
        at = datetime.fromisoformat(args["at"])
        values |= {
            "account_name": account.name if account else NEUTRAL_NAME,
            "account_short": account.short_name if account else NEUTRAL_NAME,
            "asked_at": text.full_time(at, user.zone_in(account) if account else ZoneInfo(NEUTRAL_ZONE)),
            "portal_host": (text.host_of(account.portal_url) if account else None) or "",
        }
        if link is not None:
            values["not_me_link"] = self.issuer + PATHS["not_me"] + self.links.secret("not_me", link.id)
        delivery = self.courier.deliver(notice, "email", args.get("to") or user.email.address, created_at=at, **values)
        if delivery.outcome is Outcome.TRY_LATER:
            raise TryLater(detail=delivery.reason)
        if delivery.outcome is Outcome.REFUSED:
            log.warning("notice.refused", notice=notice, user_id=user.id, reason=delivery.reason)

    def _not_me(
        self, tx: Session, user: User, account: Account | None, args: Mapping[str, Any], values: Mapping[str, str]
    ) -> MailedLink:
        """The link of this notice: made at the first try, found again at the next."""
        link_id = args.get("link_id") or new_id()
        return tx.get(MailedLink, link_id) or self.links.issue(
            tx,
            user,
            "not_me",
            link_id=link_id,
            # Whoever reads the old mailbox may disown what happened; the link then proves that mailbox, not the new one.
            address=args.get("to"),
            account_id=account.id if account else None,
            about={"notice": args["notice"], "at": args["at"], **values},
        )
