"""Team Members: looked at, added, invited, let go, helped. Nobody's password, address or phone is set here (RC-12)."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from sqlalchemy import select

from authsvc.account_settings.acting import SUPPORT, Result
from authsvc.account_settings.data_access import waiting_requests
from authsvc.account_settings.explaining import explain_sign_in
from authsvc.accounts import addresses, team
from authsvc.accounts.models import Account, Membership
from authsvc.api import reach
from authsvc.api.operation import BASE, Call, Created, Operation, Refused, next_page
from authsvc.api.outcomes import act_on, refuse, shown
from authsvc.api.schemas import (
    Act,
    Body,
    DataAccessRequestAnswer,
    ExplainQuery,
    Explanation,
    MemberDetail,
    Members,
    MembersQuery,
    NewMember,
    Reason,
)

CLOSED = "The account is closed."


def list_members(call: Call) -> Members:
    """Of one account, or of all that the caller may touch."""
    if call.query.account is not None:
        accounts = select(Account.id).where(Account.id == reach.account(call, call.query.account).id)
    else:
        accounts = reach.accounts_within(call).with_only_columns(Account.id)
    found = team.by_id(call.tx, accounts, after=call.query.cursor, limit=call.query.limit + 1)
    page = found[: call.query.limit]
    return Members(
        items=shown(call, page), next=next_page(call, "/members", page[-1].id) if len(found) > len(page) else None
    )


def show_member(call: Call) -> MemberDetail:
    """One of them, and what waits for them."""
    one = _member(call)
    waiting = waiting_requests(call.tx, one.id, now=call.s.clock.now())
    return MemberDetail(
        **shown(call, [one])[0].model_dump(),
        data_access_requests=[
            DataAccessRequestAnswer(
                id=row.id, member=row.membership_id, requested_by=row.requested_by, expires_at=row.expires_at
            )
            for row in waiting
        ],
    )


def explain_member(call: Call) -> Explanation:
    """What a sign-in of theirs would require."""
    acr = call.query.acr
    found = explain_sign_in(
        call.tx,
        _member(call),
        call.s.policies.mfa,
        channels=call.s.courier.channels,
        acr=acr,
        asked_by=f"acr_values: {acr}" if acr else "",
    )
    values = asdict(found) | {"methods": list(found.methods)}
    return Explanation(**values | {"reasons": [Reason(**asdict(reason)) for reason in found.reasons]})


def add_member(call: Call) -> Act | Created:
    """Put a person into a team; the same address again changes nothing and mails nothing."""
    account = reach.account(call, call.body.account)
    _open(account)
    if (email := addresses.parse(call.body.email)) is None:
        raise Refused(400, "email: must be one plain address, like name@company.com.")
    added = call.s.members.add(
        call.tx,
        account,
        name=call.body.name,
        email=email,
        role=call.body.role,
        actor=SUPPORT,
        invite=call.body.invite,
    )
    if isinstance(added, Result):
        refuse(call, added)
        raise AssertionError(added)
    member = shown(call, [added.membership])[0]
    # A mail that had to wait is no reason to say that nobody was added: `invitation` is null, and `until` says when.
    until = added.invited.until if added.invited is not None else None
    act = Act(changed=added.is_new, member=member, until=until)
    return Created(act, f"{BASE}/members/{member.id}") if added.is_new else act


def invite_member(call: Call) -> Act:
    """Mail an invitation; within the resend gap nothing is mailed, and `until` says when it may be again."""
    one = _member(call)
    _open(one.account)
    return act_on(call, one, call.s.members.invite(call.tx, one, actor=SUPPORT))


def withdraw_invitation(call: Call) -> Act:
    """End the open invitation."""
    one = _member(call)
    return act_on(call, one, call.s.members.withdraw(call.tx, one, actor=SUPPORT))


def deactivate_member(call: Call) -> Act:
    """Switch a leaver inactive."""
    one = _member(call)
    return act_on(call, one, call.s.members.deactivate(call.tx, one, actor=SUPPORT))


def reactivate_member(call: Call) -> Act:
    """Let them in again."""
    one = _member(call)
    return act_on(call, one, call.s.members.reactivate(call.tx, one, actor=SUPPORT))


def sign_member_out(call: Call) -> Act:
    """End every session of this membership."""
    one = _member(call)
    return act_on(call, one, call.s.members.sign_out_everywhere(call.tx, one, actor=SUPPORT))


def reset_second_step(call: Call) -> Act:
    """For somebody who lost phone and app. Somebody who is active in an account out of reach is reset by an operator."""
    one = _member(call)
    _belongs_here_alone(call, one)
    return act_on(call, one, call.s.resets.reset_second_step(call.tx, one, actor=SUPPORT))


def send_password_link(call: Call) -> Act:
    """Mail the person a link to choose a new password."""
    one = _member(call)
    return act_on(call, one, call.s.resets.send_password_link(call.tx, one, actor=SUPPORT))


def _member(call: Call) -> Membership:
    return reach.member(call, call.ids["member_id"])


def _open(account: Account) -> None:
    if account.closed_at is not None:
        raise Refused(409, CLOSED, name="account-closed")


def _belongs_here_alone(call: Call, one: Membership) -> None:
    """What guards a person guards every account of theirs: a client bound to one has no say over another's (TN-02)."""
    theirs = select(Membership).where(
        Membership.user_id == one.user_id, Membership.accepted_at.is_not(None), Membership.deactivated_at.is_(None)
    )
    if not all(reach.may_touch(call, other.account) for other in call.tx.scalars(theirs)):
        raise Refused(409, "They belong to another account too. An operator resets them.", name="belongs-elsewhere")


