"""When a key is published and when it signs: a pure function of ring and clock, so replicas agree without a lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from authsvc.errors import AuthsvcError, Kind

#: A running process sees a changed folder this late at most, so a new key counts as published only after it.
NOTICED_WITHIN = timedelta(seconds=5)


class Algorithm(StrEnum):
    """What a key signs with, by its registered name (RFC 7518 3.1, RFC 8037 3.1)."""

    ES256 = "ES256"
    RS256 = "RS256"
    EDDSA = "EdDSA"


class KeyState(StrEnum):
    """Where a key is in its life."""

    WAITING = "waiting"
    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"


class RotationRule(StrEnum):
    """The rules that a rotation must keep."""

    ONE_AT_A_TIME = "one-rotation-at-a-time"
    PUBLISHED_BEFORE_USE = "published-before-use"
    RING_AS_SEEN = "ring-unchanged-since-it-was-looked-at"


class KeyringError(AuthsvcError):
    """The key ring cannot do this."""

    kind = Kind.UNAVAILABLE


class RotationUnsafe(KeyringError):
    """This rotation would make valid tokens fail."""

    kind = Kind.REFUSED

    def __init__(self, rule: RotationRule, message: str) -> None:
        """`rule` is for programs, `message` one sentence for the operator."""
        super().__init__(message, detail=rule)
        self.rule = rule


@dataclass(frozen=True)
class KeyEntry:
    """One key of the ring. Instants are aware UTC; a window includes its start and excludes its end; None: no end."""

    kid: str
    use: str
    algorithm: Algorithm
    private: str
    publish_from: datetime
    use_from: datetime
    use_until: datetime | None = None
    publish_until: datetime | None = None


@dataclass(frozen=True)
class RotationRules:
    """The spans of time a rotation must respect; from policies/tokens.yaml.

    `jwks_max_age`: how long a verifier may keep the key set it has. `clock_skew`: how far clocks may differ.
    `longest_token`: the longest life of anything we sign. `publish_ahead`: how long before its use a key is published.
    `noticed_within`: how late a running process sees a changed ring; the ring's home knows it.
    """

    jwks_max_age: timedelta
    clock_skew: timedelta
    longest_token: timedelta
    publish_ahead: timedelta
    noticed_within: timedelta = NOTICED_WITHIN

    @property
    def lead(self) -> timedelta:
        """How old the key set of a verifier may be."""
        return self.jwks_max_age + self.clock_skew


@dataclass(frozen=True)
class Plan:
    """The instants of a change. `kept` is every older entry, the ones that stop signing with their ends set.

    `until`: the new key never signs and leaves the set then. `makes_key`: whether there is a new key at all.
    `heir`: the waiting key of the ring that takes over in its place.
    """

    algorithm: Algorithm
    publish_from: datetime
    use_from: datetime
    kept: tuple[KeyEntry, ...]
    predecessor: KeyEntry | None
    until: datetime | None = None
    makes_key: bool = True
    heir: KeyEntry | None = None

    def successor(self, kid: str, private: str) -> KeyEntry:
        """The entry of the new key, whose private part is, or is named by, `private`."""
        return KeyEntry(kid, "sign", self.algorithm, private, self.publish_from, self.use_from, self.until, self.until)


def state(entry: KeyEntry, now: datetime) -> KeyState:
    """Where `entry` is in its life at `now`."""
    if entry.publish_until is not None and now >= entry.publish_until:
        return KeyState.GONE
    if entry.use_until is not None and now >= entry.use_until:
        return KeyState.RETIRING
    if now >= entry.use_from:
        return KeyState.ACTIVE
    return KeyState.PUBLISHED if now >= entry.publish_from else KeyState.WAITING


def never_signs(entry: KeyEntry) -> bool:
    """Whether it is published for verifiers to find and nothing else: a rehearsal's key, or one withdrawn before its use."""
    return entry.use_until is not None and entry.use_until <= entry.use_from


def active(entries: Sequence[KeyEntry], algorithm: str, now: datetime) -> KeyEntry | None:
    """The one key that signs with `algorithm` at `now`: of several in their window the one that came last. Or None."""
    signing = [entry for entry in entries if entry.algorithm == algorithm and state(entry, now) is KeyState.ACTIVE]
    return max(signing, key=lambda entry: (entry.use_from, entry.kid), default=None)


def waiting(entries: Sequence[KeyEntry], algorithm: str, now: datetime) -> KeyEntry | None:
    """The key that will sign with `algorithm` after the one that signs now, or None."""
    to_come = (e for e in entries if e.algorithm == algorithm and e.use_from > now and not never_signs(e))
    return min(to_come, key=lambda entry: (entry.use_from, entry.kid), default=None)


