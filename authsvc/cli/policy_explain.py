"""`authsvc policy explain`: what a sign-in would require, and which rule says so. Nobody is signed in by it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from authsvc.account_settings.explaining import explain_sign_in
from authsvc.accounts.models import Account, Membership, User
from authsvc.accounts.queries import account_by_slug, user_by_email
from authsvc.cli.context import LazyServices
from authsvc.errors import AuthsvcError, Kind
from authsvc.oauth.models import OAuthClient
from authsvc.sessions import levels

SHORT = {acr.rpartition(":")[2]: acr for acr in levels.ORDER}


class NothingToExplain(AuthsvcError):
    """There is no such account, person, client or membership."""

    kind = Kind.NOT_FOUND


@click.command("explain")
@click.option("--account", "slug", required=True, help="Slug of the account to be entered.")
@click.option("--user", "email", required=True, help="Email address of the person.")
@click.option(
    "--audience", type=click.Choice(["team", "investors"]), help="For somebody who is both; else all are shown."
)
@click.option("--client", "client_id", help="The service that asks.")
@click.option("--acr", type=click.Choice([*levels.ORDER, *SHORT]), help="What it asks for.")
@click.option("--json", "as_json", is_flag=True, help="Answer for machines, on standard output.")
@click.pass_obj
def explain_policy(
    needs: LazyServices,
    slug: str,
    email: str,
    audience: str | None,
    client_id: str | None,
    acr: str | None,
    as_json: bool,
) -> None:
    """Say what a sign-in would require, and which rule says so. Exit status: 0 explained, 1 they cannot sign in there."""
    wanted = SHORT.get(acr or "", acr)
    with needs.services.database.transaction(read_only=True) as tx:
        account, user = _account(tx, slug), _user(tx, email)
        client = _client(tx, client_id)
        found = [m for m in user.memberships if m.account_id == account.id and audience in (None, m.audience)]
        if not found:
            who = f"a member of {slug}" if audience is None else f"in the {audience} of {slug}"
            raise NothingToExplain(f"{email} is not {who}.")
        answers = [_answer(tx, needs, membership, client, wanted) for membership in found]
    if as_json:
        click.echo(
            json.dumps({"account": account.slug, "user": user.email.address, "sign_ins": answers}, ensure_ascii=False)
        )
    else:
        for answer in answers:
            _print(account, user, answer)
    if not any(answer["may_sign_in"] for answer in answers):
        raise SystemExit(1)


def _answer(
    tx: Session, needs: LazyServices, membership: Membership, client: OAuthClient | None, acr: str | None
) -> dict[str, Any]:
    s = needs.services
    asked_by = f"acr_values{f' of the client {client.client_id}' if client else ''}: {acr}" if acr else ""
    minimum = client.minimum_acr if client else None
    minimum_by = f"the client {client.client_id}, minimum_acr {minimum}" if client and minimum else ""
    return asdict(
        explain_sign_in(
            tx,
            membership,
            s.policies.mfa,
            channels=s.courier.channels,
            acr=acr,
            asked_by=asked_by,
            minimum=minimum,
            minimum_by=minimum_by,
        )
    )


def _print(account: Account, user: User, answer: dict[str, Any]) -> None:
    click.echo(f"{user.email.address} enters {account.name} ({answer['audience']}):")
    width = max(len(reason["rule"]) for reason in answer["reasons"])
    for reason in answer["reasons"]:
        click.echo(f"  {reason['rule']:<{width}}  {reason['answer']}  <- {reason['decided_by']}")


def _account(tx: Session, slug: str) -> Account:
    if (account := account_by_slug(tx, slug)) is None:
        raise NothingToExplain(f"There is no account {slug!r}.")
    return account


def _user(tx: Session, email: str) -> User:
    if (user := user_by_email(tx, email)) is None:
        raise NothingToExplain(f"Nobody has the email address {email!r}.")
    return user


def _client(tx: Session, client_id: str | None) -> OAuthClient | None:
    if client_id is None:
        return None
    client = tx.get(OAuthClient, client_id) if client_id.isprintable() else None
    if client is None:
        raise NothingToExplain(f"There is no client {client_id!r}.")
    return client
