"""`authsvc client`: the clients, as an operator makes, sees and ends them. The use cases are oauth/registration.py."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from authsvc.cli.client_words import client_as_json, client_as_line, client_as_text, receipt_as_json
from authsvc.cli.context import LazyServices
from authsvc.cli.members import find_account
from authsvc.keyring.cli import as_json_option, confirm, yes_option
from authsvc.keyring.words import counted, local_and_utc, span
from authsvc.oauth.backchannel_logout import receipts
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import FRESH_S
from authsvc.oauth.registration import LONGEST_OVERLAP, Issued, read_metadata
from authsvc.policy.values import parse_duration
from authsvc.sessions import levels

NOTICED = f"Running processes notice within {FRESH_S:.0f} seconds."
LISTS = frozenset(name for name, field in ClientMetadata.model_fields.items() if isinstance(field.default, tuple))
#: Written as JSON: true, false, a number, an object.
AS_JSON = frozenset(name for name, field in ClientMetadata.model_fields.items() if isinstance(field.default, bool)) | {
    "jwks",
    "default_max_age",
}


class Span(click.ParamType[timedelta]):
    """A length of time as policy files write it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """As in 30m, 24h, 7d."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field by its name in RFC 7591; again for each further entry of a list. jwks and switches are JSON.",
)
party_option = click.option(
    "--first-party/--third-party", default=None, help="Whether it is IMS's own: people are not asked for consent."
)
acr_option = click.option("--minimum-acr", type=click.Choice(levels.ORDER), help="The least acr that enters it.")
resource_option = click.option(
    "--resource", "resources", multiple=True, help="An API that its tokens may be for; again for more."
)

account_option = click.option(
    "--account", "accounts", multiple=True, help="An account that it may touch through the account API; again for more."
)


@click.group()
def client() -> None:
    """The clients: who may send people here, and ask for tokens."""


@client.command()
@click.argument("name")
@click.option("--client-id", help="Its client_id; without it one is made.")
@set_option
@party_option
@acr_option
@resource_option
@account_option
@as_json_option
@click.pass_obj
def create(
    needs: LazyServices,
    name: str,
    client_id: str | None,
    sets: tuple[str, ...],
    first_party: bool | None,
    minimum_acr: str | None,
    resources: tuple[str, ...],
    accounts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a client called NAME. Its secret, if it has one, is shown this once.

    authsvc client create "Investor portal" --set redirect_uris=https://portal.example/callback --set scope="openid profile"
    """
    s = needs.services
    metadata = read_metadata({"client_name": name} | _fields(sets))
    s.registration.check_outside(metadata)
    with s.database.transaction() as tx:
        made = s.registration.create_client(
            tx,
            metadata,
            by="operator",
            first_party=first_party is not False,
            client_id=client_id,
            minimum_acr=minimum_acr,
            resources=list(resources) or None,
            accounts=known_accounts(tx, accounts),
        )
    _say(made, f"Client {made.client.client_id} is made.", machine=as_json)


@client.command("list")
@as_json_option
@click.pass_obj
def list_command(needs: LazyServices, as_json: bool) -> None:
    """Every client, oldest first; one line each."""
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        found = s.registration.clients(tx)
    if as_json:
        click.echo(json.dumps({"clients": [client_as_json(one) for one in found]}))
    else:
        click.echo("\n".join(map(client_as_line, found)) or "There are no clients.")


@client.command()
@click.argument("client_id")
@as_json_option
@click.pass_obj
def show(needs: LazyServices, client_id: str, as_json: bool) -> None:
    """What is registered, and what came of the last logout tokens that it was sent."""
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        found, sent = s.registration.client(tx, client_id), receipts(tx, client_id)
    if as_json:
        click.echo(json.dumps(client_as_json(found) | {"logouts": [receipt_as_json(one) for one in sent]}))
    else:
        click.echo(client_as_text(found, sent, s.clock.now()))


