"""`authsvc account`: look at accounts, close one, open it again."""

from __future__ import annotations

import json
from typing import Any

import click
from sqlalchemy import select

from authsvc.accounts import team
from authsvc.accounts.models import Account
from authsvc.cli.context import LazyServices
from authsvc.cli.members import Report, find_account


@click.group()
def account() -> None:
    """Look at accounts; close one, or open it again."""


@account.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_command(needs: LazyServices, as_json: bool) -> None:
    """Every account."""
    with needs.services.database.transaction(read_only=True) as tx:
        for one in tx.scalars(select(Account).order_by(Account.slug)):
            shown = _shown(one)
            if as_json:
                click.echo(json.dumps(shown))
            else:
                click.echo(
                    f"{one.slug:<24} {'closed' if one.closed_at else 'open':<7} {one.permission_model:<14} {one.name}"
                )


@account.command()
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="The account as one JSON object.")
@click.pass_obj
def show(needs: LazyServices, slug: str, as_json: bool) -> None:
    """One account: its switches and its people in numbers."""
    with needs.services.database.transaction(read_only=True) as tx:
        one = find_account(tx, slug)
        counts = team.counts(tx, one.id)
        shown = _shown(one) | {
            "mfa": {switch.audience: switch.methods if switch.enabled else [] for switch in one.mfa},
            "team": {"active": counts.active, "waiting": counts.waiting, "inactive": counts.inactive},
            "unverified": counts.unverified,
        }
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        if isinstance(value, dict):
            value = ", ".join(
                f"{key} {' and '.join(of) or 'off' if isinstance(of, list) else of}" for key, of in value.items()
            )
        click.echo(f"{name.replace('_', ' '):<17} {value if value not in (None, '') else 'none'}")


@account.command()
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def close(needs: LazyServices, slug: str, yes: bool, as_json: bool) -> None:
    """Sign everybody out and let nobody in. Nothing is deleted; `reopen` undoes it."""
    with needs.services.database.transaction(read_only=True) as tx:
        name = find_account(tx, slug).name
    if not yes:
        click.confirm(f"Close {name}? Everybody is signed out, and nobody can sign in.", abort=True, err=True)
    with needs.services.database.transaction() as tx:
        result = needs.services.closing.close(tx, find_account(tx, slug))
    Report(as_json).close(result, f"Closed: {result.count} sessions ended.", sessions=result.count)


@account.command()
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def reopen(needs: LazyServices, slug: str, as_json: bool) -> None:
    """Let people in again; everybody signs in anew."""
    with needs.services.database.transaction() as tx:
        result = needs.services.closing.reopen(tx, find_account(tx, slug))
    Report(as_json).close(result, "Open again. Everybody signs in anew.")


def _shown(one: Account) -> dict[str, Any]:
    return {
        "slug": one.slug,
        "name": one.name,
        "portal_url": one.portal_url,
        "time_zone": one.time_zone,
        "permission_model": one.permission_model,
        "closed_at": one.closed_at.isoformat() if one.closed_at else None,
    }
