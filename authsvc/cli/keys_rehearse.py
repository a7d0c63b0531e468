"""`authsvc keys rehearse`: would the services that trust us take tokens of a new key? Asked before it matters."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta

import click

from authsvc.audit import Event
from authsvc.cli.context import LazyServices
from authsvc.cli.keys_canary import Ask, Canaries, Heard, documents, listen, over_http, wait_until_published
from authsvc.keyring.cli import as_json_option, one_sentence, open_ring, record
from authsvc.keyring.ring import KeyRing, SigningKey
from authsvc.resource_server import KeysUnavailable, TokenError, TokenVerifier

#: The candidate leaves the set by itself after this, should the rehearsal die.
LASTS = timedelta(hours=1)
#: How long the kit at the issuer's own address may need beyond what our processes need to notice.
COOL_DOWN_S = 30.0
AUDIENCE = "urn:authsvc:rehearsal"
KIT = "authsvc.resource_server, with this ring"
KIT_OVER_HTTP = "authsvc.resource_server, over HTTP"


@click.command()
@click.option(
    "--verifier", "verifiers", multiple=True, metavar="URL", help="A service to ask: GET with a bearer token."
)
@click.option("--audience", default=AUDIENCE, metavar="AUD", help="The `aud` that these services expect.")
@click.option("--alg", type=click.Choice(["ES256", "RS256"]), default="ES256", show_default=True)
@click.option("--wait", "wait_s", type=click.IntRange(0, 3600), help="Seconds a verifier may take to find the key.")
@as_json_option
@click.pass_obj
def rehearse(
    needs: LazyServices, verifiers: tuple[str, ...], audience: str, alg: str, wait_s: int | None, as_json: bool
) -> None:
    """Publish a candidate key, see who takes a token of it, withdraw it. It signs for nobody else.

    The token opens nothing: no scope, no person. A verifier has taken it when it answers 2xx, or asks for a scope or
    another sign-in; it must refuse the same token with a forged signature. Exit 1 when one did not pass.
    """
    with one_sentence():
        ring = open_ring(needs)
        try:
            asked = [(url, over_http(url)) for url in verifiers]
        except ValueError as exc:
            raise click.UsageError(str(exc)) from exc
        noticed_s = ring.home.noticed_within.total_seconds()
        patience_s = float(wait_s) if wait_s is not None else noticed_s + COOL_DOWN_S + 5
        lifetime_s = int(patience_s) + 120
        canaries = Canaries(needs.settings.issuer, audience, needs.clock, lifetime_s)
        candidate = ring.publish_candidate(alg, lasts=LASTS)
        try:
            click.echo(f"Candidate {candidate.kid} is published. Asking; this may take {patience_s:.0f} s.", err=True)
            heard = [_kit(ring, canaries, candidate)]
            if asked:
                wait_until_published(needs.settings.issuer, candidate.kid, patience_s=noticed_s + 5)
                canary, forged = canaries.mint(candidate), canaries.forge(candidate)
                asked.insert(0, (KIT_OVER_HTTP, _kit_over_http(needs, audience)))
                with ThreadPoolExecutor(len(asked)) as pool:
                    waits = [
                        pool.submit(listen, name, ask, canary=canary, forged=forged, patience_s=patience_s)
                        for name, ask in asked
                    ]
                    heard += [wait.result() for wait in waits]
        finally:
            ring.end_candidate(candidate)
    good = sum(each.is_good for each in heard)
    record(needs, Event.KEYS_REHEARSED, algorithm=alg, kid=candidate.kid, verifiers=len(heard), accepted=good)
    click.echo(_as_json(candidate, heard) if as_json else _as_text(candidate, heard))
    sys.exit(0 if good == len(heard) else 1)


def _kit(ring: KeyRing, canaries: Canaries, candidate: SigningKey) -> Heard:
    verify = TokenVerifier(
        canaries.issuer,
        canaries.audience,
        fetch=documents(canaries.issuer, ring.public_jwks),
        now=lambda: canaries.clock.now().timestamp(),
    )
    canary, forged = canaries.mint(candidate), canaries.forge(candidate)
    return listen(KIT, _asking(verify), canary=canary, forged=forged, patience_s=0)


def _kit_over_http(needs: LazyServices, audience: str) -> Ask:
    return _asking(TokenVerifier(needs.settings.issuer, audience, now=lambda: needs.clock.now().timestamp()))


def _asking(verify: TokenVerifier) -> Ask:
    def ask(token: str) -> tuple[bool | None, str]:
        try:
            verify(token)
        except KeysUnavailable as exc:
            return None, exc.reason
        except TokenError as exc:
            return False, exc.reason
        return True, "signature good"

    return ask


def _as_json(candidate: SigningKey, heard: Sequence[Heard]) -> str:
    return json.dumps({"candidate": candidate.kid, "verifiers": [asdict(each) for each in heard]})


def _as_text(candidate: SigningKey, heard: Sequence[Heard]) -> str:
    width = max(len(each.verifier) for each in heard)
    lines = [f"{each.verifier:<{width}}  {each.verdict}  after {each.after_s:g} s  ({each.detail})" for each in heard]
    lines.append(f"Candidate {candidate.kid} is withdrawn.")
    if all(each.is_good for each in heard):
        lines.append("Every verifier takes a new key. A planned rotation will go unnoticed.")
    else:
        lines.append(
            "A verifier that refuses a key it has not seen needs the time of keys.publish_ahead to fetch it. One that gives\n"
            "no answer could not be reached, or the address is wrong. Do not shorten keys.publish_ahead before all pass."
        )
    return "\n".join(lines)
