"""Sign-in activity as an export: what the page shows, all of it, with the filters that were chosen there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Account, Audience, Membership, User
from authsvc.admin import activity
from authsvc.admin.activity_words import KINDS, describe
from authsvc.audit.models import AuditEvent
from authsvc.exports.sources import Ask, Page, Row
from authsvc.web.text import browser_label


@dataclass(frozen=True)
class SignInActivity:
    """One line for each row of the page, newest first."""

    filters: tuple[str, ...] = ("person", "kind", "from", "to")

    def scope(self, tx: Session, account: Account, chosen: Mapping[str, str]) -> str:
        """The filters in words, or that there are none."""
        joined = activity.people(tx, account.id)
        wanted = activity.chosen(chosen, joined, ZoneInfo("UTC"))
        kind = next((kind.label for kind in KINDS if kind.key == chosen.get("kind")), "")
        since, until = activity.day(chosen.get("from", "")), activity.day(chosen.get("to", ""))
        parts = (
            joined.get(wanted.user_id or "", ""),
            kind,
            f"from {since}" if since else "",
            f"to {until}" if until else "",
        )
        return ", ".join(filter(None, parts)) or "Everyone, everything"

    def heading(self, ask: Ask) -> Row:
        """As the page says it."""
        return ask.dated("When"), "Team Member", "What happened", "Browser", "Address"

    def count(self, tx: Session, ask: Ask) -> None:
        """Counting takes as long as reading."""

    def page(self, tx: Session, ask: Ask, after: str | None, *, limit: int) -> Page:
        """By the trail's own numbers; three statements."""
        person = ask.filters.get("person", "")
        wanted = activity.chosen(ask.filters, [person] if _is_member(tx, ask.account.id, person) else [], ask.zone)
        found = activity.find(tx, ask.account.id, replace(wanted, before=int(after) if after else None), limit=limit)
        names = _names(tx, ask.account.id, found)
        rows = [_row(ask, event, names) for event in found]
        return Page(rows, str(found[-1].id) if len(found) == limit else None)


def _row(ask: Ask, event: AuditEvent, names: Mapping[str, str]) -> Row:
    by = str(event.fields.get("by", ""))
    who = "support" if by == "support" else names.get(by, "")
    return (
        ask.time(event.at),
        names.get(event.user_id or "", ""),
        describe(event.name, event.fields, who),
        browser_label(event.user_agent) if event.user_agent else "IMS support" if event.operator else "",
        event.remote_address,
    )


def _names(tx: Session, account_id: str, events: list[AuditEvent]) -> dict[str, str]:
    """What the people of these rows are called here; of those who have not joined, what the account typed (RC-09)."""
    ids = {event.user_id for event in events} | {str(event.fields.get("by", "")) for event in events}
    rows = tx.execute(
        select(Membership.user_id, Membership.accepted_at, Membership.invited_as, User.name)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.account_id == account_id,
            Membership.audience == Audience.TEAM,
            Membership.user_id.in_([one for one in ids if one]),
        )
    )
    return {user_id: name if joined else invited_as or "" for user_id, joined, invited_as, name in rows}


def _is_member(tx: Session, account_id: str, user_id: str) -> bool:
    if not user_id:
        return False
    theirs = select(Membership.id).where(
        Membership.account_id == account_id,
        Membership.audience == Audience.TEAM,
        Membership.user_id == user_id,
        Membership.accepted_at.is_not(None),
    )
    return tx.scalar(theirs) is not None
