"""One Team Member: Profile, Functionality or Roles, and what an admin may do for them (ux.md S22, domain D12, D18, D27)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.account_settings import roles
from authsvc.account_settings.acting import Actor, Result, is_super_admin
from authsvc.account_settings.roles import Wish
from authsvc.accounts import team
from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Permission, is_role_based
from authsvc.accounts.queries import lock_account
from authsvc.accounts.team import Part
from authsvc.admin import team_pages as pages
from authsvc.admin.navigation import TEAM_MEMBERS
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.web.context import services

bp = Blueprint("member", __name__, template_folder="templates")

ONE = f"{TEAM_MEMBERS}/<membership_id>"


@dataclass(frozen=True)
class Act:
    """Something that is asked about first, on a page that names the person."""

    question: str
    explanation: str
    button: str
    done: str
    is_danger: bool = True


ACTS = {
    "reset": Act(
        "Reset second step and phone of {name}?",
        "Their phone number, authenticator app, recovery codes and remembered devices are removed. Next time they sign in, "
        "they are asked for an emailed code and set up the rest again. Their email address and password stay. We tell them "
        "by email.",
        "Reset second step and phone",
        "reset",
    ),
    "sign-out": Act(
        "Sign {name} out everywhere?",
        "Every browser where they are signed in to this account is signed out. They can sign in again; a remembered device "
        "stays remembered.",
        "Sign out everywhere",
        "signed-out",
    ),
    "deactivate": Act(
        "Deactivate {name}?",
        "They are signed out at once and can’t sign in to this account. Remembered devices and invitations they sent end. "
        "What they did stays in the records, and you can reactivate them later.",
        "Deactivate",
        "deactivated",
    ),
    "password-link": Act(
        "Send {name} a password link?",
        "We email them a link to choose a new password. Their present one works until they do.",
        "Send password link",
        "link",
        is_danger=False,
    ),
    "make-admin": Act(
        "Make {name} an admin?",
        "They can open Admin Settings: add, invite and deactivate people, reset a second step, and read the sign-in activity. "
        "Multi-Factor Authentication needs Sensitive Information access besides. We tell them by email.",
        "Make admin",
        "admin-made",
        is_danger=False,
    ),
    "remove-admin": Act(
        "Remove {name} as an admin?",
        "They can’t open Admin Settings any more. They stay a Team Member, and you can make them an admin again. "
        "We tell them by email.",
        "Remove as admin",
        "admin-removed",
    ),
}


@bp.get(ONE)
def profile(membership_id: str) -> Response:
    """The tab Profile: what is known of them, and what may be done."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        membership = team.member(visitor.tx, visitor.account.id, membership_id)
        if membership is not None:
            sent = team.open_invitations(visitor.tx, [membership.id]).get(membership.id)
            return _page(visitor, membership, "Profile", "admin/member.html", sent=sent)
    return pages.not_a_member(membership_id)


@bp.get(f"{ONE}/functionality")
def functionality(membership_id: str) -> Response:
    """The tab Functionality: read only for everyone but support (S22)."""
    return _tab(membership_id, "Functionality")


@bp.get(f"{ONE}/roles")
def role(membership_id: str) -> Response:
    """The tab Roles; after a "Confirm it's you" with what was chosen before it."""
    return _tab(membership_id, "Roles")


@bp.post(f"{ONE}/roles")
def save_role(membership_id: str) -> Response:
    """Save the role and its switches. Nothing but these four fields of the form is read (security.md TN-03)."""
    chosen, flags = request.form.get("role", ""), [name for name in FLAGS if request.form.get(name) == "1"]
    with guards.visitor() as visitor:
        lock_account(visitor.tx, visitor.account.id)
        visitor.require(Permission.ASSIGN_ROLES, lock=True)
        membership = team.member(visitor.tx, visitor.account.id, membership_id)
        if membership is not None:
            wish = Wish(chosen, *(name in flags for name in FLAGS))
            settled = wish.settled()
            if settled.data_access != membership.sensitive_data_access or "super_admin" in (chosen, membership.role):
                visitor.require(Permission.GRANT_DATA_ACCESS)
            back = pages.address(
                f"{TEAM_MEMBERS}/{membership.id}/roles", role=chosen[:20], flags=" ".join(flags) or "none"
            )
            if wish.grants_to(membership):
                visitor.require_recent_proof("data_access", code=True, continue_to=back)
            else:
                visitor.require_recent_proof("member", continue_to=back)
            result = services().roles.change(visitor.tx, membership, wish, actor=pages.actor(visitor))
            if result.is_done:
                return redirect(pages.address(f"{TEAM_MEMBERS}/{membership.id}/roles", done="saved"), 303)
            return _roles(visitor, membership, wish, problem=result)
    return pages.not_a_member(membership_id)


