"""Ask somebody for a code, send it again, take their answer: with every limit that holds for codes, whatever they are for.

A wrong code is returned, not raised: raising would roll back the very counter that must be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from sqlalchemy.orm import Session

from authsvc.accounts.queries import count_members
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.db import after_commit
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes, clean
from authsvc.mfa.models import Challenge
from authsvc.policy.schema import MfaPolicy
from authsvc.throttle import AddressWindows, Throttle, Wait
from authsvc.throttle.lockout import Pauses
from authsvc.throttle.sends import SendLimits
from authsvc.web import facts

CODE_PAUSE = "codes"
#: What a person is told to wait where a network address has sent too much; its window slides.
ADDRESS_PAUSE = timedelta(minutes=5)


class SendOutcome(StrEnum):
    """What became of a wish for a code."""

    SENT = "sent"
    ALREADY_OUT = "already_out"
    TOO_SOON = "too_soon"
    TOO_MANY = "too_many"
    PAUSED = "paused"


@dataclass(frozen=True)
class Sending:
    """The outcome, and until when to wait where that applies."""

    outcome: SendOutcome
    until: datetime | None = None


@dataclass(frozen=True)
class CodeThrottled:
    """So many wrong codes from this person, over all their tasks, that no more are compared before `until`."""

    until: datetime


@dataclass(frozen=True)
class Question:
    """Who is asked, for what, by which way. A code answers the question it was sent for and no other (security.md MF-08)."""

    #: The task that asks: a sign-in attempt, a change of address.
    subject_id: str
    user_id: str
    account_id: str
    purpose: str
    channel: str
    target: str
    browser: str = ""
    #: Whether the window of this network address has room for another message; asked before the transaction.
    may_send: bool = True

    @property
    def named(self) -> dict[str, str]:
        """How the trail names it."""
        return {"channel": self.channel, "purpose": self.purpose}


@dataclass(frozen=True)
class CodeExchange:
    """From question to answer."""

    policy: MfaPolicy
    codes: OneTimeCodes
    courier: Courier
    throttle: Throttle
    sends: SendLimits
    windows: AddressWindows
    pauses: Pauses
    clock: Clock
    audit: AuditLog

    def open(self, tx: Session, question: Question) -> Challenge | None:
        """The challenge that waits for the answer; None when none is out, or one for another address or way (MF-09)."""
        found = self.codes.newest(tx, question.subject_id)
        wanted = (question.purpose, question.channel, question.target)
        return found if found and (found.purpose, found.channel, found.target) == wanted else None

    def ask(self, tx: Session, question: Question) -> Sending:
        """Send the code, unless one that works is out for this very question."""
        found = self.open(tx, question)
        if found is not None and found.expires_at > self.clock.now():
            return Sending(SendOutcome.ALREADY_OUT)
        return self._send_new(tx, question)

    def ask_again(self, tx: Session, question: Question) -> Sending:
        """Send a newer code; the gap and the limits of the policy hold."""
        challenge = self.open(tx, question)
        if challenge is None or challenge.expires_at <= self.clock.now():
            return self._send_new(tx, question)
        earliest = challenge.sent_at + self.policy.code.resend_after
        if self.clock.now() < earliest:
            return Sending(SendOutcome.TOO_SOON, earliest)
        if (wait := self._take_send_slots(tx, question)) is not None:
            return Sending(SendOutcome.TOO_MANY, wait.until)
        if not self.codes.resend(tx, challenge):
            return Sending(SendOutcome.TOO_SOON, challenge.sent_at + self.policy.code.resend_after)
        self._queue(tx, question, challenge, resend=True)
        return Sending(SendOutcome.SENT)

    def answer(self, tx: Session, question: Question, typed: str) -> CodeCheck | CodeThrottled:
        """Compare what was typed with the one code that is out for this question."""
        challenge, digits = self.open(tx, question), clean(typed)
        if challenge is None:
            return CodeCheck(CodeOutcome.GONE)
        if digits is None:
            return CodeCheck(CodeOutcome.WRONG, self.policy.code.tries - challenge.tries)
        about = {"user_id": question.user_id, "account_id": question.account_id}
        if (throttled := self.take_try(tx, **about)) is not None:
            return throttled
        check = self.codes.verify(tx, challenge.id, typed=digits)
        if check.outcome is CodeOutcome.ACCEPTED:
            self.throttle.give_back(tx, "code_per_user", question.user_id)
            self.sends.answered(tx, channel=question.channel, target=question.target)
            self.audit.record(tx, Event.CODE_ACCEPTED, **about, **question.named)
        elif check.outcome is CodeOutcome.EXHAUSTED:
            self.pauses.begin(tx, CODE_PAUSE, question.user_id, lasts=self.policy.last_try_pause)
            self.codes.void(tx, question.subject_id)
            self.audit.record(tx, Event.CODE_TRIES_EXHAUSTED, **about, **question.named)
        else:
            self.audit.record(tx, Event.CODE_WRONG, **about, **question.named, reason=check.outcome.value)
        return check

    def take_try(self, tx: Session, *, user_id: str, account_id: str) -> CodeThrottled | None:
        """Count a try of any code against the person: another way, sign-in or browser gains nothing (security.md MF-05)."""
        wait = self.throttle.take(tx, "code_per_user", user_id)
        if wait is None:
            return None
        self.audit.record(tx, Event.SIGN_IN_THROTTLED, user_id=user_id, account_id=account_id, limit=wait.limit)
        return CodeThrottled(wait.until)

    def paused_until(self, tx: Session, user_id: str) -> datetime | None:
        """Until when no code is asked of or sent to this person, after all tries were used up."""
        return self.pauses.until(tx, CODE_PAUSE, user_id)

    def _send_new(self, tx: Session, question: Question) -> Sending:
        if (until := self.paused_until(tx, question.user_id)) is not None:
            return Sending(SendOutcome.PAUSED, until)
        if (wait := self._take_send_slots(tx, question)) is not None:
            return Sending(SendOutcome.TOO_MANY, wait.until)
        challenge = self.codes.issue(
            tx,
            question.subject_id,
            user_id=question.user_id,
            account_id=question.account_id,
            purpose=question.purpose,
            channel=question.channel,
            target=question.target,
            browser=question.browser,
        )
        self._queue(tx, question, challenge, resend=False)
        return Sending(SendOutcome.SENT)

    def _queue(self, tx: Session, question: Question, challenge: Challenge, *, resend: bool) -> None:
        self.courier.send_code(tx, challenge.id, counter=challenge.counter)
        after_commit(tx, partial(self.windows.admit, "send_per_address", facts.current().remote_address))
        self.audit.record(
            tx,
            Event.CODE_REQUESTED,
            user_id=question.user_id,
            account_id=question.account_id,
            **question.named,
            resend=resend,
        )

    def _take_send_slots(self, tx: Session, question: Question) -> Wait | None:
        if not question.may_send:
            return Wait("send_per_address", self.clock.now() + ADDRESS_PAUSE)
        return self.sends.take(
            tx,
            channel=question.channel,
            target=question.target,
            user_id=question.user_id,
            account_id=question.account_id,
            members=count_members(tx, question.account_id),
        )
