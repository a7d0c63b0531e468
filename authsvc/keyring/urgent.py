"""Changes that do not wait: taking over now, withdrawing, rehearsing. Pure, as schedule.py is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from authsvc.keyring.schedule import (
    Algorithm,
    KeyEntry,
    KeyState,
    Plan,
    RotationRules,
    active,
    ceil_second,
    entry_of,
    floor_second,
    handed_over,
    never_signs,
    plan_first_key,
    state,
    waiting,
)


def plan_now(entries: Sequence[KeyEntry], algorithm: str, now: datetime, rules: RotationRules) -> Plan:
    """The next key of `algorithm` signs as soon as every process of ours has it, whether or not every verifier has.

    A key that waits already takes over. `is_noticed_everywhere` says whether a verifier can be surprised by it.
    """
    signing = active(entries, algorithm, now)
    if signing is None:
        return plan_first_key(entries, algorithm, now)
    start = ceil_second(now + rules.noticed_within)
    heir = waiting(entries, algorithm, now)
    if heir is not None:
        start = min(start, heir.use_from)
        heir = replace(heir, publish_from=min(heir.publish_from, start), use_from=start)
    # A process that has not looked yet goes on with the old key a little longer than the plan says.
    published = start + rules.noticed_within + rules.longest_token + rules.clock_skew
    kept = handed_over(entries, algorithm, now, at=start, publish_until=published)
    if heir is not None:
        kept = tuple(heir if entry.kid == heir.kid else entry for entry in kept)
    predecessor = entry_of(kept, signing.kid)
    return Plan(Algorithm(algorithm), floor_second(now), start, kept, predecessor, makes_key=heir is None, heir=heir)


def is_noticed_everywhere(entry: KeyEntry, rules: RotationRules) -> bool:
    """Whether `entry` is published so long before its use that every verifier's key set has it by then."""
    return entry.use_from - entry.publish_from >= rules.lead


def plan_withdrawal(entries: Sequence[KeyEntry], kid: str, now: datetime) -> Plan:
    """`kid` leaves the set at this very second, and something signs in its place. Nothing changes for one that is gone.

    It signed: the key that waits signs at once, or else a new one. It waited: the key before it goes on without an end.
    Raises: KeyError.
    """
    ended, entry = floor_second(now), entry_of(entries, kid)
    algorithm, was = entry.algorithm, state(entry, now)
    untouched = Plan(algorithm, ended, ended, tuple(entries), entry, makes_key=False)
    if was is KeyState.GONE:
        return untouched
    withdrawn = replace(
        entry,
        publish_from=min(entry.publish_from, ended),
        use_from=min(entry.use_from, ended),
        use_until=min(entry.use_until or ended, ended),
        publish_until=ended,
    )
    kept = tuple(withdrawn if other.kid == kid else other for other in entries)
    plan = replace(untouched, kept=kept, predecessor=withdrawn)
    if was is KeyState.ACTIVE:
        return _with_heir(plan, now)
    if was is not KeyState.RETIRING and not never_signs(entry):
        return replace(plan, kept=tuple(_reopened(other, entry, now) for other in kept))
    return plan


def plan_candidate(entries: Sequence[KeyEntry], algorithm: str, now: datetime, *, lasts: timedelta) -> Plan:
    """A key that is published now, never signs for anybody, and leaves the set by itself after `lasts`."""
    start = floor_second(now)
    return Plan(Algorithm(algorithm), start, start + lasts, tuple(entries), None, until=start + lasts)


def _with_heir(plan: Plan, now: datetime) -> Plan:
    if active(plan.kept, plan.algorithm, now):
        return plan
    heir = waiting(plan.kept, plan.algorithm, now)
    if heir is None:
        return replace(plan, makes_key=True)
    heir = replace(heir, publish_from=min(heir.publish_from, plan.use_from), use_from=plan.use_from)
    kept = tuple(heir if entry.kid == heir.kid else entry for entry in plan.kept)
    return replace(plan, kept=kept, heir=heir)


def _reopened(entry: KeyEntry, withdrawn: KeyEntry, now: datetime) -> KeyEntry:
    """The key that was to hand over to `withdrawn` signs on: else nothing would sign from that instant."""
    hands_over = (
        entry.algorithm == withdrawn.algorithm
        and state(entry, now) is KeyState.ACTIVE
        and entry.use_until == withdrawn.use_from
    )
    return replace(entry, use_until=None, publish_until=None) if hands_over else entry
