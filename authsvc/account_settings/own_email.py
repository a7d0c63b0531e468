"""A person changes the address they sign in with (domain 2c E7, E8, D16): the new one counts once its code came back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from authsvc.accounts import contacts
from authsvc.accounts.models import EmailChange, Membership
from authsvc.accounts.queries import lock_accounts_of
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import new_id
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes
from authsvc.mfa.exchange import CodeExchange, CodeThrottled, Question, Sending, SendOutcome
from authsvc.web.text import mask_email


class Switch(StrEnum):
    """What became of a proved address."""

    DONE = "done"
    #: Somebody else signs in with it. Said to nobody but a person who reads its mail.
    TAKEN = "taken"
    #: Another tab, or another press, was first.
    NOTHING_WAITS = "nothing_waits"


@dataclass(frozen=True)
class OwnEmail:
    """Begin, ask again, cancel, confirm. Whether an address is known here is never said before its mail was read (RC-09)."""

    exchange: CodeExchange
    codes: OneTimeCodes
    devices: Devices
    courier: Courier
    clock: Clock
    audit: AuditLog
    #: For how long a change waits for its code.
    waits: timedelta

    def waiting(self, tx: Session, membership: Membership) -> EmailChange | None:
        """The change that waits for its code."""
        return contacts.email_change(tx, membership.user_id, now=self.clock.now())

    def question(self, membership: Membership, change: EmailChange, *, browser: str, may_send: bool = True) -> Question:
        """What is asked: read the mail of the new address."""
        return self._question(membership, change.id, change.address, browser=browser, may_send=may_send)

    def begin(
        self, tx: Session, membership: Membership, address: str, *, browser: str, may_send: bool = True
    ) -> Sending:
        """Send a code to the new address; nothing is noted when none may be sent. An earlier change is forgotten.

        Pressed twice, one code goes out.
        """
        contacts.one_at_a_time(tx, membership.user)
        earlier = self.waiting(tx, membership)
        change_id = earlier.id if earlier and earlier.address == address else new_id()
        sending = self.exchange.ask(
            tx, self._question(membership, change_id, address, browser=browser, may_send=may_send)
        )
        if sending.outcome is SendOutcome.SENT:
            if earlier is not None and earlier.id != change_id:
                self.codes.void(tx, earlier.id)
            contacts.begin_email_change(
                tx, membership.user, change_id=change_id, address=address, lasts=self.waits, clock=self.clock
            )
            self._record(tx, Event.EMAIL_CHANGE_BEGUN, membership)
        return sending

    def cancel(self, tx: Session, membership: Membership) -> bool:
        """Leave everything as it is; the code that is out is worth nothing. False when nothing waits."""
        change_id = contacts.cancel_email_change(tx, membership.user_id)
        if change_id is None:
            return False
        self.codes.void(tx, change_id)
        self._record(tx, Event.EMAIL_CHANGE_CANCELLED, membership)
        return True

    def confirm(
        self, tx: Session, membership: Membership, typed: str, *, browser: str
    ) -> CodeCheck | CodeThrottled | Switch:
        """Take the code; if it is right, switch. Remembered devices end (D6), the old address is told (D16)."""
        lock_accounts_of(tx, membership.user_id)
        change = self.waiting(tx, membership)
        if change is None:
            return Switch.NOTHING_WAITS
        check = self.exchange.answer(tx, self.question(membership, change, browser=browser), typed)
        if isinstance(check, CodeThrottled):
            return check
        if check.outcome is not CodeOutcome.ACCEPTED:
            # Two presses of one code: the first has switched, and the change is gone.
            return check if self.waiting(tx, membership) is not None else Switch.NOTHING_WAITS
        contacts.cancel_email_change(tx, membership.user_id)
        user, old = membership.user, membership.user.email.address
        if not contacts.switch_email(tx, user, change, clock=self.clock):
            self._record(tx, Event.EMAIL_CHANGE_REFUSED, membership, reason="taken")
            return Switch.TAKEN
        self._record(tx, Event.EMAIL_CHANGED, membership)
        self.codes.void_sent_to(tx, user.id, old)
        self.devices.forget_all(tx, reason="email_changed", user_id=user.id)
        self.courier.send_notice(
            tx,
            "notice_email_changed",
            user_id=user.id,
            account_id=membership.account_id,
            at=self.clock.now(),
            browser=browser,
            to=old,
            new_address=mask_email(user.email.address),
        )
        return Switch.DONE

    def _question(
        self, membership: Membership, subject_id: str, address: str, *, browser: str, may_send: bool
    ) -> Question:
        return Question(
            subject_id=subject_id,
            user_id=membership.user_id,
            account_id=membership.account_id,
            purpose="change_email",
            channel="email",
            target=address,
            browser=browser,
            may_send=may_send,
        )

    def _record(self, tx: Session, event: Event, membership: Membership, **fields: str) -> None:
        self.audit.record(tx, event, user_id=membership.user_id, account_id=membership.account_id, **fields)
