"""What policies/*.yaml may say: one frozen model per file. Values live in the files, bounds live here.

policies/README.md explains every field. A name in a file is the attribute here; only `schema` becomes `version`.
The bounds are promises of the product or of a standard: a file can tighten or relax within them, never beyond.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from authsvc.policy.values import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Duration,
    Section,
    UnknownPolicyName,
    boolean,
    format_duration,
    region,
    some_distinct,
)

Audience = Literal["team", "investors"]
Method = Literal["email", "sms", "totp"]
Role = Literal["super_admin", "admin", "crm_only", "kpi_only", "project_only"]
# The equivalent Argon2id settings of the OWASP Password Storage Cheat Sheet: (KiB of memory, iterations).
_ARGON2_PROFILES = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))


class AudiencePolicy(Section):
    """Two-step verification of one audience. An account's own switches can only be stricter."""

    enforced_by_default: bool
    methods: Annotated[tuple[Method, ...], AfterValidator(some_distinct)]
    sms_implies: Literal["email"] | None = None
    remember_device: Literal["allowed", "forbidden"]

    @field_validator("sms_implies")
    @classmethod
    def _implied_method_is_open(cls, value: str | None, info: ValidationInfo) -> str | None:
        methods = info.data.get("methods", ())
        if value and "sms" in methods and value not in methods:
            raise ValueError(f"implies {value}, which must then be one of the methods")
        return value


class Audiences(Section):
    """The two audiences of a policy."""

    team: AudiencePolicy
    investors: AudiencePolicy


class CodeLifetime(Section):
    """How long a code works, by method. NIST SP 800-63B-4 ends an out-of-band code after 10 minutes."""

    email: Duration = Field(ge=MINUTE, le=10 * MINUTE)
    sms: Duration = Field(ge=MINUTE, le=10 * MINUTE)


