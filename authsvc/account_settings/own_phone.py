"""A person adds, changes or removes the number their codes go to (ux.md S17)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from authsvc.accounts import contacts
from authsvc.accounts.models import Account, Membership
from authsvc.accounts.phone import Parsed, PhoneProblem, parse
from authsvc.audit import AuditLog
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.devices.remember import Devices
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes
from authsvc.mfa.exchange import CodeExchange, CodeThrottled, Question, Sending
from authsvc.mfa.rules import Person, Switch, rules_for
from authsvc.policy.schema import MfaPolicy


class Bound(StrEnum):
    """What became of a proved number."""

    ADDED = "added"
    CHANGED = "changed"


@dataclass(frozen=True)
class OwnPhone:
    """The number waits nowhere but in the challenge of its own code, which belongs to the session that asked (MF-08)."""

    policy: MfaPolicy
    exchange: CodeExchange
    codes: OneTimeCodes
    devices: Devices
    courier: Courier
    digester: Digester
    clock: Clock
    audit: AuditLog

    @property
    def is_offered(self) -> bool:
        """Whether this installation can send texts at all."""
        return "sms" in self.courier.channels

    def waiting(
        self, tx: Session, membership: Membership, sid: str, *, browser: str = "", may_send: bool = True
    ) -> Question | None:
        """The question that waits in this session: is the number yours?"""
        subject_id = self._subject(sid)
        found = self.codes.newest(tx, subject_id)
        if found is None:
            return None
        return self._question(membership, subject_id, found.target, browser=browser, may_send=may_send)

    def begin(
        self, tx: Session, membership: Membership, sid: str, typed: str, *, browser: str, may_send: bool = True
    ) -> Sending | PhoneProblem:
        """Text a code to the number; nothing changes before it came back."""
        parsed = parse(typed, regions=self.policy.phone.regions)
        if not isinstance(parsed, Parsed):
            return parsed
        question = self._question(membership, self._subject(sid), parsed.e164, browser=browser, may_send=may_send)
        return self.exchange.ask(tx, question)

    def confirm(
        self, tx: Session, membership: Membership, question: Question, typed: str
    ) -> CodeCheck | CodeThrottled | Bound:
        """Take the code; if it is right, the number is theirs. Remembered devices end (D6), the person is told by mail."""
        check = self.exchange.answer(tx, question, typed)
        if isinstance(check, CodeThrottled) or check.outcome is not CodeOutcome.ACCEPTED:
            return check
        user = membership.user
        old = user.phone.e164 if user.phone and user.phone.verified_at else None
        contacts.add_phone(
            tx,
            user,
            e164=question.target,
            account_id=membership.account_id,
            clock=self.clock,
            audit=self.audit,
        )
        if old is not None and old != question.target:
            self.codes.void_sent_to(tx, user.id, old)
        notice = "notice_phone_changed" if old else "notice_phone_added"
        self._tell(tx, membership, notice, question.target, browser=question.browser)
        return Bound.CHANGED if old else Bound.ADDED

    def needed_by(self, membership: Membership) -> Account | None:
        """An account of theirs that sends codes by text message alone, and so needs the number (ux.md S17)."""
        for other in membership.user.memberships:
            switch = other.account.mfa_for(other.audience)
            rules = rules_for(
                self.policy.for_audience(other.audience),
                Switch(switch.enabled, tuple(switch.methods), switch.remember_device) if switch else None,
                person=Person(phone_usable=True),
                channels=self.courier.channels,
            )
            if other.is_active and rules.code_required and rules.methods == ("sms",):
                return other.account
        return None

    def remove(self, tx: Session, membership: Membership, *, browser: str) -> bool:
        """Take the number away, where no account needs it: ask `needed_by` first. False when there was none."""
        e164 = contacts.remove_phone(tx, membership.user, account_id=membership.account_id, audit=self.audit)
        if e164 is None:
            return False
        self.codes.void_sent_to(tx, membership.user_id, e164)
        self._tell(tx, membership, "notice_phone_removed", e164, browser=browser)
        return True

    def _tell(self, tx: Session, membership: Membership, notice: str, e164: str, *, browser: str) -> None:
        """Whatever number it was: remembering ends (D6) and the person is told."""
        self.devices.forget_all(tx, reason="phone_changed", user_id=membership.user_id)
        self.courier.send_notice(
            tx,
            notice,
            user_id=membership.user_id,
            account_id=membership.account_id,
            at=self.clock.now(),
            browser=browser,
            phone_ending=e164[-2:],
        )

    def _subject(self, sid: str) -> str:
        return self.digester.digest("change-phone", sid)[:32]

    def _question(
        self, membership: Membership, subject_id: str, e164: str, *, browser: str, may_send: bool
    ) -> Question:
        return Question(
            subject_id=subject_id,
            user_id=membership.user_id,
            account_id=membership.account_id,
            purpose="change_phone",
            channel="sms",
            target=e164,
            browser=browser,
            may_send=may_send,
        )
