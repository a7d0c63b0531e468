"""S14, the account chooser: while signing in, and for somebody who is signed in and goes to another account."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from authsvc.accounts.models import Membership, User
from authsvc.login import journey, tab
from authsvc.login.journey import Purpose
from authsvc.login.models import LoginAttempt
from authsvc.mfa.enrolment import has_app
from authsvc.mfa.rules import Person
from authsvc.sessions.models import BrowserSession
from authsvc.web.context import services
from authsvc.web.cookies import ATTEMPT
from authsvc.web.text import day

bp = Blueprint("login_accounts", __name__, template_folder="templates")
bp.before_request(journey.look_at_window)

PORTALS = {"team": "Team Member", "investors": "Investor"}
#: With more accounts than this there is a field to search them by.
SEARCHED_BEYOND = 8
NOT_CHOSEN = "Choose one of your accounts"


@bp.get("/accounts")
def accounts() -> Response:
    """Which account to enter, for a person who belongs to several (domain D14). Changes nothing."""
    with services().database.transaction(read_only=True) as tx:
        attempt, session = _choosing(tx), journey.signed_in(tx)
        bound_for = journey.purpose(tx)
        if attempt is None and session is not None and bound_for.request is None:
            return _page(tx, bound_for, session.user, session=session)
        here = tab.here(tx)
        if here.attempt.membership is not None:
            return tab.elsewhere(here)
        return _page(tx, here.bound_for, here.attempt.user, steps_up=here.attempt.steps_up)


@bp.post("/accounts")
def submit_account() -> Response:
    """Enter the chosen account; its policy decides what comes next."""
    s = services()
    with s.database.transaction() as tx:
        attempt, session = _choosing(tx), journey.signed_in(tx)
        bound_for = journey.purpose(tx)
        if attempt is None and session is not None and bound_for.request is None:
            chosen = _chosen(session.user, bound_for)
            if chosen is None:
                return _page(tx, bound_for, session.user, session=session, error=NOT_CHOSEN, status=422)
            if chosen.id == session.membership_id:
                return redirect(bound_for.continue_to or "/", 303)
            # The password counts as it was shown; a code is asked for where the account entered asks for one (TN-12).
            attempt, secret = s.attempts.open(tx, session.user, membership=chosen, password_at=session.password_at)
        else:
            attempt, bound_for, _, secret = tab.posted(tx)
            if attempt.membership is None and attempt.finished_at is None:
                chosen = _chosen(attempt.user, bound_for)
                if chosen is None:
                    return _page(tx, bound_for, attempt.user, steps_up=attempt.steps_up, error=NOT_CHOSEN, status=422)
                parked = bound_for.request
                if attempt.steps_up and session is not None and chosen.id == session.membership_id and parked:
                    # They stay where they are, as they are: a new sign-in here could show less than this session did.
                    parked.signed_in_at = s.clock.now()
                    return redirect(parked.continue_to, 303)
                attempt.membership = chosen
                tx.flush()
        onward = journey.go_on(tx, attempt, secret, bound_for)
    return journey.answer(onward)


def _choosing(tx: Session) -> LoginAttempt | None:
    """A sign-in under way that stands at this question; it comes before a session that this browser still has."""
    s = services()
    attempt = s.attempts.find(tx, s.cookies.read(request, ATTEMPT))
    return attempt if attempt and attempt.finished_at is None and attempt.membership is None else None


def _chosen(user: User, bound_for: Purpose) -> Membership | None:
    posted = request.form.get("account")
    return next((m for m in journey.may_enter(user, bound_for) if m.id == posted), None)


def _page(
    tx: Session,
    bound_for: Purpose,
    user: User,
    *,
    session: BrowserSession | None = None,
    steps_up: bool = False,
    error: str | None = None,
    status: int = 200,
) -> Response:
    s = services()
    person = s.flow.person(user, app_ready=has_app(tx, user.id))
    listed = [_row(tx, m, person, session=session) for m in journey.may_enter(user, bound_for)]
    names = [row["name"] for row in listed]
    for row in listed:
        if names.count(row["name"]) == 1:
            row["portal"] = None
    return journey.show(
        "login/accounts.html",
        Purpose(bound_for.request, bound_for.continue_to, None),
        status=status,
        email=user.email.address,
        accounts=listed,
        searchable=len(listed) > SEARCHED_BEYOND,
        errors={"account": error} if error else {},
        action=bound_for.url("login_accounts.submit_account"),
        # Whoever is signed in would only be sent back here.
        restart_url=url_for("login.sign_out")
        if session
        else bound_for.url("login.sign_in", **({"as": "other"} if steps_up else {})),
    )


def _row(
    tx: Session, membership: Membership, person: Person, *, session: BrowserSession | None
) -> dict[str, str | None]:
    """One account: whose it is, and what is worth knowing before it is entered."""
    here = session is not None and session.membership_id == membership.id
    told = ["You’re here now"] if here else []
    if not here and membership.last_sign_in_at is not None:
        told.append(_last_used(membership, membership.last_sign_in_at))
    if not here and _asks_for_a_code(tx, membership, person):
        told.append("Asks for a code")
    account = membership.account
    return {
        "id": membership.id,
        "name": account.name,
        "initials": account.name[:1].upper(),
        "portal": PORTALS[membership.audience],
        "told": ". ".join(told),
    }


def _last_used(membership: Membership, at: datetime) -> str:
    """ "Last used today", or the day, in the account's zone; with the year when it is another one."""
    zone, now = journey.zone_of(membership.account), services().clock.now()
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return "Last used today"
    return f"Last used {day(at, zone)}" + (f", {local.year}" if local.year != today.year else "")


def _asks_for_a_code(tx: Session, membership: Membership, person: Person) -> bool:
    s = services()
    rules = s.flow.rules_in(membership, person)
    if not rules.code_required:
        return False
    cookie = s.cookies.read(request, journey.device_cookie(membership))
    return not (rules.may_skip_code and cookie and s.devices.behind(tx, membership, cookie))
