"""`authsvc keys reseal`: whatever is sealed for longer than a quarter of an hour, under the first secret of the list."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from authsvc.audit import Event
from authsvc.cli.context import LazyServices
from authsvc.crypto.seal import Sealer
from authsvc.db import DatabaseUnavailable
from authsvc.keyring.cli import as_json_option, one_sentence, open_ring, record
from authsvc.keyring.words import counted
from authsvc.mfa.resealing import Resealed, reseal_apps

LAST_ONE_STAYS = (
    "What is sealed needs the first secret alone now. Leave the last one in the list: sessions, remembered devices,\n"
    "refresh tokens, recovery codes, client secrets and pairwise subjects are kept as digests under it."
)
NO_DATABASE = (
    "The database cannot be reached: authenticator apps still need their old secret. Run this again when it is back."
)


@click.command()
@as_json_option
@click.pass_obj
def reseal(needs: LazyServices, as_json: bool) -> None:
    """Seal private keys and authenticator apps with the first secret of AUTHSVC_SECRET, so that they need no other one."""
    secrets = needs.settings.secrets
    with one_sentence():
        anew, already = open_ring(needs).reseal(Sealer(secrets[:1], "keyring"))
    apps = _apps(needs)
    if anew or (apps and apps.anew):
        record(needs, Event.KEYS_RESEALED, resealed=anew, apps=apps.anew if apps else 0)
    if as_json:
        click.echo(json.dumps({"resealed": anew, "already": already, "apps": asdict(apps) if apps else None}))
    else:
        click.echo(
            f"{counted(anew, 'key')} sealed anew, {counted(already, 'key')} already sealed with the first secret."
        )
        if apps is not None:
            number = counted(apps.anew, "authenticator app")
            click.echo(f"{number} sealed anew, {apps.already} already sealed with the first secret.")
            if apps.lost:
                click.echo(
                    f"{counted(apps.lost, 'app')} opened with no secret of the list; `authsvc member reset-mfa` helps."
                )
        if len(secrets) > 1:
            click.echo(LAST_ONE_STAYS)
    if apps is None:
        click.echo(NO_DATABASE, err=True)
    sys.exit(1 if apps is None or apps.lost else 0)


def _apps(needs: LazyServices) -> Resealed | None:
    secrets = needs.settings.secrets
    try:
        return reseal_apps(needs.database, Sealer(secrets, "fields"), Sealer(secrets[:1], "fields"))
    except DatabaseUnavailable:
        return None
