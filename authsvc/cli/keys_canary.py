"""Canary tokens: access tokens of a rehearsal, which open nothing, and asking a service whether it takes one."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import urllib3
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authsvc.clock import Clock, epoch_s
from authsvc.keyring.jwks import SignatureKey
from authsvc.keyring.ring import SigningKey
from authsvc.keyring.schedule import Algorithm
from authsvc.settings import LOOPBACK

CLIENT = "authsvc-rehearsal"
TIMEOUT_S = 5.0
#: Between two tries: a verifier that looks for unknown keys does so once in 30 s, one that does not never.
PAUSE_S = 2.0
LOOK_S = 0.25
#: What says that signature, issuer, audience and time were good, and something else was missing (RFC 6750 3.1, RFC 9470 3).
_BEYOND_THE_SIGNATURE = re.compile(r'error="?(insufficient_scope|insufficient_user_authentication)\b')


class Verdict(StrEnum):
    """What a verifier made of the candidate's canary."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    #: It took a canary with a broken signature as well.
    CHECKS_NOTHING = "checks nothing"
    NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Heard:
    """One verifier's verdict, after how many seconds, and its own words."""

    verifier: str
    verdict: Verdict
    after_s: float
    detail: str

    @property
    def is_good(self) -> bool:
        """Whether the candidate could take over as far as this verifier goes."""
        return self.verdict is Verdict.ACCEPTED


@dataclass(frozen=True)
class Canaries:
    """Mints the canaries of one rehearsal: no scope, no person, minutes of life."""

    issuer: str
    audience: str
    clock: Clock
    lifetime_s: int

    def mint(self, key: SigningKey) -> str:
        """A token as the token endpoint would sign it with `key`."""
        return self._sign(key.kid, key.algorithm, key.key)

    def forge(self, key: SigningKey) -> str:
        """The same, signed by somebody who does not have the key."""
        return self._sign(key.kid, key.algorithm, _another(key.algorithm))

    def _sign(self, kid: str, algorithm: Algorithm, key: SignatureKey) -> str:
        now = epoch_s(self.clock.now())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": CLIENT,
            "client_id": CLIENT,
            "scope": "",
            "jti": f"canary.{secrets.token_urlsafe(16)}",
            "iat": now,
            "exp": now + self.lifetime_s,
        }
        header = {"typ": "at+jwt", "alg": algorithm.value, "kid": kid}
        return jwt.encode(header, claims, key, algorithms=[algorithm.value])


Ask = Callable[[str], tuple[bool | None, str]]


def over_http(url: str) -> Ask:
    """Asks the service at `url`: GET with the token as bearer. True: taken; False: refused; None: it cannot be said.

    Taken: 2xx, or a challenge that asks for a scope or another sign-in, which comes after the signature. Refused: any other
    401 or 403. Redirects are not followed. Raises: ValueError for an address without TLS that is not on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{url} must be https (http: on this machine only)")

    def ask(token: str) -> tuple[bool | None, str]:
        try:
            with urllib3.PoolManager() as pool:
                answer = pool.request(
                    "GET",
                    url,
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=TIMEOUT_S,
                    redirect=False,
                    retries=False,
                )
        except urllib3.exceptions.HTTPError as exc:
            return None, type(exc).__name__
        challenge = answer.headers.get("WWW-Authenticate", "")
        said = f"HTTP {answer.status}" + (f", {challenge[:200]}" if challenge else "")
        if 200 <= answer.status < 300 or (answer.status in (401, 403) and _BEYOND_THE_SIGNATURE.search(challenge)):
            return True, said
        return (False if answer.status in (401, 403) else None), said

    return ask


def wait_until_published(issuer: str, kid: str, *, patience_s: float) -> None:
    """Until the key set at the issuer's own address has `kid`, or `patience_s` are over.

    A verifier that looks too early does not look again for 30 s.
    """
    give_up = time.monotonic() + patience_s
    with urllib3.PoolManager() as pool:
        while time.monotonic() < give_up:
            try:
                answer = pool.request("GET", f"{issuer}/oauth/jwks", timeout=TIMEOUT_S, redirect=False, retries=False)
            except urllib3.exceptions.HTTPError:
                return
            if kid.encode() in answer.data:
                return
            time.sleep(LOOK_S)


def listen(verifier: str, ask: Ask, *, canary: str, forged: str, patience_s: float) -> Heard:
    """Ask until the canary is taken or `patience_s` are over; then whether the forged one is refused."""
    start = time.monotonic()
    taken, said = ask(canary)
    while not taken and time.monotonic() - start < patience_s:
        time.sleep(PAUSE_S)
        taken, said = ask(canary)
    after_s = round(time.monotonic() - start, 1)
    if not taken:
        return Heard(verifier, Verdict.NO_ANSWER if taken is None else Verdict.REFUSED, after_s, said)
    if ask(forged)[0] is not False:
        return Heard(verifier, Verdict.CHECKS_NOTHING, after_s, "a canary with a forged signature was not refused")
    return Heard(verifier, Verdict.ACCEPTED, after_s, said)


def documents(
    issuer: str, public_jwks: Callable[[], dict[str, object]]
) -> Callable[[str], tuple[bytes, dict[str, str]]]:
    """What the kit would fetch from `issuer`, straight from the ring: address in, body and headers out."""
    jwks_uri = f"{issuer}/oauth/jwks"

    def fetch(url: str) -> tuple[bytes, dict[str, str]]:
        found = public_jwks() if url == jwks_uri else {"issuer": issuer, "jwks_uri": jwks_uri}
        return json.dumps(found).encode(), {}

    return fetch


def _another(algorithm: Algorithm) -> SignatureKey:
    key: SignatureKey
    if algorithm is Algorithm.ES256:
        key = ECKey.generate_key("P-256")
    elif algorithm is Algorithm.RS256:
        key = RSAKey.generate_key(2048)
    else:
        key = OKPKey.generate_key("Ed25519")
    return key
