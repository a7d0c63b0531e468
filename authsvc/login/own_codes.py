"""The steps with codes that the person holds: of their authenticator app, and recovery codes.

Nothing is sent, so there is no challenge; the limit of the person counts every try, as it does for codes that are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.login.flow import Flow, Visit
from authsvc.login.models import LoginAttempt
from authsvc.login.next_step import EnrolApp, EnterAppCode
from authsvc.mfa.challenge import clean
from authsvc.mfa.enrolment import AuthenticatorApps, OwnCode
from authsvc.mfa.exchange import CodeExchange, CodeThrottled
from authsvc.mfa.recovery_codes import RecoveryCodes
from authsvc.mfa.rules import RECOVERY
from authsvc.throttle import Throttle

APP = "totp"


@dataclass(frozen=True)
class OwnCodes:
    """Takes what the person holds as a proof of this sign-in."""

    flow: Flow
    exchange: CodeExchange
    apps: AuthenticatorApps
    recovery: RecoveryCodes
    throttle: Throttle
    audit: AuditLog

    def submit_app_code(
        self, tx: Session, attempt: LoginAttempt, typed: str, *, remember: bool, visit: Visit
    ) -> OwnCode | CodeThrottled:
        """Check a code of the person's app."""
        digits = clean(typed)
        if digits is None:
            return OwnCode.WRONG
        check = partial(self.apps.verify, tx, attempt.user_id, typed=digits)
        return self._submit(tx, attempt, check, APP, remember=remember, visit=visit)

    def submit_recovery_code(
        self, tx: Session, attempt: LoginAttempt, typed: str, *, visit: Visit
    ) -> OwnCode | CodeThrottled:
        """Take a recovery code in place of the app. The browser is not remembered: an emergency is often elsewhere."""
        account_id = attempt.membership.account_id if attempt.membership else ""
        check = partial(
            self.recovery.use, tx, attempt.user_id, typed=typed, account_id=account_id, browser=visit.browser
        )
        return self._submit(tx, attempt, check, RECOVERY, remember=False, visit=visit)

    def confirm_app(
        self, tx: Session, attempt: LoginAttempt, typed: str, *, remember: bool, visit: Visit
    ) -> tuple[str, ...] | OwnCode | None:
        """Take the app into use that this sign-in has begun: its code also completes the sign-in.

        Answers the recovery codes that come with it; None when nothing was begun. Only where the emailed code came first
        (domain D2), which the step has seen to.
        """
        step, _ = self.flow.step(tx, attempt, visit)
        digits = clean(typed)
        if not isinstance(step, EnrolApp):
            return None
        if digits is None:
            return OwnCode.WRONG
        account_id = attempt.membership.account_id if attempt.membership else ""
        outcome = self.apps.confirm(
            tx, attempt.user, subject_id=attempt.id, typed=digits, account_id=account_id, browser=visit.browser
        )
        if outcome is not OwnCode.ACCEPTED:
            return outcome
        tx.expire(attempt, ["app"])
        self._take(attempt, APP, remember=remember, visit=visit)
        return self.recovery.make(tx, attempt.user_id, account_id=account_id)

    def _submit(
        self,
        tx: Session,
        attempt: LoginAttempt,
        check: Callable[[], OwnCode],
        proof: str,
        *,
        remember: bool,
        visit: Visit,
    ) -> OwnCode | CodeThrottled:
        step, _ = self.flow.step(tx, attempt, visit)
        if not isinstance(step, EnterAppCode):
            return OwnCode.WRONG
        if (until := self.exchange.paused_until(tx, attempt.user_id)) is not None:
            return CodeThrottled(until)
        about = {
            "user_id": attempt.user_id,
            "account_id": attempt.membership.account_id if attempt.membership else "",
        }
        if (throttled := self.exchange.take_try(tx, **about)) is not None:
            return throttled
        outcome = check()
        about |= {"channel": proof, "purpose": "sign_in"}
        if outcome is OwnCode.ACCEPTED:
            self.throttle.give_back(tx, "code_per_user", attempt.user_id)
            self.audit.record(tx, Event.CODE_ACCEPTED, **about)
            self._take(attempt, proof, remember=remember, visit=visit)
        else:
            self.audit.record(tx, Event.CODE_WRONG, **about, reason=outcome.value)
        return outcome

    def _take(self, attempt: LoginAttempt, proof: str, *, remember: bool, visit: Visit) -> None:
        attempt.proofs = sorted({*attempt.proofs, proof})
        rules = self.flow.rules(attempt, visit)
        attempt.remember = remember and rules is not None and rules.may_remember
        if proof == APP:
            attempt.user.last_method = APP