class CodePolicy(Section):
    """One-time codes; two of one challenge are `resend_after` apart."""

    digits: int = Field(ge=6, le=10)
    lifetime: CodeLifetime
    tries: int = Field(ge=1, le=10)
    resend_after: Duration = Field(ge=10 * SECOND, le=10 * MINUTE)

    @field_validator("resend_after")
    @classmethod
    def _resend_before_the_code_ends(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        lifetime = info.data.get("lifetime")
        if lifetime and value > min(lifetime.email, lifetime.sms):
            raise ValueError("must not be longer than a code's lifetime")
        return value


class AppPolicy(Section):
    """Authenticator apps (RFC 6238): 30-second steps, so each step of drift is half a minute (ASVS 6.5.5)."""

    drift_steps: int = Field(ge=0, le=2)


class RememberedDevicePolicy(Section):
    """Browsers that pass without a code. The pages promise 30 days and no more, whatever the use in between."""

    lifetime: Duration = Field(ge=DAY, le=30 * DAY)
    sliding: Annotated[Literal[False], BeforeValidator(boolean)]
    renewal_grace: Duration = Field(ge=timedelta(0), le=5 * MINUTE)


class PhonePolicy(Section):
    """Regions whose numbers may receive codes."""

    regions: Annotated[tuple[Annotated[str, AfterValidator(region)], ...], AfterValidator(some_distinct)]


class MfaPolicy(Section):
    """mfa.yaml: two-step verification, its codes, remembered devices and phones."""

    version: Literal["authsvc/mfa/1"] = Field(alias="schema")
    audiences: Audiences
    code: CodePolicy
    totp: AppPolicy
    remembered_device: RememberedDevicePolicy
    phone: PhonePolicy
    last_try_pause: Duration = Field(ge=MINUTE, le=DAY)

    def for_audience(self, audience: str) -> AudiencePolicy:
        """The policy of "team" or "investors". Raises: UnknownPolicyName."""
        if audience not in get_args(Audience):
            raise UnknownPolicyName(f"no audience is called {audience!r}")
        found: AudiencePolicy = getattr(self.audiences, audience)
        return found


class PasswordHashPolicy(Section):
    """Argon2id's cost: KiB of memory, passes over it, lanes. The floor is OWASP's set of equivalent settings."""

    memory_kib: int = Field(ge=7168, le=1_048_576)
    iterations: int = Field(ge=1, le=20)
    parallelism: int = Field(ge=1, le=16)

    @field_validator("iterations")
    @classmethod
    def _is_costly_enough(cls, value: int, info: ValidationInfo) -> int:
        memory = info.data.get("memory_kib")
        needed = min((passes for kib, passes in _ARGON2_PROFILES if memory and kib <= memory), default=1)
        if value < needed:
            raise ValueError(f"must be at least {needed} with {memory} KiB of memory")
        return value


class PasswordPolicy(Section):
    """password.yaml. NIST SP 800-63B-4: at least 15 characters, or 8 behind a second factor; 64 must be possible."""

    version: Literal["authsvc/password/1"] = Field(alias="schema")
    min_length: int = Field(ge=8, le=64)
    max_length: int = Field(ge=64, le=1024)
    reject_common: bool
    reject_context: bool
    hash: PasswordHashPolicy


class RefreshPolicy(Section):
    """Refresh tokens. For `retry_window` after use the same client gets the same successor again; then it is reuse."""

    lifetime: Duration = Field(ge=HOUR, le=30 * DAY)
    retry_window: Duration = Field(ge=timedelta(0), le=60 * SECOND)


class KeySchedulePolicy(Section):
    """When signing keys change: a new one every `rotate_every`, in the key set `publish_ahead` before it signs."""

    rotate_every: Duration = Field(ge=DAY, le=365 * DAY)
    publish_ahead: Duration = Field(ge=MINUTE, le=90 * DAY)

    @field_validator("publish_ahead")
    @classmethod
    def _one_key_waits_at_a_time(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        rotate_every = info.data.get("rotate_every")
        if rotate_every and value > rotate_every:
            raise ValueError("must not be longer than rotate_every")
        return value


class DeviceCodePolicy(Section):
    """Devices without a browser of their own (RFC 8628). The longer the code lives, the longer it can be phished with."""

    lifetime: Duration = Field(ge=MINUTE, le=30 * MINUTE)
    interval: Duration = Field(ge=SECOND, le=MINUTE)


class RegistrationPolicy(Section):
    """What a client that registered itself may have at most; a person consents to it all the same."""

    # No scope of an API: what registers itself is nobody that we know.
    scopes: tuple[Literal["openid", "profile", "email", "offline_access"], ...] = Field(min_length=1)


class TokenPolicy(Section):
    """tokens.yaml: lifetimes of what the token endpoint deals in, and of the keys behind it."""

    version: Literal["authsvc/tokens/1"] = Field(alias="schema")
    # RFC 6749 4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED."
    authorization_code: Duration = Field(ge=10 * SECOND, le=10 * MINUTE)
    # RFC 9126 2.2: the lifetime of a request_uri "will typically be relatively short (e.g., between 5 and 600 seconds)".
    pushed_request: Duration = Field(ge=5 * SECOND, le=10 * MINUTE)
    # What was revoked may live on in other services for this long: they check a signature and do not ask us.
    access_token: Duration = Field(ge=30 * SECOND, le=HOUR)
    id_token: Duration = Field(ge=30 * SECOND, le=HOUR)
    device_code: DeviceCodePolicy
    refresh: RefreshPolicy
    jwks_max_age: Duration = Field(ge=MINUTE, le=DAY)
    clock_skew: Duration = Field(ge=timedelta(0), le=5 * MINUTE)
    keys: KeySchedulePolicy
    registration: RegistrationPolicy

    @field_validator("keys")
    @classmethod
    def _verifiers_know_a_key_before_it_signs(cls, value: KeySchedulePolicy, info: ValidationInfo) -> KeySchedulePolicy:
        if "jwks_max_age" in info.data and "clock_skew" in info.data:
            needed = info.data["jwks_max_age"] + info.data["clock_skew"]
            if value.publish_ahead < needed:
                raise ValueError(
                    f"publish_ahead must be at least jwks_max_age and clock_skew together, {format_duration(needed)}"
                    f" (got {format_duration(value.publish_ahead)})"
                )
        return value


class LinkPolicy(Section):
    """How long links in mails work. Each works once."""

    reset: Duration = Field(ge=5 * MINUTE, le=HOUR)
    invitation: Duration = Field(ge=HOUR, le=30 * DAY)
    verify_email: Duration = Field(ge=HOUR, le=7 * DAY)
    not_me: Duration = Field(ge=HOUR, le=30 * DAY)


class NotificationPolicy(Section):
    """How long the bell keeps what it tells, and how many of one person in one account."""

    kept: Duration = Field(ge=DAY, le=365 * DAY)
    per_person: int = Field(ge=10, le=1000)


class SessionPolicy(Section):
    """sessions.yaml: how long someone stays signed in, and how long unfinished sign-ins and notifications are kept."""

    version: Literal["authsvc/sessions/1"] = Field(alias="schema")
    # A session opened before two-step verification was switched on may go on for this long, so 12 hours is the promise.
    absolute: Duration = Field(ge=5 * MINUTE, le=12 * HOUR)
    idle: Duration = Field(ge=MINUTE, le=12 * HOUR)
    per_user: int = Field(ge=1, le=1000)
    attempt: Duration = Field(ge=5 * MINUTE, le=HOUR)
    authorization_request: Duration = Field(ge=5 * MINUTE, le=DAY)
    #: For how long a password, or a code, counts as shown just now (ux.md S2).
    recent_proof: Duration = Field(ge=MINUTE, le=HOUR)
    #: After a password reset by mail, sensitive acts wait (domain D15).
    sensitive_acts_frozen: Duration = Field(ge=timedelta(0), le=7 * DAY)
    links: LinkPolicy
    notifications: NotificationPolicy

    @field_validator("idle")
    @classmethod
    def _idle_within_absolute(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        absolute = info.data.get("absolute")
        if absolute and value > absolute:
            raise ValueError(f"must not be longer than absolute, {format_duration(absolute)}")
        return value

    @field_validator("authorization_request")
    @classmethod
    def _request_outlives_the_attempt(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        attempt = info.data.get("attempt")
        if attempt and value < attempt:
            raise ValueError(f"must not be shorter than attempt, {format_duration(attempt)}")
        return value


class FunctionalityPermissions(Section):
    """Accounts with the functionality-based model. Data Access is granted by support alone (domain D12)."""

    administer: Annotated[tuple[Literal["admin", "member"], ...], AfterValidator(some_distinct)]


class RolePermissions(Section):
    """Accounts with the role-based model."""

    administer: Annotated[tuple[Role, ...], AfterValidator(some_distinct)]
    assign_roles: Annotated[tuple[Role, ...], AfterValidator(some_distinct)]
    grant_data_access: Annotated[tuple[Role, ...], AfterValidator(some_distinct)]


class PermissionPolicy(Section):
    """permissions.yaml: which roles may do what, by the account's permission model (domain D12, D27, D32)."""

    version: Literal["authsvc/permissions/1"] = Field(alias="schema")
    functionality: FunctionalityPermissions
    role: RolePermissions
    #: How long a request for Data Access waits for its second operator.
    data_access_request: Duration = Field(ge=HOUR, le=30 * DAY)


class ExportPolicy(Section):
    """exports.yaml: how long an export's file is kept, how many a person may have made, how large one may be."""

    version: Literal["authsvc/exports/1"] = Field(alias="schema")
    kept: Duration = Field(ge=HOUR, le=30 * DAY)
    open_per_person: int = Field(ge=1, le=100)
    per_day: int = Field(ge=1, le=1000)
    largest_mib: int = Field(ge=1, le=102_400)
    handed_over_within: Duration = Field(ge=MINUTE, le=7 * DAY)
    taking_longer: Duration = Field(ge=MINUTE, le=DAY)
    #: The row tells who took what, so it stays much longer than the file.
    rows_kept: Duration = Field(ge=90 * DAY, le=3650 * DAY)
