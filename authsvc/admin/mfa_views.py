"""The Multi-Factor Authentication section and its acts, the same for the team and for investors (ux.md S20, domain D13).

The account is always that of the session: nothing in an address or a form names another (security.md TN-02).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, request
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from authsvc.account_settings.mfa_switch import LABELS, ChangedMeanwhile, NotReady, Saved, Standing
from authsvc.account_settings.sign_out import sign_everyone_out
from authsvc.accounts.permissions import Permission, is_role_based
from authsvc.accounts.queries import lock_account
from authsvc.admin import mfa_words as words
from authsvc.admin.export_links import details_exports
from authsvc.mfa.readiness import Readiness
from authsvc.mfa.rules import Switch
from authsvc.mfa.switch import Change, NotChoosable
from authsvc.sessions.guards import Visitor, visitor
from authsvc.sessions.shell import show
from authsvc.web.context import services
from authsvc.web.text import browser_label, clock_time, host_of, zone_name

#: How many people are reminded in one transaction; an account may have thousands of investors.
AT_A_TIME = 100


@dataclass(frozen=True)
class Place:
    """One of the two pages that hold the section."""

    audience: words.Audience
    url: str
    template: str
    tabs_label: str
    tabs: list[tuple[str, str, bool]]
    #: Where "See all" leads; None: nowhere, they are only counted.
    unverified_url: str | None = None
    #: Where the note after turning on leads.
    people_url: str | None = None


@dataclass(frozen=True)
class Typed:
    """What somebody chose in the form, and the revision they chose it from."""

    wish: Switch
    revision: int

    @classmethod
    def read(cls, values: MultiDict[str, str]) -> Typed:
        """From a form or an address; whatever anyone may have written there."""
        revision = values.get("revision", "")
        return cls(
            Switch(
                values.get("mfa") == "1",
                tuple(dict.fromkeys(values.getlist("methods"))),
                values.get("remember_device") == "1",
            ),
            int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else -1,
        )

    def pairs(self) -> list[tuple[str, str]]:
        """As an address or hidden fields carry it; methods that we do not have are not repeated."""
        return [
            ("draft", "1"),
            *([("mfa", "1")] if self.wish.enabled else []),
            *(("methods", method) for method in self.wish.methods if method in LABELS),
            *([("remember_device", "1")] if self.wish.remember_device else []),
            ("revision", str(self.revision)),
        ]

    def under(self, url: str, **more: str) -> str:
        """The address of a page that shows this choice again."""
        return f"{url}?{urlencode([*self.pairs(), *more.items()])}"


@dataclass(frozen=True)
class Problem:
    """Why a save was refused, for the top of the page."""

    heading: str
    errors: dict[str, str]
    status: int = 422
    headers: dict[str, str] = field(default_factory=dict)


def blueprint(name: str, place: Place) -> Blueprint:
    """The routes of one page."""
    bp = Blueprint(name, __name__, template_folder="templates")
    for path, method, view in (
        ("", "GET", settings),
        ("", "POST", save),
        ("/turn-off", "GET", ask_turn_off),
        ("/turn-off", "POST", turn_off),
        ("/remind", "POST", remind),
        ("/sign-everyone-out", "GET", ask_sign_everyone_out),
        ("/sign-everyone-out", "POST", everyone_out),
    ):
        bp.add_url_rule(place.url + path, view.__name__, partial(view, place), methods=[method])
    return bp


def settings(place: Place) -> Response:
    """The page; with a choice in its address, that choice, not saved yet."""
    with visitor(read_only=True) as who:
        who.require(Permission.ADMINISTER)
        typed = Typed.read(request.args) if "draft" in request.args else None
        return _page(who, place, typed=typed, flash=_flash(place))


def save(place: Place) -> Response:
    """Save, or say why not. Turning off is asked about first (domain D10)."""
    with visitor() as who:
        typed = _begin(who)
        found = services().mfa_switch.check(
            who.tx, who.account.id, place.audience.key, typed.wish, revision=typed.revision
        )
        if isinstance(found, tuple):
            if found[0] is Change.NOTHING:
                return redirect(f"{place.url}?done={Change.NOTHING}", 303)
            who.require_recent_proof("mfa", code=True, continue_to=typed.under(place.url))
            if found[0] is Change.TURNED_OFF:
                return redirect(typed.under(place.url + "/turn-off"), 303)
        return _save(who, place, typed)


def ask_turn_off(place: Place) -> Response:
    """ "Turn off Multi-Factor Authentication?" """
    with visitor(read_only=True) as who:
        who.require(Permission.CHANGE_MFA)
        found = services().mfa_switch.readiness(who.tx, who.account.id, place.audience.key)
        return show(
            who,
            "admin/turn_off.html",
            place=place,
            people=place.audience.count(found.people),
            hidden=Typed.read(request.args).pairs(),
        )


def turn_off(place: Place) -> Response:
    """Turn it off."""
    with visitor() as who:
        typed = _begin(who)
        who.require_recent_proof("mfa", code=True, continue_to=typed.under(place.url + "/turn-off"))
        return _save(who, place, typed)


def remind(place: Place) -> Response:
    """Mail a verification link to one person, or to everybody who waits for one."""
    s, wanted, typed = services(), request.form.get("remind", ""), Typed.read(request.form)
    back = typed if "draft" in request.form else None
    with visitor() as who:
        who.require(Permission.CHANGE_MFA)
        account, by = who.account, who.user.id
        waiting = s.mfa_switch.readiness(who.tx, account.id, place.audience.key).unverified
    named = [member.membership_id for member in waiting if wanted in ("all", member.membership_id)]
    sent, until = 0, None
    browser = browser_label(request.headers.get("User-Agent"))
    for start in range(0, len(named), AT_A_TIME):
        with s.database.transaction() as tx:
            some = s.reminders.remind(
                tx, account, place.audience.key, named[start : start + AT_A_TIME], by=by, browser=browser
            )
        sent, until = sent + some.sent, until or some.until
    if named and not sent and until:
        at = clock_time(until, ZoneInfo(account.time_zone))
        text = f"Enough reminders have been sent for now. You can send another at {at}."
        wait = {"Retry-After": str(max(1, round((until - s.clock.now()).total_seconds())))}
        with visitor(read_only=True) as who:
            return _page(who, place, typed=back, problem=Problem("No reminder was sent", {"mfa": text}, 429, wait))
    done = "reminded" if sent else "verified"
    return redirect(back.under(place.url, done=done) if back else f"{place.url}?done={done}", 303)


def ask_sign_everyone_out(place: Place) -> Response:
    """ "Sign everyone out now?", with how many that is."""
    with visitor(read_only=True) as who:
        who.require(Permission.CHANGE_MFA)
        return _ask_sign_everyone_out(who, place)


def everyone_out(place: Place) -> Response:
    """Do it (domain D9). The session that asks stays."""
    s = services()
    with visitor() as who:
        lock_account(who.tx, who.account.id)
        who.require(Permission.CHANGE_MFA, lock=True)
        who.require_recent_proof("sessions", continue_to=place.url + "/sign-everyone-out")
        ended = sign_everyone_out(
            who.tx, s.sessions, s.audit, account_id=who.account.id, audience=place.audience.key, by=who.session
        )
    return redirect(f"{place.url}?done=signed_out&sessions={ended}", 303)


def _begin(who: Visitor) -> Typed:
    """Whoever saves: the account held first, then whether they may, read in this transaction (security.md TN-05)."""
    lock_account(who.tx, who.account.id)
    who.require(Permission.CHANGE_MFA, lock=True)
    return Typed.read(request.form)


def _save(who: Visitor, place: Place, typed: Typed) -> Response:
    found = services().mfa_switch.save(
        who.tx,
        who.account.id,
        place.audience.key,
        typed.wish,
        revision=typed.revision,
        by=who.user,
        browser=browser_label(request.headers.get("User-Agent")),
    )
    if isinstance(found, Saved):
        return redirect(f"{place.url}?done={found.change}", 303)
    return _page(who, place, typed=typed, problem=_problem(who, place, found))


def _problem(who: Visitor, place: Place, found: ChangedMeanwhile | NotReady | NotChoosable) -> Problem:
    match found:
        case ChangedMeanwhile(standing):
            zone = ZoneInfo(who.account.time_zone)
            return Problem("Not saved", {"mfa": words.changed_meanwhile(standing, zone, who.now)}, 409)
        case NotReady(readiness):
            text = words.not_ready(place.audience, readiness)
            return Problem("Multi-Factor Authentication is still off", {"mfa": text})
        case _:
            policy = services().policies.mfa.for_audience(place.audience.key)
            return Problem("Not saved", {"methods": words.none_chosen(policy)})


def _page(
    who: Visitor,
    place: Place,
    *,
    typed: Typed | None = None,
    problem: Problem | None = None,
    flash: str | None = None,
) -> Response:
    s, account = services(), who.account
    standing = s.mfa_switch.standing(who.tx, account.id, place.audience.key)
    found = s.mfa_switch.readiness(who.tx, account.id, place.audience.key)
    zone = ZoneInfo(account.time_zone)
    response = show(
        who,
        place.template,
        status=problem.status if problem else 200,
        flash=flash,
        place=place,
        portal_host=host_of(account.portal_url) or account.portal_url,
        zone=zone_name(zone, who.now),
        problem=problem,
        mfa=_section(who, place, standing, found, typed=typed, problem=problem),
        exports=details_exports(who) if place.audience.key == "team" else (),
    )
    response.headers.update(problem.headers if problem else {})
    return response


def _section(
    who: Visitor, place: Place, standing: Standing, found: Readiness, *, typed: Typed | None, problem: Problem | None
) -> dict[str, Any]:
    s, audience = services(), place.audience
    policy = s.policies.mfa.for_audience(audience.key)
    shown = typed.wish if typed else standing.switch
    # Nothing typed is lost to another's save: what holds now stands beside it, and saving again is a choice made knowing it.
    overtaken = problem is not None and problem.status == 409
    named, more = words.first(found.unverified)
    return {
        "audience": audience,
        "refusal": who.may(Permission.CHANGE_MFA),
        "role_based": is_role_based(who.membership),
        "switch": shown,
        "state": words.in_words(standing),
        "boxes": words.boxes(audience, policy, found, shown.methods, channels=s.courier.channels),
        "how_many": words.how_many(policy),
        "may_remember": policy.remember_device == "allowed",
        "days": s.policies.mfa.remembered_device.lifetime.days,
        "revision": typed.revision if typed and not overtaken else standing.revision,
        "unverified": named if not standing.switch.enabled else (),
        "more": more,
        "must_verify": words.must_verify(audience, len(found.unverified)),
        "all": len(found.unverified),
        "remind_all": words.remind_all(len(found.unverified)),
        "hidden": typed.pairs() if typed else [],
        "draft": typed is not None,
        "present": words.in_words(standing) if overtaken else None,
        "message": "You have unsaved changes."
        if typed
        else words.last_changed(standing, ZoneInfo(who.account.time_zone)),
    }


def _ask_sign_everyone_out(who: Visitor, place: Place) -> Response:
    people = services().sessions.people_signed_in(
        who.tx, account_id=who.account.id, audience=place.audience.key, but=who.session.id
    )
    return show(who, "admin/sign_everyone_out.html", place=place, people=people)


def _flash(place: Place) -> str | None:
    """What was just done, by the word in the address; another word says nothing."""
    done = request.args.get("done", "")
    if done in list(Change):
        text = words.saved(place.audience, Change(done))
        if Change(done) is Change.TURNED_ON and place.people_url:
            link = Markup(' <a href="{}">See who can receive codes</a>').format(place.people_url)
            return Markup("{}{}").format(text, link)
        return text
    if done == "signed_out":
        ended = request.args.get("sessions", "")
        count = int(ended) if ended.isascii() and ended.isdigit() and len(ended) < 7 else 0
        return f"Signed out of {count} {'session' if count == 1 else 'sessions'}. Yours here goes on."
    return {
        "reminded": "Sent. We’ll show here when they’re done.",
        "verified": "Nobody is waiting for a reminder any more.",
    }.get(done)
