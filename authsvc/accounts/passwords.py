"""Which passwords may be set (domain D21).

What is easy to guess zxcvbn tells, with lists it ships; what has leaked tells a file, where the installation has one. Neither
asks anybody. They are looked at when a password is set and not at sign-in: NIST SP 800-63B-4 3.1.1.2 asks for no more, and a
newer list would send everybody who is on it to support on one morning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import update
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from authsvc.accounts.models import User
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.breached import BreachedPasswords
from authsvc.policy.schema import PasswordPolicy

PRODUCT_WORDS = ("ims", "imscre", "authsvc", "investor portal", "investor management")
#: zxcvbn refuses longer text; what is common is common in its first characters too (libraries.md 2.1).
LOOKED_AT = 72
#: Guesses below this are what a list of common passwords holds.
COMMON_GUESSES = 10**8


class PasswordProblem(StrEnum):
    """Why a password cannot be set."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    BREACHED = "breached"
    COMMON = "common"
    PERSONAL = "personal"


@dataclass(frozen=True)
class Refused:
    """The reason, and the length as a person counts it: code points."""

    problem: PasswordProblem
    length: int

    def words(self, policy: PasswordPolicy) -> str:
        """What a person is told (ux.md S9)."""
        return {
            PasswordProblem.TOO_SHORT: f"Use at least {policy.min_length} characters. This has {self.length}.",
            PasswordProblem.TOO_LONG: f"Passwords have {policy.max_length} characters at most. This one is longer.",
            PasswordProblem.BREACHED: "This password has appeared in a data breach. Choose a different one.",
            PasswordProblem.COMMON: "This password is easy to guess. Choose a different one.",
            PasswordProblem.PERSONAL: "Choose something that isn’t your name, email or company.",
        }[self.problem]


@dataclass(frozen=True)
class PasswordRules:
    """What a new password must be."""

    policy: PasswordPolicy
    breached: BreachedPasswords

    def refuse(self, password: str, *, context: Iterable[str]) -> Refused | None:
        """Why `password` may not be set, or None when it may. `context`: the person's name and address, the account's name.

        No composition rules; every character counts as it is (NIST SP 800-63B-4 3.1.1, ASVS 6.2.5 and 6.2.8).
        """
        length, policy = len(password), self.policy
        if length < policy.min_length:
            return Refused(PasswordProblem.TOO_SHORT, length)
        if length > policy.max_length:
            return Refused(PasswordProblem.TOO_LONG, length)
        words = [word for text in context for word in _words(text)]
        if policy.reject_context and _is_made_of(password.casefold(), [*words, *PRODUCT_WORDS]):
            return Refused(PasswordProblem.PERSONAL, length)
        if self.breached.holds(password):
            return Refused(PasswordProblem.BREACHED, length)
        if policy.reject_common and int(zxcvbn(password[:LOOKED_AT], user_inputs=words)["guesses"]) < COMMON_GUESSES:
            return Refused(PasswordProblem.COMMON, length)
        return None


def replace_hash(
    tx: Session, user: User, new_hash: str, *, instead_of: str | None, by: str, clock: Clock, audit: AuditLog
) -> bool:
    """Set the password, if it is still the one behind `instead_of`; False when another change came first.

    One conditional UPDATE. What a changed password ends is the caller's to end (domain D6, D15). `by`: who, for the trail.
    """
    now = clock.now()
    changed = tx.scalar(
        update(User)
        .where(User.id == user.id, User.password_hash == instead_of)
        .values(password_hash=new_hash, password_changed_at=now)
        .returning(User.id)
    )
    if changed is None:
        return False
    tx.refresh(user, ["password_hash", "password_changed_at"])
    audit.record(tx, Event.PASSWORD_CHANGED, user_id=user.id, by=by)
    return True


def _words(text: str) -> list[str]:
    local = text.casefold().partition("@")[0]
    parts = "".join(character if character.isalnum() else " " for character in local).split()
    return [local, *(part for part in parts if len(part) > 2)]


def _is_made_of(password: str, words: Iterable[str]) -> bool:
    """Whether little is left of `password` once those words, digits and signs are taken out."""
    rest = password
    for word in sorted(set(words), key=len, reverse=True):
        rest = rest.replace(word, "") if len(word) > 2 else rest
    return rest != password and sum(character.isalpha() for character in rest) < 6
