"""What a sign-in must show besides the password. Pure: the account's switch, the policy and the request go in, rules come out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Literal, Self

from authsvc.accounts.models import AccountMfa, User
from authsvc.accounts.phone import Parsed, parse
from authsvc.policy.schema import AudiencePolicy, PhonePolicy

Method = Literal["sms", "totp", "email"]
#: Text message first, as the product has it, and the stronger way right next to it (ux.md 1, claims.md).
ORDER: tuple[Method, ...] = ("sms", "totp", "email")
#: Shown in place of the app by somebody who has lost it. It is no method: nobody chooses it, and it never counts as a factor.
RECOVERY = "recovery"


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
    """What decides about a person. `phone_usable`: a verified number that the region rule accepts. `app_ready`: confirmed."""

    phone_usable: bool
    phone_refused: bool = False
    app_ready: bool = False


def person_of(user: User, policy: PhonePolicy, *, app_ready: bool) -> Person:
    """What the rules need to know of a person's phone and app."""
    if user.phone is None:
        return Person(phone_usable=False, app_ready=app_ready)
    textable = isinstance(parse(user.phone.e164, regions=policy.regions), Parsed)
    return Person(textable and user.phone.verified_at is not None, phone_refused=not textable, app_ready=app_ready)


@dataclass(frozen=True)
class MfaRules:
    """The rules of one sign-in.

    methods: open to this person, in the order shown. sufficient: proofs, one of which ends the sign-in.
    may_skip_code: a remembered device may stand in. may_remember: the box may be offered.
    email_fallback: an SMS account lets this person, who has no US number, use email (domain D4).
    own_choice: the account asks for nothing, and the person has set up an authenticator app (security.md MF-19).
    """

    code_required: bool
    methods: tuple[Method, ...]
    sufficient: frozenset[str]
    may_skip_code: bool
    may_remember: bool
    email_fallback: bool = False
    own_choice: bool = False

    def met_by(self, proofs: Collection[str]) -> bool:
        """Whether what was shown besides the password is enough. A recovery code stands in for the app alone."""
        return bool(self.sufficient & set(proofs)) or (RECOVERY in proofs and "totp" in self.sufficient)

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
            "own_choice": self.own_choice,
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
    chosen = methods_of(policy, switch, channels)
    own_choice = not enabled and person.app_ready and "totp" in chosen
    fallback = False
    if own_choice:
        # Whoever set it up for themselves is asked although the account asks nobody, and for nothing weaker (MF-19).
        chosen = {"totp"}
    else:
        no_number = not person.phone_usable and (person.phone_refused or has_no_us_number)
        if person.app_ready and "totp" in chosen and not person.phone_usable:
            # A first phone is bound behind an emailed code (D2). Whoever has an app is not let past it by so little.
            chosen = chosen - {"sms"}
        elif no_number and chosen == {"sms", "totp"}:
            chosen = {"totp"}
        if not person.app_ready and len(chosen) > 1:
            # Listed once it is set up. Where it is the only way, it is set up while signing in.
            chosen = chosen - {"totp"}
        if not chosen or (chosen == {"sms"} and no_number):
            # Nobody is locked out for want of a US number (D4) or of a text gateway; the token still says two-step.
            fallback, chosen = bool(enabled), {"email"}
    factors = _factors(chosen, person) if wanted is Wanted.FACTOR else set()
    sufficient = frozenset(factors or chosen)
    allowed = policy.remember_device == "allowed" and (switch is None or switch.remember_device)
    return MfaRules(
        code_required=enabled or own_choice or wanted >= Wanted.REMEMBERED,
        methods=tuple(method for method in ORDER if method in sufficient),
        sufficient=sufficient,
        may_skip_code=allowed and wanted <= Wanted.REMEMBERED,
        may_remember=allowed,
        email_fallback=fallback,
        own_choice=own_choice,
    )


def methods_of(policy: AudiencePolicy, switch: Switch | None, channels: Collection[str] = ORDER) -> set[str]:
    """The methods that this account opens to this audience, whoever the person is. An app needs nothing to send by."""
    chosen = set(switch.methods if switch and switch.enabled else policy.methods) & set(policy.methods)
    if policy.sms_implies and "sms" in chosen:
        chosen.add(policy.sms_implies)
    return chosen & {*channels, "totp"}


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
    return bool(_factors(methods_of(policy, switch, channels), person))


def _factors(methods: Collection[str], person: Person) -> set[str]:
    """Those of `methods` that are a second factor of this person, now (claims.md: email never is)."""
    has = {"sms": person.phone_usable, "totp": person.app_ready}
    return {method for method in methods if has.get(method)}
