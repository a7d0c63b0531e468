"""Who may do what in an account (domain D11, D12, D27, D32). Pure: read a membership, answer with a reason."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from authsvc.accounts.models import Audience, Membership
from authsvc.policy.schema import PermissionPolicy

SUPER_ADMIN = "super_admin"


class Permission(StrEnum):
    """What needs permission."""

    #: Open Admin Settings; add, invite, deactivate people; reset a second step; read the sign-in activity.
    ADMINISTER = "administer"
    #: Switch Multi-Factor Authentication, of the team or of the investors.
    CHANGE_MFA = "change_mfa"
    #: Change roles and what stands beside them, in role-based accounts.
    ASSIGN_ROLES = "assign_roles"
    #: Give or take Sensitive Data Access, in role-based accounts; in the others support alone does (D12).
    GRANT_DATA_ACCESS = "grant_data_access"
    #: Ask for exports of Sensitive Information, and download one's own; of whatever role (domain X1).
    EXPORT_SENSITIVE = "export_sensitive"


class Refusal(StrEnum):
    """Why not."""

    NOT_ACTIVE = "not_active"
    NOT_AN_ADMIN = "not_an_admin"
    #: View-Only narrows whatever the role allows, in role-based accounts.
    VIEW_ONLY = "view_only"
    NO_DATA_ACCESS = "no_data_access"
    #: After a password reset by mail (domain D15).
    FROZEN = "frozen"


def refusal(
    membership: Membership, permission: Permission, policy: PermissionPolicy, *, now: datetime
) -> Refusal | None:
    """Why this member may not do that, or None when they may.

    Read the membership in the transaction of the act (`for_update` where it is a change), so that what was taken away a
    moment ago is gone (security.md TN-05).
    """
    if not membership.is_active:
        return Refusal.NOT_ACTIVE
    if permission is not Permission.EXPORT_SENSITIVE:
        if membership.audience != Audience.TEAM or membership.role not in _roles(membership, permission, policy):
            return Refusal.NOT_AN_ADMIN
        if membership.view_only and is_role_based(membership):
            return Refusal.VIEW_ONLY
    if permission in (Permission.CHANGE_MFA, Permission.GRANT_DATA_ACCESS, Permission.EXPORT_SENSITIVE):
        if not membership.sensitive_data_access:
            return Refusal.NO_DATA_ACCESS
        if is_frozen(membership, now):
            return Refusal.FROZEN
    return None


def is_frozen(membership: Membership, now: datetime) -> bool:
    """Whether acts that need Sensitive Data Access wait, since the password was reset by mail."""
    frozen_until = membership.user.sensitive_acts_from
    return frozen_until is not None and frozen_until > now


def is_role_based(membership: Membership) -> bool:
    """Whether the account uses roles; else Functionality."""
    return membership.account.permission_model == "role"


def _roles(membership: Membership, permission: Permission, policy: PermissionPolicy) -> tuple[str, ...]:
    if not is_role_based(membership):
        return policy.functionality.administer if permission in (Permission.ADMINISTER, Permission.CHANGE_MFA) else ()
    match permission:
        case Permission.ASSIGN_ROLES:
            return policy.role.assign_roles
        case Permission.GRANT_DATA_ACCESS:
            return policy.role.grant_data_access
        case _:
            return policy.role.administer
