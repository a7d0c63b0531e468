"""The one ordered decision of a sign-in (domain J2, J3; architecture 2.4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.login.next_step import (
    AskPassword,
    ChooseAccount,
    ChooseMethod,
    EnrolApp,
    EnrolPhone,
    EnterAppCode,
    EnterCode,
    Known,
    Progress,
    SignIn,
    Step,
    VerifyEmail,
    next_step,
)
from authsvc.mfa.rules import ORDER, MfaRules


def rules(*methods: str, required: bool = True, skip: bool = True) -> MfaRules:
    """Rules in which any of `methods` ends the sign-in."""
    open_methods = tuple(method for method in ORDER if method in methods)
    return MfaRules(required, open_methods, frozenset(open_methods), may_skip_code=skip, may_remember=True)


OFF, BOTH, EMAIL, SMS = rules("sms", "email", required=False), rules("sms", "email"), rules("email"), rules("sms")
NO_SKIP = rules("sms", "email", skip=False)
APP, ALL_THREE = rules("totp"), rules(*ORDER)
#: The client wants two factors, and the person has a phone.
FACTOR = rules("sms", skip=False)
NOBODY, PHONE, NO_PHONE = None, Known(True, True), Known(True, False)
UNVERIFIED, UNVERIFIED_PHONE = Known(False, False), Known(False, True)
HAS_APP, HAS_BOTH = Known(True, False, app_ready=True), Known(True, True, app_ready=True)
NOTHING, PWD = Progress(frozenset()), Progress(frozenset({"pwd"}))


def shown(*proofs: str, method: str | None = None, skipped: bool = False, pending: bool = False) -> Progress:
    """The password and `proofs`."""
    return Progress(frozenset({"pwd", *proofs}), method, skipped, pending)


CASES: list[tuple[str, Progress, Known | None, MfaRules | None, bool, Step]] = [
    ("nothing shown", NOTHING, NOBODY, None, False, AskPassword()),
    ("nothing shown by a person known", NOTHING, PHONE, BOTH, True, AskPassword()),
    ("a code alone is no sign-in", Progress(frozenset({"sms"})), PHONE, BOTH, True, AskPassword()),
    ("somebody unknown", PWD, NOBODY, OFF, False, AskPassword()),
    ("several accounts, none chosen (D14)", PWD, PHONE, None, False, ChooseAccount()),
    ("no rules beat a device (D14)", PWD, PHONE, None, True, ChooseAccount()),
    ("off", PWD, PHONE, OFF, False, SignIn()),
    ("off, address unverified (J3)", PWD, UNVERIFIED, OFF, False, VerifyEmail(skippable=True)),
    ("off, skipped (D17)", shown(skipped=True), UNVERIFIED, OFF, False, SignIn()),
    ("off, no skip needed once verified", shown("email"), NO_PHONE, OFF, False, SignIn()),
    ("on, address unverified (D17)", PWD, UNVERIFIED, EMAIL, False, VerifyEmail(skippable=False)),
    ("on, a skip from before counts nothing", shown(skipped=True), UNVERIFIED, EMAIL, False, VerifyEmail(False)),
    ("on, a texted code does not verify an address", shown("sms"), UNVERIFIED_PHONE, SMS, False, VerifyEmail(False)),
    ("on, a device does not verify an address", PWD, UNVERIFIED, EMAIL, True, VerifyEmail(False)),
    ("email only", PWD, PHONE, EMAIL, False, EnterCode("email", "sign_in")),
    ("email only, shown", shown("email"), PHONE, EMAIL, False, SignIn()),
    ("email only, a text does not count (MF-12)", shown("sms"), PHONE, EMAIL, False, EnterCode("email", "sign_in")),
    ("email only, sms chosen before (MF-12)", shown(method="sms"), PHONE, EMAIL, False, EnterCode("email", "sign_in")),
    ("email only, sms chosen and email shown", shown("email", method="sms"), NO_PHONE, EMAIL, False, SignIn()),
    ("both, none chosen (M6)", PWD, PHONE, BOTH, False, ChooseMethod(("sms", "email"))),
    ("both, an unknown one chosen (MF-12)", shown(method="totp"), PHONE, BOTH, False, ChooseMethod(("sms", "email"))),
    ("both, email chosen", shown(method="email"), PHONE, BOTH, False, EnterCode("email", "sign_in")),
    ("both, sms chosen", shown(method="sms"), PHONE, BOTH, False, EnterCode("sms", "sign_in")),
    ("both, sms shown", shown("sms", method="sms"), PHONE, BOTH, False, SignIn()),
    ("both, verified, none chosen (J2)", shown("email"), PHONE, BOTH, False, ChooseMethod(("sms", "email"))),
    ("both, verified, email chosen (J2)", shown("email", method="email"), PHONE, BOTH, False, SignIn()),
    (
        "both, verified, sms chosen (J2)",
        shown("email", method="sms"),
        PHONE,
        BOTH,
        False,
        EnterCode("sms", "sign_in"),
    ),
    ("both, sms chosen, no phone (D2)", shown(method="sms"), NO_PHONE, BOTH, False, EnterCode("email", "sign_in")),
    ("both, adding a phone after the email (D2)", shown("email", method="sms"), NO_PHONE, BOTH, False, EnrolPhone()),
    ("both, email instead of a phone", shown("email", method="email"), NO_PHONE, BOTH, False, SignIn()),
    (
        "both, a number is to be proved (S5)",
        shown("email", method="sms", pending=True),
        NO_PHONE,
        BOTH,
        False,
        EnterCode("sms", "enrol_phone"),
    ),
    ("both, the number is proved (S5)", shown("email", "sms", method="sms"), PHONE, BOTH, False, SignIn()),
    ("sms only", PWD, PHONE, SMS, False, EnterCode("sms", "sign_in")),
    ("sms only, a choice changes nothing", shown(method="email"), PHONE, SMS, False, EnterCode("sms", "sign_in")),
    ("sms only, an emailed code is not enough", shown("email"), PHONE, SMS, False, EnterCode("sms", "sign_in")),
    ("sms only, no phone (D2, MF-16)", PWD, NO_PHONE, SMS, False, EnterCode("email", "sign_in")),
    (
        "sms only, a number typed too early (D2)",
        shown(pending=True),
        NO_PHONE,
        SMS,
        False,
        EnterCode("email", "sign_in"),
    ),
    ("sms only, emailed code shown (D2)", shown("email"), NO_PHONE, SMS, False, EnrolPhone()),
    ("sms only, number typed", shown("email", pending=True), NO_PHONE, SMS, False, EnterCode("sms", "enrol_phone")),
    ("sms only, number proved", shown("email", "sms"), PHONE, SMS, False, SignIn()),
    ("remembered (J2)", PWD, PHONE, BOTH, True, SignIn()),
    ("remembered, sms only and no phone", PWD, NO_PHONE, SMS, True, SignIn()),
    ("remembered, but more is asked", PWD, PHONE, NO_SKIP, True, ChooseMethod(("sms", "email"))),
    ("two factors asked: a text at once", shown(method="email"), PHONE, FACTOR, True, EnterCode("sms", "sign_in")),
    ("two factors asked: email is not one", shown("email"), PHONE, FACTOR, False, EnterCode("sms", "sign_in")),
    ("app only", PWD, HAS_APP, APP, False, EnterAppCode()),
    ("app only, shown", shown("totp"), HAS_APP, APP, False, SignIn()),
    ("app only, a recovery code in its place", shown("recovery"), HAS_APP, APP, False, SignIn()),
    ("app only, an emailed code is not enough", shown("email"), HAS_APP, APP, False, EnterAppCode()),
    ("app only, a choice changes nothing", shown(method="email"), HAS_APP, APP, False, EnterAppCode()),
    ("app only, none yet (D2)", PWD, NO_PHONE, APP, False, EnterCode("email", "sign_in")),
    ("app only, none yet, a phone is no way round (D2)", PWD, PHONE, APP, False, EnterCode("email", "sign_in")),
    ("app only, set up behind the emailed code (D2)", shown("email"), NO_PHONE, APP, False, EnrolApp()),
    ("app only, set up and shown", shown("email", "totp"), HAS_APP, APP, False, SignIn()),
    ("app only, address unverified", PWD, Known(False, False, app_ready=True), APP, False, VerifyEmail(False)),
    ("app only, remembered", PWD, HAS_APP, APP, True, SignIn()),
    ("three ways, none chosen", PWD, HAS_BOTH, ALL_THREE, False, ChooseMethod(("sms", "totp", "email"))),
    ("three ways, the app chosen", shown(method="totp"), HAS_BOTH, ALL_THREE, False, EnterAppCode()),
    (
        "email only, a recovery code is no email (MF-12)",
        shown("recovery"),
        HAS_APP,
        EMAIL,
        False,
        EnterCode("email", "sign_in"),
    ),
    (
        "email only, the app is no email (MF-12)",
        shown("totp", method="totp"),
        HAS_APP,
        EMAIL,
        False,
        EnterCode("email", "sign_in"),
    ),
]


@pytest.mark.parametrize(
    ("progress", "person", "in_force", "device", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_each_state_of_a_sign_in_has_its_one_next_step(
    progress: Progress, person: Known | None, in_force: MfaRules | None, device: bool, expected: Step
) -> None:
    """The table of architecture 2.4."""
    assert next_step(progress, person, in_force, device_recognised=device) == expected


PROOFS = [
    frozenset(each) for size in range(4) for each in combinations(("pwd", "email", "sms", "totp", "recovery"), size)
]
SOME = [("sms",), ("email",), ("totp",), ("sms", "email"), ("sms", "totp", "email")]
ALL_PROGRESS = [
    Progress(*each) for each in product(PROOFS, (None, "sms", "email", "totp"), (False, True), (False, True))
]
ALL_PEOPLE = [Known(*each) for each in product((False, True), repeat=3)]
ALL_RULES = [
    MfaRules(required, methods, frozenset(enough), skip, may_remember=True)
    for required, methods, enough, skip in product((False, True), SOME, SOME, (False, True))
    if set(enough) <= set(methods)
]
ALL = (st.sampled_from(ALL_PROGRESS), st.sampled_from(ALL_PEOPLE), st.sampled_from(ALL_RULES), st.booleans())


def every_state() -> Iterator[tuple[Progress, Known, MfaRules, Step]]:
    """All there are, once the person is known and the account chosen; and what each leads to."""
    for progress, person, in_force, device in product(ALL_PROGRESS, ALL_PEOPLE, ALL_RULES, (False, True)):
        yield progress, person, in_force, next_step(progress, person, in_force, device_recognised=device)


@settings(max_examples=1000)
@given(*ALL)
def test_a_required_code_is_never_passed_without_proof(
    progress: Progress, person: Known, in_force: MfaRules, device: bool
) -> None:
    """Whatever the state: no session but by the password, and by a sufficient proof or a device that may stand in."""
    if next_step(progress, person, in_force, device_recognised=device) != SignIn():
        return
    assert "pwd" in progress.proofs
    if in_force.code_required:
        in_its_place = "recovery" in progress.proofs and "totp" in in_force.sufficient
        assert progress.proofs & in_force.sufficient or in_its_place or (device and in_force.may_skip_code)
        assert person.email_verified


def test_nobody_is_led_past_the_password_or_the_choice_of_an_account() -> None:
    """In every state without a person, without the password, or without an account."""
    for progress, person, in_force, device in product(
        ALL_PROGRESS, (None, *ALL_PEOPLE), (None, *ALL_RULES), (False, True)
    ):
        step = next_step(progress, person, in_force, device_recognised=device)
        if person is None or "pwd" not in progress.proofs:
            assert step == AskPassword()
        elif in_force is None:
            assert step == ChooseAccount()


def test_mf_16_no_phone_is_taken_before_an_emailed_code() -> None:
    """A stolen password must not bind the thief's phone (domain D2, security.md SR5); in every state there is."""
    for progress, _, _, step in every_state():
        if isinstance(step, EnrolPhone) or (isinstance(step, EnterCode) and step.purpose == "enrol_phone"):
            assert "email" in progress.proofs


def test_mf_12_a_code_travels_only_by_a_way_that_is_open() -> None:
    """A texted code is asked for only where the rules allow one; an emailed one elsewhere only to bind a first phone."""
    for _, person, in_force, step in every_state():
        if isinstance(step, EnterCode):
            binding = step.channel == "email" and not (person.phone_usable and person.app_ready)
            assert step.channel in in_force.methods or binding
        if isinstance(step, EnterAppCode | EnrolApp):
            assert "totp" in in_force.methods


def test_d2_no_app_is_set_up_before_an_emailed_code_nor_over_one_in_use() -> None:
    """What keeps a thief's phone out keeps their app out; in every state there is."""
    for progress, person, _, step in every_state():
        if isinstance(step, EnrolApp):
            assert "email" in progress.proofs
            assert not person.app_ready
        if isinstance(step, EnterAppCode):
            assert person.app_ready


def test_skip_for_now_is_offered_only_while_no_code_is_required() -> None:
    """Hidden once Multi-Factor Authentication is on (domain D17)."""
    for _, _, in_force, step in every_state():
        if isinstance(step, VerifyEmail):
            assert step.skippable != in_force.code_required
