"""The steps after the password. Each takes an open transaction and plain values, and never commits.

A wrong code is returned, not raised: raising would roll back the very counter that must be kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from authsvc.accounts import contacts
from authsvc.accounts.models import Membership, User
from authsvc.accounts.phone import Parsed, PhoneProblem, parse
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.devices.models import RememberedDevice
from authsvc.devices.remember import Devices
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import EnrolApp, EnrolPhone, EnterCode, Known, Progress, Step, VerifyEmail, next_step
from authsvc.messaging.courier import Courier
from authsvc.mfa.challenge import CodeCheck, CodeOutcome, OneTimeCodes
from authsvc.mfa.enrolment import AuthenticatorApps
from authsvc.mfa.exchange import CodeExchange, CodeThrottled, Question, Sending, SendOutcome
from authsvc.mfa.rules import MfaRules, Person, Switch, Wanted, methods_of, person_of, rules_for, switch_of
from authsvc.policy.schema import AudiencePolicy, MfaPolicy
from authsvc.sessions import levels
from authsvc.sessions.models import SignInRequest
from authsvc.throttle.sends import SendLimits


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
    exchange: CodeExchange
    codes: OneTimeCodes
    apps: AuthenticatorApps
    devices: Devices
    courier: Courier
    sends: SendLimits
    clock: Clock
    audit: AuditLog

    def rules(self, attempt: LoginAttempt, visit: Visit) -> MfaRules | None:
        """The rules in force for this attempt: the stricter of those when the account was entered and those now (MF-15)."""
        membership = attempt.membership
        if membership is None:
            return None
        started = MfaRules.from_json(attempt.start_rules) if attempt.start_rules is not None else None
        now = self.rules_in(
            membership,
            self.person(attempt.user, app_ready=attempt.app_ready),
            wanted=Wanted(levels.rank(visit.request.wanted_acr if visit.request else None)),
            has_no_us_number=attempt.has_no_us_number,
            # Whoever was offered a text message may be waiting for it.
            texts_stay=started is not None and "sms" in started.methods,
        )
        if started is None:
            attempt.start_rules = now.as_json()
            return now
        return now.stricter_of(started)

    def rules_in(
        self,
        membership: Membership,
        person: Person,
        *,
        wanted: Wanted = Wanted.NOTHING,
        has_no_us_number: bool = False,
        texts_stay: bool = False,
    ) -> MfaRules:
        """The rules under which this person would enter this account now. `texts_stay`: whatever they cost today."""

        def rules(channels: frozenset[str]) -> MfaRules:
            return rules_for(
                *self._chosen_in(membership),
                person=person,
                wanted=wanted,
                channels=channels,
                has_no_us_number=has_no_us_number,
            )

        usual = rules(self.courier.channels)
        if "sms" not in usual.methods or texts_stay or not self.sends.texts.is_spent:
            return usual
        # The day's money for text messages is gone: not shown, unless nothing else would be left and nobody may be mailed.
        without = rules(self.courier.channels - {"sms"})
        return usual if without.email_fallback and self.sends.texts.policy.when_spent == "wait" else without

    @property
    def why_mailed(self) -> str:
        """Why a code came by email in an account of text messages, for the trail."""
        return "texts_stopped" if self.sends.texts.is_spent else "no_us_number"

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
            if self.exchange.ask(tx, self.question(attempt, step, visit)).outcome is SendOutcome.TOO_MANY:
                self._give_up_texts(attempt)
                instead, _ = self.step(tx, attempt, visit)
                if instead != step and isinstance(instead, EnterCode):
                    self.exchange.ask(tx, self.question(attempt, instead, visit))
                return instead
        elif isinstance(step, EnrolApp):
            self.apps.ensure_begun(tx, attempt.user_id, subject_id=attempt.id)
        return step

    def question(self, attempt: LoginAttempt, step: EnterCode | VerifyEmail, visit: Visit) -> Question:
        """What this step asks for: by which way, and where the code goes."""
        user = attempt.user
        purpose, channel, target = "sign_in", "email", user.email.address
        if isinstance(step, VerifyEmail):
            purpose = "verify_email"
        elif step.purpose == "enrol_phone":
            purpose, channel, target = "enrol_phone", "sms", attempt.pending_phone or ""
        elif step.channel == "sms":
            channel, target = "sms", user.phone.e164 if user.phone else ""
        return Question(
            subject_id=attempt.id,
            user_id=attempt.user_id,
            account_id=self._account_id(attempt),
            purpose=purpose,
            channel=channel,
            target=target,
            browser=visit.browser,
            may_send=visit.may_send,
        )

    def choose_method(self, attempt: LoginAttempt, method: str, visit: Visit) -> bool:
        """Take the choice; False when the policy does not hold it open (MF-12)."""
        rules = self.rules(attempt, visit)
        if rules is None or method not in rules.methods:
            return False
        attempt.method, attempt.pending_phone = method, None
        if method in attempt.proofs:
            # Email, whose code has verified the address a moment ago: it is not asked for twice.
            attempt.user.last_method = method
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
        return self.exchange.ask_again(tx, self.question(attempt, step, visit))

    def submit_code(
        self, tx: Session, attempt: LoginAttempt, typed: str, *, remember: bool, visit: Visit
    ) -> CodeCheck | CodeThrottled:
        """Check a typed code against the one challenge this step waits for, and take what it proves."""
        step, _ = self.step(tx, attempt, visit)
        if not isinstance(step, EnterCode | VerifyEmail):
            return CodeCheck(CodeOutcome.GONE)
        question = self.question(attempt, step, visit)
        check = self.exchange.answer(tx, question, typed)
        if isinstance(check, CodeCheck) and check.outcome is CodeOutcome.ACCEPTED:
            self._take_proof(tx, attempt, question, remember=remember, visit=visit)
        return check

    def _adds_a_phone(self, tx: Session, attempt: LoginAttempt, visit: Visit) -> bool:
        """Whether this sign-in is at the first phone: at the number, or at the code that proves it."""
        step, _ = self.step(tx, attempt, visit)
        return isinstance(step, EnrolPhone) or (isinstance(step, EnterCode) and step.purpose == "enrol_phone")

    def _take_proof(
        self, tx: Session, attempt: LoginAttempt, proved: Question, *, remember: bool, visit: Visit
    ) -> None:
        user, now = attempt.user, self.clock.now()
        attempt.proofs = sorted({*attempt.proofs, proved.channel})
        rules = self.rules(attempt, visit)
        attempt.remember = remember and proved.purpose != "verify_email" and rules is not None and rules.may_remember
        if proved.channel == "email":
            # An accepted email code also proves the address (domain D17).
            contacts.verify_email(
                tx, user, address=proved.target, by=proved.purpose, clock=self.clock, audit=self.audit
            )
        if proved.purpose == "enrol_phone":
            account_id = self._account_id(attempt)
            contacts.add_phone(tx, user, e164=proved.target, account_id=account_id, clock=self.clock, audit=self.audit)
            # Whoever owned the address learns of a number bound in their name (security.md SR5). It also ends remembering (D6).
            self.devices.forget_all(tx, reason="phone_changed", user_id=user.id)
            self.courier.send_notice(
                tx,
                "notice_phone_added",
                user_id=user.id,
                account_id=account_id,
                at=now,
                browser=visit.browser,
                phone_ending=proved.target[-2:],
            )
            attempt.pending_phone = None
        if proved.purpose != "verify_email" and (proved.channel == attempt.method or attempt.method is None):
            user.last_method = proved.channel

    def _give_up_texts(self, attempt: LoginAttempt) -> None:
        """The day's money went before this sign-in's message: it goes on by another way, if there is one, at once."""
        if self.sends.texts.is_spent and attempt.start_rules is not None:
            started = MfaRules.from_json(attempt.start_rules)
            others = tuple(method for method in started.methods if method != "sms")
            attempt.start_rules = replace(started, methods=others).as_json()

    def _chosen_in(self, membership: Membership) -> tuple[AudiencePolicy, Switch | None]:
        switch = switch_of(membership.account.mfa_for(membership.audience))
        return self.policy.for_audience(membership.audience), switch

    def _account_id(self, attempt: LoginAttempt) -> str:
        return attempt.membership.account_id if attempt.membership else ""
