"""US mobile numbers, and nothing else, in E.164 (domain M9, D29; security.md SR6, MF-25)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.accounts.phone import LONGEST, Parsed, PhoneProblem, parse

US = ("US",)
NOT_A_NUMBER, WRONG_REGION, NOT_TEXTABLE = PhoneProblem


@pytest.mark.parametrize(
    "typed",
    [
        "(512) 555-0142",
        "512.555.0142",
        "512-555-0142",
        "5125550142",
        "  512 555 0142  ",
        "+1 512 555 0142",
        "1 (512) 555-0142",
        "1-512-555-0142",
        "011 1 512 555 0142",
        "+１５１２５５５０１４２",
        "+1５１２5550142",
        "٥١٢٥٥٥٠١٤٢",
        "5 1 2 5 5 5 0 1 4 2",
        "512\u00a0555\u20110142",
    ],
)
def test_a_us_number_is_taken_however_it_is_typed(typed: str) -> None:
    """One canonical form: no spelling dodges a counter (MF-25)."""
    assert parse(typed, regions=US) == Parsed("+15125550142")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("+44 20 7946 0958", WRONG_REGION),
        ("+44 7400 123456", WRONG_REGION),
        ("+49 1512 3456789", WRONG_REGION),
        ("+800 1234 5678", WRONG_REGION),
        ("(416) 555-0142", WRONG_REGION),
        ("+1 604 555 0142", WRONG_REGION),
        ("+1 809 555 0142", WRONG_REGION),
        ("876-555-0142", WRONG_REGION),
        ("473 555 0142", WRONG_REGION),
        ("1 242 555 0142", WRONG_REGION),
        ("+１８０９５５５０１４２", WRONG_REGION),
        ("+1 900 234 5678", NOT_TEXTABLE),
        ("900-555-0142", NOT_TEXTABLE),
        ("800 234 5678", NOT_TEXTABLE),
        ("1-888-234-5678", NOT_TEXTABLE),
        ("500 234 5678", NOT_TEXTABLE),
        ("", NOT_A_NUMBER),
        ("+", NOT_A_NUMBER),
        ("my phone", NOT_A_NUMBER),
        ("555-0142", NOT_A_NUMBER),
        ("512 555 014", NOT_A_NUMBER),
        ("512 555 01422", NOT_A_NUMBER),
        ("512 111 0142", NOT_A_NUMBER),
        ("012 555 0142", NOT_A_NUMBER),
        ("001 512 555 0142", NOT_A_NUMBER),
        ("7400 123456", NOT_A_NUMBER),
        ("512 555 0142 x5", NOT_A_NUMBER),
        ("512 555 0142 ext. 5", NOT_A_NUMBER),
        ("512 555 0142,,5", NOT_A_NUMBER),
        ("tel:+15125550142;ext=5", NOT_A_NUMBER),
        ("512;phone-context=+1", NOT_A_NUMBER),
        ("512 555 0142 / 43", NOT_A_NUMBER),
        ("\0", NOT_A_NUMBER),
        ("5125550142" + " " * (LONGEST - 9), NOT_A_NUMBER),
        ("5" * 100_000, NOT_A_NUMBER),
    ],
)
def test_mf_25_every_other_number_is_refused_with_its_reason(typed: str, problem: PhoneProblem) -> None:
    """ "+1" is not "US": the Caribbean and Canada share it; premium and toll-free numbers pass as valid US ones."""
    assert parse(typed, regions=US) is problem


def test_the_regions_are_the_policys() -> None:
    """Another region is a line in policies/mfa.yaml."""
    assert parse("+1 416 555 0142", regions=("US", "CA")) == Parsed("+14165550142")


@given(st.text() | st.text("+0123456789() -.xт;=,٠١２", max_size=LONGEST))
def test_whatever_is_typed_is_a_us_number_or_a_reason(typed: str) -> None:
    """The parser never raises, and what it lets through is E.164."""
    found = parse(typed, regions=US)
    assert isinstance(found, PhoneProblem) or re.fullmatch(r"\+1[2-9][0-9]{9}", found.e164)
