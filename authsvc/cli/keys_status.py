"""`authsvc keys status`: the ring, and what lives by it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from authsvc.cli.context import LazyServices
from authsvc.cli.keys_descent import Descent, descent
from authsvc.keyring.cli import as_json_option, one_sentence, open_ring
from authsvc.keyring.schedule import KeyState, state
from authsvc.keyring.words import entry_as_json, entry_as_text, span


@click.command()
@as_json_option
@click.pass_obj
def status(needs: LazyServices, as_json: bool) -> None:
    """Every key that counts, and what lives by it: sessions, token families, clients. Exit 1 when something is wrong."""
    now = needs.clock.now()
    with one_sentence():
        ring = open_ring(needs)
        entries = [entry for entry in ring.entries() if state(entry, now) is not KeyState.GONE]
        with needs.database.transaction(read_only=True) as tx:
            found = [(entry, descent(tx, entry, now)) for entry in entries]
        problem = ring.problem if entries else "The key ring is empty. `authsvc keys rotate` makes the first keys."
    every = needs.policies.tokens.keys.rotate_every
    if as_json:
        keys = [entry_as_json(entry, now, every) | {"live": asdict(live)} for entry, live in found]
        place, seconds = ring.home.place, int(ring.home.noticed_within.total_seconds())
        click.echo(json.dumps({"home": place, "noticed_within_s": seconds, "keys": keys, "problem": problem}))
    else:
        noticed = span(ring.home.noticed_within)
        click.echo(f"The key ring lies in {ring.home.place}. Running processes notice a change within {noticed}.\n")
        click.echo("\n\n".join(f"{entry_as_text(entry, now, every)}\n{_lives(live)}" for entry, live in found))
    if problem:
        if not as_json:
            click.echo(f"Error: {problem}", err=True)
        sys.exit(1)


def _lives(live: Descent) -> str:
    return f"  live since then  {live.as_text()}" if live != Descent() else "  live since then  nothing"
