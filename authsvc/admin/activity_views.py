"""Admin Settings > Sign-in activity (ux.md S24). Everything chosen stands in the address, so that Back restores it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from flask import Blueprint, request
from werkzeug.wrappers import Response

from authsvc.accounts.permissions import Permission
from authsvc.admin import activity
from authsvc.admin.activity_words import KINDS, describe
from authsvc.admin.export_links import export_url
from authsvc.admin.navigation import ACTIVITY, tabs
from authsvc.admin.team_pages import address, zone_of
from authsvc.audit.models import AuditEvent
from authsvc.exports.models import Kind
from authsvc.sessions import guards
from authsvc.sessions.shell import show
from authsvc.web.text import Time, browser_label

bp = Blueprint("activity", __name__, template_folder="templates")

PAGE = 50
#: The largest id that PostgreSQL can compare with one of its rows.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Line:
    """One row. `person` is "" for what concerns the account as a whole."""

    when: Time
    person: str
    what: str
    browser: str
    remote_address: str


@bp.get(ACTIVITY)
def show_activity() -> Response:
    """One page of what happened, newest first."""
    chosen = {name: request.args.get(name, "")[:64] for name in ("person", "kind", "from", "to")}
    with guards.visitor(read_only=True) as visitor:
        visitor.require(Permission.ADMINISTER)
        zone = zone_of(visitor)
        joined = activity.people(visitor.tx, visitor.account.id)
        names = {**activity.waiting_names(visitor.tx, visitor.account.id), **joined}
        errors = {
            name: "Enter a date like 2026-11-22"
            for name in ("from", "to")
            if chosen[name] and not activity.day(chosen[name])
        }
        after, before = _row_id("after"), _row_id("before")
        wanted = replace(activity.chosen(chosen, joined, zone), before=None if after else before, after=after)
        found = activity.find(visitor.tx, visitor.account.id, wanted, limit=PAGE + 1)
        more = len(found) > PAGE
        page = (found[1:] if after else found[:PAGE]) if more else found
        query = {name: value for name, value in chosen.items() if value}
        newer = bool(page) and (more if after else before is not None)
        older = bool(page) and (more if not after else True)
        return show(
            visitor,
            "admin/activity.html",
            screen="Sign-in activity",
            tabs=tabs(ACTIVITY),
            tabs_label="Admin Settings",
            lines=[_line(event, names, zone) for event in page],
            chosen=chosen,
            is_filtered=bool(query),
            errors=errors,
            people=sorted(joined.items(), key=lambda one: one[1].casefold()),
            kinds=KINDS,
            newer_url=address(ACTIVITY, **query, after=str(page[0].id)) if newer else None,
            older_url=address(ACTIVITY, **query, before=str(page[-1].id)) if older else None,
            clear_url=ACTIVITY,
            export_url=export_url(visitor, Kind.SIGN_IN_ACTIVITY, **query),
        )


def _line(event: AuditEvent, names: dict[str, str | None], zone: ZoneInfo) -> Line:
    by = str(event.fields.get("by", ""))
    who = "support" if by == "support" else names.get(by) or ""
    return Line(
        Time.full(event.at, zone),
        (names.get(event.user_id) or "") if event.user_id else "",
        describe(event.name, event.fields, who),
        browser_label(event.user_agent) if event.user_agent else "IMS support" if event.operator else "",
        event.remote_address,
    )


def _row_id(name: str) -> int | None:
    number = request.args.get(name, type=int)
    return number if number is not None and 0 <= number <= LARGEST else None
