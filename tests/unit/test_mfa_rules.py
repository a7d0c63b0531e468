"""What a sign-in must show besides the password (domain M1-M12, D4, D7, D13; claims.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.mfa.rules import ORDER, MfaRules, Person, Switch, Wanted, can_meet, floor, rules_for
from authsvc.policy.load import load
from authsvc.policy.schema import AudiencePolicy

TEAM, INVESTORS = load(None).mfa.audiences.team, load(None).mfa.audiences.investors
PHONE, NO_PHONE, FOREIGN = Person(phone_usable=True), Person(phone_usable=False), Person(False, phone_refused=True)
HAS_APP, HAS_BOTH = Person(False, app_ready=True), Person(True, app_ready=True)


def switch(*methods: str, enabled: bool = True, remember: bool = True) -> Switch:
    """What an account chose."""
    return Switch(enabled, methods, remember)


def policy(**changed: object) -> AudiencePolicy:
    """The shipped policy of the team, with some fields changed."""
    return TEAM.model_copy(update=changed)


def test_two_step_verification_is_off_until_an_account_switches_it_on() -> None:
    """Off by default on every account (domain M1)."""
    for shipped in (TEAM, INVESTORS):
        assert not rules_for(shipped, None, person=PHONE).code_required
    assert not rules_for(TEAM, switch("email", enabled=False), person=PHONE).code_required


def test_a_policy_may_enforce_it_until_the_account_says_otherwise() -> None:
    """`enforced_by_default` is the state of an account that nobody has touched."""
    enforced = policy(enforced_by_default=True)
    assert rules_for(enforced, None, person=PHONE).code_required
    assert not rules_for(enforced, switch("email", enabled=False), person=PHONE).code_required


@pytest.mark.parametrize(
    ("chosen", "methods"),
    [
        (("email",), ("email",)),
        (("sms",), ("sms",)),
        (("email", "sms"), ("sms", "email")),
        (("sms", "totp"), ("sms",)),
        (("totp",), ("totp",)),
        (("email", "sms", "totp"), ("sms", "email")),
        ((), ("email",)),
    ],
)
def test_the_account_chooses_the_methods_and_the_text_message_is_listed_first(
    chosen: tuple[str, ...], methods: tuple[str, ...]
) -> None:
    """Email, SMS, an app (domain M5, D19); somebody without an app sees it only where there is nothing else."""
    found = rules_for(TEAM, switch(*chosen), person=PHONE)
    assert (found.code_required, found.methods, found.sufficient) == (True, methods, frozenset(methods))


@pytest.mark.parametrize(
    ("chosen", "person", "methods"),
    [
        (("totp",), NO_PHONE, ("totp",)),
        (("totp",), HAS_APP, ("totp",)),
        (("email", "totp"), NO_PHONE, ("email",)),
        (("email", "totp"), HAS_APP, ("totp", "email")),
        (("sms", "totp"), NO_PHONE, ("sms",)),
        (("sms", "totp"), HAS_APP, ("totp",)),
        (("email", "sms", "totp"), HAS_APP, ("totp", "email")),
        (("sms", "totp"), HAS_BOTH, ("sms", "totp")),
        (("email", "sms"), HAS_APP, ("sms", "email")),
        (("sms", "totp"), FOREIGN, ("totp",)),
        (("email", "sms", "totp"), HAS_BOTH, ("sms", "totp", "email")),
        (("email",), HAS_BOTH, ("email",)),
        (("sms",), HAS_BOTH, ("sms",)),
    ],
)
def test_d19_an_account_may_allow_an_app_and_the_person_who_has_one_is_offered_it(
    chosen: tuple[str, ...], person: Person, methods: tuple[str, ...]
) -> None:
    """MF-12: what the account keeps shut stays shut, whatever the person has. Without a US number the app takes its place.

    And whoever has an app cannot be asked for a first phone instead: that is bound behind an emailed code (D2).
    """
    found = rules_for(TEAM, switch(*chosen), person=person)
    assert (found.methods, found.email_fallback, found.own_choice) == (methods, False, False)


def test_an_app_needs_no_gateway() -> None:
    """An installation that sends nothing but mail can ask for it all the same."""
    found = rules_for(TEAM, switch("sms", "totp"), person=HAS_APP, channels=("email",))
    assert (found.methods, found.email_fallback) == (("totp",), False)


@pytest.mark.parametrize("shipped", [TEAM, INVESTORS], ids=["team", "investors"])
def test_mf_19_whoever_set_an_app_up_is_asked_although_the_account_is_off(shipped: AudiencePolicy) -> None:
    """The code is still asked, by the app and nothing weaker; computed from what there is now."""
    for chosen in (None, switch("email", enabled=False)):
        found = rules_for(shipped, chosen, person=HAS_BOTH)
        assert (found.code_required, found.methods, found.own_choice) == (True, ("totp",), True)
        assert found.may_skip_code
        assert not rules_for(shipped, chosen, person=PHONE).code_required
    closed = shipped.model_copy(update={"methods": ("email",), "sms_implies": None})
    assert not rules_for(closed, None, person=HAS_BOTH).code_required


def test_a_recovery_code_stands_in_for_the_app_alone() -> None:
    """Where the app would do, and nowhere else."""
    assert rules_for(TEAM, switch("totp"), person=HAS_APP).met_by({"pwd", "recovery"})
    assert rules_for(TEAM, switch("email", "totp"), person=HAS_APP).met_by({"pwd", "recovery"})
    assert not rules_for(TEAM, switch("email", "sms"), person=HAS_BOTH).met_by({"pwd", "recovery", "totp"})
    assert not rules_for(TEAM, switch("totp"), person=HAS_APP).met_by({"pwd", "email"})


def test_two_factor_is_met_by_a_text_or_an_app() -> None:
    """claims.md: "password and an SMS code or an authenticator app, now"."""
    three = switch("email", "sms", "totp")
    assert rules_for(TEAM, three, person=HAS_BOTH, wanted=Wanted.FACTOR).methods == ("sms", "totp")
    assert rules_for(TEAM, three, person=HAS_APP, wanted=Wanted.FACTOR).methods == ("totp",)
    assert rules_for(TEAM, three, person=PHONE, wanted=Wanted.FACTOR).methods == ("sms",)
    assert can_meet(Wanted.FACTOR, TEAM, three, HAS_APP, ("email",))
    assert can_meet(Wanted.FACTOR, TEAM, None, HAS_APP, ORDER)
    assert not can_meet(Wanted.FACTOR, TEAM, switch("email"), HAS_APP, ORDER)


def test_an_account_cannot_open_a_method_that_the_policy_keeps_shut() -> None:
    """The files give the floor; an account can only be stricter."""
    found = rules_for(policy(methods=("email",)), switch("sms", "email"), person=PHONE)
    assert found.methods == ("email",)


def test_sms_implies_email_for_investors_alone() -> None:
    """M11, D13: an investor is never left with text messages alone; a team may be."""
    assert rules_for(INVESTORS, switch("sms"), person=PHONE).methods == ("sms", "email")
    assert rules_for(TEAM, switch("sms"), person=PHONE).methods == ("sms",)


@pytest.mark.parametrize(
    ("wanted", "required", "may_skip", "sufficient"),
    [
        (Wanted.NOTHING, False, True, {"sms", "email"}),
        (Wanted.REMEMBERED, True, True, {"sms", "email"}),
        (Wanted.STEP, True, False, {"sms", "email"}),
        (Wanted.FACTOR, True, False, {"sms"}),
    ],
)
def test_a_client_may_ask_for_more_although_the_switch_is_off(
    wanted: Wanted, required: bool, may_skip: bool, sufficient: set[str]
) -> None:
    """claims.md: two-step or more ignores a remembered device; two-factor is a text."""
    found = rules_for(TEAM, switch("email", enabled=False), person=PHONE, wanted=wanted)
    assert (found.code_required, found.may_skip_code, found.sufficient) == (required, may_skip, frozenset(sufficient))


def test_two_factor_is_answered_with_what_the_person_has() -> None:
    """A voluntary request may be answered lower, with the true acr (claims.md); whether it can be met is told apart."""
    both, email = switch("email", "sms"), switch("email")
    assert rules_for(TEAM, both, person=NO_PHONE, wanted=Wanted.FACTOR).methods == ("sms", "email")
    assert rules_for(TEAM, email, person=PHONE, wanted=Wanted.FACTOR).methods == ("email",)
    assert can_meet(Wanted.FACTOR, TEAM, both, PHONE, ORDER)
    assert not can_meet(Wanted.FACTOR, TEAM, both, NO_PHONE, ORDER)
    assert not can_meet(Wanted.FACTOR, TEAM, email, PHONE, ORDER)
    assert not can_meet(Wanted.FACTOR, TEAM, both, PHONE, ("email",))
    assert can_meet(Wanted.STEP, TEAM, email, NO_PHONE, ORDER)


def test_d4_somebody_without_a_us_number_falls_back_to_email() -> None:
    """Nobody is locked out of an SMS-only account for want of a US number; somebody who has one, or may add one, is asked."""
    sms = switch("sms")
    for fallback in (
        rules_for(TEAM, sms, person=FOREIGN),
        rules_for(TEAM, sms, person=NO_PHONE, has_no_us_number=True),
    ):
        assert (fallback.code_required, fallback.methods, fallback.email_fallback) == (True, ("email",), True)
    for none in (rules_for(TEAM, sms, person=NO_PHONE), rules_for(TEAM, sms, person=PHONE, has_no_us_number=True)):
        assert (none.methods, none.email_fallback) == (("sms",), False)


def test_d4_is_no_fallback_where_email_is_open_anyway() -> None:
    """The trail names what fell back, and nothing else."""
    assert not rules_for(TEAM, switch("sms", "email"), person=FOREIGN, has_no_us_number=True).email_fallback
    assert not rules_for(TEAM, switch("sms", enabled=False), person=FOREIGN).email_fallback


def test_without_a_text_gateway_the_code_comes_by_email() -> None:
    """An installation that cannot send texts locks nobody out, and never lets anybody in without a code."""
    found = rules_for(TEAM, switch("sms"), person=PHONE, channels=("email",))
    assert (found.code_required, found.methods, found.email_fallback) == (True, ("email",), True)
    assert rules_for(TEAM, switch("sms", "email"), person=PHONE, channels=("email",)).methods == ("email",)


def test_d7_an_account_may_forbid_remembering() -> None:
    """No box, and no device that stands in; whether the policy or the account forbids it."""
    forbidding = (
        rules_for(TEAM, switch("email", remember=False), person=PHONE),
        rules_for(policy(remember_device="forbidden"), switch("email"), person=PHONE),
        rules_for(policy(remember_device="forbidden"), None, person=PHONE, wanted=Wanted.REMEMBERED),
    )
    for found in forbidding:
        assert (found.code_required, found.may_remember, found.may_skip_code) == (True, False, False)


def test_the_floor_is_what_the_account_asks_of_everyone() -> None:
    """claims.md: below it nothing new is issued."""
    assert floor(TEAM, None) is Wanted.NOTHING
    assert floor(TEAM, switch("email")) is Wanted.REMEMBERED
    assert floor(TEAM, switch("email", remember=False)) is Wanted.STEP


POLICIES = st.builds(
    AudiencePolicy,
    enforced_by_default=st.booleans(),
    methods=st.sampled_from([("email", "sms"), ("email",), ("email", "sms", "totp")]),
    sms_implies=st.sampled_from([None, "email"]),
    remember_device=st.sampled_from(["allowed", "forbidden"]),
)
METHODS = [("email",), ("sms",), ("email", "sms"), ("totp",), ("sms", "totp"), ("email", "sms", "totp"), ()]
SWITCHES = st.none() | st.builds(Switch, st.booleans(), st.sampled_from(METHODS), st.booleans())
PERSONS = st.sampled_from([PHONE, NO_PHONE, FOREIGN, HAS_APP, HAS_BOTH, Person(False, True, True)])
CHANNELS = st.sampled_from([("sms", "email"), ("email",)])


@given(POLICIES, SWITCHES, PERSONS, CHANNELS, st.sampled_from(Wanted), st.booleans())
def test_a_wish_can_never_lower_what_the_account_asks(
    shipped: AudiencePolicy,
    chosen: Switch | None,
    person: Person,
    channels: tuple[str, ...],
    wanted: Wanted,
    has_no_us_number: bool,
) -> None:
    """A parameter of a client adds and never takes away (claims.md)."""
    told = {"person": person, "channels": channels, "has_no_us_number": has_no_us_number}
    alone, asked = rules_for(shipped, chosen, **told), rules_for(shipped, chosen, wanted=wanted, **told)
    assert asked.code_required >= alone.code_required
    assert asked.sufficient <= alone.sufficient
    assert asked.may_skip_code <= alone.may_skip_code
    assert asked.may_remember <= alone.may_remember
    assert asked.code_required or wanted is Wanted.NOTHING
    assert asked.methods
    assert set(asked.methods) == asked.sufficient


RULES = st.builds(
    lambda required, enough, skip, remember, fallback: MfaRules(
        required, tuple(m for m in ORDER if m in enough), frozenset(enough), skip, remember, fallback
    ),
    st.booleans(),
    st.sets(st.sampled_from(ORDER), min_size=1),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(RULES, RULES)
def test_mf_15_the_stricter_of_two_rules_is_never_laxer_than_either(one: MfaRules, other: MfaRules) -> None:
    """A sign-in under way satisfies the rules of its start and of its end, whichever way they changed (domain D9)."""
    both = one.stricter_of(other)
    assert both.code_required == (one.code_required or other.code_required)
    assert both.may_skip_code == (one.may_skip_code and other.may_skip_code)
    assert both.may_remember == (one.may_remember and other.may_remember)
    assert both.methods
    assert set(both.methods) == both.sufficient
    for part in (one, other):
        if part.code_required and one.sufficient & other.sufficient:
            assert both.sufficient <= part.sufficient


@given(RULES, RULES)
def test_the_stricter_of_two_rules_is_the_same_from_either_side(one: MfaRules, other: MfaRules) -> None:
    """But for the order in which they changed, where they have no method in common: see the next test."""
    if one.sufficient & other.sufficient or not (one.code_required and other.code_required):
        assert in_effect(one.stricter_of(other)) == in_effect(other.stricter_of(one))
    assert one.stricter_of(one) == one
    assert one.stricter_of(other).stricter_of(other) == one.stricter_of(other)


def test_mf_12_where_nothing_is_open_under_both_rules_the_present_ones_win() -> None:
    """A method outside the policy is refused even with a right code (SR4), and starting again would ask no more."""
    sms, email = rules_for(TEAM, switch("sms"), person=PHONE), rules_for(TEAM, switch("email"), person=PHONE)
    assert sms.stricter_of(email).methods == ("sms",)
    assert email.stricter_of(sms).methods == ("email",)


def in_effect(found: MfaRules) -> tuple[object, ...]:
    """What a sign-in notices: methods matter only where a code is required."""
    methods = (found.methods, found.sufficient) if found.code_required else ()
    return found.code_required, found.may_skip_code, found.may_remember, found.email_fallback, methods


@given(RULES)
def test_rules_come_back_from_the_attempts_row_as_they_were(found: MfaRules) -> None:
    """What is kept from the start of a sign-in is what is compared at its end."""
    assert MfaRules.from_json(found.as_json()) == found
