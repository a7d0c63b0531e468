"""`authsvc exports`: what support sees of exports, and may delete. Never what is in one (domain D23)."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from sqlalchemy import Select, select

from authsvc.accounts.models import Membership
from authsvc.accounts.queries import account_by_slug, user_by_email
from authsvc.cli.context import LazyServices
from authsvc.exports.life import LIVE, find
from authsvc.exports.models import Export, Reason, Status
from authsvc.exports.tidy import Purge, Sweep

#: More than a screen is asked for with --json.
MANY = 10_000
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def exports() -> None:
    """Look at exports, and delete their files."""


@exports.command("list")
@click.option("--account", "slug", help="Of this account alone.")
@click.option("--email", help="Of this person alone.")
@click.option("--all", "with_old", is_flag=True, help="Those without a file too.")
@AS_JSON
@click.pass_obj
def show(needs: LazyServices, slug: str | None, email: str | None, with_old: bool, as_json: bool) -> None:
    """Whose exports there are, and where they stand; newest first."""
    with needs.services.database.transaction(read_only=True) as tx:
        query: Select[Any] = select(Export).order_by(Export.requested_at.desc()).limit(MANY)
        if not with_old:
            query = query.where(Export.status.in_(LIVE))
        if email is not None:
            user = user_by_email(tx, email)
            query = query.where(Export.user_id == (user.id if user else ""))
        if slug is not None:
            account = account_by_slug(tx, slug)
            query = query.where(Export.account_id == (account.id if account else ""))
        found = list(tx.scalars(query))
        for export in found:
            click.echo(json.dumps(_facts(export)) if as_json else _line(export))
        if not found and not as_json:
            click.echo("There are none.")


@exports.command()
@click.argument("export_id", required=False)
@click.option("--email", help="Every file of this person.")
@click.option("--expired", is_flag=True, help="Whatever is over, now instead of within a minute.")
@AS_JSON
@click.pass_obj
def purge(needs: LazyServices, export_id: str | None, email: str | None, expired: bool, as_json: bool) -> None:
    """Delete the file of one export, of a person, or of all that are over. The rows stay."""
    if sum((export_id is not None, email is not None, expired)) != 1:
        raise click.UsageError("Give one: the id of an export, --email, or --expired.")
    s = needs.services
    job = Purge(s.database, s.files, s.exports.life)
    if expired:
        Sweep(s.database, s.exports.life, job)()
    with s.database.transaction() as tx:
        query = select(Export)
        if email is not None:
            user = user_by_email(tx, email)
            if user is None:
                click.echo("Nobody has this address.", err=True)
                sys.exit(1)
            query = query.where(Export.user_id == user.id, Export.status.in_(LIVE))
        elif export_id is not None:
            if find(tx, export_id) is None:
                click.echo("There is no such export. `authsvc exports list --all` names them.", err=True)
                sys.exit(1)
            query = query.where(Export.id == export_id)
        else:
            query = query.where(Export.status.not_in(LIVE), Export.file_id.is_not(None))
        ended = []
        for export in list(tx.scalars(query)):
            if export.status == Status.READY:
                s.exports.life.expire(tx, export, Reason.PURGED)
            elif export.is_open:
                s.exports.life.fail(tx, export, Reason.PURGED)
            ended.append(export.id)
    for one in ended:
        job({"export_id": one})
    if as_json:
        click.echo(json.dumps({"outcome": "done", "exports": ended}))
    else:
        click.echo(
            f"Deleted the file{'s' if len(ended) != 1 else ''} of {len(ended)} export{'s' if len(ended) != 1 else ''}."
        )


def _facts(export: Export) -> dict[str, Any]:
    membership: Membership = export.membership
    return {
        "id": export.id,
        "account": membership.account.slug,
        "person": membership.user.email.address,
        "name": export.name,
        "made_by": export.client_id or "authsvc",
        "status": export.status,
        "reason": export.reason,
        "size": export.size,
        "requested_at": export.requested_at.isoformat(),
        "expires_at": export.expires_at.isoformat() if export.expires_at else None,
        "downloaded_at": export.downloaded_at.isoformat() if export.downloaded_at else None,
        "file_deleted_at": export.purged_at.isoformat() if export.purged_at else None,
    }


def _line(export: Export) -> str:
    about = _facts(export)
    return "  ".join(str(about[name]) for name in ("id", "account", "person", "status", "requested_at", "name"))
