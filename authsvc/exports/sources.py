"""What this service exports of itself: the rows behind its admin pages, a page at a time and never twice.

Each page is a short reading transaction of its own: memory stays the same however much there is, and no database is held up.
What changes meanwhile may be in or not. Sign-in activity is in admin/activity_export.py, beside its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from authsvc.account_settings.roles import names as role_names
from authsvc.accounts import team
from authsvc.accounts.models import Account, Audience, Membership, User
from authsvc.accounts.permissions import is_role_based
from authsvc.accounts.team import Part
from authsvc.devices.models import RememberedDevice
from authsvc.mfa.models import AuthenticatorApp, RecoveryCode
from authsvc.sessions.models import BrowserSession

Row = tuple[str, ...]
Listed = RememberedDevice | BrowserSession
EVERYBODY = "All Team Members"
PARTS = {Part.ACTIVE: "Active", Part.WAITING: "Waiting to join", Part.INACTIVE: "Inactive"}


@dataclass(frozen=True)
class Ask:
    """Of which account, with which filters, in whose time zone."""

    account: Account
    filters: Mapping[str, Any]
    zone: ZoneInfo
    now: datetime

    def time(self, instant: datetime | None) -> str:
        """An instant that sorts as text and that a spreadsheet knows; the zone stands in the heading."""
        return instant.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S") if instant else ""

    def dated(self, heading: str) -> str:
        """The heading of a column of instants."""
        return f"{heading} ({self.zone.key})"


@dataclass(frozen=True)
class Page:
    """Some rows, and where the next ones begin; None: these were the last."""

    rows: Sequence[Row]
    after: str | None


class Source(Protocol):
    """One kind of export that is built here."""

    @property
    def filters(self) -> tuple[str, ...]:
        """What may be chosen, by name."""

    def scope(self, tx: Session, account: Account, chosen: Mapping[str, str]) -> str:
        """The line below its name: of what, chosen how."""

    def heading(self, ask: Ask) -> Row:
        """The first line."""

    def count(self, tx: Session, ask: Ask) -> int | None:
        """How many rows there will be, about; None: not worth counting."""

    def page(self, tx: Session, ask: Ask, after: str | None, *, limit: int) -> Page:
        """The next rows. `after`: of the page before; None: from the beginning."""


def yes(value: object) -> str:
    """ "Yes" or "No"."""
    return "Yes" if value else "No"


@dataclass(frozen=True)
class TeamMembers:
    """Team Members with contact data and access rights."""

    filters: tuple[str, ...] = ()

    def scope(self, tx: Session, account: Account, chosen: Mapping[str, str]) -> str:
        """Always the whole team."""
        return EVERYBODY

    def heading(self, ask: Ask) -> Row:
        """As the pages say it."""
        return (
            *("Name", "Email", "Email verified", "Phone", "Status", "Role", "Data Access", "KPI access", "View-Only"),
            *(ask.dated(what) for what in ("Added", "Joined", "Last sign-in", "Inactive since")),
        )

    def count(self, tx: Session, ask: Ask) -> int:
        """Everybody, those who wait and those who left among them."""
        return _team_size(tx, ask)

    def page(self, tx: Session, ask: Ask, after: str | None, *, limit: int) -> Page:
        """By membership."""
        found = _members(tx, ask, after, limit)
        return Page([self._row(ask, one) for one in found], found[-1].id if len(found) == limit else None)

    def _row(self, ask: Ask, one: Membership) -> Row:
        user, part = one.user, team.part_of(one)
        # Of people who have not joined, only what the account itself has typed (security.md RC-09).
        joined = one.accepted_at is not None
        by_role = is_role_based(one)
        return (
            user.name if joined else one.invited_as or user.name,
            user.email.address if joined else user.email.canonical,
            yes(user.email.verified_at) if joined else "",
            user.phone.e164 if joined and user.phone else "",
            PARTS[part],
            role_names(ask.account).get(one.role, one.role),
            yes(one.sensitive_data_access),
            yes(one.kpi_access) if by_role else "",
            yes(one.view_only) if by_role else "",
            *(ask.time(at) for at in (one.created_at, one.accepted_at, one.last_sign_in_at, one.deactivated_at)),
        )


@dataclass(frozen=True)
class MfaStatus:
    """By whom codes can be received, and how."""

    filters: tuple[str, ...] = ()

    def scope(self, tx: Session, account: Account, chosen: Mapping[str, str]) -> str:
        """Always the whole team."""
        return EVERYBODY

    def heading(self, ask: Ask) -> Row:
        """As the pages say it."""
        return (
            *("Name", "Email", "Status", "Code required", "Email verified", "Phone number verified"),
            *("Authenticator app", "Recovery codes left", "Last way used", ask.dated("Last sign-in")),
        )

    def count(self, tx: Session, ask: Ask) -> int:
        """Everybody, those who wait and those who left among them."""
        return _team_size(tx, ask)

    def page(self, tx: Session, ask: Ask, after: str | None, *, limit: int) -> Page:
        """By membership; three statements."""
        found = _members(tx, ask, after, limit)
        ids = [one.user_id for one in found]
        apps = set(
            tx.scalars(
                select(AuthenticatorApp.user_id).where(
                    AuthenticatorApp.user_id.in_(ids), AuthenticatorApp.confirmed_at.is_not(None)
                )
            )
        )
        left = tx.execute(
            select(RecoveryCode.user_id, func.count())
            .where(RecoveryCode.user_id.in_(ids), RecoveryCode.used_at.is_(None))
            .group_by(RecoveryCode.user_id)
        )
        codes = {user_id: count for user_id, count in left}  # noqa: C416  (rows are no tuples to a type checker)
        switch = ask.account.mfa_for(Audience.TEAM)
        required = yes(switch and switch.enabled)
        rows = [self._row(ask, one, required, one.user_id in apps, codes.get(one.user_id, 0)) for one in found]
        return Page(rows, found[-1].id if len(found) == limit else None)

    def _row(self, ask: Ask, one: Membership, required: str, has_app: bool, codes: int) -> Row:
        user = one.user
        if one.accepted_at is None:
            return (one.invited_as or user.name, user.email.canonical, PARTS[team.part_of(one)], *[""] * 7)
        ways = {"email": "Email", "sms": "Text message", "totp": "Authenticator app", "recovery": "Recovery code"}
        return (
            *(user.name, user.email.address, PARTS[team.part_of(one)], required),
            yes(user.email.verified_at),
            yes(user.phone and user.phone.verified_at),
            yes(has_app),
            str(codes),
            ways.get(user.last_method or "", ""),
            ask.time(one.last_sign_in_at),
        )


@dataclass(frozen=True)
class DevicesAndSessions:
    """Where the team is signed in, and which browsers pass without a code, at this moment. Devices first."""

    filters: tuple[str, ...] = ()

    def scope(self, tx: Session, account: Account, chosen: Mapping[str, str]) -> str:
        """Always the whole team."""
        return EVERYBODY

    def heading(self, ask: Ask) -> Row:
        """As the pages say it."""
        dates = (ask.dated(what) for what in ("Since", "Last used", "Until"))
        return "What", "Name", "Email", "Browser", *dates

    def count(self, tx: Session, ask: Ask) -> int:
        """Both together."""
        return sum(
            tx.scalar(select(func.count()).select_from(table).join(Membership).where(*self._of(ask, table))) or 0
            for table in (RememberedDevice, BrowserSession)
        )

    def page(self, tx: Session, ask: Ask, after: str | None, *, limit: int) -> Page:
        """By the row's id; `after` says of which table."""
        what, _, last = (after or "devices:").partition(":")
        table: type[Listed] = RememberedDevice if what == "devices" else BrowserSession
        found: Sequence[Any] = tx.execute(
            select(table, User)
            .join(Membership, Membership.id == table.membership_id)
            .join(User, User.id == Membership.user_id)
            .where(*self._of(ask, table), table.id > last)
            .order_by(table.id)
            .limit(limit)
        ).all()
        rows = [self._row(ask, one, user) for one, user in found]
        if len(found) == limit:
            return Page(rows, f"{what}:{found[-1][0].id}")
        return Page(rows, "sessions:" if what == "devices" else None)

    def _of(self, ask: Ask, table: type[Listed]) -> list[Any]:
        conditions = [
            Membership.account_id == ask.account.id,
            Membership.audience == Audience.TEAM,
            Membership.accepted_at.is_not(None),
            Membership.deactivated_at.is_(None),
            table.ended_at.is_(None),
            table.expires_at > ask.now,
        ]
        if table is RememberedDevice:
            conditions.append(RememberedDevice.epoch == Membership.security_epoch)
        return conditions

    def _row(self, ask: Ask, one: Listed, user: User) -> Row:
        is_device = isinstance(one, RememberedDevice)
        used = one.last_used_at if isinstance(one, RememberedDevice) else one.last_seen_at
        return (
            "Remembered device" if is_device else "Session",
            *(user.name, user.email.address, one.browser or "A browser"),
            *(ask.time(at) for at in (one.created_at, used, one.expires_at)),
        )


def _members(tx: Session, ask: Ask, after: str | None, limit: int) -> list[Membership]:
    this = select(Account.id).where(Account.id == ask.account.id)
    return team.by_id(tx, this, after=after, limit=limit)


def _team_size(tx: Session, ask: Ask) -> int:
    return (
        tx.scalar(
            select(func.count())
            .select_from(Membership)
            .where(Membership.account_id == ask.account.id, Membership.audience == Audience.TEAM)
        )
        or 0
    )
