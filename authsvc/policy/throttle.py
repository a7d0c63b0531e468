"""What policies/throttle.yaml may say: how often is too often. policies/README.md explains every field."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from authsvc.policy.values import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Dollars,
    Duration,
    Rate,
    Rates,
    Section,
    UnknownPolicyName,
    format_duration,
)

LimitName = Literal[
    "password_per_address",
    "password_users_per_address",
    "password_per_account",
    "password_everywhere",
    "same_password",
    "code_per_user",
    "code_per_address",
    "send_per_destination",
    "send_per_user",
    "send_per_account_member",
    "send_per_address",
    "send_per_phone_prefix",
    "verify_mail_per_user",
    "reset_per_user",
    "reset_per_address",
    "client_auth_failures",
    "token_per_client",
    "authorize_per_address",
    "device_per_address",
    "user_code_per_user",
    "user_code_per_address",
    "notifications_per_person",
]


class Limits(Section):
    """The closed set of limits; each holds all its rates at once."""

    password_per_address: Rates
    password_users_per_address: Rates
    password_per_account: Rates
    password_everywhere: Rates
    same_password: Rates
    code_per_user: Rates
    code_per_address: Rates
    send_per_destination: Rates
    send_per_user: Rates
    send_per_account_member: Rates
    send_per_address: Rates
    send_per_phone_prefix: Rates
    verify_mail_per_user: Rates
    reset_per_user: Rates
    reset_per_address: Rates
    client_auth_failures: Rates
    token_per_client: Rates
    authorize_per_address: Rates
    device_per_address: Rates
    user_code_per_user: Rates
    user_code_per_address: Rates
    notifications_per_person: Rates


class WrongPasswordPolicy(Section):
    """Wrong passwords for one person: `tries` are free, then pauses double. NIST SP 800-63B-4 3.2.2: 100 in a row at most."""

    tries: int = Field(ge=1, le=50)
    within: Duration = Field(ge=MINUTE, le=DAY)
    first_pause: Duration = Field(ge=SECOND, le=HOUR)
    longest_pause: Duration = Field(ge=SECOND, le=DAY)
    stop_after: int = Field(ge=5, le=100)

    @field_validator("longest_pause")
    @classmethod
    def _pauses_grow(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        first = info.data.get("first_pause")
        if first and value < first:
            raise ValueError(f"must not be shorter than first_pause, {format_duration(first)}")
        return value

    @field_validator("stop_after")
    @classmethod
    def _stops_after_the_free_tries(cls, value: int, info: ValidationInfo) -> int:
        tries = info.data.get("tries")
        if tries and value < tries:
            raise ValueError(f"must not be below tries, {tries}")
        return value


class TextPolicy(Section):
    """What text messages may cost, and when a phone prefix is taken for one that only collects them."""

    price: Dollars = Field(ge=0)
    daily_budget: Dollars = Field(ge=0)
    when_spent: Literal["email", "wait"]
    judged_after: int = Field(ge=1, le=10_000)
    least_answered: int = Field(ge=0, le=100)

    @field_validator("daily_budget")
    @classmethod
    def _pays_for_one(cls, value: int, info: ValidationInfo) -> int:
        if "price" in info.data and value < info.data["price"]:
            raise ValueError("must pay for one message at least; AUTHSVC_SMS_URL=none: switches text messages off")
        return value


class ThrottlePolicy(Section):
    """throttle.yaml: how often is too often."""

    version: Literal["authsvc/throttle/1"] = Field(alias="schema")
    wrong_passwords: WrongPasswordPolicy
    text_messages: TextPolicy
    limits: Limits

    def rates(self, name: LimitName) -> tuple[Rate, ...]:
        """Every rate of the limit `name`, as written. Raises: UnknownPolicyName."""
        if name not in Limits.model_fields:
            raise UnknownPolicyName(f"no limit is called {name!r}")
        found: tuple[Rate, ...] = getattr(self.limits, name)
        return found
