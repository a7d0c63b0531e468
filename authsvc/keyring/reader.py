"""The key ring of a running process: key objects imported once, kept in memory, re-read when the ring changed."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authsvc import logs
from authsvc.clock import Clock
from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.keyring import jwks, schedule
from authsvc.keyring.errors import KeyUnreadable, KmsUnavailable, RingUnreadable
from authsvc.keyring.homes import Home
from authsvc.keyring.kms import Kms, KmsSigner, signer_of
from authsvc.keyring.makers import open_key
from authsvc.keyring.schedule import Algorithm, KeyEntry, KeyringError, KeyState

log = logs.logger(__name__)


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


class RingReader:
    """Says which key signs now and which keys are published. Safe to share between threads.

    Asking imports no key and touches neither file nor database, except that every few seconds (by the clock; the home
    says how many) one caller looks whether the ring was changed. What cannot be read then stays as it was: signing goes
    on from memory, and `problem` says why.
    """

    def __init__(self, home: Home, *, sealer: Sealer, clock: Clock, kms: Kms) -> None:
        """`KeyRing.open` is the way in; it says what is raised."""
        self._home, self._sealer, self._clock, self._kms = home, sealer, clock, kms
        self._refreshing = threading.Lock()
        self._entries: tuple[KeyEntry, ...] = ()
        self._opened: dict[str, _Opened] = {}
        self._fingerprint: object = None
        self._problem: str | None = None
        self._prove_from: datetime | None = None
        now = clock.now()
        self._take(now)
        self._view = self._look(now)

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
    def home(self) -> Home:
        """Where the ring lies."""
        return self._home

    @property
    def problem(self) -> str | None:
        """One sentence while the ring cannot be read or AWS KMS does not sign; for readiness, outside any transaction.

        A key in KMS whose last signature failed, or that never signed, is tried here, so that readiness comes back.
        """
        self._now()
        if self._problem is None and (self._prove_from is None or self._clock.now() >= self._prove_from):
            self._prove_from = self._clock.now() + self._home.noticed_within
            self._try_kms()
        return self._problem or self._kms_problem()

    def prove(self) -> None:
        """For a process that starts: every key that signs, or will, really does. Only KMS is asked. Raises: KeyUnreadable."""
        self._try_kms()
        if problem := self._kms_problem():
            raise KeyUnreadable(problem)

    def _try_kms(self) -> None:
        for signer in self._kms_signers():
            if signer.failure is not None:
                try:
                    signer.prove()
                except KmsUnavailable as exc:
                    log.error("keyring.kms_unavailable", arn=signer.arn, problem=str(exc), reason=exc.detail)

    def _kms_problem(self) -> str | None:
        return next((signer.failure for signer in self._kms_signers() if signer.failure), None)

    def _kms_signers(self) -> list[KmsSigner]:
        now, opened = self._clock.now(), self._opened
        to_sign = [
            entry
            for entry in self._entries
            if schedule.state(entry, now) in (KeyState.WAITING, KeyState.PUBLISHED, KeyState.ACTIVE)
        ]
        signers = (signer_of(opened[entry.kid].key) for entry in to_sign if entry.kid in opened)
        return [signer for signer in signers if signer is not None]

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
        try:
            was_set_back = now < self._view.since
            if self._problem is not None or was_set_back or self._home.fingerprint() != self._fingerprint:
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
        fingerprint = self._home.fingerprint()  # first, so that what changes meanwhile is noticed next time
        entries = self._home.load()
        if self._entries and not entries:
            raise RingUnreadable(f"The key ring in {self._home.place} has lost its keys; restore it from the backup.")
        opened = {entry.kid: self._open(entry) for entry in entries if schedule.state(entry, now) is not KeyState.GONE}
        self._entries, self._opened, self._fingerprint = entries, opened, fingerprint
        if self._problem is not None:
            log.info("keyring.readable")
            self._problem = None

    def _open(self, entry: KeyEntry) -> _Opened:
        sealed = self._home.sealed(entry)
        known = self._opened.get(entry.kid)
        if known is not None and known.sealed == sealed:
            return known
        try:
            key = open_key(self._sealer.open(sealed, where=where(entry.kid)), entry, self._kms)
        except (SealBroken, JoseError, ValueError, LookupError) as exc:
            raise KeyUnreadable(
                f"Key {entry.kid} cannot be opened: AUTHSVC_SECRET is not the one it was sealed with, "
                f"or {entry.private} is damaged."
            ) from exc
        if known is not None and jwks.public_jwk(key) == known.public:
            key = known.key  # sealed anew, the same key: what signs with it goes on
        return _Opened(sealed, key, jwks.public_jwk(key))

    def _look(self, now: datetime, before: _View | None = None) -> _View:
        change = schedule.next_change(self._entries, now)
        soonest = now + self._home.noticed_within
        until = soonest if change is None else min(change, soonest)
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


def where(kid: str) -> str:
    """What a sealed private part is bound to; the same in every home, so that it can be moved as it is."""
    return f"keyring/{kid}"
