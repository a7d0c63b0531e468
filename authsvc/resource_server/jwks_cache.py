"""The issuer's public keys in memory: found by discovery, refreshed ahead of time, kept while the issuer is away.

A request that finds its key in a fresh set does no I/O and takes no lock. One fetch is in flight at a time, and one
begins every COOL_DOWN_S at most, whatever key ids arrive (security.md TK-04). Nothing in a token names an address or a
key to use.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import urllib3
from joserfc.jwk import JWKRegistry
from joserfc.jws import JWSRegistry

from authsvc.resource_server.errors import KeysUnavailable

log = logging.getLogger(__name__)

#: Address in; body and headers out. Raises anything when the answer is not a 200.
Fetch = Callable[[str], tuple[bytes, Mapping[str, str]]]
#: Runs a function later, or beside the caller.
Background = Callable[[Callable[[], None]], None]

TIMEOUT_S = 5.0
COOL_DOWN_S = 30.0
#: A set is trusted for as long as its Cache-Control says, within these bounds; without one, for the default.
MAX_AGE_S = (60.0, 600.0)
DEFAULT_MAX_AGE_S = 300.0
#: The part of that time after which the next set is fetched in the background.
REFRESH_AHEAD = 0.8
#: Last good keys end here. No token lives that long, so nobody who could sign in is refused by it; but a withdrawn key
#: is not believed for ever by a service that somebody cut off from the issuer.
STALE_IF_ERROR_S = 86_400.0
LARGEST_BODY = 128 * 1024

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


def http_get(url: str) -> tuple[bytes, Mapping[str, str]]:
    """The body and headers of a 200 answer. Redirects and larger bodies are refused; 5 s, and no connection is kept.

    A pool for each call: one fetch in minutes gains nothing from a kept connection, and one opened before a fork would
    be shared by two processes. Raises: urllib3.exceptions.HTTPError, ValueError.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with (
        urllib3.PoolManager() as pool,
        closing(
            pool.request(
                "GET",
                url,
                headers={"Accept": "application/json, application/jwk-set+json"},
                timeout=urllib3.Timeout(total=TIMEOUT_S),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        ) as response,
    ):
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        body = bytearray()
        while chunk := response.read1(16_384):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise ValueError("body too large")
            if time.monotonic() > deadline:
                # The socket's own time-out starts anew with every byte that drips in.
                raise ValueError("body too slow")
        return bytes(body), response.headers


def _in_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="jwks-refresh", daemon=True).start()


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
        self._origin = _origin(issuer)
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

    def key(self, kid: str) -> VerifyingKey | None:
        """The key that the issuer publishes as `kid`, or None if it publishes none.

        Raises: KeysUnavailable when there are no keys at all, or `kid` is unknown while the issuer cannot be asked.
        """
        key_set = self._key_set
        now = self._monotonic()
        if key_set is not None and now < key_set.refresh_at:
            key = key_set.keys.get(kid)
            if key is not None:
                return key
        return self._key_after_refresh(kid, now=now)

    def prefetch(self) -> None:
        """Fetch the keys now unless fresh ones are there. Raises: KeysUnavailable when none could be had."""
        key_set = self._key_set
        if key_set is None or self._monotonic() >= key_set.refresh_at:
            self._refresh(wait=True)
        self._usable_set()

    def _key_after_refresh(self, kid: str, *, now: float) -> VerifyingKey | None:
        key_set = self._key_set
        gone = key_set is None or now >= key_set.ends_at
        unknown = key_set is None or kid not in key_set.keys
        # Old keys of an issuer that did not answer last time: no request waits for the next try.
        old = key_set is None or (now >= key_set.stale_at and not self._failing)
        self._refresh(wait=gone or unknown or old)
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

    def _refresh(self, *, wait: bool) -> None:
        """Take part in the fetch in flight, begin one, or do nothing in the cool-down."""
        with self._lock:
            flight = self._flight
            begins = flight is None
            if flight is None:
                now = self._monotonic()
                if now < self._next_fetch_at:
                    return
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
            jwks_uri = self._discover()
        body, headers = self._fetch(jwks_uri)
        keys = self._read_keys(_json_object(body))
        # Remembered after it served only: whatever moved is looked for again at the next try.
        self._jwks_uri = jwks_uri
        return keys, _max_age_s(headers)

    def _discover(self) -> str:
        """Where the issuer says its keys are (OpenID Connect Discovery 4).

        The document must name the very issuer that was asked for (4.3) and keys of the same origin: another server's
        document, or one that was tampered with, must not choose whose signatures are believed (security.md TK-18).
        """
        body, _ = self._fetch(self._issuer.removesuffix("/") + "/.well-known/openid-configuration")
        document = _json_object(body)
        if document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is another issuer's")
        jwks_uri = document.get("jwks_uri")
        if not isinstance(jwks_uri, str) or _origin(jwks_uri) != self._origin:
            raise ValueError("jwks_uri is not at the issuer's own origin")
        return jwks_uri

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


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port. Raises: ValueError unless it is https, or http on this machine, and free of trimmings."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError("an https URL is needed (http: on this machine only)")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the URL may have no query, fragment or user name")
    return parts.scheme, host, parts.port or {"https": 443, "http": 80}[parts.scheme]


def _json_object(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document


def _max_age_s(headers: Mapping[str, str]) -> float:
    """How long the answer may be kept (RFC 9111 5.2.2), within MAX_AGE_S."""
    control = ", ".join(value for name, value in headers.items() if name.lower() == "cache-control")
    if _NO_STORE.search(control):
        return MAX_AGE_S[0]
    match = _MAX_AGE.search(control)
    return min(max(float(match[1]), MAX_AGE_S[0]), MAX_AGE_S[1]) if match else DEFAULT_MAX_AGE_S
