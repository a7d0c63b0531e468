"""Changing the key ring: one writer at a time, all or nothing, and never an instant without a key that signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy.orm import Session

from authsvc import logs
from authsvc.clock import Clock
from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.db import Database
from authsvc.keyring import schedule, urgent
from authsvc.keyring.errors import KeyUnreadable, KmsUnavailable, NoSuchKey
from authsvc.keyring.homes import open_home
from authsvc.keyring.kms import Kms, signer_of
from authsvc.keyring.makers import KmsMaker, LocalMaker, Made, Maker
from authsvc.keyring.reader import RingHasNoSigningKey, RingIsEmpty, RingReader, SigningKey, where
from authsvc.keyring.schedule import Algorithm, KeyEntry, Plan, RotationRule, RotationRules, RotationUnsafe

__all__ = [
    "FIRST_ALGORITHMS",
    "RSA_BITS",
    "KeyRing",
    "Note",
    "RingHasNoSigningKey",
    "RingIsEmpty",
    "Rotation",
    "SigningKey",
    "Withdrawal",
]

log = logs.logger(__name__)

#: What a new ring gets: our default, and the one every OpenID client understands (claims.md, last part).
FIRST_ALGORITHMS = (Algorithm.ES256, Algorithm.RS256)
RSA_BITS = 3072

Planner = Callable[[Sequence[KeyEntry], datetime], Plan]


@dataclass(frozen=True)
class Rotation:
    """What a rotation arranged. `predecessor` signs until `successor.use_from`; None beside a first key."""

    successor: KeyEntry
    predecessor: KeyEntry | None


#: Writes the act to the audit trail, in the transaction of the change where the ring lies in the database.
Note = Callable[[Session, Sequence[Rotation]], None]


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did: the key as it stands now, and the one that signs in its place; None where none was needed.

    `warning`: what an operator must still do by hand, or "".
    """

    withdrawn: KeyEntry
    successor: KeyEntry | None
    warning: str = ""


@dataclass(frozen=True)
class _Seen:
    """The keys of some algorithms as the caller knew them when it decided."""

    algorithms: tuple[Algorithm, ...]
    entries: list[KeyEntry]


@dataclass(frozen=True)
class _Done:
    """A plan that was carried out, and the key that takes over by it, if any."""

    plan: Plan
    successor: KeyEntry | None


