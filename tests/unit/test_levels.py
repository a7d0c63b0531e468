"""acr and amr: the table of claims.md, as code."""

from __future__ import annotations

import itertools

import pytest

from authsvc.mfa.rules import Wanted
from authsvc.resource_server.claims import LEVELS
from authsvc.sessions import levels
from authsvc.sessions.levels import PASSWORD, REMEMBERED, TWO_FACTOR, TWO_STEP


def test_the_levels_have_their_published_names_and_order() -> None:
    """claims.md: "Levels (acr), ordered, listed in acr_values_supported". Other services compare these strings."""
    assert levels.ORDER == (
        "urn:ims:acr:password",
        "urn:ims:acr:remembered",
        "urn:ims:acr:two-step",
        "urn:ims:acr:two-factor",
    )


def test_the_kit_knows_the_same_levels_in_the_same_order() -> None:
    """The kit has its own list, for it imports nothing of ours; `phr` is ahead of us there."""
    assert tuple(level for level in LEVELS if level in levels.ORDER) == levels.ORDER
    assert LEVELS[: len(levels.ORDER)] == levels.ORDER


def test_no_level_carries_a_name_of_nist() -> None:
    """claims.md: "never put a NIST name or URI on any of it"."""
    assert not [level for level in levels.ORDER if "nist" in level or "aal" in level]


@pytest.mark.parametrize(
    ("proofs", "remembered", "acr", "amr"),
    [
        (["pwd"], False, PASSWORD, ["pwd"]),
        (["pwd"], True, REMEMBERED, ["pwd"]),
        (["pwd", "email"], False, TWO_STEP, ["pwd", "otp", "mca"]),
        (["pwd", "sms"], False, TWO_FACTOR, ["pwd", "sms", "mfa"]),
        # A first phone is added behind an emailed code: the text message ends the sign-in and decides.
        (["email", "pwd", "sms"], False, TWO_FACTOR, ["pwd", "sms", "mfa"]),
        # What was shown now counts more than what a device remembers.
        (["pwd", "email"], True, TWO_STEP, ["pwd", "otp", "mca"]),
        (["pwd", "sms"], True, TWO_FACTOR, ["pwd", "sms", "mfa"]),
        (["pwd", "totp"], False, TWO_FACTOR, ["pwd", "otp", "mfa"]),
        # An app is set up behind an emailed code; its own code decides.
        (["email", "pwd", "totp"], False, TWO_FACTOR, ["pwd", "otp", "mfa"]),
        (["pwd", "recovery"], False, TWO_STEP, ["pwd", "otp"]),
        (["pwd", "recovery"], True, TWO_STEP, ["pwd", "otp"]),
    ],
    ids=[
        "password",
        "remembered",
        "email",
        "sms",
        "email and sms",
        "email on a known device",
        "sms on a known device",
        "app",
        "email and app",
        "recovery code",
        "recovery code on a known device",
    ],
)
def test_what_happened_is_called_by_its_name(proofs: list[str], remembered: bool, acr: str, amr: list[str]) -> None:
    """claims.md, the table; RFC 8176: amr "is a JSON array of strings that are identifiers for authentication methods"."""
    assert levels.describe(proofs, remembered=remembered) == (acr, amr)


def test_an_emailed_code_is_never_called_mfa() -> None:
    """NIST SP 800-63B-4 3.1.3.1: email SHALL NOT be used for out-of-band authentication. It is another channel, no factor."""
    for remembered in (False, True):
        assert "mfa" not in levels.describe(["pwd", "email"], remembered=remembered)[1]


def test_a_recovery_code_is_never_called_mfa_nor_another_channel() -> None:
    """claims.md: never more than what happened. It may lie beside the password, and came by no channel of its own."""
    acr, amr = levels.describe(["pwd", "recovery"], remembered=False)
    assert (acr, {"mfa", "mca"} & set(amr)) == (TWO_STEP, set())


def test_a_remembered_device_adds_nothing_to_amr() -> None:
    """claims.md: `["pwd"]` "and nothing else": the code was skipped."""
    assert levels.describe(["pwd"], remembered=True)[1] == levels.describe(["pwd"], remembered=False)[1]


def test_every_amr_value_is_registered() -> None:
    """RFC 8176 2: values of our own would collide."""
    shown = [
        levels.describe(proofs, remembered=remembered)[1]
        for proofs, remembered in itertools.product(([], ["email"], ["sms"], ["totp"], ["recovery"]), (False, True))
    ]
    assert {value for amr in shown for value in amr} <= {"pwd", "otp", "mca", "sms", "mfa", "hwk", "swk", "user"}


def test_a_level_is_at_least_itself_and_everything_below() -> None:
    """The whole table of comparisons: the order is the meaning."""
    for (have, acr), (want, wanted) in itertools.product(enumerate(levels.ORDER), repeat=2):
        assert levels.at_least(acr, wanted) == (have >= want)


@pytest.mark.parametrize("unknown", ["", "phr", "urn:ims:acr:", "urn:ims:acr:two-factor ", "URN:IMS:ACR:PASSWORD", "0"])
def test_an_unknown_level_is_never_enough_and_never_met(unknown: str) -> None:
    """What nobody defined proves nothing, and nothing proves it."""
    assert not any(levels.at_least(unknown, wanted) for wanted in (*levels.ORDER, unknown))
    assert not any(levels.at_least(acr, unknown) for acr in levels.ORDER)


def test_what_a_service_wants_is_numbered_as_the_levels_are() -> None:
    """mfa/ and sessions/ may not know each other, so the number is what they share; and no acr asks for nothing."""
    assert [(levels.rank(acr), Wanted(levels.rank(acr)).name) for acr in levels.ORDER] == [
        (0, "NOTHING"),
        (1, "REMEMBERED"),
        (2, "STEP"),
        (3, "FACTOR"),
    ]
    assert levels.rank(None) == levels.rank("urn:example:gold") == 0
