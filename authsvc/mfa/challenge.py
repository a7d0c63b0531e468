"""One-time codes: issue, resend, verify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pyotp
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from authsvc.clock import Clock
from authsvc.crypto.seal import Sealer
from authsvc.crypto.tokens import new_id, same
from authsvc.mfa.models import Challenge
from authsvc.policy.schema import MfaPolicy

#: How many of the newest codes are told apart from a mistyped one, for "We sent a newer code".
REMEMBERED_CODES = 5


class CodeOutcome(StrEnum):
    """What became of a typed code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    GONE = "gone"


@dataclass(frozen=True)
class CodeCheck:
    """The outcome, and how many tries are left."""

    outcome: CodeOutcome
    tries_left: int = 0


@dataclass(frozen=True)
class OneTimeCodes:
    """Codes by email and text: HOTP (RFC 4226) with a secret and counter of their own per challenge."""

    policy: MfaPolicy
    sealer: Sealer
    clock: Clock

    def issue(
        self,
        tx: Session,
        subject_id: str,
        *,
        user_id: str,
        account_id: str,
        purpose: str,
        channel: str,
        target: str,
        browser: str = "",
    ) -> Challenge:
        """A new challenge; every earlier one of the same subject is void: the newest code alone counts."""
        now = self.clock.now()
        self.void(tx, subject_id)
        challenge_id = new_id()
        challenge = Challenge(
            id=challenge_id,
            subject_id=subject_id,
            user_id=user_id,
            account_id=account_id,
            purpose=purpose,
            channel=channel,
            target=target,
            secret_sealed=self.sealer.seal(pyotp.random_base32().encode(), where=_where(challenge_id)),
            counter=1,
            tries=0,
            created_at=now,
            sent_at=now,
            expires_at=now + self.lifetime(channel),
            delivery="queued",
            browser=browser,
        )
        tx.add(challenge)
        tx.flush()
        return challenge

    def resend(self, tx: Session, challenge: Challenge) -> bool:
        """A new code for the same challenge, which voids the old one and gives no try back (NIST SP 800-63B-4 3.1.3.2).

        One UPDATE, so a double press sends one code. False: sent less than the resend gap ago.
        """
        now = self.clock.now()
        moved = tx.execute(
            update(Challenge)
            .where(
                Challenge.id == challenge.id,
                Challenge.sent_at <= now - self.policy.code.resend_after,
                Challenge.consumed_at.is_(None),
                Challenge.voided_at.is_(None),
            )
            .values(
                counter=Challenge.counter + 1,
                sent_at=now,
                expires_at=now + self.lifetime(challenge.channel),
                delivery="queued",
            )
            .returning(Challenge.id)
        ).one_or_none()
        tx.refresh(challenge)
        return moved is not None

    def verify(self, tx: Session, challenge_id: str, *, typed: str) -> CodeCheck:
        """Count the try, compare, and consume on a match.

        The UPDATE that counts also holds the row until commit, so of two hundred simultaneous tries five are compared
        (security.md MF-04) and of two right ones one wins (MF-06). Not to be rolled back by the caller for a wrong code.
        """
        now, code = self.clock.now(), self.policy.code
        challenge = tx.scalars(
            update(Challenge)
            .where(
                Challenge.id == challenge_id,
                Challenge.consumed_at.is_(None),
                Challenge.voided_at.is_(None),
                Challenge.expires_at > now,
                Challenge.tries < code.tries,
            )
            .values(tries=Challenge.tries + 1)
            .returning(Challenge)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if challenge is None:
            return self._why_not(tx, challenge_id, now)
        hotp = self._hotp(challenge)
        left = code.tries - challenge.tries
        if same(hotp.at(challenge.counter), typed):
            challenge.consumed_at = now
            tx.flush()
            return CodeCheck(CodeOutcome.ACCEPTED, left)
        if left == 0:
            return CodeCheck(CodeOutcome.EXHAUSTED)
        earlier = range(max(1, challenge.counter - REMEMBERED_CODES), challenge.counter)
        if any(same(hotp.at(counter), typed) for counter in earlier):
            return CodeCheck(CodeOutcome.SUPERSEDED, left)
        return CodeCheck(CodeOutcome.WRONG, left)

    def newest(self, tx: Session, subject_id: str) -> Challenge | None:
        """The challenge that is open for this subject: neither void nor answered. It may have expired."""
        return tx.scalars(
            select(Challenge).where(
                Challenge.subject_id == subject_id, Challenge.voided_at.is_(None), Challenge.consumed_at.is_(None)
            )
        ).one_or_none()

    def void(self, tx: Session, subject_id: str) -> None:
        """End whatever is open for this subject."""
        tx.execute(
            update(Challenge)
            .where(Challenge.subject_id == subject_id, Challenge.consumed_at.is_(None), Challenge.voided_at.is_(None))
            .values(voided_at=self.clock.now())
        )

    def void_sent_to(self, tx: Session, user_id: str, target: str) -> None:
        """End whatever is open for this person at an address or number that is theirs no more (security.md MF-09)."""
        tx.execute(
            update(Challenge)
            .where(
                Challenge.user_id == user_id,
                Challenge.target == target,
                Challenge.consumed_at.is_(None),
                Challenge.voided_at.is_(None),
            )
            .values(voided_at=self.clock.now())
        )

    def void_all(self, tx: Session, user_id: str) -> None:
        """End whatever is open for this person, in every task."""
        tx.execute(
            update(Challenge)
            .where(Challenge.user_id == user_id, Challenge.consumed_at.is_(None), Challenge.voided_at.is_(None))
            .values(voided_at=self.clock.now())
        )

    def code(self, challenge: Challenge) -> str:
        """The digits of the newest code; for the worker alone, at the moment of sending."""
        return self._hotp(challenge).at(challenge.counter)

    def lifetime(self, channel: str) -> timedelta:
        """How long a code works, by how it travels."""
        return self.policy.code.lifetime.email if channel == "email" else self.policy.code.lifetime.sms

    def sweep(self, tx: Session, *, before: datetime) -> None:
        """Forget challenges that expired before `before`."""
        tx.execute(delete(Challenge).where(Challenge.expires_at < before))

    def _hotp(self, challenge: Challenge) -> pyotp.HOTP:
        secret = self.sealer.open(challenge.secret_sealed, where=_where(challenge.id)).decode()
        return pyotp.HOTP(secret, digits=self.policy.code.digits)

    def _why_not(self, tx: Session, challenge_id: str, now: datetime) -> CodeCheck:
        challenge = tx.get(Challenge, challenge_id, populate_existing=True)
        if challenge is None or challenge.consumed_at or challenge.voided_at:
            return CodeCheck(CodeOutcome.GONE)
        if challenge.tries >= self.policy.code.tries:
            return CodeCheck(CodeOutcome.EXHAUSTED)
        return CodeCheck(CodeOutcome.EXPIRED if challenge.expires_at <= now else CodeOutcome.GONE)


def clean(typed: str) -> str | None:
    """The digits typed, without the spaces and hyphens people copy along; None when it is anything else.

    Full-width digits are what some keyboards give; digits of other scripts are refused (security.md MF-23).
    """
    if len(typed) > 40:
        return None
    plain = "".join(
        _ASCII.get(character, character) for character in typed if character not in " -\u00a0\u2010\u2011\u2013"
    )
    return plain if plain.isascii() and plain.isdigit() else None


_ASCII = {chr(0xFF10 + digit): str(digit) for digit in range(10)}


def _where(challenge_id: str) -> str:
    return f"challenge/secret/{challenge_id}"
