"""Which rule decides what at a sign-in, and where it is written. Pure: the rules themselves are mfa/rules.py's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from authsvc.mfa.rules import MfaRules, Person, Switch, Wanted, can_meet, rules_for
from authsvc.policy.schema import AudiencePolicy, MfaPolicy
from authsvc.policy.values import format_duration


@dataclass(frozen=True)
class Rule:
    """One answer, and who gives it: a file, the account's switch, the person, the request."""

    rule: str
    answer: str
    decided_by: str


@dataclass(frozen=True)
class Demand:
    """A level that a request or a client asks for, and who does, in words."""

    level: Wanted = Wanted.NOTHING
    by: str = ""


@dataclass(frozen=True)
class Explanation:
    """The rules in force, and why. `is_possible`: else this person can never show what the client asks at least."""

    rules: MfaRules
    is_possible: bool
    reasons: tuple[Rule, ...]


def explain(
    policy: MfaPolicy,
    audience: str,
    switch: Switch | None,
    *,
    person: Person,
    verified: bool,
    asked: Demand,
    minimum: Demand,
    channels: Collection[str],
) -> Explanation:
    """The rules of a sign-in of this person now. `asked` is voluntary; `minimum` is what the client cannot do without."""
    of_audience = policy.for_audience(audience)
    can_have = can_meet(asked.level, of_audience, switch, person, channels)
    is_possible = can_meet(minimum.level, of_audience, switch, person, channels)
    decides = asked if can_have and asked.level > minimum.level else minimum
    if decides.level is Wanted.NOTHING:
        decides = asked  # a wish that is passed over still says why
    wanted, wanted_by = decides.level, decides.by
    rules = rules_for(of_audience, switch, person=person, wanted=wanted, channels=channels)
    place = f"mfa.yaml, audiences.{audience}"
    reasons = (
        _code(rules, switch, wanted_by, place),
        *_methods(rules, of_audience, switch, person, wanted, wanted_by, channels, place),
        _email(verified, rules),
        *_remembering(policy, rules, of_audience, switch, wanted, wanted_by, place),
        *_met(
            "what is asked", asked, "can be met" if can_have else "cannot be met by this person, so it is passed over"
        ),
        *_met("client's minimum", minimum, "can be met" if is_possible else "cannot be met by this person: refused"),
    )
    return Explanation(rules, is_possible, reasons)


def _code(rules: MfaRules, switch: Switch | None, wanted_by: str, place: str) -> Rule:
    answer = "required" if rules.code_required else "not required"
    if switch is not None and (switch.enabled or not rules.code_required):
        return Rule("code", answer, f"the account's switch, {'on' if switch.enabled else 'off'}")
    if switch is None and (not rules.code_required or not wanted_by):
        return Rule("code", answer, f"{place}.enforced_by_default; nobody has touched the account's switch")
    return Rule("code", answer, wanted_by or "the person's own choice")


def _methods(
    rules: MfaRules,
    policy: AudiencePolicy,
    switch: Switch | None,
    person: Person,
    wanted: Wanted,
    wanted_by: str,
    channels: Collection[str],
    place: str,
) -> Iterator[Rule]:
    chosen = switch.methods if switch and switch.enabled else policy.methods
    whose = "the account's switch" if switch and switch.enabled else f"{place}.methods"
    for method in sorted({*policy.methods, *chosen, *rules.methods}):
        name, is_open = f"method {method}", method in rules.methods
        if is_open and method in chosen:
            yield Rule(name, f"open{_number(method, person)}", whose)
        elif is_open and rules.email_fallback:
            yield Rule(name, "open, as the fallback", "this person cannot get a text message here (domain D4)")
        elif is_open:
            yield Rule(name, "open", f"{place}.sms_implies")
        elif method not in policy.methods:
            yield Rule(name, "closed", f"{place}.methods")
        elif method not in chosen:
            yield Rule(name, "closed", "the account's switch")
        elif method == "sms" and method not in channels:
            yield Rule(name, "closed", "AUTHSVC_SMS_URL: this installation sends no text messages")
        elif rules.email_fallback:
            yield Rule(name, "closed", "mfa.yaml, phone.regions: this person's number is not one that gets texts")
        else:
            yield Rule(name, "closed", wanted_by if wanted is Wanted.FACTOR else "the person, who has not set it up")


def _number(method: str, person: Person) -> str:
    if method != "sms" or person.phone_usable:
        return ""
    return ", once a US number is added behind an emailed code"


def _email(verified: bool, rules: MfaRules) -> Rule:
    if verified:
        return Rule("email", "verified", "the person")
    if rules.code_required:
        return Rule("email", "must be verified first, without Skip For Now", "a code is required (domain D17)")
    return Rule("email", "asked to verify; Skip For Now is offered", "no code is required (domain D17)")


def _remembering(
    policy: MfaPolicy,
    rules: MfaRules,
    of_audience: AudiencePolicy,
    switch: Switch | None,
    wanted: Wanted,
    wanted_by: str,
    place: str,
) -> Iterator[Rule]:
    lasts = format_duration(policy.remembered_device.lifetime)
    whose = (
        f"{place}.remember_device"
        if of_audience.remember_device != "allowed" or switch is None
        else "the account's switch"
    )
    if rules.may_skip_code:
        yield Rule("remembered device", "may stand in for the code", whose)
    else:
        by = wanted_by if rules.may_remember and wanted > Wanted.REMEMBERED else whose
        yield Rule("remembered device", "may not stand in for the code", by)
    if rules.may_remember:
        yield Rule("Remember Me", f"may be chosen, for {lasts}", f"{whose}; mfa.yaml, remembered_device.lifetime")
    else:
        yield Rule("Remember Me", "is not offered", whose)


def _met(rule: str, demand: Demand, answer: str) -> Iterator[Rule]:
    if demand.level is not Wanted.NOTHING:
        yield Rule(rule, answer, demand.by)