@client.command()
@click.argument("client_id")
@set_option
@click.option("--unset", "unsets", multiple=True, metavar="FIELD", help="Back to what it is without the field.")
@party_option
@click.option("--minimum-acr", type=click.Choice([*levels.ORDER, "none"]), help="The least acr that enters it.")
@click.option("--resource", "resources", multiple=True, help="An API that its tokens may be for; `any` for no limit.")
@click.option("--account", "accounts", multiple=True, help="An account of the account API; `any` for no limit.")
@as_json_option
@click.pass_obj
def change(
    needs: LazyServices,
    client_id: str,
    sets: tuple[str, ...],
    unsets: tuple[str, ...],
    first_party: bool | None,
    minimum_acr: str | None,
    resources: tuple[str, ...],
    accounts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change fields of a client. A list that is set takes the place of the old one, whole."""
    s, given = needs.services, _fields(sets)
    for name in unsets:
        _known(name)
    with s.database.transaction(read_only=True) as tx:
        before = s.registration.client(tx, client_id)
    kept = {name: value for name, value in before.metadata.stored().items() if name not in unsets}
    metadata = read_metadata(kept | given)
    s.registration.check_outside(metadata)
    with s.database.transaction() as tx:
        changed = s.registration.change_client(tx, client_id, metadata, by="operator")
        rules = s.registration.change_rules(
            tx,
            client_id,
            first_party=before.first_party if first_party is None else first_party,
            minimum_acr=before.minimum_acr if minimum_acr is None else None if minimum_acr == "none" else minimum_acr,
            resources=before.resources if not resources else None if resources == ("any",) else list(resources),
            accounts=before.accounts if not accounts else known_accounts(tx, accounts),
        )
    fields = changed.changed + rules.changed
    told = f"Changed: {', '.join(fields)}. {NOTICED}" if fields else "Nothing to change: everything is as you say."
    _say(Issued(rules.client, secret=changed.secret, changed=fields), told, machine=as_json)


@client.command("rotate-secret")
@click.argument("client_id")
@click.option(
    "--overlap",
    type=Span(),
    default="0s",
    metavar="TIME",
    help=f"For how long the old secret does as well, as in 24h; {LONGEST_OVERLAP.days} days at most.",
)
@yes_option
@as_json_option
@click.pass_obj
def rotate_secret(needs: LazyServices, client_id: str, overlap: timedelta, yes: bool, as_json: bool) -> None:
    """Make a new secret, and show it this once. Without --overlap the old one is dead at once."""
    if overlap > LONGEST_OVERLAP:
        raise click.BadParameter(f"must not be longer than {LONGEST_OVERLAP.days} days", param_hint="--overlap")
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        s.registration.client(tx, client_id)
    if not overlap:
        lines = [f"The secret of {client_id} is dead at once: its token requests fail until it has the new one."]
        confirm([*lines, "With --overlap 24h both do for a day."], "Rotate?", yes=yes)
    with s.database.transaction() as tx:
        made = s.registration.rotate_secret(tx, client_id, overlap=overlap)
    until = made.client.previous_secret_until
    told = f"The old secret does until {local_and_utc(until)}." if until else f"The old secret is dead. {NOTICED}"
    _say(made, told, machine=as_json)


@client.command()
@click.argument("client_id")
@yes_option
@as_json_option
@click.pass_obj
def deactivate(needs: LazyServices, client_id: str, yes: bool, as_json: bool) -> None:
    """End a client: its requests fail, everything it was given ends, nobody can enter it."""
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        found = s.registration.client(tx, client_id)
    confirm([f"{found.metadata.client_name} ({client_id}): every token it was given ends."], "Deactivate?", yes=yes)
    with s.database.transaction() as tx:
        families = s.registration.deactivate_client(tx, client_id, by="operator")
    if as_json:
        click.echo(json.dumps({"client_id": client_id, "families_ended": families}))
        return
    click.echo(f"Client {client_id} is deactivated; {counted(families, 'token family')} ended. {NOTICED}")


@client.command()
@click.argument("client_id")
@as_json_option
@click.pass_obj
def reactivate(needs: LazyServices, client_id: str, as_json: bool) -> None:
    """Bring a client back with the secret it had. What ended with it stays ended."""
    s = needs.services
    with s.database.transaction() as tx:
        found = s.registration.reactivate_client(tx, client_id)
    _say(Issued(found), f"Client {client_id} is active. {NOTICED}", machine=as_json)


@client.command("initial-access-token")
@click.option(
    "--uses", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many clients it registers."
)
@click.option(
    "--expires", type=Span(), default="24h", show_default=True, metavar="TIME", help="As in 30m, 24h, 7d; 30d at most."
)
@as_json_option
@click.pass_obj
def initial_access_token(needs: LazyServices, uses: int, expires: timedelta, as_json: bool) -> None:
    """Let somebody register clients at /oauth/register. The token is shown this once."""
    if not timedelta(0) < expires <= timedelta(days=30):
        raise click.BadParameter("must be more than nothing and not longer than 30 days", param_hint="--expires")
    s = needs.services
    with s.database.transaction() as tx:
        token = s.initial_access.issue(tx, uses=uses, lifetime=expires)
    until = s.clock.now() + expires
    if as_json:
        click.echo(json.dumps({"initial_access_token": token, "uses": uses, "expires_at": until.isoformat()}))
        return
    click.echo(f"initial access token  {token}")
    click.echo(f"It registers {counted(uses, 'client')} within {span(expires)}, at {s.settings.issuer}/oauth/register.")
    click.echo("It is shown this once.")


def known_accounts(tx: Session, slugs: tuple[str, ...]) -> list[str] | None:
    """The slugs, each of an account that is there; None for no limit. Ends the command at one that is not."""
    return None if slugs in ((), ("any",)) else [find_account(tx, slug).slug for slug in slugs]


def _fields(sets: Iterable[str]) -> dict[str, Any]:
    """What `--set` said."""
    given: dict[str, Any] = {}
    for one in sets:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one}: must be FIELD=VALUE", param_hint="--set")
        _known(name)
        if name in LISTS:
            given.setdefault(name, []).extend([value] if value else [])
        elif name in given:
            raise click.BadParameter(f"{name} is set twice and is no list", param_hint="--set")
        elif name in AS_JSON:
            try:
                given[name] = json.loads(value)
            except (ValueError, RecursionError) as exc:
                raise click.BadParameter(f"{name} must be JSON, as in {name}=true", param_hint="--set") from exc
        else:
            given[name] = value
    return given


def _known(name: str) -> None:
    if name not in ClientMetadata.model_fields:
        known = ", ".join(ClientMetadata.model_fields)
        raise click.BadParameter(f"{name} is no field; the fields are {known}", param_hint="--set")


def _say(issued: Issued, told: str, *, machine: bool) -> None:
    if machine:
        secret = {"client_secret": issued.secret} if issued.secret is not None else {}
        click.echo(json.dumps(client_as_json(issued.client) | secret | {"changed": list(issued.changed)}))
        return
    click.echo(told)
    if issued.secret is not None:
        click.echo(f"client_id      {issued.client.client_id}")
        click.echo(f"client_secret  {issued.secret}")
        click.echo("The secret is shown this once.")