_read = partial(Operation, method="GET", scope="members.read")
_act = partial(
    Operation,
    method="POST",
    scope="members.write",
    answer=Act,
    body=Body,
    refusals=frozenset({404, 409}),
)

OPERATIONS = (
    _read(
        "listMembers",
        path=f"{BASE}/members",
        summary="Team Members",
        act=list_members,
        answer=Members,
        query=MembersQuery,
        refusals=frozenset({404}),
    ),
    _act(
        "addMember",
        path=f"{BASE}/members",
        summary="Add a person to a team, and invite them",
        act=add_member,
        body=NewMember,
        creates=True,
    ),
    _read(
        "getMember",
        path=f"{BASE}/members/{{member_id}}",
        summary="One Team Member",
        act=show_member,
        answer=MemberDetail,
        refusals=frozenset({404}),
    ),
    _read(
        "explainSignIn",
        path=f"{BASE}/members/{{member_id}}/explain",
        summary="What a sign-in of theirs would require, and which rule says so",
        act=explain_member,
        answer=Explanation,
        query=ExplainQuery,
        refusals=frozenset({404}),
    ),
    _act(
        "inviteMember",
        path=f"{BASE}/members/{{member_id}}/invite",
        summary="Mail an invitation; an earlier one is void",
        act=invite_member,
    ),
    _act(
        "withdrawInvitation",
        path=f"{BASE}/members/{{member_id}}/withdraw",
        summary="End the open invitation",
        act=withdraw_invitation,
    ),
    _act(
        "deactivateMember",
        path=f"{BASE}/members/{{member_id}}/deactivate",
        summary="Switch a leaver inactive: signed out and forgotten at once",
        act=deactivate_member,
    ),
    _act(
        "reactivateMember",
        path=f"{BASE}/members/{{member_id}}/reactivate",
        summary="Let somebody in again",
        act=reactivate_member,
    ),
    _act(
        "signMemberOut",
        path=f"{BASE}/members/{{member_id}}/sign-out",
        summary="End every session of theirs in this account",
        act=sign_member_out,
    ),
    _act(
        "resetSecondStep",
        path=f"{BASE}/members/{{member_id}}/reset-second-step",
        summary="Remove phone, authenticator app, recovery codes and remembered devices; the person is told",
        act=reset_second_step,
    ),
    _act(
        "sendPasswordLink",
        path=f"{BASE}/members/{{member_id}}/password-link",
        summary="Mail the person a link to choose a new password",
        act=send_password_link,
    ),
)
