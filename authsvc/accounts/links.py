"""Links in mails: made, looked at, used once.

A link's secret is a keyed digest of its row's id, so the worker derives it at the moment of sending and nothing else ever
holds it: the row keeps a digest of it, the job names the row. The database alone opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import EmailAddress, MailedLink, User
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_id
from authsvc.policy.schema import LinkPolicy

Purpose = Literal["reset", "verify_email", "not_me"]
#: Where each leads, below the issuer (security.md RC-01): what follows is the secret.
PATHS = {"reset": "/reset/", "verify_email": "/verify/", "not_me": "/not-me/", "invitation": "/invite/"}
#: Every notice says "this was not me" for itself, and goes where the address was; of the others the newest alone counts.
STANDS_ALONE = "not_me"
#: How long a link that has run out still says so, rather than that it is damaged.
KEPT = timedelta(days=30)
_SECRET = re.compile(r"[0-9a-f]{64}")


class LinkState(StrEnum):
    """What a link is good for."""

    USABLE = "usable"
    EXPIRED = "expired"
    USED = "used"
    SUPERSEDED = "superseded"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Look:
    """What is behind a link; no row for a damaged one."""

    state: LinkState
    link: MailedLink | None


@dataclass(frozen=True)
class Links:
    """Issues and takes mailed links. `digester`: keyed for links alone."""

    policy: LinkPolicy
    digester: Digester
    clock: Clock

    def issue(
        self,
        tx: Session,
        user: User,
        purpose: Purpose,
        *,
        link_id: str | None = None,
        address: str | None = None,
        account_id: str | None = None,
        about: dict[str, Any] | None = None,
    ) -> MailedLink:
        """A new link to the person's address as it is stored; earlier ones of its purpose are void, but for `not_me`.

        `address`: where it goes instead, one that was theirs until now. `about`: what a notice told of, for the page that
        explains it. Its secret is `secret(purpose, link.id)`.
        """
        now, link_id = self.clock.now(), link_id or new_id()
        # Of two at once the later one must see the earlier one, to void it.
        tx.execute(select(User.id).where(User.id == user.id).with_for_update())
        if purpose != STANDS_ALONE:
            self.void(tx, user.id, purpose)
        link = MailedLink(
            id=link_id,
            purpose=purpose,
            token_digest=self.digest(purpose, self.secret(purpose, link_id)),
            user_id=user.id,
            account_id=account_id,
            address=address or user.email.address,
            about=about,
            created_at=now,
            expires_at=now + getattr(self.policy, purpose),
        )
        tx.add(link)
        tx.flush()
        return link

    def secret(self, kind: str, row_id: str) -> str:
        """What the mail carries: 256 bits as 64 hex characters, which no mail program breaks. For the worker alone."""
        return self.digester.digest(f"link/{kind}/secret", row_id)

    def digest(self, kind: str, secret: str) -> str:
        """What is kept of a secret; one of another kind never fits (security.md AZ-13)."""
        return self.digester.digest(f"link/{kind}", secret)

    def look(self, tx: Session, secret: str, purpose: Purpose) -> Look:
        """What this link is good for. Reads only: mail scanners open links (security.md RC-06)."""
        link = None
        if is_whole(secret):
            link = tx.scalars(
                select(MailedLink).where(
                    MailedLink.purpose == purpose, MailedLink.token_digest == self.digest(purpose, secret)
                )
            ).one_or_none()
        return Look(self._state(link), link) if link else Look(LinkState.DAMAGED, None)

    def use(self, tx: Session, secret: str, purpose: Purpose) -> MailedLink | None:
        """Spend the link and answer its row, or None when it is not usable. One UPDATE: of two at once one wins.

        It counts for the address it was mailed to while that is the person's (RC-10).
        """
        if not is_whole(secret):
            return None
        now = self.clock.now()
        current = select(EmailAddress.address).where(EmailAddress.user_id == MailedLink.user_id).scalar_subquery()
        return tx.scalars(
            update(MailedLink)
            .where(
                MailedLink.purpose == purpose,
                MailedLink.token_digest == self.digest(purpose, secret),
                MailedLink.used_at.is_(None),
                MailedLink.voided_at.is_(None),
                MailedLink.expires_at > now,
                or_(MailedLink.purpose == STANDS_ALONE, MailedLink.address == current),
            )
            .values(used_at=now)
            .returning(MailedLink)
            .execution_options(populate_existing=True)
        ).one_or_none()

    def void(self, tx: Session, user_id: str, purpose: Purpose) -> None:
        """End a person's open links of one purpose."""
        tx.execute(
            update(MailedLink)
            .where(
                MailedLink.user_id == user_id,
                MailedLink.purpose == purpose,
                MailedLink.used_at.is_(None),
                MailedLink.voided_at.is_(None),
            )
            .values(voided_at=self.clock.now())
        )

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget links that ran out a month ago."""
        tx.execute(delete(MailedLink).where(MailedLink.expires_at < now - KEPT))

    def _state(self, link: MailedLink) -> LinkState:
        if link.used_at is not None:
            return LinkState.USED
        elsewhere = link.purpose != STANDS_ALONE and link.address != link.user.email.address
        if link.voided_at is not None or elsewhere:
            return LinkState.SUPERSEDED
        return LinkState.USABLE if link.expires_at > self.clock.now() else LinkState.EXPIRED


def is_whole(secret: str) -> bool:
    """Whether this can be a link's secret; a mail program may have cut it."""
    return _SECRET.fullmatch(secret) is not None
