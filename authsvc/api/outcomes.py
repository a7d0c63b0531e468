"""From what a use case answers to what a caller is told: the one place where an outcome becomes a problem."""

from __future__ import annotations

from collections.abc import Iterable

from authsvc.account_settings.acting import Outcome, Result
from authsvc.accounts import team
from authsvc.accounts.models import Membership
from authsvc.accounts.team import Sent
from authsvc.api.operation import Call, Refused
from authsvc.api.schemas import Act, Invitation, MemberAnswer

#: status, name, what it means. `TOO_SOON` is no refusal here: what was asked for is on its way already.
WHY = {
    Outcome.NOT_JOINED: (409, "not-joined", "They have not accepted their invitation yet."),
    Outcome.INACTIVE: (409, "inactive", "They are inactive. Reactivate them first."),
    Outcome.LAST_SUPER_ADMIN: (409, "last-super-admin", "They are the account's only Super Admin."),
    Outcome.LAST_ADMIN: (409, "last-admin", "They are the account's only admin."),
    Outcome.OTHER_MODEL: (409, "role-based-account", "This account uses roles: one of its Super Admins changes this."),
    Outcome.ROLE_NOT_OFFERED: (
        409,
        "role-not-offered",
        "This account does not know this role, or nobody is added in it.",
    ),
    Outcome.SAME_OPERATOR: (403, "same-operator", "This client made the request. Another operator must approve it."),
    Outcome.EXPIRED: (409, "expired", "The request has expired. Make a new one."),
    Outcome.NOT_FOUND: (404, None, None),
    Outcome.TOO_MANY: (429, None, "Too many mails to this address. Wait as long as Retry-After says."),
}


def refuse(call: Call, result: Result) -> None:
    """Go on only with what was done, is so already, or is on its way. Raises: Refused."""
    if result.is_done or result.outcome is Outcome.TOO_SOON:
        return
    status, name, detail = WHY.get(result.outcome, (409, None, None))
    wait = round((result.until - call.s.clock.now()).total_seconds()) if result.until else 60
    raise Refused(status, detail, name=name, retry_after_s=max(1, wait) if status == 429 else None)


def act_on(call: Call, membership: Membership, result: Result) -> Act:
    """The answer to an act on this member. Raises: Refused."""
    refuse(call, result)
    return Act(changed=result.outcome is Outcome.DONE, member=shown(call, [membership])[0], until=result.until)


def shown(call: Call, memberships: Iterable[Membership]) -> list[MemberAnswer]:
    """Members as they are told, with their open invitations: one more statement, however many."""
    found = list(memberships)
    invitations = team.open_invitations(call.tx, [one.id for one in found]) if found else {}
    return [_shown(one, invitations.get(one.id)) for one in found]


def _shown(one: Membership, sent: Sent | None) -> MemberAnswer:
    user, has_joined = one.user, one.accepted_at is not None
    return MemberAnswer(
        id=one.id,
        account=one.account.slug,
        state=team.part_of(one).value,
        name=user.name if has_joined else one.invited_as or user.name,
        email=user.email.address,
        role=one.role,
        sensitive_data_access=one.sensitive_data_access,
        kpi_access=one.kpi_access,
        view_only=one.view_only,
        # Until they accept, nothing tells whether this address signs in elsewhere already (RC-09).
        person=user.id if has_joined else None,
        email_verified=user.email.verified_at is not None if has_joined else None,
        phone_ending=user.phone.e164[-2:] if has_joined and user.phone else None,
        last_sign_in_at=one.last_sign_in_at if has_joined else None,
        invitation=(
            Invitation(sent_at=sent.invitation.created_at, expires_at=sent.invitation.expires_at) if sent else None
        ),
        created_at=one.created_at,
    )