class KeyRing(RingReader):
    """The ring, with what may be done to it. Replicas agree: of several that change it at once, one does."""

    _maker: Maker = LocalMaker()

    @classmethod
    def open(
        cls, url: str, *, sealer: Sealer, clock: Clock, database: Database | None = None, aws_endpoint_url: str = ""
    ) -> Self:
        """The ring at `url` with every key opened that is not gone; an empty ring where there is none yet.

        `url`: `dir:PATH`, `sql:` or `kms:REGION`; the last two want the database. Nothing is asked of KMS: `prove` does.
        Raises: RingUnreadable, RingDamaged, KeyUnreadable: a process that starts must stop at them. ConfigurationError.
        """
        scheme, _, region = url.partition(":")
        kms = Kms(region if scheme == "kms" else "", endpoint_url=aws_endpoint_url)
        ring = cls(open_home(url, database), sealer=sealer, clock=clock, kms=kms)
        if scheme == "kms":
            ring._maker = KmsMaker(kms)
        return ring

    def create_first_keys(self, *, rsa_bits: int = RSA_BITS) -> tuple[Rotation, ...]:
        """The keys of a first start in development: ES256 and RS256, signing at once. A ring with keys is left alone.

        Raises: RingNotWritable, RingBusy, RingUnreadable, KeyUnreadable, KmsUnavailable.
        """
        self._reread()
        if self._entries:
            return ()
        try:
            made = self._change(
                [_first(algorithm) for algorithm in FIRST_ALGORITHMS],
                rsa_bits=rsa_bits,
                seen=_Seen(tuple(Algorithm), []),
            )
        except RotationUnsafe:
            return ()  # another process was first
        log.warning("keyring.first_keys_made", place=self._home.place)
        return _rotations(made)

    def rotate(
        self,
        *algorithms: str,
        rules: RotationRules,
        when: datetime | None = None,
        rsa_bits: int = RSA_BITS,
        note: Note | None = None,
    ) -> tuple[Rotation, ...]:
        """Arrange a new key for each algorithm, for all or for none; `schedule.plan_rotation` says when it signs.

        Raises: RotationUnsafe, also when somebody else changed these keys since this ring looked last: of two operators
        who decide at the same moment one rotates. RingNotWritable, RingBusy, RingUnreadable, KeyUnreadable, KmsUnavailable.
        """
        rules, wanted = self.known(rules), tuple(dict.fromkeys(map(Algorithm, algorithms)))
        planners = [_rotation(algorithm, rules, when) for algorithm in wanted]
        return self._rotate(planners, wanted, rsa_bits=rsa_bits, note=note)

    def rotate_now(
        self, *algorithms: str, rules: RotationRules, rsa_bits: int = RSA_BITS, note: Note | None = None
    ) -> tuple[Rotation, ...]:
        """The next key of each algorithm signs as soon as every process of ours has it: `urgent.plan_now`.

        Verifiers that do not look for a key they do not know may refuse its tokens for `jwks_max_age`. Raises: as `rotate`.
        """
        rules, wanted = self.known(rules), tuple(dict.fromkeys(map(Algorithm, algorithms)))
        planners = [_takeover(algorithm, rules) for algorithm in wanted]
        return self._rotate(planners, wanted, rsa_bits=rsa_bits, note=note)

    def rotate_due(
        self, *, rules: RotationRules, every: timedelta, rsa_bits: int = RSA_BITS, note: Note | None = None
    ) -> tuple[Rotation, ...]:
        """Publish the successor of every key that is to be followed within `publish_ahead`. () when none is, or when
        another process has just done it. An empty ring stays empty. Raises: as `rotate`.
        """
        rules, now, entries = self.known(rules), self._clock.now(), self.entries()
        wanted = tuple(
            algorithm for algorithm in Algorithm if schedule.due(entries, algorithm, now, rules, every=every)
        )
        planners = [_successor(algorithm, rules, every) for algorithm in wanted]
        try:
            return self._rotate(planners, wanted, rsa_bits=rsa_bits, note=note) if wanted else ()
        except RotationUnsafe as exc:
            if exc.rule is RotationRule.PUBLISHED_BEFORE_USE:
                raise
            return ()

    def withdraw(
        self, kid: str, *, rsa_bits: int = RSA_BITS, note: Callable[[Session, Withdrawal], None] | None = None
    ) -> Withdrawal:
        """Take `kid` out of the set at once, whatever its state; `urgent.plan_withdrawal` says what signs then.

        Tokens it signed fail wherever the set is read anew. Done again, it changes nothing. In KMS the key is disabled.
        Raises: NoSuchKey, RingNotWritable, RingBusy, RingUnreadable, KeyUnreadable, KmsUnavailable.
        """
        opened = self._opened.get(kid)

        def tell(tx: Session, done: Sequence[_Done]) -> None:
            if note is not None:
                note(tx, _withdrawal(done[0], kid))

        try:
            [done] = self._change([lambda e, now: urgent.plan_withdrawal(e, kid, now)], rsa_bits=rsa_bits, tell=tell)
        except KeyError:
            raise NoSuchKey from None
        withdrawal = _withdrawal(done, kid)
        if opened is not None and (signer := signer_of(opened.key)) is not None:
            try:
                self._kms.disable(signer.arn)
            except KmsUnavailable as exc:
                return replace(withdrawal, warning=f"Disable {signer.arn} in AWS by hand: {exc}")
        return withdrawal

    def publish_candidate(self, algorithm: str, *, lasts: timedelta, rsa_bits: int = RSA_BITS) -> SigningKey:
        """A key for a rehearsal: in the set at once, signing for nobody but the caller, gone by itself after `lasts`.

        Raises: as `rotate`, but for RotationUnsafe.
        """
        wanted = Algorithm(algorithm)
        planner: Planner = lambda entries, now: urgent.plan_candidate(entries, wanted, now, lasts=lasts)  # noqa: E731
        [rotation] = _rotations(self._change([planner], rsa_bits=rsa_bits))
        kid = rotation.successor.kid
        return SigningKey(kid, wanted, self._opened[kid].key)

    def end_candidate(self, candidate: SigningKey) -> None:
        """Take a rehearsal's key out of the set; in KMS it is destroyed. Raises: as `withdraw`."""
        self.withdraw(candidate.kid)
        if (signer := signer_of(candidate.key)) is not None:
            with suppress(KmsUnavailable):
                self._kms.destroy(signer.arn)

    def reseal(self, first: Sealer) -> tuple[int, int]:
        """Seal everything under `first`: how many were sealed anew, how many were already.

        A key that is gone and whose private part was destroyed or does not open is left as it is.
        Raises: KeyUnreadable, RingNotWritable, RingBusy, RingUnreadable.
        """
        anew: dict[str, str] = {}
        already = 0
        with self._home.locked() as writer:
            self._reread()
            for entry in self._entries:
                try:
                    sealed = self._home.sealed(entry)
                    with suppress(SealBroken):
                        first.open(sealed, where=where(entry.kid))
                        already += 1
                        continue
                    plain = self._sealer.open(sealed, where=where(entry.kid))
                except (KeyUnreadable, SealBroken):
                    if entry.kid in self._opened:
                        raise
                    continue
                anew[entry.kid] = first.seal(plain, where=where(entry.kid))
            writer.save(self._entries, anew)
        self._reread()
        return len(anew), already

    def known(self, rules: RotationRules) -> RotationRules:
        """`rules` with what this ring's home says about noticing a change."""
        return replace(rules, noticed_within=self._home.noticed_within)

    def _rotate(
        self, planners: Sequence[Planner], algorithms: tuple[Algorithm, ...], *, rsa_bits: int, note: Note | None
    ) -> tuple[Rotation, ...]:
        def tell(tx: Session, done: Sequence[_Done]) -> None:
            if note is not None:
                note(tx, _rotations(done))

        seen = _Seen(algorithms, [entry for entry in self.entries() if entry.algorithm in algorithms])
        return _rotations(self._change(planners, rsa_bits=rsa_bits, seen=seen, tell=tell))

    def _change(
        self,
        planners: Sequence[Planner],
        *,
        rsa_bits: int,
        seen: _Seen | None = None,
        tell: Callable[[Session, Sequence[_Done]], None] | None = None,
    ) -> list[_Done]:
        """Carry out every plan or none. `seen`: refuse when the ring is another by now.

        Keys are made before the lock is taken: a second of RSA, or a call to KMS, belongs into no transaction. So plans are
        made twice, and what a faster process made superfluous is thrown away.
        """
        self._reread()
        self._check(seen)
        drafts = [plan(self._entries, self._clock.now()) for plan in planners]  # a refusal comes before the slow part
        made: list[tuple[Algorithm, Made]] = []
        used: list[Made] = []
        is_saving = False
        try:
            for draft in drafts:
                if draft.makes_key:
                    made.append((draft.algorithm, self._maker.make(draft.algorithm, rsa_bits=rsa_bits)))
            with self._home.locked() as writer:
                self._reread()
                self._check(seen)
                entries, now, done = self._entries, self._clock.now(), []
                for planner in planners:
                    plan = planner(entries, now)
                    entries, successor = plan.kept, plan.heir
                    if plan.makes_key:
                        key = next((key for alg, key in made if alg == plan.algorithm and key not in used), None)
                        if key is None:
                            raise _changed_meanwhile()
                        used.append(key)
                        successor = plan.successor(key.kid, key.private)
                        entries = (*entries, successor)
                    done.append(_Done(plan, successor))
                is_saving = True
                writer.save(entries, {key.kid: self._sealer.seal(key.kept, where=where(key.kid)) for key in used})
                if tell is not None and writer.tx is not None:
                    tell(writer.tx, done)
        finally:
            # Once saving began, nobody can say that a key is not in the ring: better one too many in KMS than one too few.
            for _, key in made:
                if key not in used or not is_saving:
                    self._maker.discard(key)
        self._reread()
        return done

    def _check(self, seen: _Seen | None) -> None:
        if seen and seen.entries != [entry for entry in self._entries if entry.algorithm in seen.algorithms]:
            raise _changed_meanwhile()


