"""`authsvc suppression`: addresses that nothing is mailed to any more."""

from __future__ import annotations

import json
import sys

import click

from authsvc.cli.context import LazyServices


@click.group()
def suppression() -> None:
    """Addresses that mail came back from; mail to one of them again."""


@suppression.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_command(needs: LazyServices, as_json: bool) -> None:
    """Every suppressed address, newest first. It is named while somebody has it."""
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        for one in s.suppressions.all(tx):
            if as_json:
                shown = {"since": one.since.isoformat(), "reason": one.reason, "kind": one.kind}
                click.echo(json.dumps(shown | {"address": one.address or None, "user_id": one.user_id}))
            else:
                who = one.address or "an address that nobody has now"
                click.echo(f"{one.since:%Y-%m-%d %H:%M}Z  {one.reason:<9} {one.kind or '-':<12} {who}")


@suppression.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def lift(needs: LazyServices, email: str, as_json: bool) -> None:
    """Mail to EMAIL again. If the mailbox is still away, the next bounce puts it back."""
    s = needs.services
    with s.database.transaction() as tx:
        was = s.suppressions.lift(tx, email)
    if as_json:
        click.echo(json.dumps({"lifted": was}))
    elif was:
        click.echo("Lifted: it gets mail again.")
    else:
        click.echo("This address is not suppressed.", err=True)
    if not was:
        sys.exit(1)
