"""The worker's part of an invitation: the mail with the link, to a new person or to one who signs in already (P6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from authsvc import logs
from authsvc.accounts.invitations import Invitations, InvitationState, sets_password
from authsvc.accounts.models import Invitation, User
from authsvc.db import Database
from authsvc.jobs.worker import TryLater
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import Outcome
from authsvc.web import text

log = logs.logger(__name__)


@dataclass(frozen=True)
class InvitationDelivery:
    """Delivers queued invitations. `issuer`: links begin with it, whatever host anybody asked at (security.md RC-01)."""

    database: Database
    courier: Courier
    invitations: Invitations
    issuer: str

    def __call__(self, args: Mapping[str, Any]) -> None:
        """Send the invitation that `args` names, while it is good. Raises: TryLater when it is not taken now."""
        with self.database.transaction(read_only=True) as tx:
            invitation = tx.get(Invitation, args["invitation_id"])
            if invitation is None or self.invitations.state(invitation) is not InvitationState.USABLE:
                return
            membership = invitation.membership
            account, user = membership.account, membership.user
            inviter = tx.get(User, invitation.invited_by) if invitation.invited_by else None
        delivery = self.courier.deliver(
            "invitation_new" if sets_password(user) else "invitation_existing",
            "email",
            invitation.address,
            created_at=invitation.created_at,
            account_name=account.name,
            account_short=account.short_name,
            inviter=inviter.name if inviter else "IMS support",
            link=f"{self.issuer}/invite/{self.invitations.token(invitation.id)}",
            works_until=text.full_time(invitation.expires_at, ZoneInfo(account.time_zone)),
        )
        if delivery.outcome is Outcome.TRY_LATER:
            raise TryLater(detail=delivery.reason)
        if delivery.outcome is Outcome.REFUSED:
            log.warning("invitation.refused", membership_id=membership.id, reason=delivery.reason)
