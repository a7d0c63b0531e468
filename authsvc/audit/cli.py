"""`authsvc audit`: read the trail, verify its chain."""

from __future__ import annotations

import json
import sys
from typing import Protocol

import click
from sqlalchemy import select

from authsvc.audit.chain import verify
from authsvc.audit.models import AuditEvent
from authsvc.db import Database


class Needs(Protocol):
    """What these commands take from the services."""

    @property
    def database(self) -> Database: ...


@click.group()
def audit() -> None:
    """Read the audit trail and verify its hash chain."""


@audit.command()
@click.option("--count", "-n", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many events.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def tail(services: Needs, count: int, as_json: bool) -> None:
    """The newest events, oldest of them first."""
    with services.database.transaction(read_only=True) as tx:
        newest = tx.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(count)).all()
    for event in reversed(newest):
        row = {column.key: getattr(event, column.key) for column in AuditEvent.__table__.columns}
        if as_json:
            click.echo(json.dumps(row, default=lambda instant: instant.isoformat()))
        else:
            fields = " ".join(f"{name}={value}" for name, value in event.fields.items())
            who = event.user_id or event.client_id or event.operator or "-"
            click.echo(f"{event.at:%Y-%m-%d %H:%M:%S}Z  {event.name:<28} {who:<32} {event.remote_address:<15} {fields}")


@audit.command("verify")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def verify_command(services: Needs, as_json: bool) -> None:
    """Check that no sealed event was changed, added or removed. Exit 1 when one was."""
    with services.database.transaction(read_only=True) as tx:
        found = verify(tx)
    until = found.sealed_until.isoformat() if found.sealed_until else None
    if as_json:
        report = {"valid": found.problem is None, "sealed": found.sealed_events, "sealed_until": until}
        click.echo(json.dumps(report | {"unsealed": found.unsealed_events, "problem": found.problem}))
    elif found.problem is None:
        click.echo(
            f"The chain is whole: {found.sealed_events} events sealed up to {until or 'nothing yet'}, "
            f"{found.unsealed_events} not sealed yet."
        )
    else:
        click.echo(f"The chain is broken: {found.problem}.", err=True)
    sys.exit(0 if found.problem is None else 1)
