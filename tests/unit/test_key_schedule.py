"""When keys are published and used: the rules of a rotation, as cases and as a property of any sequence of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.keyring.schedule import (
    NOTICED_WITHIN,
    Algorithm,
    KeyEntry,
    KeyState,
    RotationRule,
    RotationRules,
    RotationUnsafe,
    active,
    next_change,
    plan_rotation,
    published,
    state,
    utc_text,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = RotationRules(jwks_max_age=5 * MINUTE, clock_skew=MINUTE, longest_token=10 * MINUTE, publish_ahead=14 * DAY)
LEAD = RULES.jwks_max_age + RULES.clock_skew


def entry(
    kid: str,
    *,
    publish: timedelta = timedelta(0),
    use: timedelta = timedelta(0),
    use_end: timedelta | None = None,
    publish_end: timedelta | None = None,
    algorithm: Algorithm = Algorithm.ES256,
) -> KeyEntry:
    """A key whose instants are given as distances from noon."""
    ends = [None if end is None else NOON + end for end in (use_end, publish_end)]
    return KeyEntry(kid, "sign", algorithm, f"{kid}.sealed", NOON + publish, NOON + use, *ends)


def rotated(
    ring: tuple[KeyEntry, ...],
    kid: str,
    now: datetime,
    *,
    algorithm: Algorithm = Algorithm.ES256,
    rules: RotationRules = RULES,
    when: datetime | None = None,
) -> tuple[KeyEntry, ...]:
    """The ring after a rotation at `now`."""
    plan = plan_rotation(ring, algorithm, now, rules, when=when)
    return (*plan.kept, plan.successor(kid, f"{kid}.sealed"))


WHOLE_LIFE = entry("a", publish=HOUR, use=2 * HOUR, use_end=3 * HOUR, publish_end=4 * HOUR)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (timedelta(0), KeyState.WAITING),
        (HOUR - SECOND, KeyState.WAITING),
        (HOUR, KeyState.PUBLISHED),
        (2 * HOUR - SECOND, KeyState.PUBLISHED),
        (2 * HOUR, KeyState.ACTIVE),
        (3 * HOUR - SECOND, KeyState.ACTIVE),
        (3 * HOUR, KeyState.RETIRING),
        (4 * HOUR - SECOND, KeyState.RETIRING),
        (4 * HOUR, KeyState.GONE),
        (900 * DAY, KeyState.GONE),
    ],
)
def test_the_state_of_a_key_follows_from_its_instants(at: timedelta, expected: KeyState) -> None:
    """Each window includes its first instant and excludes its last, so that no instant belongs to two states."""
    assert state(WHOLE_LIFE, NOON + at) is expected


def test_a_key_without_ends_stays_active() -> None:
    """None means that no end is set yet."""
    assert state(entry("a"), NOON + 9000 * DAY) is KeyState.ACTIVE


@pytest.mark.parametrize(
    ("at", "kids"),
    [(timedelta(0), []), (HOUR, ["a"]), (2 * HOUR, ["a"]), (3 * HOUR, ["a"]), (4 * HOUR, [])],
)
def test_a_key_is_published_before_during_and_after_its_use(at: timedelta, kids: list[str]) -> None:
    """Published, active and retiring keys stand in the JWKS; waiting and gone ones do not."""
    assert [found.kid for found in published([WHOLE_LIFE], NOON + at)] == kids


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_keys_in_use_the_latest_signs_whatever_their_order(order: int) -> None:
    """Replicas that read the same ring must choose the same key."""
    ring = [entry("a"), entry("c", publish=-HOUR, use=-HOUR), entry("b", use=-MINUTE)][::order]
    signing = active(ring, "ES256", NOON)
    assert signing is not None
    assert signing.kid == "a"
    same_start = [entry("b"), entry("a")][::order]
    signing = active(same_start, "ES256", NOON)
    assert signing is not None
    assert signing.kid == "b"


def test_each_algorithm_has_its_own_active_key() -> None:
    """An RS256 key never answers for ES256, and an unknown algorithm has no key."""
    ring = [entry("e"), entry("r", algorithm=Algorithm.RS256)]
    found = {name: active(ring, name, NOON) for name in ("ES256", "RS256", "EdDSA", "none", "HS256")}
    assert {name: key and key.kid for name, key in found.items()} == {
        "ES256": "e",
        "RS256": "r",
        "EdDSA": None,
        "none": None,
        "HS256": None,
    }


def test_the_next_change_is_the_first_instant_to_come() -> None:
    """A process may keep its answer until then, and no longer."""
    assert next_change([WHOLE_LIFE], NOON) == NOON + HOUR
    assert next_change([WHOLE_LIFE], NOON + HOUR) == NOON + 2 * HOUR
    assert next_change([WHOLE_LIFE, entry("b")], NOON + 3 * HOUR) == NOON + 4 * HOUR
    assert next_change([WHOLE_LIFE], NOON + 4 * HOUR) is None


def test_a_first_key_signs_at_once() -> None:
    """Before it there was nothing, so nobody can hold an older key set that worked."""
    ring = rotated((), "a", NOON + timedelta(microseconds=5), when=NOON + 90 * DAY)
    assert ring == (entry("a"),)


def test_a_first_key_of_one_algorithm_leaves_the_others_alone() -> None:
    """Each algorithm has its own schedule."""
    ring = rotated((entry("e"),), "r", NOON + HOUR, algorithm=Algorithm.RS256)
    assert ring == (entry("e"), entry("r", publish=HOUR, use=HOUR, algorithm=Algorithm.RS256))


def test_a_ring_whose_keys_have_all_ended_gets_a_key_that_signs_at_once() -> None:
    """While nothing signs, waiting helps nobody."""
    ended = entry("a", publish=-DAY, use=-DAY, use_end=-HOUR, publish_end=HOUR)
    ring = rotated((ended,), "b", NOON)
    assert ring == (ended, entry("b"))


def test_a_rotation_publishes_now_and_takes_over_after_the_policys_lead() -> None:
    """Successor: published now, in use publish_ahead later. Predecessor: kept for the longest token and the skew."""
    ring = rotated((entry("a"),), "b", NOON + DAY)
    takes_over = DAY + RULES.publish_ahead
    assert ring == (
        entry("a", use_end=takes_over, publish_end=takes_over + RULES.longest_token + RULES.clock_skew),
        entry("b", publish=DAY, use=takes_over),
    )


def test_instants_are_rounded_to_the_safe_side() -> None:
    """Whole seconds in the document: publication is rounded down, use is rounded up."""
    now = NOON + timedelta(microseconds=1)
    plan = plan_rotation((entry("a"),), "ES256", now, RULES)
    assert plan.publish_from == NOON
    assert plan.use_from == NOON + RULES.publish_ahead + SECOND


def test_a_second_rotation_waits_for_the_first() -> None:
    """Two successors in waiting would be one too many to reason about at 3 a.m.; the refusal names the rule."""
    ring = rotated((entry("a"),), "b", NOON)
    for now in (NOON, NOON + DAY, NOON + RULES.publish_ahead - SECOND):
        with pytest.raises(
            RotationUnsafe, match=r"already under way: key b starts signing at 2026-12-06T12:00:00Z"
        ) as caught:
            rotated(ring, "c", now)
        assert caught.value.rule is RotationRule.ONE_AT_A_TIME
    assert rotated(ring, "c", NOON + RULES.publish_ahead)[-1].kid == "c"


def test_another_algorithm_may_rotate_meanwhile() -> None:
    """The rule holds for each algorithm alone."""
    ring = rotated((entry("a"), entry("r", algorithm=Algorithm.RS256)), "b", NOON)
    assert rotated(ring, "s", NOON, algorithm=Algorithm.RS256)[-1].use_from == NOON + RULES.publish_ahead


def test_a_key_is_never_used_before_every_verifier_can_have_it() -> None:
    """jwks_max_age + clock_skew, and the time a running process takes to notice, pass before the first use."""
    soonest = NOON + LEAD + NOTICED_WITHIN
    with pytest.raises(RotationUnsafe, match=r"2026-11-22T12:06:05Z at the earliest") as caught:
        rotated((entry("a"),), "b", NOON, when=soonest - SECOND)
    assert caught.value.rule is RotationRule.PUBLISHED_BEFORE_USE
    assert rotated((entry("a"),), "b", NOON, when=soonest)[-1].use_from == soonest


def test_a_policy_that_publishes_too_late_is_refused() -> None:
    """The default must not be less safe than the rule."""
    hasty = RotationRules(RULES.jwks_max_age, RULES.clock_skew, RULES.longest_token, publish_ahead=LEAD - SECOND)
    with pytest.raises(RotationUnsafe, match=r"raise keys\.publish_ahead") as caught:
        rotated((entry("a"),), "b", NOON, rules=hasty)
    assert caught.value.rule is RotationRule.PUBLISHED_BEFORE_USE
    exact = RotationRules(RULES.jwks_max_age, RULES.clock_skew, RULES.longest_token, publish_ahead=LEAD)
    assert rotated((entry("a"),), "b", NOON, rules=exact)[-1].use_from == NOON + LEAD + NOTICED_WITHIN


def test_a_later_end_that_was_set_by_hand_is_not_shortened() -> None:
    """A rotation only ever keeps a key longer."""
    by_hand = entry("a", use_end=DAY, publish_end=900 * DAY)
    assert rotated((by_hand,), "b", NOON)[0].publish_until == NOON + 900 * DAY


def test_every_key_in_its_window_is_closed_by_a_rotation() -> None:
    """Else an older one would come back when the newer one ends."""
    ring = rotated((entry("a", publish=-DAY, use=-DAY), entry("b")), "c", NOON)
    assert {found.kid for found in ring if found.use_until == NOON + RULES.publish_ahead} == {"a", "b"}


def test_instants_are_written_in_utc() -> None:
    """ring.yaml and --json are read by machines in other places."""
    assert utc_text(datetime(2026, 11, 22, 7, 0, tzinfo=timezone(-5 * HOUR))) == "2026-11-22T12:00:00Z"


spans = st.integers(0, 48 * 3600).map(lambda seconds: timedelta(seconds=seconds))
rules = st.builds(RotationRules, jwks_max_age=spans, clock_skew=spans, longest_token=spans, publish_ahead=spans)
steps = st.lists(
    st.tuples(
        st.sampled_from([Algorithm.ES256, Algorithm.RS256]),
        st.integers(0, 20 * DAY // timedelta(milliseconds=1)).map(lambda ms: timedelta(milliseconds=ms)),
        st.none() | spans,
    ),
    min_size=1,
    max_size=12,
)


@given(rules=rules, steps=steps)
def test_no_sequence_of_rotations_ever_breaks_a_token(
    rules: RotationRules, steps: list[tuple[Algorithm, timedelta, timedelta | None]]
) -> None:
    """One active key for each algorithm from its first on, published long enough before its use and after it.

    Checked as a verifier meets it: whoever fetched the set jwks_max_age + clock_skew ago knows the key that signs now,
    and what it signs is found in the set until it has expired, clock skew included.
    """
    now, ring = NOON, tuple[KeyEntry, ...]()
    for number, (algorithm, pause, ahead) in enumerate(steps):
        now += pause
        before = ring
        try:
            when = None if ahead is None else now + ahead
            ring = rotated(ring, f"k{number}", now, algorithm=algorithm, rules=rules, when=when)
        except RotationUnsafe:
            continue
        assert [(old.kid, old.publish_from, old.use_from) for old in ring[:-1]] == [
            (old.kid, old.publish_from, old.use_from) for old in before
        ]

    instants = {at for key in ring for at in (key.publish_from, key.use_from, key.use_until, key.publish_until) if at}
    probes = sorted({at + shift for at in instants for shift in (-SECOND, timedelta(0), SECOND)} | {now})
    for algorithm in {key.algorithm for key in ring}:
        own = [key for key in ring if key.algorithm == algorithm]
        first = own[0]
        assert first.use_from == first.publish_from
        for at in (probe for probe in probes if probe >= first.use_from):
            signing = [key for key in own if state(key, at) is KeyState.ACTIVE]
            assert len(signing) == 1
            assert active(ring, algorithm, at) == signing[0]
            fetched = at - rules.jwks_max_age - rules.clock_skew
            assert signing[0] is first or signing[0] in published(ring, fetched)
            if signing[0].use_until is not None:
                last_moment = at + rules.longest_token + rules.clock_skew
                assert signing[0] in published(ring, last_moment)
