"""Admin Settings > Team Members: the list, adding, and what stands in its rows (ux.md S21, domain J5, D34)."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from authsvc.account_settings import roles
from authsvc.account_settings.acting import Result
from authsvc.accounts import new_person, team
from authsvc.accounts.models import Membership
from authsvc.accounts.permissions import Permission
from authsvc.accounts.queries import lock_account
from authsvc.accounts.team import Part
from authsvc.admin import team_pages as pages
from authsvc.admin.export_links import export_url
from authsvc.admin.navigation import TEAM_MEMBERS
from authsvc.exports.models import Kind
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.web.context import services

bp = Blueprint("team", __name__, template_folder="templates")

PARTS = {part.value: part for part in Part}
NEW = f"{TEAM_MEMBERS}/new"


@bp.get(TEAM_MEMBERS)
def show_team() -> Response:
    """The list, filtered and paged by the address alone."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        return _team(visitor)


@bp.get(NEW)
def new_member() -> Response:
    """ "Add Team Member"; what was typed before a "Confirm it's you" is still there."""
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        visitor.require_recent_proof("member")
        typed = {name: request.args.get(name, "") for name in ("first", "last", "email", "role")}
        return _new(visitor, typed, invite=request.args.get("later") != "1")


@bp.post(NEW)
def add_member() -> Response:
    """Add, and invite unless the box is not ticked."""
    typed = {name: request.form.get(name, "").strip() for name in ("first", "last", "email", "role")}
    wants_mail = request.form.get("invite") == "1"
    has_room = not wants_mail or _has_room()
    with guards.visitor() as visitor:
        lock_account(visitor.tx, visitor.account.id)
        visitor.require(Permission.ADMINISTER, lock=True)
        later = "" if wants_mail else "1"
        visitor.require_recent_proof("member", continue_to=pages.address(NEW, **_short(typed), later=later))
        errors = _errors(visitor, typed)
        if errors:
            return _new(visitor, typed, invite=wants_mail, errors=errors, status=422)
        added = services().members.add(
            visitor.tx,
            visitor.account,
            name=f"{typed['first']} {typed['last']}",
            email=typed["email"],
            role=typed["role"],
            actor=pages.actor(visitor),
            invite=wants_mail and has_room,
        )
        if isinstance(added, Result):
            return _new(visitor, typed, invite=wants_mail, errors={"role": pages.words(visitor, added)}, status=422)
        if not added.is_new:
            where = {Part.WAITING: "waiting to join", Part.INACTIVE: "inactive"}.get(
                team.part_of(added.membership), "in your team"
            )
            return _new(
                visitor,
                typed,
                invite=wants_mail,
                errors={"email": f"Someone with this address is {where} already"},
                known_url=f"{TEAM_MEMBERS}/{added.membership.id}",
                status=422,
            )
        sent = added.invited is not None and added.invited.is_done
    return redirect(pages.address(done="invited" if sent else "added"), 303)


@bp.post(f"{TEAM_MEMBERS}/<membership_id>/invite")
def invite(membership_id: str) -> Response:
    """Invite, or send again."""
    has_room = _has_room()
    with guards.visitor() as visitor:
        membership = _member(visitor, membership_id)
        if membership is not None:
            if not has_room:
                return _team(
                    visitor, problem="Too many messages were sent from here. Try again in 5 minutes.", status=429
                )
            return _answer(
                visitor, services().members.invite(visitor.tx, membership, actor=pages.actor(visitor)), "invited"
            )
    return pages.not_a_member(membership_id)


@bp.post(f"{TEAM_MEMBERS}/<membership_id>/withdraw")
def withdraw(membership_id: str) -> Response:
    """Withdraw the open invitation."""
    with guards.visitor() as visitor:
        membership = _member(visitor, membership_id)
        if membership is not None:
            result = services().members.withdraw(visitor.tx, membership, actor=pages.actor(visitor))
            return _answer(visitor, result, "withdrawn")
    return pages.not_a_member(membership_id)


