"""Messages leave in two acts: a job in the caller's transaction, then the worker, which renders and sends.

The page answers at once; no network call happens inside a transaction, and no job, log or table holds a code or a link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from authsvc.crypto.tokens import new_id
from authsvc.jobs import Queue
from authsvc.messaging.message import Channel, Delivery, Message, MessageSender
from authsvc.messaging.render import render
from authsvc.web.places import Places
from authsvc.web.text import near

SEND_CODE = "send_code"
SEND_NOTICE = "send_notice"
SEND_INVITATION = "send_invitation"
SEND_LINK = "send_link"


@dataclass(frozen=True)
class Courier:
    """Queues messages and carries them. `host`: the issuer's exact host, which binds a texted code to us (ux.md S25)."""

    queue: Queue
    senders: Mapping[str, MessageSender]
    places: Places
    host: str
    support_email: str
    #: Why nothing may be mailed to an address, or None: it bounced, and mailing on costs the good name of all our mail.
    suppressed: Callable[[str], str | None] = lambda _: None

    @property
    def channels(self) -> frozenset[str]:
        """By what this installation can send."""
        return frozenset(self.senders)

    def send_code(self, tx: Session, challenge_id: str, *, counter: int) -> None:
        """Queue the delivery of one code. `counter` names it: a newer one makes the job void."""
        self.queue.enqueue(tx, SEND_CODE, challenge_id=challenge_id, counter=counter, place=self.places.here())

    def send_notice(
        self, tx: Session, notice: str, *, user_id: str, account_id: str, at: datetime, browser: str, **values: str
    ) -> None:
        """Queue a security notice to a person's verified address, with its "this was not me"; or to the address `to`, which
        was theirs until now.

        `account_id`: in whose name; empty: in nobody's, for a person of several accounts.
        """
        self.queue.enqueue(
            tx,
            SEND_NOTICE,
            notice=notice,
            link_id=new_id(),
            user_id=user_id,
            account_id=account_id,
            at=at.isoformat(),
            device=browser,
            browser=self._where(browser),
            **values,
        )

    def send_invitation(self, tx: Session, invitation_id: str) -> None:
        """Queue the mail of an invitation; the worker makes its link."""
        self.queue.enqueue(tx, SEND_INVITATION, invitation_id=invitation_id)

    def send_link(
        self, tx: Session, purpose: str, *, user_id: str | None, account_id: str | None, at: datetime, browser: str
    ) -> None:
        """Queue a mail with a link to a person's address as it is stored; the worker makes the link.

        `user_id` None: to nobody. The job is written all the same, so that asking takes as long (security.md RC-09).
        """
        self.queue.enqueue(
            tx,
            SEND_LINK,
            purpose=purpose,
            link_id=new_id(),
            user_id=user_id or "",
            account_id=account_id or "",
            at=at.isoformat(),
            browser=self._where(browser),
        )

    def _where(self, browser: str) -> str:
        """With the place, of a person's browser alone: support and its machines are not where the person is."""
        return near(browser, self.places.here()) if browser else ""

    def deliver(self, name: str, channel: Channel, to: str, *, created_at: datetime, **values: str) -> Delivery:
        """Render the message and hand it to its sender, unless its address is suppressed. Never inside a transaction."""
        if channel == "email" and (why := self.suppressed(to)) is not None:
            return Delivery.refused(why)
        words = render(name, channel, host=self.host, support_email=self.support_email, **values)
        return self.senders[channel].send(
            Message(
                channel=channel,
                to=to,
                purpose=name,
                subject=words.subject,
                text=words.text,
                html=words.html,
                sender_name=words.sender_name,
                created_at=created_at,
            )
        )
