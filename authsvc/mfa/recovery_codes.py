"""Recovery codes: ten, shown once, kept as digests, each used once in place of the authenticator app."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester
from authsvc.messaging.courier import Courier
from authsvc.mfa.enrolment import OwnCode
from authsvc.mfa.models import AuthenticatorApp, RecoveryCode

PURPOSE = "recovery-code"
HOW_MANY = 10
#: With so few left, the mail about a used one says to make new ones.
FEW = 3
#: Crockford's: no i, l, o or u, so nothing is mistaken for a digit. Twelve of them are 60 bits.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 12
_READ_AS = str.maketrans({"i": "1", "l": "1", "o": "0"})
_LONGEST_TYPED = 60


@dataclass(frozen=True)
class RecoveryCodes:
    """The codes of the people who have an app."""

    digester: Digester
    courier: Courier
    clock: Clock
    audit: AuditLog

    def make(self, tx: Session, user_id: str, *, account_id: str) -> tuple[str, ...]:
        """Ten new ones, as they are shown; the old ones are void. None of them can be read again."""
        # Two presses at once would leave twenty: the second waits here, and then voids the codes of the first.
        tx.scalars(select(AuthenticatorApp.user_id).where(AuthenticatorApp.user_id == user_id).with_for_update()).all()
        now = self.clock.now()
        tx.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        plain = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(HOW_MANY)]
        tx.add_all(
            RecoveryCode(code_digest=self._digest(user_id, code), user_id=user_id, created_at=now) for code in plain
        )
        tx.flush()
        self.audit.record(tx, Event.RECOVERY_CODES_MADE, user_id=user_id, account_id=account_id, count=HOW_MANY)
        return tuple("-".join(code[at : at + 4] for at in range(0, LENGTH, 4)) for code in plain)

    def make_anew(self, tx: Session, user_id: str, *, account_id: str, browser: str) -> tuple[str, ...]:
        """As `make`, and the person is told."""
        self._tell(tx, "notice_recovery_codes", user_id, account_id, browser)
        return self.make(tx, user_id, account_id=account_id)

    def left(self, tx: Session, user_id: str) -> int:
        """How many are unused."""
        unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
        return tx.scalar(unused) or 0

    def use(self, tx: Session, user_id: str, *, typed: str, account_id: str, browser: str) -> OwnCode:
        """Spend a code. One UPDATE, so of two simultaneous uses one wins; the person is told how many are left."""
        code = clean(typed)
        if code is None:
            return OwnCode.WRONG
        digest = self._digest(user_id, code)
        used = tx.execute(
            update(RecoveryCode)
            .where(RecoveryCode.code_digest == digest, RecoveryCode.used_at.is_(None))
            .values(used_at=self.clock.now())
            .returning(RecoveryCode.user_id)
        ).one_or_none()
        if used is None:
            return OwnCode.SPENT if tx.get(RecoveryCode, digest) is not None else OwnCode.WRONG
        left = self.left(tx, user_id)
        self.audit.record(tx, Event.RECOVERY_CODE_USED, user_id=user_id, account_id=account_id, left=left)
        advice = " Make new ones in My Profile, under Security." if left <= FEW else ""
        counted = f"{left} {'is' if left == 1 else 'are'} left.{advice}"
        self._tell(tx, "notice_recovery_code_used", user_id, account_id, browser, left=counted)
        return OwnCode.ACCEPTED

    def _digest(self, user_id: str, code: str) -> str:
        return self.digester.digest(PURPOSE, f"{user_id} {code}")

    def _tell(self, tx: Session, notice: str, user_id: str, account_id: str, browser: str, **values: str) -> None:
        self.courier.send_notice(
            tx, notice, user_id=user_id, account_id=account_id, at=self.clock.now(), browser=browser, **values
        )


def clean(typed: str) -> str | None:
    """The code as it was made, however it was typed: capitals, spaces, hyphens, an O for a zero; None: no code at all."""
    if len(typed) > _LONGEST_TYPED:
        return None
    plain = "".join(typed.split()).replace("-", "").lower().translate(_READ_AS)
    return plain if len(plain) == LENGTH and set(plain) <= set(ALPHABET) else None
