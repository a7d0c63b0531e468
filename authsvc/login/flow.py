"""The steps after the password. Each takes an open transaction and plain values, and never commits.

A wrong code is returned, not raised: raising would roll back the very counter that must be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from authsvc.accounts import contacts
from authsvc.accounts.models import Membership, User
from authsvc.accounts.phone import Parsed, PhoneProblem, parse
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.db import after_commit
from authsvc.devices.models import RememberedDevice
from authsvc.devices.remember import Devices
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import EnrolApp, EnrolPhone, EnterCode, Known, Progress, Step, VerifyEmail, next_step
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes, clean
from authsvc.mfa.enrolment import AuthenticatorApps
from authsvc.mfa.exchange import ADDRESS_PAUSE, CODE_PAUSE, CodeThrottled, Sending, SendOutcome, take_send_slots
from authsvc.mfa.models import Challenge
from authsvc.mfa.rules import MfaRules, Person, Switch, Wanted, methods_of, person_of, rules_for, switch_of
from authsvc.policy.schema import AudiencePolicy, MfaPolicy
from authsvc.sessions import levels
from authsvc.sessions.models import SignInRequest
from authsvc.throttle import AddressWindows, Throttle, Wait
from authsvc.throttle.lockout import Pauses
from authsvc.web import facts


@dataclass(frozen=True)
class Visit:
    """What this request brought along: each tab names what it signs in for. `device_cookie`: of the membership entered."""

    request: SignInRequest | None = None
    continue_to: str | None = None
    device_cookie: str | None = None
    browser: str = ""
    #: Whether the window of this network address has room for another message; asked before the transaction.
    may_send: bool = True


@dataclass(frozen=True)
class Flow:
    """The way from a right password to everything shown."""

    policy: MfaPolicy
    codes: OneTimeCodes
    apps: AuthenticatorApps
    devices: Devices
    courier: Courier
    throttle: Throttle
    windows: AddressWindows
    pauses: Pauses
    clock: Clock
    audit: AuditLog

    def rules(self, attempt: LoginAttempt, visit: Visit) -> MfaRules | None:
        """The rules in force for this attempt: the stricter of those when the account was entered and those now (MF-15)."""
        membership = attempt.membership
        if membership is None:
            return None
        now = self.rules_in(
            membership,
            self.person(attempt.user, app_ready=attempt.app_ready),
            wanted=Wanted(levels.rank(visit.request.wanted_acr if visit.request else None)),
            has_no_us_number=attempt.has_no_us_number,
        )
        if attempt.start_rules is None:
            attempt.start_rules = now.as_json()
            return now
        return now.stricter_of(MfaRules.from_json(attempt.start_rules))

    def rules_in(
        self,
        membership: Membership,
        person: Person,
        *,
        wanted: Wanted = Wanted.NOTHING,
        has_no_us_number: bool = False,
    ) -> MfaRules:
        """The rules under which this person would enter this account now."""
        return rules_for(
            *self._chosen_in(membership),
            person=person,
            wanted=wanted,
            channels=self.courier.channels,
            has_no_us_number=has_no_us_number,
        )

    def open_methods(self, membership: Membership) -> set[str]:
        """The methods that this account opens to this audience, whoever the person is."""
        return methods_of(*self._chosen_in(membership), self.courier.channels)

    def person(self, user: User, *, app_ready: bool) -> Person:
        """What the rules need to know of a person's phone and app."""
        return person_of(user, self.policy.phone, app_ready=app_ready)

    def step(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> tuple[Step, RememberedDevice | None]:
        """What this attempt needs next, and the remembered device that stands in, if one does."""
        rules = self.rules(attempt, visit)
        device = None
        if rules and rules.may_skip_code and attempt.membership and not attempt.proofs_beyond_password:
            device = self.devices.recognise(tx, attempt.membership, visit.device_cookie)
        progress = Progress(
            frozenset(attempt.proofs), attempt.method, attempt.skipped_verification, attempt.pending_phone is not None
        )
        person = self.person(attempt.user, app_ready=attempt.app_ready)
        known = Known(attempt.user.email.verified_at is not None, person.phone_usable, person.app_ready)
        return next_step(progress, known, rules, device_recognised=device is not None), device

    def advance(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> Step:
        """The next step, with its code on the way where it needs one that is not out yet."""
        step, _ = self.step(tx, attempt, visit)
        if isinstance(step, EnterCode | VerifyEmail):
            self._ensure_code(tx, attempt, step, visit)
        elif isinstance(step, EnrolApp):
            self.apps.ensure_begun(tx, attempt.user_id, subject_id=attempt.id)
        return step

    def open_challenge(self, tx: Session, attempt: LoginAttempt, step: Step) -> Challenge | None:
        """The challenge that this step waits for; None when another or none is out, or its address has changed (MF-09)."""
        if not isinstance(step, EnterCode | VerifyEmail):
            return None
        purpose, channel, target = self._wanted_code(attempt, step)
        found = self.codes.newest(tx, attempt.id)
        fits = found and (found.purpose, found.channel, found.target) == (purpose, channel, target)
        return found if fits else None

    def choose_method(self, attempt: LoginAttempt, method: str, visit: Visit) -> bool:
        """Take the choice; False when the policy does not hold it open (MF-12)."""
        rules = self.rules(attempt, visit)
        if rules is None or method not in rules.methods:
            return False
        attempt.method, attempt.pending_phone = method, None
        return True

    def skip_verification(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> None:
        """ "Skip For Now": counts where it is offered, and is ignored where it is not (domain D17)."""
        step, _ = self.step(tx, attempt, visit)
        if isinstance(step, VerifyEmail) and step.skippable:
            attempt.skipped_verification = True
            self.codes.void(tx, attempt.id)
            self.audit.record(
                tx, Event.EMAIL_VERIFICATION_SKIPPED, user_id=attempt.user_id, account_id=self._account_id(attempt)
            )

    def submit_phone(self, tx: Session, attempt: LoginAttempt, typed: str, visit: Visit) -> PhoneProblem | None:
        """Take the number to be proved by a code; None when taken. Only where the emailed code came first (domain D2)."""
        if self._adds_a_phone(tx, attempt, visit):
            parsed = parse(typed, regions=self.policy.phone.regions)
            if not isinstance(parsed, Parsed):
                return parsed
            if attempt.pending_phone != parsed.e164:
                self.codes.void(tx, attempt.id)
            attempt.pending_phone = parsed.e164
        return None

    def say_no_us_number(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> None:
        """The person has no US number: the emailed code then does, so that nobody is locked out (domain D4)."""
        if self._adds_a_phone(tx, attempt, visit) and "email" in attempt.proofs:
            if attempt.pending_phone is not None:
                # A number was typed and its code never came.
                self.codes.void(tx, attempt.id)
            attempt.has_no_us_number, attempt.pending_phone = True, None

    def resend(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> Sending:
        """Send a newer code for what is asked now; the gap and the limits of the policy hold."""
        step, _ = self.step(tx, attempt, visit)
        if not isinstance(step, EnterCode | VerifyEmail):
            return Sending(SendOutcome.ALREADY_OUT)
        challenge = self.open_challenge(tx, attempt, step)
        if challenge is None or challenge.expires_at <= self.clock.now():
            return self._send_new(tx, attempt, step, visit)
        earliest = challenge.sent_at + self.policy.code.resend_after
        if self.clock.now() < earliest:
            return Sending(SendOutcome.TOO_SOON, earliest)
        if (wait := self._take_send_slots(tx, attempt, challenge.target, visit)) is not None:
            return Sending(SendOutcome.TOO_MANY, wait.until)
        if not self.codes.resend(tx, challenge):
            return Sending(SendOutcome.TOO_SOON, challenge.sent_at + self.policy.code.resend_after)
        self._queue(tx, attempt, challenge, resend=True)
        return Sending(SendOutcome.SENT)

    def submit_code(
        self, tx: Session, attempt: LoginAttempt, typed: str, *, remember: bool, visit: Visit
    ) -> CodeCheck | CodeThrottled:
        """Check a typed code against the one challenge this step waits for, and take what it proves."""
        step, _ = self.step(tx, attempt, visit)
        challenge = self.open_challenge(tx, attempt, step)
        digits = clean(typed)
        if challenge is None or digits is None:
            return CodeCheck(CodeOutcome.GONE)
        if (throttled := self.take_try(tx, attempt)) is not None:
            return throttled
        check = self.codes.verify(tx, challenge.id, typed=digits)
        about = {"user_id": attempt.user_id, "account_id": self._account_id(attempt)}
        named = {"channel": challenge.channel, "purpose": challenge.purpose}
        if check.outcome is CodeOutcome.ACCEPTED:
            self.throttle.give_back(tx, "code_per_user", attempt.user_id)
            self.audit.record(tx, Event.CODE_ACCEPTED, **about, **named)
            self._take_proof(tx, attempt, challenge, remember=remember, visit=visit)
        elif check.outcome is CodeOutcome.EXHAUSTED:
            self.pauses.begin(tx, CODE_PAUSE, attempt.user_id, lasts=self.policy.last_try_pause)
            self.codes.void(tx, attempt.id)
            self.audit.record(tx, Event.CODE_TRIES_EXHAUSTED, **about, **named)
        else:
            self.audit.record(tx, Event.CODE_WRONG, **about, **named, reason=check.outcome.value)
        return check

    def take_try(self, tx: Session, attempt: LoginAttempt) -> CodeThrottled | None:
        """Count a try of any code against the person: another way, sign-in or browser gains nothing (security.md MF-05)."""
        wait = self.throttle.take(tx, "code_per_user", attempt.user_id)
        if wait is None:
            return None
        about = {"user_id": attempt.user_id, "account_id": self._account_id(attempt)}
        self.audit.record(tx, Event.SIGN_IN_THROTTLED, **about, limit=wait.limit)
        return CodeThrottled(wait.until)

    def paused_until(self, tx: Session, user_id: str) -> datetime | None:
        """Until when no code is asked of or sent to this person, after all tries were used up."""
        return self.pauses.until(tx, CODE_PAUSE, user_id)

    def _adds_a_phone(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> bool:
        """Whether this sign-in is at the first phone: at the number, or at the code that proves it."""
        step, _ = self.step(tx, attempt, visit)
        return isinstance(step, EnrolPhone) or (isinstance(step, EnterCode) and step.purpose == "enrol_phone")

    def _take_proof(
        self, tx: Session, attempt: LoginAttempt, challenge: Challenge, *, remember: bool, visit: Visit
    ) -> None:
        user, now = attempt.user, self.clock.now()
        attempt.proofs = sorted({*attempt.proofs, challenge.channel})
        rules = self.rules(attempt, visit)
        attempt.remember = remember and challenge.purpose != "verify_email" and rules is not None and rules.may_remember
        if challenge.channel == "email":
            # An accepted email code also proves the address (domain D17).
            contacts.verify_email(
                tx, user, address=challenge.target, by=challenge.purpose, clock=self.clock, audit=self.audit
            )
        if challenge.purpose == "enrol_phone":
            account_id = self._account_id(attempt)
            contacts.add_phone(
                tx, user, e164=challenge.target, account_id=account_id, clock=self.clock, audit=self.audit
            )
            # Whoever owned the address learns of a number bound in their name (security.md SR5). It also ends remembering (D6).
            self.devices.forget_all(tx, reason="phone_changed", user_id=user.id)
            self.courier.send_notice(
                tx,
                "notice_phone_added",
                user_id=user.id,
                account_id=account_id,
                at=now,
                browser=visit.browser,
                phone_ending=challenge.target[-2:],
            )
            attempt.pending_phone = None
        if challenge.purpose != "verify_email" and (challenge.channel == attempt.method or attempt.method is None):
            user.last_method = challenge.channel

    def _ensure_code(self, tx: Session, attempt: LoginAttempt, step: EnterCode | VerifyEmail, visit: Visit) -> Sending:
        if self.open_challenge(tx, attempt, step) is not None:
            return Sending(SendOutcome.ALREADY_OUT)
        return self._send_new(tx, attempt, step, visit)

    def _send_new(self, tx: Session, attempt: LoginAttempt, step: EnterCode | VerifyEmail, visit: Visit) -> Sending:
        if (until := self.paused_until(tx, attempt.user_id)) is not None:
            return Sending(SendOutcome.PAUSED, until)
        purpose, channel, target = self._wanted_code(attempt, step)
        if (wait := self._take_send_slots(tx, attempt, target, visit)) is not None:
            return Sending(SendOutcome.TOO_MANY, wait.until)
        challenge = self.codes.issue(
            tx,
            attempt.id,
            user_id=attempt.user_id,
            account_id=self._account_id(attempt),
            purpose=purpose,
            channel=channel,
            target=target,
            browser=visit.browser,
        )
        self._queue(tx, attempt, challenge, resend=False)
        return Sending(SendOutcome.SENT)

    def _queue(self, tx: Session, attempt: LoginAttempt, challenge: Challenge, *, resend: bool) -> None:
        self.courier.send_code(tx, challenge.id, counter=challenge.counter)
        after_commit(tx, partial(self.windows.admit, "send_per_address", facts.current().remote_address))
        self.audit.record(
            tx,
            Event.CODE_REQUESTED,
            user_id=attempt.user_id,
            account_id=self._account_id(attempt),
            channel=challenge.channel,
            purpose=challenge.purpose,
            resend=resend,
        )

    def _take_send_slots(self, tx: Session, attempt: LoginAttempt, target: str, visit: Visit) -> Wait | None:
        if not visit.may_send:
            return Wait("send_per_address", self.clock.now() + ADDRESS_PAUSE)
        account_id = self._account_id(attempt)
        return take_send_slots(tx, self.throttle, target, user_id=attempt.user_id, account_id=account_id)

    def _wanted_code(self, attempt: LoginAttempt, step: EnterCode | VerifyEmail) -> tuple[str, str, str]:
        """(purpose, channel, target) of the code this step waits for."""
        user = attempt.user
        if isinstance(step, VerifyEmail):
            return "verify_email", "email", user.email.address
        if step.purpose == "enrol_phone":
            return "enrol_phone", "sms", attempt.pending_phone or ""
        return (
            "sign_in",
            step.channel,
            user.email.address if step.channel == "email" else (user.phone.e164 if user.phone else ""),
        )

    def _chosen_in(self, membership: Membership) -> tuple[AudiencePolicy, Switch | None]:
        switch = switch_of(membership.account.mfa_for(membership.audience))
        return self.policy.for_audience(membership.audience), switch

    def _account_id(self, attempt: LoginAttempt) -> str:
        return attempt.membership.account_id if attempt.membership else ""
