"""How a policy file writes a length of time and a rate, and what every group of fields has in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from phonenumbers import SUPPORTED_REGIONS
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, InstanceOf

from authsvc.errors import AuthsvcError

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}

# [0-9], not \d, which also takes digits of other scripts. The length keeps the largest value far below timedelta.max.
DURATION = re.compile(r"(0|[1-9][0-9]{0,6})([dhms])")
_DOLLARS = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,6}))?")
_RATE = re.compile(r"([1-9][0-9]{0,6}) per ([0-9]+[a-z])(?: burst ([1-9][0-9]{0,6}))?")


class UnknownPolicyName(AuthsvcError, KeyError):
    """No policy goes by this name."""


def parse_duration(text: str) -> timedelta:
    """The length of time that "30d", "12h", "10m", "30s" or "0s" means: one whole number and one unit.

    Raises: ValueError with a sentence for the person who wrote the file.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a whole number and a unit, as in 30s, 10m, 12h or 30d")
    return int(match[1]) * UNITS[match[2]]


def format_duration(value: timedelta) -> str:
    """`value` in whole units of its largest exact unit, as a policy file would write it: "30d", "90m", "0s"."""
    unit = next((unit for unit, length in UNITS.items() if value and not value % length), "s")
    return f"{value // UNITS[unit]}{unit}"


def length_in_words(value: timedelta) -> str:
    """`value` as a page says it, in whole units of its largest exact unit: "30 minutes", "1 hour", "7 days"."""
    names = {DAY: "day", HOUR: "hour", MINUTE: "minute", SECOND: "second"}
    unit = next(length for length in names if not value % length)
    count = value // unit
    return f"{count} {names[unit]}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Rate:
    """`count` at once, refilled over `per`. `burst`: how many may come at once instead; None means `count`."""

    count: int
    per: timedelta
    burst: int | None = None

    def __str__(self) -> str:
        """The rate as a policy file writes it."""
        return f"{self.count} per {format_duration(self.per)}" + (f" burst {self.burst}" if self.burst else "")


def parse_rate(text: str) -> Rate:
    """The rate that "10 per 15m" or "50 per 1s burst 100" means. Raises: ValueError with a sentence for the author."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("must read like 10 per 15m, or 50 per 1s burst 100")
    rate = Rate(int(match[1]), parse_duration(match[2]), int(match[3]) if match[3] else None)
    if not SECOND <= rate.per <= 30 * DAY:
        raise ValueError("must count over 1s to 30d")
    if rate.burst is not None and rate.burst < rate.count:
        raise ValueError("must not have a burst below its count")
    return rate


def parse_dollars(text: str) -> int:
    """The millionths of a dollar that "0.0075" means: whole numbers, for money is counted exactly.

    Raises: ValueError with a sentence for the author.
    """
    match = _DOLLARS.fullmatch(text)
    if match is None:
        raise ValueError("must be an amount, as in 0.0075 or 100")
    return int(match[1]) * 1_000_000 + int((match[2] or "0").ljust(6, "0"))


def _dollars(value: object) -> object:
    # Our loader leaves 0.0075 as text: no amount ever becomes a float.
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_dollars(str(value))
    return parse_dollars(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"needs a unit: write a unit after the number, as in {value}s or {value}m")
    return parse_duration(value) if isinstance(value, str) else value


def _rate(value: object) -> object:
    return parse_rate(value) if isinstance(value, str) else value


def boolean(value: object) -> object:
    # Literal[False] alone would take 0, since 0 == False.
    if not isinstance(value, bool):
        raise ValueError("must be false")
    return value


def some_distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Field(min_length=1) would count valid items only and call a list of one bad item empty.
    if not values:
        raise ValueError("must not be empty")
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


def _one_rate_per_window(rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
    if not rates:
        raise ValueError("must not be empty")
    if len({rate.per for rate in rates}) < len(rates):
        raise ValueError("must not hold two rates over the same time")
    return rates


def region(value: str) -> str:
    if value not in SUPPORTED_REGIONS:
        raise ValueError("must be a two-letter region code, as in US")
    return value


#: Millionths of a US dollar.
Dollars = Annotated[int, BeforeValidator(_dollars)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Rates = Annotated[tuple[Annotated[InstanceOf[Rate], BeforeValidator(_rate)], ...], AfterValidator(_one_rate_per_window)]


class Section(BaseModel):
    """A group of fields: nothing unknown, nothing converted, nothing changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
