"""`authsvc audit tail` and `search`: the trail with the people and accounts it is about, addresses masked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from authsvc.accounts.models import Account, EmailAddress, User
from authsvc.accounts.queries import account_by_slug, user_by_email
from authsvc.audit.events import Event
from authsvc.audit.models import AuditEvent
from authsvc.cli.context import LazyServices
from authsvc.errors import AuthsvcError, Kind
from authsvc.web import text

#: Between two looks of `tail --follow`.
LOOK_S = 1.0
#: So many events back, `tail --follow` looks again for what was committed late.
OVERLAP = 1000
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NothingOfThatName(AuthsvcError):
    """There is nothing of this name."""

    kind = Kind.NOT_FOUND


class When(click.ParamType[datetime]):
    """An instant: ISO 8601, in UTC where it names no zone, or so long ago, as in 90s, 15m, 2h, 7d."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it. A usage error where it is neither."""
        if isinstance(value, datetime):
            return value
        needs = ctx.find_object(LazyServices) if ctx else None
        try:
            if (ago := _AGO.fullmatch(value)) and needs is not None:
                return needs.clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither an instant such as 2026-11-22T21:30 nor so long ago, such as 2h", param, ctx
            )


def printable(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The value as it is; a usage error where no database could take it."""
    if value is not None and not value.isprintable():
        raise click.BadParameter("holds characters that cannot be printed", param=param)
    return value


_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.command()
@click.option("--count", "-n", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many events.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@_json
@click.pass_obj
def tail(needs: LazyServices, count: int, follow: bool, as_json: bool) -> None:
    """The newest events, oldest of them first."""
    with needs.database.transaction(read_only=True) as tx:
        events = newest(tx, [], count)
        show(tx, events, as_json=as_json)
    shown = {event.id for event in events}
    began_at = max(shown, default=0)
    pause = threading.Event()
    with suppress(KeyboardInterrupt):
        while follow:
            pause.wait(LOOK_S)
            # A few back as well: of two transactions the one that began later may be committed first.
            after = max(began_at, max(shown, default=0) - OVERLAP)
            with needs.database.transaction(read_only=True) as tx:
                events = tx.scalars(select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id)).all()
                show(tx, [event for event in events if event.id not in shown], as_json=as_json)
            shown = {known for known in shown if known > after} | {event.id for event in events}


@click.command()
@click.option("--person", callback=printable, help="An email address, or a person's id.")
@click.option("--account", help="An account's slug.")
@click.option(
    "--event", "events", multiple=True, help="As in code.wrong, or code.* for all of a kind; more than one may be."
)
@click.option("--client", "client_id", callback=printable, help="A client_id.")
@click.option("--request", "request_id", callback=printable, help="The reference on an error page, such as 4F7K-22QX.")
@click.option("--address", "remote_address", callback=printable, help="The address that a request came from.")
@click.option("--since", type=When(), help="From this instant on: 2026-11-22T21:30 (UTC), or so long ago: 15m, 2h, 7d.")
@click.option("--until", type=When(), help="Before this instant; as --since.")
@click.option(
    "--count", "-n", default=200, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many."
)
@_json
@click.pass_obj
def search(
    needs: LazyServices,
    /,
    person: str | None,
    account: str | None,
    events: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    count: int,
    as_json: bool,
    **exactly: str | None,
) -> None:
    """Events that fit everything given, oldest first. Exit 1 when there are none."""
    names = {name for pattern in events for name in _names(pattern)}
    with needs.database.transaction(read_only=True) as tx:
        wanted: list[ColumnElement[bool]] = [
            getattr(AuditEvent, column) == value for column, value in exactly.items() if value is not None
        ]
        if names:
            wanted.append(AuditEvent.name.in_(names))
        if since is not None:
            wanted.append(AuditEvent.at >= since)
        if until is not None:
            wanted.append(AuditEvent.at < until)
        if person is not None:
            wanted.append(AuditEvent.user_id == _person(tx, person))
        if account is not None:
            if (found := account_by_slug(tx, account)) is None:
                raise NothingOfThatName(f"There is no account {account!r}.")
            wanted.append(AuditEvent.account_id == found.id)
        fitting = newest(tx, wanted, count)
        show(tx, fitting, as_json=as_json)
    if not fitting:
        raise NothingOfThatName("No event fits.")


def newest(tx: Session, wanted: Sequence[ColumnElement[bool]], count: int) -> Sequence[AuditEvent]:
    """The newest `count` that fit, the oldest of them first."""
    found = tx.scalars(select(AuditEvent).where(*wanted).order_by(AuditEvent.id.desc()).limit(count)).all()
    return found[::-1]


def show(tx: Session, events: Sequence[AuditEvent], *, as_json: bool) -> None:
    """One line an event. People are shown by their masked address, accounts by their slug, what is gone by its id."""
    people, accounts = _people(tx, events), _accounts(tx, events)
    for event in events:
        person, account = people.get(event.user_id or ""), accounts.get(event.account_id or "")
        if as_json:
            row = {column.key: getattr(event, column.key) for column in AuditEvent.__table__.columns}
            click.echo(json.dumps({**row, "person": person, "account": account}, default=datetime.isoformat))
            continue
        fields = " ".join(f"{name}={json.dumps(value)}" for name, value in event.fields.items())
        who = person or event.user_id or event.client_id or event.operator or "-"
        what = f"{event.name:<28} {who:<32} {account or '-':<14} {event.remote_address or '-':<15} {event.request_id}"
        click.echo(f"{event.at:%Y-%m-%d %H:%M:%S}Z  {what}  {fields}".rstrip())


def _names(pattern: str) -> list[str]:
    stem = pattern.removesuffix("*")
    found = [
        event.value for event in Event if event.value == pattern or (stem != pattern and event.value.startswith(stem))
    ]
    if not found:
        alike = [event.value for event in Event if event.value.partition(".")[0] == pattern.partition(".")[0]]
        known = f"; there are {', '.join(alike)}" if alike else ""
        raise click.BadParameter(f"no event is called {pattern!r}{known}", param_hint="--event")
    return found


def _person(tx: Session, named: str) -> str:
    if "@" not in named:
        return named
    if (found := user_by_email(tx, named)) is None:
        raise NothingOfThatName("Nobody has this address now. Who had it is found by the person's id.")
    return found.id


def _people(tx: Session, events: Sequence[AuditEvent]) -> dict[str, str]:
    ids = {event.user_id for event in events if event.user_id}
    rows = tx.execute(select(User.id, EmailAddress.address).join(User.email).where(User.id.in_(ids)))
    return {user_id: text.mask_email(address) for user_id, address in rows}


def _accounts(tx: Session, events: Sequence[AuditEvent]) -> dict[str, str]:
    ids = {event.account_id for event in events if event.account_id}
    return {row.id: row.slug for row in tx.execute(select(Account.id, Account.slug).where(Account.id.in_(ids)))}
