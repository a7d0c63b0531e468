"""Which passwords may be set (domain D21).

Common and leaked ones are told by zxcvbn, which ships lists made from leaks and asks nobody. What knows more of them wants a
file of gigabytes beside it, or asks another service at every password.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from zxcvbn import zxcvbn

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
    COMMON = "common"
    PERSONAL = "personal"


@dataclass(frozen=True)
class Refused:
    """The reason, and the length as a person counts it: code points."""

    problem: PasswordProblem
    length: int


def refuse(password: str, policy: PasswordPolicy, *, context: Iterable[str]) -> Refused | None:
    """Why `password` may not be set, or None when it may. `context`: the person's name and address, the account's name.

    No composition rules; every character counts as it is (NIST SP 800-63B-4 3.1.1, ASVS 6.2.5 and 6.2.8).
    """
    length = len(password)
    if length < policy.min_length:
        return Refused(PasswordProblem.TOO_SHORT, length)
    if length > policy.max_length:
        return Refused(PasswordProblem.TOO_LONG, length)
    words = [word for text in context for word in _words(text)]
    if policy.reject_context and _is_made_of(password.casefold(), [*words, *PRODUCT_WORDS]):
        return Refused(PasswordProblem.PERSONAL, length)
    if policy.reject_common and int(zxcvbn(password[:LOOKED_AT], user_inputs=words)["guesses"]) < COMMON_GUESSES:
        return Refused(PasswordProblem.COMMON, length)
    return None


def explain(refused: Refused, policy: PasswordPolicy) -> str:
    """The reason as the forms say it (ux.md S9)."""
    match refused.problem:
        case PasswordProblem.TOO_SHORT:
            return f"Use at least {policy.min_length} characters. This has {refused.length}."
        case PasswordProblem.TOO_LONG:
            return f"Use at most {policy.max_length} characters. This has {refused.length}."
        case PasswordProblem.COMMON:
            return "This password has appeared in a data breach. Choose a different one."
        case PasswordProblem.PERSONAL:
            return "Choose something that isn’t your name, email or company."


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
