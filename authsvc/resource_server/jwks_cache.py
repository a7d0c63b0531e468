"""The issuer's public keys in memory: found by discovery, refreshed ahead of time, kept while the issuer is away.

A request that finds its key in a fresh set does no I/O and takes no lock. One fetch is in flight at a time, and one
begins every COOL_DOWN_S at most, whatever key ids arrive (security.md TK-04). Nothing in a token names an address or a
key to use.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil
from threading import Event, Lock, Thread
from typing import Any

from joserfc.jwk import JWKRegistry
from joserfc.jws import JWSRegistry

from authsvc.resource_server.errors import KeysUnavailable
from authsvc.resource_server.fetching import TIMEOUT_S, Fetch, discover, http_get, json_object, origin_of

log = logging.getLogger(__name__)

#: Runs a function later, or beside the caller.
Background = Callable[[Callable[[], None]], None]

COOL_DOWN_S = 30.0
#: A set is trusted for as long as its Cache-Control says, within these bounds; without one, for the default.
MAX_AGE_S = (60.0, 600.0)
DEFAULT_MAX_AGE_S = 300.0
#: The part of that time after which the next set is fetched in the background.
REFRESH_AHEAD = 0.8
#: Last good keys end here. No token lives that long, so nobody who could sign in is refused by it; but a withdrawn key
#: is not believed for ever by a service that somebody cut off from the issuer.
STALE_IF_ERROR_S = 86_400.0

#: JWS name -> joserfc's name for the same. "EdDSA" is Ed25519 here: the older name leaves the curve open (RFC 9864).
ALGORITHMS: Mapping[str, str] = {"ES256": "ES256", "RS256": "RS256", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
#: The only members read from a published key: neither a private part nor an `x5u` can matter, and `oct` does not exist.
_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e"), "OKP": ("kty", "crv", "x")}
_SMALLEST_RSA_N = 342  # base64url characters of 2048 bits
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})', re.IGNORECASE)
_NO_STORE = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class VerifyingKey:
    """A public key with its one algorithm. The same object from set to set for as long as the issuer publishes it."""

    kid: str
    alg: str
    jwk: Mapping[str, Any]
    _verify: Callable[[bytes, bytes], bool]

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether `signature` was made over `signing_input` with the private half of this key."""
        try:
            return self._verify(signing_input, signature)
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class _KeySet:
    keys: Mapping[str, VerifyingKey]
    refresh_at: float
    stale_at: float
    ends_at: float


def _in_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="jwks-refresh", daemon=True).start()


class WouldWait(Exception):
    """The answer needs a fetch, and the caller said that it cannot wait for one. Stays inside the kit."""


