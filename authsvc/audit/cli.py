"""`authsvc audit verify`. What reads the trail knows people and accounts, and stands in authsvc/cli/audit_trail.py."""

from __future__ import annotations

import json
import sys
from typing import Protocol

import click

from authsvc.audit.chain import verify
from authsvc.db import Database


class Needs(Protocol):
    """What these commands take from the services."""

    @property
    def database(self) -> Database: ...


@click.group()
def audit() -> None:
    """Read and search the audit trail, verify its hash chain."""


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