@bp.post(f"{TEAM_MEMBERS}/<membership_id>/reactivate")
def reactivate(membership_id: str) -> Response:
    """Let somebody in again."""
    with guards.visitor() as visitor:
        membership = _member(visitor, membership_id)
        if membership is not None:
            result = services().members.reactivate(visitor.tx, membership, actor=pages.actor(visitor))
            return _answer(visitor, result, "reactivated")
    return pages.not_a_member(membership_id)


def _member(visitor: Visitor, membership_id: str) -> Membership | None:
    """The member that a row's form is about, once the visitor may act on it."""
    lock_account(visitor.tx, visitor.account.id)
    visitor.require(Permission.ADMINISTER, lock=True)
    visitor.require_recent_proof("member", continue_to=TEAM_MEMBERS)
    return team.member(visitor.tx, visitor.account.id, membership_id)


def _answer(visitor: Visitor, result: Result, done: str) -> Response:
    if result.is_done:
        return redirect(pages.address(done=done), 303)
    return _team(visitor, problem=pages.words(visitor, result), status=pages.status(result))


def _team(visitor: Visitor, *, problem: str | None = None, status: int = 200) -> Response:
    part = PARTS.get(request.args.get("show", ""), Part.ACTIVE)
    unverified = part is Part.ACTIVE and request.args.get("verified") == "no"
    number = request.args.get("page", 1, type=int)
    number = min(max(1, number), 10_000)
    found = pages.rows(visitor, part, limit=pages.PAGE + 1, offset=(number - 1) * pages.PAGE, unverified=unverified)
    counts = team.counts(visitor.tx, visitor.account.id)
    is_first = part is Part.ACTIVE and number == 1 and not unverified
    query = {"show": "" if part is Part.ACTIVE else part.value, "verified": "no" if unverified else ""}
    before = pages.address(**query, page="" if number == 2 else str(number - 1)) if number > 1 else None
    after = pages.address(**query, page=str(number + 1)) if len(found) > pages.PAGE else None
    switch = visitor.account.mfa_for("team")
    return pages.admin_page(
        visitor,
        "admin/team.html",
        screen="Team Members",
        status=status,
        problem=problem,
        part=part,
        unverified_only=unverified,
        people=found[: pages.PAGE],
        waiting=pages.rows(visitor, Part.WAITING, limit=pages.BELOW) if is_first and counts.waiting else [],
        inactive=pages.rows(visitor, Part.INACTIVE, limit=pages.BELOW) if is_first and counts.inactive else [],
        counts=counts,
        below=pages.BELOW,
        mfa_is_on=bool(switch and switch.enabled),
        before_url=before,
        after_url=after,
        new_url=NEW,
        team_url=TEAM_MEMBERS,
        export_url=export_url(visitor, Kind.TEAM_MEMBERS),
    )


def _new(
    visitor: Visitor,
    typed: dict[str, str],
    *,
    invite: bool,
    errors: dict[str, str] | None = None,
    known_url: str | None = None,
    status: int = 200,
) -> Response:
    assigns = visitor.may(Permission.ASSIGN_ROLES) is None
    return pages.admin_page(
        visitor,
        "admin/team_new.html",
        screen="Add Team Member",
        status=status,
        typed=typed,
        invite=invite,
        offered=roles.offered(visitor.account, assigns_roles=assigns),
        errors=errors or {},
        known_url=known_url,
        action=NEW,
        team_url=TEAM_MEMBERS,
    )


def _errors(visitor: Visitor, typed: dict[str, str]) -> dict[str, str]:
    offered = roles.offered(visitor.account, assigns_roles=visitor.may(Permission.ASSIGN_ROLES) is None)
    found = {
        "first": new_person.refuse_name(typed["first"], "first name"),
        "last": new_person.refuse_name(typed["last"], "last name"),
        "role": None if typed["role"] in offered else "Choose a team role",
        "email": new_person.refuse_email(typed["email"]),
    }
    return {name: message for name, message in found.items() if message}


def _short(typed: dict[str, str]) -> dict[str, str]:
    """What goes through the address of "Confirm it's you"; what is longer was wrong anyway."""
    return {name: value for name, value in typed.items() if len(value) <= 254 and value.isprintable()}


def _has_room() -> bool:
    """Whether this network address may cause another message; asked outside the transaction."""
    return services().windows.has_room("send_per_address", request.remote_addr or "")
