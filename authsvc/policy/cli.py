"""`authsvc policy`: look at the policy files without starting the service."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authsvc.policy.load import FILES, PolicyError, load, place


@click.group()
def policy() -> None:
    """Policy files: how strict this installation is."""


@policy.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    envvar="AUTHSVC_POLICIES_DIR",
    help="Folder to check. Without it AUTHSVC_POLICIES_DIR, else the defaults that come with the package.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer for machines, on standard output.")
@click.pass_context
def check(ctx: click.Context, directory: Path | None, as_json: bool) -> None:
    """Check every policy file and list every problem. Exit status: 0 valid, 1 not."""
    short_hash, full_hash, problems = "", None, []
    try:
        policies = load(directory)
    except PolicyError as exc:
        problems = exc.problems
    else:
        short_hash, full_hash = policies.short_hash, policies.hash
    if as_json:
        answer = {"valid": not problems, "hash": full_hash, "directory": str(place(directory)), "problems": problems}
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif problems:
        click.echo("\n".join(problems), err=True)
    else:
        click.echo(f"Policies are valid (hash {short_hash}…): {len(FILES)} files in {place(directory)}.")
    ctx.exit(1 if problems else 0)
