"""acr and amr: the one table of what happened and what it is called (claims.md, RFC 8176)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

PASSWORD: Final = "urn:ims:acr:password"
REMEMBERED: Final = "urn:ims:acr:remembered"
TWO_STEP: Final = "urn:ims:acr:two-step"
TWO_FACTOR: Final = "urn:ims:acr:two-factor"

#: Lowest first; the order is the meaning.
ORDER: Final = (PASSWORD, REMEMBERED, TWO_STEP, TWO_FACTOR)


def at_least(acr: str, wanted: str) -> bool:
    """Whether `acr` is `wanted` or more; an unknown level is never enough and never met."""
    return acr in ORDER and wanted in ORDER and ORDER.index(acr) >= ORDER.index(wanted)


def rank(acr: str | None) -> int:
    """Its place in the order, from 0; what nobody knows asks for no more than a password."""
    return ORDER.index(acr) if acr in ORDER else 0


def describe(proofs: Collection[str], *, remembered: bool) -> tuple[str, list[str]]:
    """(acr, amr) for what was shown in this sign-in. Email is a second step and never `mfa`.

    Nor is a recovery code: it may lie in the very place where the password is kept, so it is told as what it is, a one-time
    password (RFC 8176 `otp`), and as a second step. It came by no other channel, so it is no `mca` either.
    """
    if "totp" in proofs:
        return TWO_FACTOR, ["pwd", "otp", "mfa"]
    if "sms" in proofs:
        return TWO_FACTOR, ["pwd", "sms", "mfa"]
    if "email" in proofs:
        return TWO_STEP, ["pwd", "otp", "mca"]
    if "recovery" in proofs:
        return TWO_STEP, ["pwd", "otp"]
    return (REMEMBERED if remembered else PASSWORD), ["pwd"]
