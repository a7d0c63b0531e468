"""`authsvc keys`: what an operator sees of the ring, and the one way to change it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

import click

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.seal import Sealer
from authsvc.db import Database, DatabaseUnavailable
from authsvc.errors import AuthsvcError
from authsvc.keyring.folder import KeyUnreadable, RingFolder
from authsvc.keyring.ring import FIRST_ALGORITHMS, KeyRing, Rotation
from authsvc.keyring.schedule import NOTICED_WITHIN, Algorithm, KeyEntry, KeyState, RotationRules, state, utc_text
from authsvc.settings import Settings


class KeyPolicy(Protocol):
    """policies/tokens.yaml, `keys`."""

    @property
    def publish_ahead(self) -> timedelta: ...
    @property
    def rotate_every(self) -> timedelta: ...


class TokenPolicy(Protocol):
    """What policies/tokens.yaml says about rotation."""

    @property
    def jwks_max_age(self) -> timedelta: ...
    @property
    def clock_skew(self) -> timedelta: ...
    @property
    def access_token(self) -> timedelta: ...
    @property
    def id_token(self) -> timedelta: ...
    @property
    def keys(self) -> KeyPolicy: ...


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


def rotation_rules(tokens: TokenPolicy) -> RotationRules:
    """The spans of time that a rotation must respect under this policy."""
    return RotationRules(
        jwks_max_age=tokens.jwks_max_age,
        clock_skew=tokens.clock_skew,
        longest_token=max(tokens.access_token, tokens.id_token),
        publish_ahead=tokens.keys.publish_ahead,
    )


@click.group()
def keys() -> None:
    """The keys that sign tokens: see them, rotate them."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Answer for machines, on standard output.")
@click.pass_obj
def list_command(needs: Needs, as_json: bool) -> None:
    """Every key with its state and its four instants, in local time and UTC. Exit 1 when a key cannot be opened."""
    with _one_sentence():
        unopened: KeyUnreadable | None = None
        try:
            entries = _open(needs).entries()
        except KeyUnreadable as exc:
            # The schedule is what an operator needs most when a key does not open.
            entries, unopened = RingFolder(needs.settings.keys_url).load(), exc
        now, every = needs.clock.now(), needs.policies.tokens.keys.rotate_every
        if as_json:
            problem = str(unopened) if unopened else None
            click.echo(json.dumps({"keys": [_as_json(entry, now, every) for entry in entries], "problem": problem}))
        elif entries:
            click.echo("\n\n".join(_as_text(entry, now, every) for entry in entries))
        else:
            click.echo("The key ring is empty. `authsvc keys rotate` makes the first keys.")
        if unopened:
            raise unopened


@keys.command()
@click.option(
    "--alg",
    type=click.Choice(["all", *FIRST_ALGORITHMS]),
    default="all",
    show_default=True,
    help="Which key to rotate.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer for machines, on standard output.")
@click.pass_obj
def rotate(needs: Needs, alg: str, as_json: bool) -> None:
    """Make the keys that take over, or the first keys of an empty ring.

    The instants are chosen so that no valid token is refused. Where that cannot be: exit 1, and nothing is changed.
    """
    tokens = needs.policies.tokens
    with _one_sentence():
        algorithms = FIRST_ALGORITHMS if alg == "all" else (Algorithm(alg),)
        rotations = _open(needs).rotate(*algorithms, rules=rotation_rules(tokens))
    _record(needs, rotations)
    if as_json:
        now, every = needs.clock.now(), tokens.keys.rotate_every
        click.echo(json.dumps({"rotations": [_rotation_as_json(rotation, now, every) for rotation in rotations]}))
        return
    click.echo("\n\n".join(_rotation_as_text(rotation) for rotation in rotations))
    click.echo(f"\nRunning processes notice within {NOTICED_WITHIN.seconds} seconds; restart nothing.")
    click.echo(f"Back up {RingFolder(needs.settings.keys_url).path} and, in another place, AUTHSVC_SECRET.")


def _record(needs: Needs, rotations: Sequence[Rotation]) -> None:
    """Write the act to the trail. Keys rotate with the database away as well; then it is said that the row is missing."""
    try:
        with needs.database.transaction() as tx:
            for rotation in rotations:
                successor = rotation.successor
                needs.audit.record(tx, Event.KEY_ROTATED, algorithm=str(successor.algorithm), kid=successor.kid)
    except DatabaseUnavailable:
        click.echo("The database cannot be reached, so the audit trail has no row about this.", err=True)


def local_and_utc(at: datetime | None, *, zone: tzinfo | None = None) -> str:
    """`at` in `zone` (default: this machine's), for a person, and in UTC, as logs have it. None: no end set."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z} ({utc_text(at)})" if at else "no end set"


def _open(needs: Needs) -> KeyRing:
    sealer = Sealer(needs.settings.secrets, "keyring")
    return KeyRing.open(needs.settings.keys_url, sealer=sealer, clock=needs.clock)


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except AuthsvcError as exc:
        raise click.ClickException(str(exc)) from exc


def _rotate_by(entry: KeyEntry, now: datetime, every: timedelta) -> datetime | None:
    """When a successor should sign; None where one is arranged already or `entry` does not sign."""
    return entry.use_from + every if state(entry, now) is KeyState.ACTIVE and entry.use_until is None else None


def _as_json(entry: KeyEntry, now: datetime, every: timedelta) -> dict[str, str | None]:
    instants = {
        "publish_from": entry.publish_from,
        "use_from": entry.use_from,
        "use_until": entry.use_until,
        "publish_until": entry.publish_until,
        "rotate_by": _rotate_by(entry, now, every),
    }
    told = {name: utc_text(at) if at else None for name, at in instants.items()}
    return {"kid": entry.kid, "use": entry.use, "algorithm": entry.algorithm, "state": state(entry, now), **told}


def _as_text(entry: KeyEntry, now: datetime, every: timedelta) -> str:
    lines = [
        f"{entry.kid}  {entry.algorithm:<5}  {state(entry, now)}",
        f"  published from   {local_and_utc(entry.publish_from)}",
        f"  signs from       {local_and_utc(entry.use_from)}",
        f"  signs until      {local_and_utc(entry.use_until)}",
        f"  published until  {local_and_utc(entry.publish_until)}",
    ]
    if due := _rotate_by(entry, now, every):
        lines.append(f"  rotate by        {local_and_utc(due)}")
    return "\n".join(lines)


def _rotation_as_json(rotation: Rotation, now: datetime, every: timedelta) -> dict[str, object]:
    new, old = rotation.successor, rotation.predecessor
    return {"successor": _as_json(new, now, every), "predecessor": _as_json(old, now, every) if old else None}


def _rotation_as_text(rotation: Rotation) -> str:
    new, old = rotation.successor, rotation.predecessor
    if old is None:
        return f"{new.algorithm}: first key {new.kid}\n  It is published and signs from now on."
    return (
        f"{new.algorithm}: new key {new.kid}\n"
        f"  It is published now, so that every verifier has it in time.\n"
        f"  It signs from {local_and_utc(new.use_from)}.\n"
        f"  Until then key {old.kid} signs. That one stays published\n"
        f"  until {local_and_utc(old.publish_until)}, so that its last tokens stay valid."
    )