@bp.get(f"{ONE}/<any({', '.join(repr(act) for act in ACTS)}):act>")
def ask(membership_id: str, act: str) -> Response:
    """Ask first, by name."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        membership = team.member(visitor.tx, visitor.account.id, membership_id)
        if membership is not None:
            visitor.require_recent_proof("member")
            return _ask(visitor, membership, act)
    return pages.not_a_member(membership_id)


@bp.post(f"{ONE}/<any({', '.join(repr(act) for act in ACTS)}):act>")
def do(membership_id: str, act: str) -> Response:
    """Do it."""
    with guards.visitor() as visitor:
        lock_account(visitor.tx, visitor.account.id)
        visitor.require(Permission.ADMINISTER, lock=True)
        membership = team.member(visitor.tx, visitor.account.id, membership_id)
        if membership is not None:
            visitor.require_recent_proof("member")
            result = _use_case(act)(visitor.tx, membership, pages.actor(visitor))
            if result.is_done:
                return redirect(pages.address(f"{TEAM_MEMBERS}/{membership.id}", done=ACTS[act].done), 303)
            return _ask(visitor, membership, act, problem=result)
    return pages.not_a_member(membership_id)


#: The switches beside a role, in the order of Wish.
FLAGS = ("kpi_access", "view_only", "data_access")


def _use_case(act: str) -> Callable[[Session, Membership, Actor], Result]:
    s = services()
    found = {
        "reset": s.resets.reset_second_step,
        "password-link": s.resets.send_password_link,
        "sign-out": s.members.sign_out_everywhere,
        "deactivate": s.members.deactivate,
        "make-admin": s.roles.make_admin,
        "remove-admin": s.roles.remove_admin,
    }[act]
    return lambda tx, membership, actor: found(tx, membership, actor=actor)


def _tab(membership_id: str, tab: str) -> Response:
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        membership = team.member(visitor.tx, visitor.account.id, membership_id)
        if membership is not None:
            right = "Roles" if is_role_based(membership) else "Functionality"
            if tab != right:  # an old bookmark: the account uses the other model now
                return redirect(f"{TEAM_MEMBERS}/{membership.id}/{right.lower()}", 303)
            if tab == "Roles":
                return _roles(visitor, membership, _proposed(membership))
            return _page(visitor, membership, tab, "admin/member_functionality.html")
    return pages.not_a_member(membership_id)


def _proposed(membership: Membership) -> Wish:
    """What the switches show: as it stands, or what was chosen before the password was asked for. Nothing is saved by it."""
    if request.args.get("role", "") not in roles.ROLES:
        return Wish.of(membership)
    flags = request.args.get("flags", "").split()
    return Wish(request.args["role"], *(name in flags for name in FLAGS))


def _roles(visitor: Visitor, membership: Membership, wish: Wish, *, problem: Result | None = None) -> Response:
    why = _why_read_only(visitor, membership)
    is_saved = Wish.of(membership) == wish
    return _page(
        visitor,
        membership,
        "Roles",
        "admin/member_roles.html",
        status=pages.status(problem) if problem else 200,
        problem=pages.words(visitor, problem) if problem else None,
        wish=wish,
        roles=roles.ROLES,
        may_grant=visitor.may(Permission.GRANT_DATA_ACCESS) is None,
        why_read_only=why,
        message="" if is_saved else "You have unsaved changes.",
    )


def _why_read_only(visitor: Visitor, membership: Membership) -> str | None:
    if visitor.may(Permission.ASSIGN_ROLES) is not None:
        return "Only a Super Admin can change roles."
    if membership.user_id == visitor.user.id:
        return "You can’t change your own role. Ask another Super Admin."
    if membership.accepted_at is None:
        return "You can change the role once they have accepted their invitation."
    return "They are inactive. Reactivate them first." if membership.deactivated_at is not None else None


def _ask(visitor: Visitor, membership: Membership, act: str, *, problem: Result | None = None) -> Response:
    shown = pages.row(visitor, membership)
    return pages.admin_page(
        visitor,
        "admin/member_confirm.html",
        screen=ACTS[act].button,
        status=pages.status(problem) if problem else 200,
        problem=pages.words(visitor, problem) if problem else None,
        act=ACTS[act],
        question=ACTS[act].question.format_map({"name": shown.name}),
        member=shown,
        action=f"{shown.url}/{act}",
    )


def _page(
    visitor: Visitor,
    membership: Membership,
    tab: str,
    template: str,
    *,
    sent: team.Sent | None = None,
    status: int = 200,
    **values: object,
) -> Response:
    shown = pages.row(visitor, membership, sent)
    second = (
        ("Roles", f"{shown.url}/roles")
        if is_role_based(membership)
        else ("Functionality", f"{shown.url}/functionality")
    )
    theirs = [("Profile", shown.url), second]
    out_of_reach = is_super_admin(membership) and not is_super_admin(visitor.membership)
    return pages.admin_page(
        visitor,
        template,
        screen=shown.name,
        status=status,
        member=shown,
        member_tabs=[(label, url, label == tab) for label, url in theirs],
        may_act=not shown.is_you and not out_of_reach,
        why_not="You can change yourself in My Profile."
        if shown.is_you
        else "Only a Super Admin can change a Super Admin.",
        is_active=shown.part is Part.ACTIVE,
        #: Functionality-based accounts: their one role beside Team Member is given and taken by a button (D32).
        role_act=None if is_role_based(membership) else "remove-admin" if membership.role == "admin" else "make-admin",
        team_url=TEAM_MEMBERS,
        **values,
    )
