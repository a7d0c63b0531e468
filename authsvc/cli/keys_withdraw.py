"""`authsvc keys withdraw`: a private key is in the wrong hands. What it reaches, then its end, then one report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from authsvc.audit import Event
from authsvc.cache import Cache
from authsvc.cli.context import LazyServices
from authsvc.cli.keys_descent import Descent, descent, end_descent
from authsvc.crypto.seal import derive
from authsvc.crypto.tokens import Digester
from authsvc.db import DatabaseUnavailable
from authsvc.devices.remember import Devices
from authsvc.jobs import Queue
from authsvc.keyring.cli import as_json_option, confirm, no_row, one_sentence, open_ring, yes_option
from authsvc.keyring.errors import NoSuchKey
from authsvc.keyring.ring import KeyRing, Withdrawal
from authsvc.keyring.rules import rotation_rules
from authsvc.keyring.schedule import Algorithm, KeyEntry, KeyState, active, state
from authsvc.keyring.trail import Trail
from authsvc.keyring.words import entry_as_json, local_and_utc


@click.command()
@click.argument("key", metavar="KEY")
@yes_option
@as_json_option
@click.pass_obj
def withdraw(needs: LazyServices, key: str, yes: bool, as_json: bool) -> None:
    """Take KEY out of the key set at once: its kid, or an algorithm for the key that signs with it now.

    Says first what that ends. Run it again with the kid if it could not finish: what is done stays done.
    """
    with one_sentence():
        ring = open_ring(needs)
        entry = _named(ring, key, needs)
        confirm(_consequences(entry, needs), "Withdraw it?", yes=yes)
        trail = Trail(needs.audit)
        done = ring.withdraw(entry.kid, note=trail.withdrawal)
        if not trail.make_sure(needs.database, lambda tx: trail.withdrawal(tx, done)):
            no_row()
        # By the window that the key had: what it signs until all have noticed descends from it too.
        ended = _end(needs, entry)
    report = _as_json if as_json else _as_text
    click.echo(report(needs, ring, done, ended))
    if done.warning:
        click.echo(done.warning, err=True)
    if ended is None:
        click.echo(
            "The database cannot be reached: the key is withdrawn, but no session, token family or device has ended.\n"
            f"Run this again when it is back: authsvc keys withdraw {entry.kid}",
            err=True,
        )
    sys.exit(1 if ended is None or done.warning else 0)


def devices_of(needs: LazyServices) -> Devices:
    """Remembered devices, without the rest of the service: an emergency must not wait for what else is broken."""
    digester = Digester(derive(needs.settings.secrets[-1], "digest"))
    return Devices(needs.policies.mfa.remembered_device, digester, needs.clock, needs.audit)


def queue_of(needs: LazyServices) -> Queue:
    """Jobs, for the same reason without Redis: the worker looks every second or two."""
    return Queue(needs.clock, Cache(""))


def _named(ring: KeyRing, key: str, needs: LazyServices) -> KeyEntry:
    entries = ring.entries()
    found = active(entries, key, needs.clock.now()) if key in set(Algorithm) else None
    found = found or next((entry for entry in entries if entry.kid == key), None)
    if found is None:
        raise NoSuchKey
    return found


def _consequences(entry: KeyEntry, needs: LazyServices) -> list[str]:
    now = needs.clock.now()
    lines = [f"Key {entry.kid} ({entry.algorithm}, {state(entry, now)})"]
    if entry.publish_until and state(entry, now) is KeyState.GONE:
        lines.append(f"  It left the key set at {local_and_utc(entry.publish_until)}.")
    try:
        with needs.database.transaction(read_only=True) as tx:
            found = descent(tx, entry, now)
    except DatabaseUnavailable:
        return [
            *lines,
            "  The database cannot be reached, so nobody can say what this ends. The key can leave the set.",
        ]
    if found == Descent():
        return [*lines, "  Nothing lives by it. Withdrawing it ends nothing."]
    return [
        *lines,
        f"  Withdrawing it ends {found.as_text()}.",
        "  People sign in again, and enter a code again where their account asks for one. Clients get new tokens.",
    ]


def _end(needs: LazyServices, entry: KeyEntry) -> Descent | None:
    """What ended; None while the database is away."""
    try:
        with needs.database.transaction() as tx:
            ended = end_descent(tx, entry, devices_of(needs), queue_of(needs), needs.clock.now())
            needs.audit.record(tx, Event.KEYS_ENDED, kid=entry.kid, **asdict(ended))
    except DatabaseUnavailable:
        return None
    return ended


def _as_json(needs: LazyServices, ring: KeyRing, done: Withdrawal, ended: Descent | None) -> str:
    now, every = needs.clock.now(), needs.policies.tokens.keys.rotate_every
    rules = rotation_rules(needs.policies.tokens)
    left = done.withdrawn.publish_until or now
    noticed = left + ring.home.noticed_within
    return json.dumps(
        {
            "withdrawn": entry_as_json(done.withdrawn, now, every),
            "successor": entry_as_json(done.successor, now, every) if done.successor else None,
            "noticed_by": noticed.isoformat(),
            "refused_everywhere_by": (noticed + rules.jwks_max_age).isoformat(),
            "ended": asdict(ended) if ended else None,
            "warning": done.warning or None,
        }
    )


def _as_text(needs: LazyServices, ring: KeyRing, done: Withdrawal, ended: Descent | None) -> str:
    rules = rotation_rules(needs.policies.tokens)
    left = done.withdrawn.publish_until or needs.clock.now()
    noticed = left + ring.home.noticed_within
    signs = f"Key {done.successor.kid} signs in its place." if done.successor else "No other key had to take its place."
    lines = [
        f"Key {done.withdrawn.kid} ({done.withdrawn.algorithm}) is withdrawn.",
        f"  It left the key set at {local_and_utc(left)}.",
        f"  Every process of ours has noticed by {local_and_utc(noticed)}.",
        f"  Other services refuse its tokens by {local_and_utc(noticed + rules.jwks_max_age)},",
        "  or as soon as they fetch the key set; to be sure at once, restart them.",
        f"  {signs}",
    ]
    if ended is not None:
        lines.append(f"  Ended: {ended.as_text()}.")
    return "\n".join([*lines, "Keep this report. Back up the key ring."])
