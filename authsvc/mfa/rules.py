"""What a sign-in must show besides the password. Pure: the account's switch, the policy and the request go in, rules come out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Literal, Self

from authsvc.accounts.models import AccountMfa, User
from authsvc.accounts.phone import Parsed, parse
from authsvc.policy.schema import AudiencePolicy, PhonePolicy

Method = Literal["sms", "email"]
#: Text message first wherever both are listed (ux.md 1, NIST).
ORDER: tuple[Method, ...] = ("sms", "email")


class Wanted(IntEnum):
    """What the requesting service asks for beyond the account's own rules; numbered as sessions.levels.rank counts."""

    NOTHING = 0
    REMEMBERED = 1
    STEP = 2
    FACTOR = 3


@dataclass(frozen=True)
class Switch:
    """What the account chose for this audience."""

    enabled: bool
    methods: tuple[str, ...]
    remember_device: bool


def switch_of(row: AccountMfa | None) -> Switch | None:
    """The account's choice, as its row has it; None where it has made none."""
    return Switch(row.enabled, tuple(row.methods), row.remember_device) if row is not None else None


@dataclass(frozen=True)
class Person:
    """What decides about a person. `phone_usable`: a verified number that the region rule accepts."""

    phone_usable: bool
    phone_refused: bool = False


def person_of(user: User, policy: PhonePolicy) -> Person:
    """What the rules need to know of a person's phone."""
    if user.phone is None:
        return Person(phone_usable=False)
    textable = isinstance(parse(user.phone.e164, regions=policy.regions), Parsed)
    return Person(phone_usable=textable and user.phone.verified_at is not None, phone_refused=not textable)


@dataclass(frozen=True)
class MfaRules:
    """The rules of one sign-in.

    methods: open to this person, in the order shown. sufficient: proofs, one of which ends the sign-in.
    may_skip_code: a remembered device may stand in. may_remember: the box may be offered.
    email_fallback: an SMS account lets this person, who has no US number, use email (domain D4).
    """

    code_required: bool
    methods: tuple[Method, ...]
    sufficient: frozenset[str]
    may_skip_code: bool
    may_remember: bool
    email_fallback: bool = False

    def stricter_of(self, other: Self) -> Self:
        """Rules that satisfy both: a sign-in under way keeps the stricter of its start and its end (security.md MF-15).

        Where both require a code and no method is open under both, this one's methods hold: call it on the present rules,
        for a method that they have closed is refused (MF-12), and whoever starts again is under them alone.
        """
        stronger = self if self.code_required or not other.code_required else other
        shared = self.sufficient & other.sufficient if self.code_required == other.code_required else frozenset()
        sufficient = shared or stronger.sufficient
        return replace(
            stronger,
            methods=tuple(method for method in ORDER if method in sufficient),
            sufficient=sufficient,
            may_skip_code=self.may_skip_code and other.may_skip_code,
            may_remember=self.may_remember and other.may_remember,
            # Told, not asked: the trail names a fallback under either.
            email_fallback=self.email_fallback or other.email_fallback,
        )

    def as_json(self) -> dict[str, Any]:
        """For the attempt's row."""
        return {
            "code_required": self.code_required,
            "methods": list(self.methods),
            "sufficient": sorted(self.sufficient),
            "may_skip_code": self.may_skip_code,
            "may_remember": self.may_remember,
            "email_fallback": self.email_fallback,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """The rules as they were stored."""
        return cls(**stored | {"methods": tuple(stored["methods"]), "sufficient": frozenset(stored["sufficient"])})


def rules_for(
    policy: AudiencePolicy,
    switch: Switch | None,
    *,
    person: Person,
    wanted: Wanted = Wanted.NOTHING,
    channels: Collection[str] = ORDER,
    has_no_us_number: bool = False,
) -> MfaRules:
    """The rules for one person entering one account for one audience.

    `channels`: what this installation can send by. `wanted` raises the bar for one request although the switch is off;
    nothing lowers it. `has_no_us_number`: the person said so in this sign-in, after an emailed code.
    """
    enabled = switch.enabled if switch else policy.enforced_by_default
    chosen = set(switch.methods if switch and switch.enabled else policy.methods) & set(policy.methods)
    if policy.sms_implies and "sms" in chosen:
        chosen.add(policy.sms_implies)
    chosen &= set(channels)
    fallback = False
    if not chosen or (chosen == {"sms"} and not person.phone_usable and (person.phone_refused or has_no_us_number)):
        # Nobody is locked out for want of a US number (D4) or of a text gateway; the token still says two-step.
        fallback, chosen = bool(enabled), {"email"}
    factor = wanted is Wanted.FACTOR and "sms" in chosen and person.phone_usable
    sufficient = frozenset({"sms"} if factor else chosen)
    allowed = policy.remember_device == "allowed" and (switch is None or switch.remember_device)
    return MfaRules(
        code_required=enabled or wanted >= Wanted.REMEMBERED,
        methods=tuple(method for method in ORDER if method in sufficient),
        sufficient=sufficient,
        may_skip_code=allowed and wanted <= Wanted.REMEMBERED,
        may_remember=allowed,
        email_fallback=fallback,
    )


def floor(policy: AudiencePolicy, switch: Switch | None) -> Wanted:
    """The least that this account asks of everyone in this audience."""
    if not (switch.enabled if switch else policy.enforced_by_default):
        return Wanted.NOTHING
    allowed = policy.remember_device == "allowed" and (switch is None or switch.remember_device)
    return Wanted.REMEMBERED if allowed else Wanted.STEP


def can_meet(
    wanted: Wanted, policy: AudiencePolicy, switch: Switch | None, person: Person, channels: Collection[str]
) -> bool:
    """Whether this person could show what is wanted, in this account, now."""
    if wanted is not Wanted.FACTOR:
        return True
    allowed = set(switch.methods if switch and switch.enabled else policy.methods) & set(policy.methods)
    return "sms" in allowed and "sms" in channels and person.phone_usable
