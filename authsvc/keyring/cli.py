"""`authsvc keys`: what an operator sees of the ring, and the ways to change it that concern the ring alone.

What looks at people and services as well (`status`, `withdraw`, `rehearse`, `reseal`) stands in authsvc/cli/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.seal import Sealer
from authsvc.db import Database, DatabaseUnavailable
from authsvc.errors import AuthsvcError
from authsvc.keyring import backup as copies
from authsvc.keyring.errors import KeyUnreadable
from authsvc.keyring.homes import open_home
from authsvc.keyring.ring import FIRST_ALGORITHMS, KeyRing
from authsvc.keyring.rules import TokenPolicy, rotation_rules
from authsvc.keyring.schedule import Algorithm, RotationRules
from authsvc.keyring.trail import Trail
from authsvc.keyring.urgent import is_noticed_everywhere, plan_now
from authsvc.keyring.words import (
    counted,
    entry_as_json,
    entry_as_text,
    local_and_utc,
    rotation_as_json,
    rotation_as_text,
    span,
)
from authsvc.settings import Settings

__all__ = ["keys", "local_and_utc", "no_row", "one_sentence", "open_ring", "rotation_rules"]

#: What the commands call the trail's absence.
NO_ROW = "The database cannot be reached, so the audit trail has no row about this."


class Policies(Protocol):
    """The policies, as far as these commands read them."""

    @property
    def tokens(self) -> TokenPolicy: ...


class Needs(Protocol):
    """What these commands take from the click context."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def database(self) -> Database: ...
    @property
    def audit(self) -> AuditLog: ...


as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer for machines, on standard output.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
alg_option = click.option(
    "--alg",
    type=click.Choice(["all", *(algorithm.value for algorithm in Algorithm)]),
    default="all",
    show_default=True,
    help="Which key to rotate; the first EdDSA key is made by its name.",
)


@click.group()
def keys() -> None:
    """The keys that sign tokens: see them, rotate them, withdraw them."""


@keys.command("list")
@as_json_option
@click.pass_obj
def list_command(needs: Needs, as_json: bool) -> None:
    """Every key with its state and its four instants, in local time and UTC. Exit 1 when a key cannot be opened."""
    with one_sentence():
        unopened: KeyUnreadable | None = None
        try:
            entries = open_ring(needs).entries()
        except KeyUnreadable as exc:
            # The schedule is what an operator needs most when a key does not open.
            entries, unopened = open_home(needs.settings.keys_url, needs.database).load(), exc
        now, every = needs.clock.now(), needs.policies.tokens.keys.rotate_every
        if as_json:
            problem = str(unopened) if unopened else None
            click.echo(
                json.dumps({"keys": [entry_as_json(entry, now, every) for entry in entries], "problem": problem})
            )
        elif entries:
            click.echo("\n\n".join(entry_as_text(entry, now, every) for entry in entries))
        else:
            click.echo("The key ring is empty. `authsvc keys rotate` makes the first keys.")
        if unopened:
            raise unopened


@keys.command()
@alg_option
@click.option("--now", "at_once", is_flag=True, help="Emergency: do not wait until every verifier has the new key.")
@yes_option
@as_json_option
@click.pass_obj
def rotate(needs: Needs, alg: str, at_once: bool, yes: bool, as_json: bool) -> None:
    """Make the keys that take over, or the first keys of an empty ring.

    The instants are chosen so that no valid token is refused. Where that cannot be: exit 1, and nothing is changed.
    With --now the new keys sign within seconds; what that breaks is said first.
    """
    tokens, rules = needs.policies.tokens, rotation_rules(needs.policies.tokens)
    with one_sentence():
        ring = open_ring(needs)
        usual = tuple(each for each in Algorithm if each in FIRST_ALGORITHMS or each in ring.algorithms())
        algorithms = usual if alg == "all" else (Algorithm(alg),)
        trail = Trail(needs.audit, "now" if at_once else "planned")
        if at_once:
            confirm(_what_now_breaks(ring, algorithms, rules, needs), "Rotate now?", yes=yes)
            rotations = ring.rotate_now(*algorithms, rules=rules, note=trail.rotations)
        else:
            rotations = ring.rotate(*algorithms, rules=rules, note=trail.rotations)
    if not trail.make_sure(needs.database, lambda tx: trail.rotations(tx, rotations)):
        no_row()
    if as_json:
        now, every = needs.clock.now(), tokens.keys.rotate_every
        click.echo(json.dumps({"rotations": [rotation_as_json(rotation, now, every) for rotation in rotations]}))
        return
    click.echo("\n\n".join(rotation_as_text(rotation, rules) for rotation in rotations))
    click.echo(f"\nRunning processes notice within {span(ring.home.noticed_within)}; restart nothing.")
    click.echo(f"Back up {ring.home.place} and, in another place, AUTHSVC_SECRET.")


