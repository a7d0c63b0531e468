"""Who may have an export. Pure; asked when it is requested, when it is made, when it is whole, and at every download (D23)."""

from __future__ import annotations

from datetime import datetime

from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Permission, Refusal, refusal
from authsvc.exports.models import Kind
from authsvc.policy.schema import PermissionPolicy


def why_not(kind: str, membership: Membership, policy: PermissionPolicy, *, now: datetime) -> Refusal | None:
    """Why this person may not have an export of this kind, or None.

    What this service builds is what its admin pages show, so it takes an admin besides Sensitive Data Access.
    """
    needed = [Permission.EXPORT_SENSITIVE] + ([] if kind == Kind.HANDED_OVER else [Permission.ADMINISTER])
    return next((why for one in needed if (why := refusal(membership, one, policy, now=now)) is not None), None)


def is_lost(kind: str, membership: Membership, policy: PermissionPolicy, *, now: datetime) -> bool:
    """Whether they may not have it and so no file of it may lie about. Waiting after a password reset loses nothing."""
    return why_not(kind, membership, policy, now=now) not in (None, Refusal.FROZEN)
