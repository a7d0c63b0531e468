"""What an account may choose for one audience, and what a change of it does. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from authsvc.mfa.rules import Switch
from authsvc.policy.schema import AudiencePolicy


class Change(StrEnum):
    """What a save amounts to."""

    NOTHING = "nothing"
    TURNED_ON = "turned_on"
    TURNED_OFF = "turned_off"
    CHANGED = "changed"


class NotChoosable(StrEnum):
    """Why a choice is refused."""

    NO_METHOD = "no_method"
    UNKNOWN_METHOD = "unknown_method"


def default(policy: AudiencePolicy) -> Switch:
    """What holds while nobody has touched the switch. Email comes preselected (domain D3)."""
    first = "email" if "email" in policy.methods else policy.methods[0]
    return Switch(policy.enforced_by_default, (first,), policy.remember_device == "allowed")


def settle(wish: Switch, policy: AudiencePolicy, *, present: Switch) -> Switch | NotChoosable:
    """The wish as it may be stored, in the policy's order: implied methods added, nothing beyond the policy.

    Off without a method keeps the methods there were, so that turning it on again starts from them.
    """
    if set(wish.methods) - set(policy.methods):
        return NotChoosable.UNKNOWN_METHOD
    methods = set(wish.methods)
    if not methods and wish.enabled:
        return NotChoosable.NO_METHOD
    methods = methods or set(present.methods)
    if policy.sms_implies and "sms" in methods:
        methods.add(policy.sms_implies)
    return replace(
        wish,
        methods=tuple(method for method in policy.methods if method in methods),
        remember_device=wish.remember_device and policy.remember_device == "allowed",
    )


def change(present: Switch, settled: Switch) -> Change:
    """What going from one to the other amounts to."""
    if settled.enabled != present.enabled:
        return Change.TURNED_ON if settled.enabled else Change.TURNED_OFF
    same = set(settled.methods) == set(present.methods) and settled.remember_device == present.remember_device
    return Change.NOTHING if same else Change.CHANGED


def ends_remembering(present: Switch, settled: Switch) -> str | None:
    """Why remembered devices end with this change, or None (domain D6, D7): asked for more, or no longer allowed."""
    if settled.enabled and not present.enabled:
        return "mfa_turned_on"
    if closed(present.methods, settled.methods):
        return "mfa_methods_tightened"
    if present.remember_device and not settled.remember_device:
        return "remembering_forbidden"
    return None


def closed(before: Collection[str], after: Collection[str]) -> frozenset[str]:
    """The methods that are no longer open."""
    return frozenset(before) - frozenset(after)