class JwksCache:
    """The keys of one issuer. Safe for threads; may be made before a fork. See the module for its promises."""

    def __init__(
        self,
        issuer: str,
        algorithms: Collection[str],
        *,
        fetch: Fetch = http_get,
        monotonic: Callable[[], float] = time.monotonic,
        background: Background = _in_thread,
    ) -> None:
        """`monotonic`: seconds that never jump. `background`: runs a refresh ahead of time.

        Raises: ValueError when `issuer` is not an https URL (http: on this machine only), or an algorithm is not one of
        ALGORITHMS.
        """
        origin_of(issuer)
        self._issuer = issuer
        if not algorithms or not set(algorithms) <= ALGORITHMS.keys():
            raise ValueError(f"algorithms: some of {', '.join(ALGORITHMS)}")
        self._algorithms = frozenset(algorithms)
        self._fetch = fetch
        self._monotonic = monotonic
        self._background = background
        self._key_set: _KeySet | None = None
        self._jwks_uri: str | None = None
        self._lock = Lock()
        self._flight: Event | None = None
        self._next_fetch_at = monotonic()
        self._failing = False

    def key(self, kid: str, *, may_wait: bool = True) -> VerifyingKey | None:
        """The key that the issuer publishes as `kid`, or None if it publishes none.

        Raises: KeysUnavailable when there are no keys at all, or `kid` is unknown while the issuer cannot be asked;
        WouldWait instead of fetching or of waiting for a fetch, unless the caller `may_wait`.
        """
        key_set = self._key_set
        now = self._monotonic()
        if key_set is not None and now < key_set.refresh_at:
            key = key_set.keys.get(kid)
            if key is not None:
                return key
        return self._key_after_refresh(kid, now=now, may_wait=may_wait)

    def prefetch(self) -> None:
        """Fetch the keys now unless fresh ones are there. Raises: KeysUnavailable when none could be had."""
        key_set = self._key_set
        if key_set is None or self._monotonic() >= key_set.refresh_at:
            self._refresh(wait=True)
        self._usable_set()

    def _key_after_refresh(self, kid: str, *, now: float, may_wait: bool) -> VerifyingKey | None:
        key_set = self._key_set
        gone = key_set is None or now >= key_set.ends_at
        unknown = key_set is None or kid not in key_set.keys
        # Old keys of an issuer that did not answer last time: no request waits for the next try.
        old = key_set is None or (now >= key_set.stale_at and not self._failing)
        self._refresh(wait=gone or unknown or old, may_wait=may_wait)
        key = self._usable_set().keys.get(kid)
        if key is None and self._failing:
            raise self._unavailable("key id unknown, and the issuer cannot be asked")
        return key

    def _usable_set(self) -> _KeySet:
        key_set = self._key_set
        if key_set is None:
            raise self._unavailable("no keys were ever fetched")
        if self._monotonic() >= key_set.ends_at:
            raise self._unavailable("the last good keys are too old")
        return key_set

    def _unavailable(self, reason: str) -> KeysUnavailable:
        return KeysUnavailable(reason, retry_after_s=max(1, ceil(self._next_fetch_at - self._monotonic())))

    def _refresh(self, *, wait: bool, may_wait: bool = True) -> None:
        """Take part in the fetch in flight, begin one, or do nothing in the cool-down. Raises: WouldWait."""
        with self._lock:
            flight = self._flight
            begins = flight is None
            now = self._monotonic()
            if begins and now < self._next_fetch_at:
                return
            if wait and not may_wait:
                raise WouldWait
            if flight is None:
                self._next_fetch_at = now + COOL_DOWN_S
                flight = self._flight = Event()
        if not begins:
            if wait:
                flight.wait(2 * TIMEOUT_S)
        elif wait:
            self._fly(flight)
        else:
            try:
                self._background(lambda: self._fly(flight))
            except RuntimeError:
                # No thread to be had: the present keys are good, so this request has no reason to fail.
                self._land(flight, failing=True)

    def _fly(self, flight: Event) -> None:
        failing = True
        try:
            keys, max_age_s = self._load()
            now = self._monotonic()
            self._key_set = _KeySet(
                keys,
                refresh_at=now + REFRESH_AHEAD * max_age_s,
                stale_at=now + max_age_s,
                ends_at=now + STALE_IF_ERROR_S,
            )
            failing = False
        except Exception as error:  # whatever a fetch raises, the last good keys stay
            log.warning("The keys of %s could not be refreshed: %r", self._issuer, error)
        finally:
            self._land(flight, failing=failing)

    def _land(self, flight: Event, *, failing: bool) -> None:
        with self._lock:
            self._failing = failing
            self._flight = None
        flight.set()

    def _load(self) -> tuple[dict[str, VerifyingKey], float]:
        jwks_uri, self._jwks_uri = self._jwks_uri, None
        if jwks_uri is None:
            jwks_uri = discover(self._issuer, "jwks_uri", fetch=self._fetch)
        body, headers = self._fetch(jwks_uri)
        keys = self._read_keys(json_object(body))
        # Remembered after it served only: whatever moved is looked for again at the next try.
        self._jwks_uri = jwks_uri
        return keys, _max_age_s(headers)

    def _read_keys(self, document: Mapping[str, Any]) -> dict[str, VerifyingKey]:
        entries = document.get("keys")
        if not isinstance(entries, list):
            raise ValueError("no JWK Set")
        known = self._key_set.keys if self._key_set is not None else {}
        keys: dict[str, VerifyingKey] = {}
        for entry in entries:
            try:
                key = self._read_key(entry, known)
            except Exception as error:  # a key that cannot be read is a key less, not the end of the others
                log.warning("A key of %s could not be read: %r", self._issuer, error)
                continue
            if key is not None:
                keys.setdefault(key.kid, key)
        if not keys:
            # An issuer that signs has a key: an empty set is a fault there, and must not end every session here.
            raise ValueError("no key in the set can be used")
        return keys

    def _read_key(self, entry: Mapping[str, Any], known: Mapping[str, VerifyingKey]) -> VerifyingKey | None:
        """The key, or None for one that is not meant for us (RFC 7517 5: ignore what is not understood)."""
        kty, kid, alg = entry.get("kty"), entry.get("kid"), entry.get("alg")
        if kty not in _MEMBERS or alg not in self._algorithms or not isinstance(kid, str) or not kid:
            return None
        if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
            return None
        jwk = {name: entry[name] for name in _MEMBERS[kty]}
        if kid in known and known[kid].alg == alg and known[kid].jwk == jwk:
            return known[kid]
        if kty == "RSA" and len(jwk["n"]) < _SMALLEST_RSA_N:
            raise ValueError("RSA key below 2048 bits")
        key = JWKRegistry.import_key(jwk)
        model = JWSRegistry(algorithms=[ALGORITHMS[alg]]).get_alg(ALGORITHMS[alg])
        model.check_key(key)
        return VerifyingKey(kid, alg, jwk, lambda signing_input, signature: model.verify(signing_input, signature, key))


def _max_age_s(headers: Mapping[str, str]) -> float:
    """How long the answer may be kept (RFC 9111 5.2.2), within MAX_AGE_S."""
    control = ", ".join(value for name, value in headers.items() if name.lower() == "cache-control")
    if _NO_STORE.search(control):
        return MAX_AGE_S[0]
    match = _MAX_AGE.search(control)
    return min(max(float(match[1]), MAX_AGE_S[0]), MAX_AGE_S[1]) if match else DEFAULT_MAX_AGE_S