def _first(algorithm: Algorithm) -> Planner:
    return lambda entries, now: schedule.plan_first_key(entries, algorithm, now)


def _rotation(algorithm: Algorithm, rules: RotationRules, when: datetime | None) -> Planner:
    return lambda entries, now: schedule.plan_rotation(entries, algorithm, now, rules, when=when)


def _takeover(algorithm: Algorithm, rules: RotationRules) -> Planner:
    return lambda entries, now: urgent.plan_now(entries, algorithm, now, rules)


def _successor(algorithm: Algorithm, rules: RotationRules, every: timedelta) -> Planner:
    """By the clock at each look: what was the earliest safe second may be too early once the key is made."""
    return lambda entries, now: schedule.plan_rotation(
        entries, algorithm, now, rules, when=schedule.due(entries, algorithm, now, rules, every=every)
    )


def _rotations(done: Sequence[_Done]) -> tuple[Rotation, ...]:
    return tuple(Rotation(each.successor, each.plan.predecessor) for each in done if each.successor is not None)


def _withdrawal(done: _Done, kid: str) -> Withdrawal:
    return Withdrawal(schedule.entry_of(done.plan.kept, kid), done.successor)


def _changed_meanwhile() -> RotationUnsafe:
    return RotationUnsafe(
        RotationRule.RING_AS_SEEN,
        "Somebody else rotated these keys just now; look at `authsvc keys list` before you go on.",
    )