def due(
    entries: Sequence[KeyEntry], algorithm: str, now: datetime, rules: RotationRules, *, every: timedelta
) -> datetime | None:
    """When the next key of `algorithm` must sign, once it is time to publish it; None: nothing to do now.

    A key signs for `every`. A rotation that is late starts as soon as it is safe.
    """
    signing = active(entries, algorithm, now)
    if signing is None or signing.use_until is not None:
        return None
    at = signing.use_from + every
    return max(at, earliest_use(now, rules)) if now >= at - rules.publish_ahead else None


def published(entries: Sequence[KeyEntry], now: datetime) -> list[KeyEntry]:
    """Every key a verifier must be able to find at `now`, in the order of the ring."""
    return [entry for entry in entries if state(entry, now) not in (KeyState.WAITING, KeyState.GONE)]


def next_change(entries: Sequence[KeyEntry], now: datetime) -> datetime | None:
    """The first instant after `now` at which a key changes its state, or None."""
    instants = [
        at for e in entries for at in (e.publish_from, e.use_from, e.use_until, e.publish_until) if at is not None
    ]
    return min((at for at in instants if at > now), default=None)


def plan_first_key(entries: Sequence[KeyEntry], algorithm: str, now: datetime) -> Plan:
    """A key that is published and signs at once; only where nothing signs with `algorithm` yet."""
    start = floor_second(now)
    return Plan(Algorithm(algorithm), start, start, tuple(entries), None)


def plan_rotation(
    entries: Sequence[KeyEntry], algorithm: str, now: datetime, rules: RotationRules, *, when: datetime | None = None
) -> Plan:
    """The instants at which a new key of `algorithm` can take over without one valid token being refused.

    It is published at `now` and signs from `when` (default: `publish_ahead` later); the key it follows stays published
    for the longest token and the clock skew after that. Where nothing signs with `algorithm` it signs at once, whatever
    `when` says: waiting would only leave more requests without a token. Raises: RotationUnsafe.
    """
    if under_way := waiting(entries, algorithm, now):
        raise RotationUnsafe(
            RotationRule.ONE_AT_A_TIME,
            f"A rotation of {algorithm} is already under way: key {under_way.kid} starts signing at "
            f"{utc_text(under_way.use_from)}; rotate again after that.",
        )
    signing = active(entries, algorithm, now)
    if signing is None:
        return plan_first_key(entries, algorithm, now)

    use_from = _safe_start(now, rules, when)
    kept = handed_over(
        entries, algorithm, now, at=use_from, publish_until=use_from + rules.longest_token + rules.clock_skew
    )
    return Plan(Algorithm(algorithm), floor_second(now), use_from, kept, entry_of(kept, signing.kid))


def handed_over(
    entries: Sequence[KeyEntry], algorithm: str, now: datetime, *, at: datetime, publish_until: datetime
) -> tuple[KeyEntry, ...]:
    """`entries` where every key that signs with `algorithm` does so until `at` and stays published until `publish_until`."""
    return tuple(
        replace(entry, use_until=at, publish_until=max(publish_until, entry.publish_until or publish_until))
        if entry.algorithm == algorithm and state(entry, now) is KeyState.ACTIVE
        else entry
        for entry in entries
    )


def entry_of(entries: Sequence[KeyEntry], kid: str) -> KeyEntry:
    """The entry of `kid`. Raises: KeyError."""
    for entry in entries:
        if entry.kid == kid:
            return entry
    raise KeyError(kid)


def earliest_use(now: datetime, rules: RotationRules) -> datetime:
    """The first instant at which a key that is published at `now` may sign: every process and every verifier has it."""
    return ceil_second(now + rules.lead + rules.noticed_within)


def _safe_start(now: datetime, rules: RotationRules, when: datetime | None) -> datetime:
    lead, earliest = rules.lead, earliest_use(now, rules)
    if when is None:
        if rules.publish_ahead < lead:
            raise RotationUnsafe(
                RotationRule.PUBLISHED_BEFORE_USE,
                f"tokens.yaml publishes a key {rules.publish_ahead} before its use, but verifiers may keep the old set "
                f"for {lead} (jwks_max_age and clock_skew); raise keys.publish_ahead.",
            )
        return max(ceil_second(now + rules.publish_ahead), earliest)
    if when < earliest:
        raise RotationUnsafe(
            RotationRule.PUBLISHED_BEFORE_USE,
            f"A key made now may sign from {utc_text(earliest)} at the earliest: verifiers may keep the old set for "
            f"{lead} (jwks_max_age and clock_skew).",
        )
    return when.astimezone(UTC)


def floor_second(instant: datetime) -> datetime:
    """`instant` in UTC without its fraction; for publication, which may be early."""
    return instant.astimezone(UTC).replace(microsecond=0)


def ceil_second(instant: datetime) -> datetime:
    """Rounded up, for use: rounding down would cut the wait short."""
    return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + timedelta(seconds=1)


def utc_text(instant: datetime) -> str:
    """`instant` as ring.yaml and the commands write it: 2026-11-22T12:00:00Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
