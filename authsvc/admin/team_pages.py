"""What the pages about the team show, and the words for what became of an act."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request
from werkzeug.wrappers import Response

from authsvc.account_settings import roles
from authsvc.account_settings.acting import Actor, Outcome, Result
from authsvc.accounts import team
from authsvc.accounts.models import Membership
from authsvc.accounts.team import Part, Sent
from authsvc.admin.navigation import TEAM_MEMBERS, tabs
from authsvc.audit import Event
from authsvc.sessions import guards
from authsvc.sessions.guards import Visitor
from authsvc.sessions.shell import show
from authsvc.web.context import services
from authsvc.web.problems import error_page
from authsvc.web.text import Time, browser_label, exact_time, phone_ending

#: People on one page of the list.
PAGE = 50
#: How many of the waiting and of the inactive stand below the first page.
BELOW = 10

#: What became of an act, by the key in the address after it.
DONE = {
    "added": "Added. They are not invited yet.",
    "invited": "Invitation sent.",
    "withdrawn": "Invitation withdrawn.",
    "deactivated": "Switched inactive, and signed out everywhere.",
    "reactivated": "Active again. They sign in with their password, and nothing is remembered.",
    "reset": "Second step and phone reset. We told them by email.",
    "signed-out": "Signed out everywhere.",
    "link": "Password link sent.",
    "saved": "Saved.",
    "admin-made": "They are an admin now. We told them by email.",
    "admin-removed": "They are no longer an admin. We told them by email.",
}
WORDS = {
    Outcome.YOURSELF: "You can’t do this to yourself. Ask a colleague.",
    Outcome.SUPER_ADMINS_ONLY: "Only a Super Admin can change a Super Admin.",
    Outcome.LAST_SUPER_ADMIN: "This is the account’s only Super Admin. Make someone else Super Admin first.",
    Outcome.LAST_ADMIN: "This is the account’s only admin. Make someone else an admin first.",
    Outcome.NOT_JOINED: "They haven’t accepted their invitation yet.",
    Outcome.INACTIVE: "They are inactive. Reactivate them first.",
    Outcome.BELONGS_ELSEWHERE: "This sign-in can’t be reset here. Email support@imscre.com.",
    Outcome.OTHER_MODEL: "This account gives out roles another way. Nothing was changed.",
    Outcome.SUPER_ADMIN_VIEW_ONLY: "A Super Admin can’t be View-Only. Choose another role, or switch View-Only off.",
    Outcome.ROLE_NOT_OFFERED: "Choose one of the roles",
}


@dataclass(frozen=True)
class Row:
    """Somebody of the team, as the list shows them. Of people who wait only what the account itself has typed (RC-09)."""

    id: str
    name: str
    email: str
    part: Part
    role: str
    is_you: bool
    is_verified: bool = False
    has_data_access: bool = False
    phone_ending: str | None = None
    last_sign_in: Time | None = None
    invited: Time | None = None
    invited_by: str = ""
    has_expired: bool = False

    @property
    def url(self) -> str:
        """Their page."""
        return f"{TEAM_MEMBERS}/{self.id}"


def row(visitor: Visitor, membership: Membership, sent: Sent | None = None) -> Row:
    """One person."""
    user, zone, part = membership.user, zone_of(visitor), team.part_of(membership)
    role = roles.names(visitor.account).get(membership.role, membership.role)
    is_you = membership.user_id == visitor.user.id
    if membership.accepted_at is None:
        return Row(
            membership.id,
            membership.invited_as or user.name,
            user.email.canonical,
            part,
            role,
            is_you,
            invited=Time.said(sent.invitation.created_at, zone, now=visitor.now) if sent else None,
            invited_by=(sent.inviter or "IMS support") if sent else "",
            has_expired=bool(sent and sent.invitation.expires_at <= visitor.now),
        )
    last = membership.last_sign_in_at
    return Row(
        membership.id,
        user.name,
        user.email.address,
        part,
        role,
        is_you,
        is_verified=user.email.verified_at is not None,
        has_data_access=membership.sensitive_data_access,
        phone_ending=phone_ending(user.phone.e164) if user.phone else None,
        last_sign_in=Time.recent(last, zone, now=visitor.now) if last else None,
    )


def rows(visitor: Visitor, part: Part, *, limit: int, offset: int = 0, unverified: bool = False) -> list[Row]:
    """A page of a part of the team; two statements at most."""
    found = team.members(visitor.tx, visitor.account.id, part, limit=limit, offset=offset, unverified=unverified)
    waiting = [one.id for one in found] if part is Part.WAITING else []
    sent = team.open_invitations(visitor.tx, waiting) if waiting else {}
    return [row(visitor, one, sent.get(one.id)) for one in found]


def zone_of(visitor: Visitor) -> ZoneInfo:
    """The person's zone, falling back to the account's (ux.md rule 11)."""
    return ZoneInfo(visitor.user.time_zone or visitor.account.time_zone)


def actor(visitor: Visitor) -> Actor:
    """The visitor, as use cases know them."""
    return Actor(visitor.membership, browser_label(request.headers.get("User-Agent")))


def admin_page(visitor: Visitor, template: str, *, screen: str, status: int = 200, **values: object) -> Response:
    """A page below the tab Team Members."""
    return show(
        visitor,
        template,
        status=status,
        screen=screen,
        tabs=tabs(TEAM_MEMBERS),
        tabs_label="Admin Settings",
        **{"flash": DONE.get(request.args.get("done", "")), **values},  # type: ignore[arg-type]
    )


def words(visitor: Visitor, result: Result) -> str:
    """Why nothing was changed, in one sentence."""
    if result.outcome in (Outcome.TOO_SOON, Outcome.TOO_MANY) and result.until is not None:
        return f"You can send to this address again at {exact_time(result.until, zone_of(visitor))}."
    return WORDS.get(result.outcome, "That was not possible any more. Nothing was changed.")


def status(result: Result) -> int:
    """The status that goes with a refusal."""
    if result.outcome in (Outcome.TOO_SOON, Outcome.TOO_MANY):
        return 429
    return 403 if result.outcome in (Outcome.YOURSELF, Outcome.SUPER_ADMINS_ONLY) else 409


def not_a_member(membership_id: str) -> Response:
    """404 for whoever is not of this account, with a row in the trail when the id is somebody else's (security.md TN-01)."""
    with guards.visitor() as visitor:
        if team.is_of_another_account(visitor.tx, visitor.account.id, membership_id):
            services().audit.record(
                visitor.tx,
                Event.ACCESS_REFUSED,
                user_id=visitor.user.id,
                account_id=visitor.account.id,
                session_id=visitor.session.id,
                what="member",
            )
    return error_page(
        404,
        "No longer a Team Member",
        "Nobody of this address is in your team. They may have been removed meanwhile.",
        button=("Go to Team Members", TEAM_MEMBERS),
    )


def address(path: str = TEAM_MEMBERS, **query: str) -> str:
    """An address of ours with what is not empty of `query`."""
    known = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(known)}" if known else path