@keys.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@as_json_option
@click.pass_obj
def backup(needs: Needs, folder: Path, as_json: bool) -> None:
    """Copy the ring, sealed as it is, into a new FOLDER. Worthless without AUTHSVC_SECRET: keep that in another place."""
    with one_sentence():
        open_ring(needs)  # a copy of what does not open is no backup
        entries = copies.save_copy(open_home(needs.settings.keys_url, needs.database), folder, needs.clock.now())
    if as_json:
        click.echo(json.dumps({"keys": len(entries), "folder": str(folder)}))
    else:
        click.echo(f"{counted(len(entries), 'key')} copied to {folder}. Keep AUTHSVC_SECRET in another place.")


@keys.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@yes_option
@as_json_option
@click.pass_obj
def restore(needs: Needs, folder: Path, yes: bool, as_json: bool) -> None:
    """Bring keys back from FOLDER, made by `keys backup`, into a ring that is empty or does not open.

    Into an empty ring in another home it moves the keys, so that no token fails.
    """
    home = open_home(needs.settings.keys_url, needs.database)
    with one_sentence():
        plan = copies.plan_restoration(home, folder, Sealer(needs.settings.secrets, "keyring"), needs.clock.now())
        lines = [f"{counted(len(plan.sealed), 'key')} of {folder} come into {home.place}."]
        lines += [f"Key {entry.kid} ({entry.algorithm}) opens nowhere; its tokens fail." for entry in plan.lost]
        confirm(lines, "Restore?", yes=yes or not plan.lost)
        copies.restore(home, plan)
    record(needs, Event.KEYS_RESTORED, keys=len(plan.sealed), lost=[entry.kid for entry in plan.lost])
    if as_json:
        lost = [entry.kid for entry in plan.lost]
        click.echo(json.dumps({"restored": sorted(plan.sealed), "lost": lost, "unsigned": list(plan.unsigned)}))
        return
    click.echo(f"{counted(len(plan.sealed), 'key')} restored into {home.place}.")
    for algorithm in plan.unsigned:
        click.echo(f"Nothing signs with {algorithm} now. Run `authsvc keys rotate --alg {algorithm}`.")
    click.echo("A key that was withdrawn after the copy was made may be back. Look at `authsvc keys list`.")


def open_ring(needs: Needs) -> KeyRing:
    """The ring of the settings, as it is: commands make no key unless that is what they are for. Raises: KeyringError."""
    settings = needs.settings
    return KeyRing.open(
        settings.keys_url,
        sealer=Sealer(settings.secrets, "keyring"),
        clock=needs.clock,
        database=needs.database,
        aws_endpoint_url=settings.aws_endpoint_url,
    )


def confirm(lines: list[str], question: str, *, yes: bool) -> None:
    """Say what will happen, on standard error, and ask unless `yes`. Exit 1 when the answer is no."""
    for line in lines:
        click.echo(line, err=True)
    if not yes:
        click.confirm(question, abort=True, err=True)


def record(needs: Needs, event: Event, **fields: Any) -> None:
    """Write an act to the trail; where the database is away, say that the row is missing."""
    try:
        with needs.database.transaction() as tx:
            needs.audit.record(tx, event, **fields)
    except DatabaseUnavailable:
        no_row()


def no_row() -> None:
    """Keys change with the database away as well; then it is said that the row is missing."""
    click.echo(NO_ROW, err=True)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Answers errors of the ring with their sentence."""
    try:
        yield
    except AuthsvcError as exc:
        raise click.ClickException(str(exc)) from exc


def _what_now_breaks(ring: KeyRing, algorithms: tuple[Algorithm, ...], rules: RotationRules, needs: Needs) -> list[str]:
    rules, now, lines = ring.known(rules), needs.clock.now(), []
    for algorithm in algorithms:
        plan = plan_now(ring.entries(), algorithm, now, rules)
        if plan.predecessor is None:
            lines.append(f"{algorithm}: nothing signs now. A first key signs at once; nothing breaks.")
        elif plan.heir is not None and is_noticed_everywhere(plan.heir, rules):
            lines.append(f"{algorithm}: key {plan.heir.kid} takes over. Every verifier has it; nothing breaks.")
        else:
            lines.append(
                f"{algorithm}: a key that verifiers do not have yet signs from {local_and_utc(plan.use_from)}. A service that\n"
                "  looks for unknown keys, as authsvc.resource_server does, fetches it with the first token, or within 30\n"
                f"  seconds. Any other one refuses new tokens for up to {span(rules.lead)}. Tokens of the old key stay valid."
            )
    return lines
