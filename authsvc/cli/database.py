"""`authsvc migrate`."""

from __future__ import annotations

import json
import sys

import click

from authsvc.cli.context import LazyServices
from authsvc.db import migrate as migrations


@click.command()
@click.option("--check", is_flag=True, help="Only say whether it is needed; exit 1 when it is.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def migrate(needs: LazyServices, check: bool, as_json: bool) -> None:
    """Bring the database to this version."""
    url = needs.settings.database_url
    waiting = migrations.missing(url)
    if waiting and not check:
        migrations.upgrade(url)
    if as_json:
        click.echo(json.dumps({"applied": [] if check else waiting, "missing": waiting if check else []}))
    elif not waiting:
        click.echo("The database is up to date.")
    elif check:
        click.echo(f"{len(waiting)} migration(s) are missing: {', '.join(waiting)}. Run `authsvc migrate`.", err=True)
    else:
        click.echo(f"Applied {len(waiting)} migration(s): {', '.join(waiting)}.")
    sys.exit(1 if check and waiting else 0)
