"""What a sign-in of one member would require, for `authsvc policy explain` and the account API alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.accounts.models import Membership
from authsvc.mfa.enrolment import has_app
from authsvc.mfa.explain import Demand, Rule, explain
from authsvc.mfa.rules import Wanted, person_of, switch_of
from authsvc.policy.schema import MfaPolicy
from authsvc.sessions import levels


@dataclass(frozen=True)
class SignInExplained:
    """What it would require, and each rule with who gives it."""

    audience: str
    may_sign_in: bool
    code_required: bool
    methods: tuple[str, ...]
    remembered_device_may_stand_in: bool
    may_be_remembered: bool
    reasons: tuple[Rule, ...]


def explain_sign_in(
    tx: Session,
    membership: Membership,
    policy: MfaPolicy,
    *,
    channels: Collection[str],
    acr: str | None = None,
    asked_by: str = "",
    minimum: str | None = None,
    minimum_by: str = "",
) -> SignInExplained:
    """Nobody is signed in by it. `acr`: what a service asks for; `minimum`: what it never goes below; `*_by`: who says so."""
    found = explain(
        policy,
        membership.audience,
        switch_of(membership.account.mfa_for(membership.audience)),
        person=person_of(membership.user, policy.phone, app_ready=has_app(tx, membership.user_id)),
        verified=membership.user.email.verified_at is not None,
        asked=Demand(Wanted(levels.rank(acr)), asked_by),
        minimum=Demand(Wanted(levels.rank(minimum)), minimum_by),
        channels=channels,
    )
    return SignInExplained(
        audience=membership.audience,
        may_sign_in=membership.is_active and found.is_possible,
        code_required=found.rules.code_required,
        methods=tuple(found.rules.methods),
        remembered_device_may_stand_in=found.rules.may_skip_code,
        may_be_remembered=found.rules.may_remember,
        reasons=(_entry(membership), *found.reasons),
    )


def _entry(membership: Membership) -> Rule:
    if membership.account.closed_at is not None:
        return Rule("entry", "refused", "the account is closed")
    if membership.deactivated_at is not None:
        return Rule("entry", "refused", "the membership is inactive")
    if membership.accepted_at is None:
        return Rule("entry", "refused", "the invitation is not accepted")
    return Rule("entry", "with the password", "the membership is active")
