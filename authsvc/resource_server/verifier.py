"""Verifies access tokens of one issuer for one API (RFC 9068 4), from memory once the keys are there."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Protocol

from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from joserfc.util import urlsafe_b64decode

from authsvc.resource_server.claims import Claims, Requirement, check_addressee, check_times, read_claims
from authsvc.resource_server.errors import InvalidToken
from authsvc.resource_server.fetching import Fetch, http_get
from authsvc.resource_server.jwks_cache import ALGORITHMS, JwksCache, VerifyingKey, WouldWait

#: Characters. Looked at before anything else, so a larger token costs nothing (security.md TK-21).
LARGEST_TOKEN = 16 * 1024
TYPES = frozenset({"at+jwt", "application/at+jwt"})
#: Headers that bring a key, name one elsewhere, change what is signed, or must be understood (TK-03, TK-05).
REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
ANYTHING = Requirement()
#: Headers remembered, of tokens whose signature was good. An issuer has as many as keys.
MOST_HEADERS = 32


class Verifier(Protocol):
    """What the adapters need: TokenVerifier, IntrospectionVerifier, or a stand-in of yours. Safe for threads."""

    def __call__(self, token: str, requirement: Requirement = ...) -> Claims:
        """What `token` says, if it is good now and meets `requirement`. Raises: TokenError."""

    def at_once(self, token: str, requirement: Requirement = ...) -> Claims | None:
        """The same without any input or output; None when that cannot be done. Raises: TokenError."""


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Claims
    key: VerifyingKey


class TokenVerifier:
    """Call it with a token and what the request requires. Safe for threads; make one and keep it.

    A token seen before costs one digest: its signature is remembered, its times and the Requirement are looked at each
    time, and it is forgotten with the key that signed it.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        algorithms: Collection[str] = tuple(ALGORITHMS),
        leeway_s: int = 60,
        fetch: Fetch | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        cache_size: int = 4096,
    ) -> None:
        """`issuer`, `audience`: exactly as in the tokens. `leeway_s`: clock skew to allow, in seconds.

        `fetch`: address in, body and headers of a 200 answer out; for tests, and for services behind a proxy. It must
        follow no redirect and give up by itself. `now`: seconds since 1970. `monotonic`: seconds that never jump.
        `cache_size`: tokens remembered, about 3 KB each; 0 for none.
        Nothing is fetched here: call `prefetch`, or let the first token do it.
        Raises: ValueError for an issuer that is no https URL (http: on this machine only), an empty audience, or an
        algorithm that is not one of ALGORITHMS.
        """
        if not audience:
            raise ValueError("an audience is needed: the identifier of this API at the issuer")
        self._issuer = issuer
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._leeway_s = leeway_s
        self._now = now
        self._keys = JwksCache(issuer, algorithms, fetch=fetch or http_get, monotonic=monotonic)
        self._seen: OrderedDict[bytes, _Verified] = OrderedDict()
        self._seen_lock = Lock()
        self._headers: dict[bytes, VerifyingKey] = {}
        self._cache_size = cache_size

    def __call__(self, token: str, requirement: Requirement = ANYTHING) -> Claims:
        """What `token` says, if it is good now and meets `requirement`.

        Raises: InvalidToken, InsufficientScope, InsufficientPrivilege, InsufficientAuthentication, KeysUnavailable; all
        of them TokenError.
        """
        return self._judge(token, requirement, may_wait=True)

    def at_once(self, token: str, requirement: Requirement = ANYTHING) -> Claims | None:
        """The same from memory, for event loops; None when keys must be fetched first: then call from a thread."""
        try:
            return self._judge(token, requirement, may_wait=False)
        except WouldWait:
            return None

    def prefetch(self) -> None:
        """Fetch the keys now, so that the first request need not. Raises: KeysUnavailable when none could be had."""
        self._keys.prefetch()

    def _judge(self, token: str, requirement: Requirement, *, may_wait: bool) -> Claims:
        if not is_short_text(token):
            raise InvalidToken("no string, too long, or not ASCII")
        octets = token.encode("ascii")
        digest = sha256(octets).digest()
        verified = self._seen_before(digest, may_wait=may_wait)
        is_new = verified is None
        if verified is None:
            verified = self._verify(octets, may_wait=may_wait)
        now = self._now()
        check_times(verified.claims, now=now, leeway_s=self._leeway_s)
        if is_new:
            self._remember(digest, verified)
        requirement.check(verified.claims, now=now, leeway_s=self._leeway_s)
        return verified.claims

    def _seen_before(self, digest: bytes, *, may_wait: bool) -> _Verified | None:
        with self._seen_lock:
            verified = self._seen.get(digest)
            if verified is None:
                return None
            self._seen.move_to_end(digest)
        # Outside the lock: this may fetch.
        if self._keys.key(verified.key.kid, may_wait=may_wait) is verified.key:
            return verified
        self._forget(digest)
        return None

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        with self._seen_lock:
            self._seen[digest] = verified
            while len(self._seen) > self._cache_size:
                self._seen.popitem(last=False)

    def _forget(self, digest: bytes) -> None:
        with self._seen_lock:
            self._seen.pop(digest, None)

    def _verify(self, token: bytes, *, may_wait: bool) -> _Verified:
        """Signature first, then whose token it is and for whom. Times are not looked at."""
        signing_input, _, signature_segment = token.rpartition(b".")
        header_segment, _, payload_segment = signing_input.partition(b".")
        # Every token of one key has the same header, octet for octet: what was read and judged once need not be again.
        key = self._headers.get(header_segment)
        is_new = key is None or self._keys.key(key.kid, may_wait=may_wait) is not key
        if key is None or is_new or b"." in payload_segment:
            try:
                header = extract_compact(token).protected
            except (JoseError, ValueError, TypeError, RecursionError) as error:
                raise InvalidToken("no compact JWS") from error
            key = self._key_for(header, may_wait=may_wait)
        try:
            signature = urlsafe_b64decode(signature_segment)
        except ValueError as error:
            raise InvalidToken("signature is not base64url") from error
        if not key.verifies(signing_input, signature):
            raise InvalidToken("signature does not verify")
        try:
            payload = urlsafe_b64decode(payload_segment)
            claims = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise InvalidToken("payload is no JSON") from error
        if not isinstance(claims, dict):
            raise InvalidToken("payload is no JSON object")
        check_addressee(claims, issuer=self._issuer, audience=self._audience)
        verified = _Verified(read_claims(claims, payload=payload), key)
        if is_new:
            self._know_header(header_segment, key)
        return verified

    def _know_header(self, header_segment: bytes, key: VerifyingKey) -> None:
        with self._seen_lock:
            if len(self._headers) >= MOST_HEADERS:
                self._headers.clear()
            self._headers[header_segment] = key

    def _key_for(self, header: object, *, may_wait: bool) -> VerifyingKey:
        """The published key that the header names. Raises: InvalidToken, KeysUnavailable."""
        if not isinstance(header, dict):
            raise InvalidToken("header is no JSON object")
        if not REFUSED_HEADERS.isdisjoint(header):
            raise InvalidToken("header with a key, an address or a critical extension")
        typ, alg, kid = header.get("typ"), header.get("alg"), header.get("kid")
        if not isinstance(typ, str) or typ not in TYPES:
            raise InvalidToken("typ is not at+jwt")
        if not isinstance(alg, str) or alg not in self._algorithms:
            raise InvalidToken("alg is not allowed")
        if not isinstance(kid, str):
            raise InvalidToken("kid is missing or no string")
        key = self._keys.key(kid, may_wait=may_wait)
        if key is None:
            raise InvalidToken("kid is not in the key set")
        if key.alg != alg:
            raise InvalidToken("alg is not the key's")
        return key


def is_short_text(token: object) -> bool:
    """Whether it may be looked at: a caller may hand over whatever it parsed from a request, typed or not."""
    return isinstance(token, str) and len(token) <= LARGEST_TOKEN and token.isascii()
