"""Taking over now, withdrawing, rehearsing, rotating when due: the instants, as cases and as a property of any sequence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.keyring.schedule import (
    Algorithm,
    KeyEntry,
    KeyState,
    RotationRules,
    RotationUnsafe,
    active,
    due,
    plan_rotation,
    published,
    state,
    waiting,
)
from authsvc.keyring.urgent import is_noticed_everywhere, plan_candidate, plan_now, plan_withdrawal

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = RotationRules(jwks_max_age=5 * MINUTE, clock_skew=MINUTE, longest_token=10 * MINUTE, publish_ahead=14 * DAY)
FIRST = KeyEntry("a", "sign", Algorithm.ES256, "a.sealed", NOON, NOON)

Ring = tuple[KeyEntry, ...]


def rotated(ring: Ring, kid: str, now: datetime, *, when: datetime | None = None) -> Ring:
    """After a planned rotation."""
    plan = plan_rotation(ring, "ES256", now, RULES, when=when)
    return (*plan.kept, plan.successor(kid, f"{kid}.sealed"))


def taken_over(ring: Ring, kid: str, now: datetime) -> Ring:
    """After `rotate --now`."""
    plan = plan_now(ring, "ES256", now, RULES)
    return (*plan.kept, plan.successor(kid, f"{kid}.sealed")) if plan.makes_key else plan.kept


def withdrawn(ring: Ring, gone: str, kid: str, now: datetime) -> Ring:
    """After `withdraw`; `kid` is for a key that has to be made."""
    plan = plan_withdrawal(ring, gone, now)
    return (*plan.kept, plan.successor(kid, f"{kid}.sealed")) if plan.makes_key else plan.kept


def signing(ring: Ring, at: datetime) -> str | None:
    """The kid that signs."""
    found = active(ring, "ES256", at)
    return found.kid if found else None


def kids(ring: Ring, at: datetime) -> set[str]:
    """The kids that are published."""
    return {entry.kid for entry in published(ring, at)}


def test_now_means_as_soon_as_every_process_of_ours_has_it() -> None:
    """Before that a verifier that looks for the new key could ask a replica that does not know it."""
    ring = taken_over((FIRST,), "b", NOON + DAY)
    start = NOON + DAY + RULES.noticed_within
    assert (signing(ring, start - SECOND), signing(ring, start)) == ("a", "b")
    assert kids(ring, NOON + DAY) == {"a", "b"}
    assert ring[0].publish_until == start + RULES.noticed_within + RULES.longest_token + RULES.clock_skew
    assert not is_noticed_everywhere(ring[1], RULES)


def test_now_takes_the_key_that_waits() -> None:
    """It is published already; once it is for long enough nothing breaks."""
    ring = taken_over(rotated((FIRST,), "b", NOON), "c", NOON + DAY)
    assert [entry.kid for entry in ring] == ["a", "b"]
    assert signing(ring, NOON + DAY + RULES.noticed_within) == "b"
    assert is_noticed_everywhere(ring[1], RULES)
    hasty = taken_over(rotated((FIRST,), "b", NOON), "c", NOON + MINUTE)
    assert not is_noticed_everywhere(hasty[1], RULES)


def test_now_makes_the_first_key_where_nothing_signs() -> None:
    """An empty ring is no emergency."""
    assert signing(taken_over((), "a", NOON), NOON) == "a"


def test_a_key_that_signs_is_withdrawn_and_a_new_one_signs_in_the_same_second() -> None:
    """It leaves the set at once, and there is no instant without a key."""
    now = NOON + DAY
    ring = withdrawn((FIRST,), "a", "b", now)
    assert (signing(ring, now), kids(ring, now)) == ("b", {"b"})
    assert state(ring[0], now) is KeyState.GONE
    assert signing(ring, now - SECOND) == "a"


def test_the_key_that_waits_takes_over_a_withdrawn_one() -> None:
    """Verifiers have it, so nobody has to fetch anything."""
    ring = withdrawn(rotated((FIRST,), "b", NOON), "a", "c", NOON + DAY)
    assert [entry.kid for entry in ring] == ["a", "b"]
    assert (signing(ring, NOON + DAY), kids(ring, NOON + DAY)) == ("b", {"b"})


def test_a_withdrawn_key_that_waited_leaves_the_one_before_without_an_end() -> None:
    """Else nothing would sign from the day on which it was to take over."""
    ring = withdrawn(rotated((FIRST,), "b", NOON), "b", "c", NOON + DAY)
    assert ring[0] == FIRST
    assert (signing(ring, NOON + 900 * DAY), kids(ring, NOON + DAY)) == ("a", {"a"})
    assert rotated(ring, "c", NOON + 2 * DAY)[-1].kid == "c"


def test_a_retiring_key_and_a_candidate_leave_the_set_alone() -> None:
    """Nothing has to take their place."""
    retiring_at = NOON + RULES.publish_ahead + MINUTE
    ring = withdrawn(rotated((FIRST,), "b", NOON), "a", "c", retiring_at)
    assert (signing(ring, retiring_at), kids(ring, retiring_at), len(ring)) == ("b", {"b"}, 2)
    plan = plan_candidate((FIRST,), "ES256", NOON, lasts=HOUR)
    with_candidate = (*plan.kept, plan.successor("x", "x.sealed"))
    assert kids(withdrawn(with_candidate, "x", "c", NOON + MINUTE), NOON + MINUTE) == {"a"}


def test_a_second_withdrawal_changes_nothing() -> None:
    """Whoever is not sure runs it again."""
    once = withdrawn((FIRST,), "a", "b", NOON + DAY)
    assert withdrawn(once, "a", "c", NOON + 2 * DAY) == once
    with pytest.raises(KeyError):
        plan_withdrawal(once, "nobody", NOON)


def test_a_candidate_is_published_never_signs_and_leaves_by_itself() -> None:
    """A rehearsal that dies leaves nothing behind, and no rotation waits for it."""
    plan = plan_candidate((FIRST,), "ES256", NOON, lasts=HOUR)
    ring = (*plan.kept, plan.successor("x", "x.sealed"))
    for at in (NOON, NOON + HOUR - SECOND, NOON + HOUR, NOON + DAY):
        assert signing(ring, at) == "a"
        assert ("x" in kids(ring, at)) is (at < NOON + HOUR)
    assert waiting(ring, "ES256", NOON) is None
    assert rotated(ring, "b", NOON)[-1].kid == "b"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (76 * DAY - SECOND, None),
        (76 * DAY, NOON + 90 * DAY),
        (89 * DAY, NOON + 90 * DAY),
        (90 * DAY - MINUTE, NOON + 90 * DAY - MINUTE + RULES.lead + RULES.noticed_within),
        (120 * DAY, NOON + 120 * DAY + RULES.lead + RULES.noticed_within),
    ],
)
def test_the_policy_says_when_the_next_key_is_due(at: timedelta, expected: datetime | None) -> None:
    """Every 90 days, published 14 days ahead; whoever was late starts as soon as it is safe."""
    assert due((FIRST,), "ES256", NOON + at, RULES, every=90 * DAY) == expected


def test_nothing_is_due_while_a_rotation_is_under_way_or_nothing_signs() -> None:
    """One at a time, and no key out of nothing."""
    assert due(rotated((FIRST,), "b", NOON + 80 * DAY), "ES256", NOON + 85 * DAY, RULES, every=90 * DAY) is None
    assert due((), "ES256", NOON, RULES, every=90 * DAY) is None
    ended = replace(FIRST, use_until=NOON + DAY, publish_until=NOON + DAY)
    assert due((ended,), "ES256", NOON + 100 * DAY, RULES, every=90 * DAY) is None


acts = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "now", "withdraw", "candidate", "policy"]),
        st.integers(0, 30 * DAY // timedelta(milliseconds=1)).map(lambda ms: timedelta(milliseconds=ms)),
        st.integers(0, 10),
    ),
    max_size=14,
)


@given(acts=acts)
def test_whatever_is_done_to_a_ring_one_key_signs_at_any_later_instant(
    acts: list[tuple[str, timedelta, int]],
) -> None:
    """Exactly one without an end, which the database holds as well; withdrawn keys never come back; instants in order."""
    now, ring, gone = NOON, (FIRST,), set[str]()
    for number, (act, pause, chosen) in enumerate(acts):
        now, kid = now + pause, f"k{number}"
        if act == "withdraw":
            gone.add(ring[chosen % len(ring)].kid)
            ring = withdrawn(ring, ring[chosen % len(ring)].kid, kid, now)
        elif act == "now":
            ring = taken_over(ring, kid, now)
        elif act == "candidate":
            plan = plan_candidate(ring, "ES256", now, lasts=HOUR)
            ring = (*plan.kept, plan.successor(kid, f"{kid}.sealed"))
        else:
            when = due(ring, "ES256", now, RULES, every=90 * DAY) if act == "policy" else None
            if act == "rotate" or when is not None:
                try:
                    ring = rotated(ring, kid, now, when=when)
                except RotationUnsafe:
                    assert waiting(ring, "ES256", now) is not None
        instants = [
            at for key in ring for at in (key.publish_from, key.use_from, key.use_until, key.publish_until) if at
        ]
        for at in [now, *(at + shift for at in instants for shift in (-SECOND, timedelta(0), SECOND))]:
            if at >= now:
                assert sum(state(key, at) is KeyState.ACTIVE for key in ring) == 1
                assert not kids(ring, at) & gone
        assert sum(key.use_until is None for key in ring) == 1
        for key in ring:
            ends = [key.use_until, key.publish_until] if key.use_until and key.publish_until else []
            in_order = [key.publish_from, key.use_from, *ends]
            assert in_order == sorted(in_order)
