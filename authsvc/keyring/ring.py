"""The key ring of a running process: key objects imported once, kept in memory, re-read when the ring changed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authsvc import logs
from authsvc.clock import Clock
from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.keyring import jwks, schedule
from authsvc.keyring.folder import SUFFIX, KeyUnreadable, RingFolder, RingUnreadable
from authsvc.keyring.schedule import (
    NOTICED_WITHIN,
    Algorithm,
    KeyEntry,
    KeyringError,
    KeyState,
    Plan,
    RotationRule,
    RotationRules,
    RotationUnsafe,
)

log = logs.logger(__name__)

#: What a new ring gets: our default, and the one every OpenID client understands (claims.md, last part).
FIRST_ALGORITHMS = (Algorithm.ES256, Algorithm.RS256)
RSA_BITS = 3072


class RingHasNoSigningKey(KeyringError):
    """No key in the ring may sign at this instant."""


class RingIsEmpty(RingHasNoSigningKey):
    """The key ring is empty; `authsvc keys rotate` makes the first keys."""


@dataclass(frozen=True)
class SigningKey:
    """The key to sign with now. `key` holds the private part and stays in this process."""

    kid: str
    algorithm: Algorithm
    key: jwks.SignatureKey = field(repr=False)


@dataclass(frozen=True)
class Rotation:
    """What a rotation arranged. `predecessor` signs until `successor.use_from`; None beside a first key."""

    successor: KeyEntry
    predecessor: KeyEntry | None


@dataclass(frozen=True)
class _Opened:
    """A key as it was read, so that the same sealed text is never opened twice."""

    sealed: str = field(repr=False)
    key: jwks.SignatureKey = field(repr=False)
    public: dict[str, Any]


@dataclass(frozen=True)
class _View:
    """What the ring says at any instant from `since` until `until`."""

    since: datetime
    until: datetime
    version: str
    signing: dict[str, SigningKey]
    signing_sets: dict[str, KeySet]
    public: list[dict[str, Any]]
    verification: KeySet


class KeyRing:
    """Says which key signs now and which keys are published. Safe to share between threads.

    Asking imports no key and touches no file, except that every 5 s (by the clock) one caller looks whether the ring
    was changed. What cannot be read then stays as it was: signing goes on from memory, and `problem` says why.
    """

    def __init__(self, folder: RingFolder, *, sealer: Sealer, clock: Clock) -> None:
        """`KeyRing.open` is the way in; it says what is raised."""
        self._folder, self._sealer, self._clock = folder, sealer, clock
        self._refreshing = threading.Lock()
        self._entries: tuple[KeyEntry, ...] = ()
        self._opened: dict[str, _Opened] = {}
        self._fingerprint: object = None
        self._problem: str | None = None
        now = clock.now()
        self._take(now)
        self._view = self._look(now)

    @classmethod
    def open(cls, url: str, *, sealer: Sealer, clock: Clock) -> Self:
        """The ring at `url` (`dir:PATH`) with every key opened that is not gone; an empty ring where there is none yet.

        Raises: RingUnreadable, RingDamaged, KeyUnreadable: a process that starts must stop at them. ConfigurationError.
        """
        return cls(RingFolder(url), sealer=sealer, clock=clock)

    def active(self, algorithm: str) -> SigningKey:
        """The key that signs with `algorithm` now. Raises: RingIsEmpty, RingHasNoSigningKey."""
        try:
            return self._now().signing[algorithm]
        except KeyError:
            raise self._nothing_signs(algorithm) from None

    def active_as_key_set(self, algorithm: str) -> KeySet:
        """That key alone in a set: joserfc picks at random from a larger one, and writes the `kid` only from a set.

        Raises: RingIsEmpty, RingHasNoSigningKey.
        """
        try:
            return self._now().signing_sets[algorithm]
        except KeyError:
            raise self._nothing_signs(algorithm) from None

    def verification_key_set(self) -> KeySet:
        """Every published key, public parts only, for checking what we signed."""
        return self._now().verification

    def public_jwks(self) -> dict[str, Any]:
        """The JWK Set to publish (RFC 7517 section 5): public members, `use`, `alg`, `kid`. A copy for the caller."""
        return {"keys": [dict(jwk) for jwk in self._now().public]}

    def algorithms(self) -> tuple[str, ...]:
        """The algorithms with a key that signs now, sorted; for discovery."""
        return tuple(sorted(self._now().signing))

    def entries(self) -> tuple[KeyEntry, ...]:
        """Every entry of the ring in the order of its making, those that are gone too."""
        self._now()
        return self._entries

    @property
    def version(self) -> str:
        """Changes with the document and with the state of any key, equal on every replica; for bytes kept ready."""
        return self._now().version

    @property
    def problem(self) -> str | None:
        """One sentence while the ring cannot be read and this process lives from memory; for readiness."""
        self._now()
        return self._problem

    def create_first_keys(self, *, rsa_bits: int = RSA_BITS) -> tuple[Rotation, ...]:
        """The keys of a first start in development: ES256 and RS256, signing at once. A ring with keys is left alone.

        Raises: RingNotWritable, RingBusy, RingUnreadable, KeyUnreadable.
        """
        with self._folder.locked():
            self._reread()
            return () if self._entries else self._make(FIRST_ALGORITHMS, schedule.plan_first_key, rsa_bits)

    def rotate(
        self, *algorithms: str, rules: RotationRules, when: datetime | None = None, rsa_bits: int = RSA_BITS
    ) -> tuple[Rotation, ...]:
        """Arrange a new key for each algorithm, for all or for none; `schedule.plan_rotation` says when it signs.

        Raises: RotationUnsafe, also when somebody else changed these keys since this ring looked last: of two operators
        who decide at the same moment one rotates. RingNotWritable, RingBusy, RingUnreadable, KeyUnreadable.
        """

        def plan(entries: Sequence[KeyEntry], algorithm: str, now: datetime) -> Plan:
            return schedule.plan_rotation(entries, algorithm, now, rules, when=when)

        wanted = tuple(dict.fromkeys(map(Algorithm, algorithms)))
        seen = [entry for entry in self.entries() if entry.algorithm in wanted]
        with self._folder.locked():
            self._reread()
            if seen != [entry for entry in self._entries if entry.algorithm in wanted]:
                raise RotationUnsafe(
                    RotationRule.RING_AS_SEEN,
                    "Somebody else rotated these keys just now; look at `authsvc keys list` before you go on.",
                )
            return self._make(wanted, plan, rsa_bits)

    def _make(
        self, algorithms: Iterable[Algorithm], plan: Callable[[Sequence[KeyEntry], str, datetime], Plan], rsa_bits: int
    ) -> tuple[Rotation, ...]:
        for algorithm in algorithms:
            plan(self._entries, algorithm, self._clock.now())  # a refusal comes before the slow part
        made = [(algorithm, *jwks.generate(algorithm, rsa_bits=rsa_bits)) for algorithm in algorithms]
        entries, now = self._entries, self._clock.now()
        sealed, rotations = {}, []
        for algorithm, kid, private_jwk in made:
            arranged = plan(entries, algorithm, now)
            successor = arranged.successor(kid, f"{algorithm}-{kid}{SUFFIX}")
            sealed[successor.private] = self._sealer.seal(private_jwk, where=f"keyring/{kid}")
            entries = (*arranged.kept, successor)
            rotations.append(Rotation(successor, arranged.predecessor))
        self._folder.save(entries, sealed)
        self._reread()
        return tuple(rotations)

    def _nothing_signs(self, algorithm: str) -> RingHasNoSigningKey:
        if not self._entries:
            return RingIsEmpty()
        return RingHasNoSigningKey(f"No {algorithm} key in the ring may sign at this instant.")

    def _now(self) -> _View:
        now, view = self._clock.now(), self._view
        # One caller looks; the others go on with what they have rather than wait for a slow disk.
        if not view.since <= now < view.until and self._refreshing.acquire(blocking=False):
            try:
                self._refresh(now)
            finally:
                self._refreshing.release()
        return self._view

    def _refresh(self, now: datetime) -> None:
        if self._problem is not None or now < self._view.since or self._folder.fingerprint() != self._fingerprint:
            try:
                self._take(now)
            except KeyringError as exc:
                if self._problem != str(exc):
                    log.error("keyring.unreadable", problem=str(exc))
                self._problem = str(exc)
        self._view = self._look(now, self._view)

    def _reread(self) -> None:
        with self._refreshing:
            now = self._clock.now()
            self._take(now)
            self._view = self._look(now, self._view)

    def _take(self, now: datetime) -> None:
        """Read the ring; either all of it is taken over or nothing."""
        fingerprint = self._folder.fingerprint()  # first, so that what changes meanwhile is noticed next time
        entries = self._folder.load()
        if self._entries and not entries:
            raise RingUnreadable(f"The key ring in {self._folder.path} has lost its keys; restore it from the backup.")
        opened = {entry.kid: self._open(entry) for entry in entries if schedule.state(entry, now) is not KeyState.GONE}
        self._entries, self._opened, self._fingerprint = entries, opened, fingerprint
        if self._problem is not None:
            log.info("keyring.readable")
            self._problem = None

    def _open(self, entry: KeyEntry) -> _Opened:
        sealed = self._folder.sealed(entry)
        known = self._opened.get(entry.kid)
        if known is not None and known.sealed == sealed:
            return known
        try:
            private_jwk = self._sealer.open(sealed, where=f"keyring/{entry.kid}")
            key = jwks.import_private(private_jwk, kid=entry.kid, algorithm=entry.algorithm)
        except (SealBroken, JoseError, ValueError) as exc:
            raise KeyUnreadable(
                f"Key {entry.kid} cannot be opened: AUTHSVC_SECRET is not the one it was sealed with, "
                f"or {entry.private} is damaged."
            ) from exc
        return _Opened(sealed, key, jwks.public_jwk(key))

    def _look(self, now: datetime, before: _View | None = None) -> _View:
        change = schedule.next_change(self._entries, now)
        until = now + NOTICED_WITHIN if change is None else min(change, now + NOTICED_WITHIN)
        states = "\n".join(f"{entry} {schedule.state(entry, now)}" for entry in self._entries)
        version = hashlib.sha256(states.encode()).hexdigest()[:16]
        if before is not None and before.version == version:
            return replace(before, since=now, until=until)
        # Only a clock that was set back while the ring is unreadable knows keys that are not open.
        entries = [entry for entry in self._entries if entry.kid in self._opened]
        signing: dict[str, SigningKey] = {}
        for algorithm in Algorithm:
            if entry := schedule.active(entries, algorithm, now):
                signing[algorithm] = SigningKey(entry.kid, algorithm, self._opened[entry.kid].key)
        public = [self._opened[entry.kid].public for entry in schedule.published(entries, now)]
        return _View(
            since=now,
            until=until,
            version=version,
            signing=signing,
            signing_sets={algorithm: KeySet([signer.key]) for algorithm, signer in signing.items()},
            public=public,
            verification=jwks.public_key_set(public),
        )
