"""`authsvc apply FILE`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authsvc.cli.context import LazyServices


class _DryRun(Exception):
    """Nothing was to be kept."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the difference and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="The differences as one JSON object.")
@click.pass_obj
def apply(needs: LazyServices, file: Path, dry_run: bool, as_json: bool) -> None:
    """Bring accounts, members, clients and resource servers to what FILE says. Running it again changes nothing."""
    from authsvc.cli.provision import Provisioner
    from authsvc.cli.provisioning_file import read

    wanted = read(file)
    provisioner = Provisioner(needs.services)
    ready = provisioner.prepare(wanted)
    try:
        with needs.services.database.transaction() as tx:
            provisioner.apply(tx, wanted, ready)
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    needs.services.registry.forget()
    if as_json:
        click.echo(json.dumps({"applied": not dry_run, "changes": provisioner.changes}))
        return
    for change in provisioner.changes:
        click.echo(("would change  " if dry_run else "changed  ") + change)
    if not provisioner.changes:
        click.echo("Nothing to change: everything is as the file says.")
