"""The public keys of clients: registered inline, or fetched from their `jwks_uri` and kept for some minutes."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from joserfc.jwk import KeySet

from authsvc import logs
from authsvc.clock import Clock
from authsvc.errors import AuthsvcError, Kind
from authsvc.oauth.client_jwks import UnusableKeys, read_key_set
from authsvc.oauth.clients import Client
from authsvc.oauth.guarded_fetch import FetchFailed, GuardedFetch

log = logs.logger(__name__)
FRESH = timedelta(minutes=5)
#: How often an unknown kid may make us look again: often enough for a rotation, too seldom to flood the client's host.
LOOK_AGAIN = timedelta(minutes=1)
#: After a failure; until then every answer is from memory, so that a host that hangs does not hold our threads.
AFTER_FAILURE = timedelta(seconds=10)
#: For how long the last good keys do while their host is away.
STALE = timedelta(hours=24)
MOST_CLIENTS = 1000
TYPES = ("application/json", "application/jwk-set+json")


class NoUsableKeys(AuthsvcError):
    """The client has no public key that can be used now."""

    kind = Kind.REFUSED


@dataclass
class _Known:
    """What is known of one `jwks_uri`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: KeySet | None = None
    fetched_at: datetime | None = None
    next_try: datetime | None = None
    problem: str = ""


class ClientKeys:
    """Finds the keys with which a client's assertions and request objects are verified."""

    def __init__(self, fetch: GuardedFetch, clock: Clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], _Known] = {}

    def keys(self, client: Client, kid: str | None = None) -> KeySet:
        """The client's public keys. Raises: NoUsableKeys.

        `kid`: the key that is looked for; where it is unknown, `jwks_uri` is asked again, at most once a minute. May fetch,
        so call it before a transaction is open; a second call moments later answers from memory.
        """
        if client.metadata.jwks is not None:
            try:
                return read_key_set(client.metadata.jwks, strict=False)
            except UnusableKeys as exc:
                raise NoUsableKeys(detail=f"its jwks {exc}") from exc
        if client.metadata.jwks_uri is None:
            raise NoUsableKeys(detail="it registered neither jwks nor jwks_uri")
        known = self._entry(client.client_id, client.metadata.jwks_uri)
        # Whoever comes while another fetches waits for that one, unless there are keys to go on with.
        must_wait = known.keys is None or not _has(known.keys, kid)
        if self._wants_fetch(known, kid) and known.lock.acquire(blocking=must_wait):
            try:
                if self._wants_fetch(known, kid):
                    self._refresh(client.metadata.jwks_uri, known)
            finally:
                known.lock.release()
        keys, fetched_at = known.keys, known.fetched_at
        if keys is None or fetched_at is None or self._clock.now() - fetched_at > STALE:
            raise NoUsableKeys(detail=known.problem)
        return keys

    def _entry(self, client_id: str, uri: str) -> _Known:
        with self._lock:
            if len(self._known) > MOST_CLIENTS:
                self._known.clear()
            return self._known.setdefault((client_id, uri), _Known())

    def _wants_fetch(self, known: _Known, kid: str | None) -> bool:
        now = self._clock.now()
        if known.next_try is not None and now < known.next_try:
            return False
        old = known.fetched_at is None or now - known.fetched_at >= FRESH
        return old or known.keys is None or not _has(known.keys, kid)

    def _refresh(self, uri: str, known: _Known) -> None:
        now = self._clock.now()
        try:
            fetched = self._fetch.get(uri, accept=", ".join(TYPES))
            if fetched.content_type not in TYPES:
                raise UnusableKeys("is not sent as application/json")
            keys = read_key_set(json.loads(fetched.body), strict=False)
        except FetchFailed as exc:
            known.problem, known.next_try = f"its jwks_uri: {exc.reason}", now + AFTER_FAILURE
        except (UnusableKeys, ValueError, RecursionError) as exc:
            problem = str(exc) if isinstance(exc, UnusableKeys) else "is no JSON"
            known.problem, known.next_try = f"its jwks_uri {problem}", now + AFTER_FAILURE
        else:
            known.keys, known.fetched_at, known.problem = keys, now, ""
            known.next_try = now + LOOK_AGAIN
            return
        log.warning("client_keys.not_fetched", reason=known.problem)


def _has(keys: KeySet, kid: str | None) -> bool:
    return kid is None or any(key.kid == kid for key in keys.keys)
