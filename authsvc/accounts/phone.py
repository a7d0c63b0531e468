"""Phone numbers: E.164, and only where the policy says we text to (domain D29)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

#: Longer than any number with separators; cut off before the parser sees it (security.md PL-03).
LONGEST = 40
TEXTABLE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class PhoneProblem(StrEnum):
    """Why a number is refused."""

    NOT_A_NUMBER = "not_a_number"
    WRONG_REGION = "wrong_region"
    NOT_TEXTABLE = "not_textable"


#: What a person is told (ux.md S5).
WORDS = {
    PhoneProblem.NOT_A_NUMBER: "Enter a 10-digit US number",
    PhoneProblem.WRONG_REGION: "Enter a US number. Numbers from other countries aren’t supported at this time.",
    PhoneProblem.NOT_TEXTABLE: "We can’t text that number. Enter a mobile number.",
}


@dataclass(frozen=True)
class Parsed:
    """A number we may text to, in E.164."""

    e164: str


def parse(typed: str, *, regions: Collection[str]) -> Parsed | PhoneProblem:
    """What was typed, as E.164, if it is a mobile number of one of `regions`.

    "+1" is not "US": Caribbean and Canadian numbers share it, and 1-900 passes as a valid US number, so region and type
    both decide (security.md SR6, MF-25).
    """
    if len(typed) > LONGEST:
        return PhoneProblem.NOT_A_NUMBER
    try:
        number = phonenumbers.parse(typed, next(iter(regions)))
    except NumberParseException:
        return PhoneProblem.NOT_A_NUMBER
    if number.extension:
        return PhoneProblem.NOT_A_NUMBER
    region = phonenumbers.region_code_for_number(number)
    if region not in regions:
        # A US number too short or too long has no region; a foreign one has another.
        foreign = number.country_code != 1 or region is not None
        return PhoneProblem.WRONG_REGION if foreign else PhoneProblem.NOT_A_NUMBER
    if not phonenumbers.is_valid_number(number):
        return PhoneProblem.NOT_A_NUMBER
    if phonenumbers.number_type(number) not in TEXTABLE:
        return PhoneProblem.NOT_TEXTABLE
    return Parsed(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
