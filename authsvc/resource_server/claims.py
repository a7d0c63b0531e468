"""What a token says, and what a request may require of it. The meaning of each level is in the issuer's documentation.

Read `acr` first. A remembered device means that a code was skipped: it is fine for ordinary pages and never counts as a
second step made now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from authsvc.resource_server.errors import (
    InsufficientAuthentication,
    InsufficientPrivilege,
    InsufficientScope,
    InvalidToken,
)

PASSWORD = "urn:ims:acr:password"
REMEMBERED = "urn:ims:acr:remembered"
TWO_STEP = "urn:ims:acr:two-step"
#: Every level, weakest first.
LEVELS = (PASSWORD, REMEMBERED, TWO_STEP, "urn:ims:acr:two-factor", "phr")
_RANK = {acr: rank for rank, acr in enumerate(LEVELS)}

#: The last second of the year 9999: later ones cannot be turned into a datetime.
_LAST_DATE = 253_402_300_799
#: RFC 6749 3.3: what a scope may be made of. No quote and no backslash, so it is safe in a challenge.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


@dataclass(frozen=True, slots=True)
class Account:
    """The one account the token is for. `audience`: team or investors."""

    id: str
    slug: str
    audience: str


@dataclass(frozen=True, slots=True)
class RememberedDevice:
    """The device that stood in for a code, or was remembered in this sign-in. It reports and never admits.

    `state`: used (a code was skipped because of it) or enrolled. `mfa_at`: when the second step was really passed on
    it; `exp`: when it ends; both in seconds since 1970. `bind`: cookie, or dbsc once devices are bound to a key.
    `mfa_amr`: how the step was passed then; only introspection tells, it is empty for a token that was read offline.
    """

    v: int
    state: str
    mfa_at: int
    exp: int
    bind: str
    mfa_amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified access token (RFC 9068). Times are in seconds since 1970 (NumericDate).

    A token of client_credentials has no person behind it: `acr`, `auth_time`, `sid`, `account` and `remembered_device`
    are None, `amr` is empty, and `sub` is the client's id.
    """

    sub: str
    client_id: str
    jti: str
    issued_at: int
    expires_at: int
    not_before: int | None
    scope: frozenset[str]
    acr: str | None
    amr: tuple[str, ...]
    auth_time: int | None
    sid: str | None
    account: Account | None
    entitlements: frozenset[str]
    roles: frozenset[str]
    remembered_device: RememberedDevice | None
    _payload: bytes = field(repr=False)

    @property
    def raw(self) -> Mapping[str, Any]:
        """Every claim as it came, unknown ones too.

        Parsed anew at each look: these objects are shared by all requests with the same token, and a change made to one
        dictionary must not reach another request.
        """
        raw: dict[str, Any] = json.loads(self._payload)
        return raw

    def second_step_at(self) -> int | None:
        """When the person really passed a second step, as far as this token can tell."""
        if _rank(self.acr) >= _RANK[TWO_STEP]:
            return self.auth_time
        if self.acr == REMEMBERED and self.remembered_device is not None:
            return self.remembered_device.mfa_at
        return None


def check_addressee(claims: Mapping[str, Any], *, issuer: str, audience: str) -> None:
    """Return if a token with `claims` is of `issuer`, for `audience` (RFC 9068 4), and usable without a proof.

    Raises: InvalidToken.
    """
    if claims.get("iss") != issuer:
        raise InvalidToken("another issuer's token")
    aud = claims.get("aud")
    if audience not in (aud if isinstance(aud, list) else [aud]):
        raise InvalidToken("token for another audience")
    if "cnf" in claims:
        # A token bound to a key is worth nothing without its proof, and no proof is checked here (RFC 9449 7.1).
        raise InvalidToken("sender-constrained token sent as a bearer token")


def check_times(claims: Claims, *, now: float, leeway_s: int) -> None:
    """Return if the token is good at `now` (RFC 7519 4.1.4 to 4.1.6). Raises: InvalidToken.

    joserfc's decode() accepts an expired token, so this is where it ends.
    """
    if now - leeway_s >= claims.expires_at:
        raise InvalidToken("expired")
    latest_start = now + leeway_s
    if claims.issued_at > latest_start or (claims.not_before is not None and claims.not_before > latest_start):
        raise InvalidToken("not yet valid")


def read_claims(claims: Mapping[str, Any], *, payload: bytes) -> Claims:
    """The typed view of `claims`, which were parsed from the `payload` of a verified token. Unknown claims are ignored.

    Raises: InvalidToken when one that is there has not the type that its specification gives it, or a required one is
    missing.
    """
    return Claims(
        sub=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        jti=_text(claims, "jti"),
        issued_at=_date(claims, "iat"),
        expires_at=_date(claims, "exp"),
        not_before=_date(claims, "nbf") if "nbf" in claims else None,
        scope=frozenset(_text(claims, "scope").split()) if "scope" in claims else frozenset(),
        acr=_text(claims, "acr") if "acr" in claims else None,
        amr=_texts(claims, "amr"),
        auth_time=_date(claims, "auth_time") if "auth_time" in claims else None,
        sid=_text(claims, "sid") if "sid" in claims else None,
        account=_account(claims),
        entitlements=frozenset(_texts(claims, "entitlements")),
        roles=frozenset(_texts(claims, "roles")),
        remembered_device=_remembered_device(claims),
        _payload=payload,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a request needs of the token, beside its being good. What is None is not looked at.

    `scope`: names separated by spaces, all needed. `entitlement`: one of the person's. `account`: id or slug of the
    account that the token must be for; prefer the id where you have it. `acr`: the weakest level that will do, one of
    LEVELS. `max_age_s`: seconds since the person last proved anything, a password included. `mfa_within_s`: seconds
    since a real second step; on a remembered device that is the step it was remembered for.
    Raises: ValueError for a level that does not exist, a negative number of seconds, or a malformed scope.
    """

    scope: str | None = None
    entitlement: str | None = None
    account: str | None = None
    acr: str | None = None
    max_age_s: int | None = None
    mfa_within_s: int | None = None
    _scopes: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.scope is not None and not _SCOPE.fullmatch(self.scope):
            raise ValueError("scope: names of printable ASCII, one space between them (RFC 6749 3.3)")
        if self.acr is not None and self.acr not in _RANK:
            raise ValueError(f"acr: one of {', '.join(LEVELS)}")
        if any(seconds is not None and seconds < 0 for seconds in (self.max_age_s, self.mfa_within_s)):
            raise ValueError("max_age_s, mfa_within_s: 0 or more")
        object.__setattr__(self, "_scopes", frozenset(self.scope.split()) if self.scope else frozenset())

    def check(self, claims: Claims, *, now: float, leeway_s: int = 0) -> None:
        """Return if `claims` meet this at `now` (seconds since 1970).

        What the client or the person may do at all comes before how the person signed in: nobody is sent to fetch a
        code for a thing that stays shut. `leeway_s`: how far in the future a sign-in may seem to lie.
        Raises: InsufficientScope, InsufficientPrivilege, InsufficientAuthentication.
        """
        if not self._scopes <= claims.scope:
            raise InsufficientScope("scope missing", scope=self.scope or "")
        if self.account is not None and not _is_account(claims.account, self.account):
            raise InsufficientPrivilege("token for another account")
        if self.entitlement is not None and self.entitlement not in claims.entitlements:
            raise InsufficientPrivilege("entitlement missing")
        if self.acr is not None and _rank(claims.acr) < _RANK[self.acr]:
            raise self._step_up("acr too low")
        if not _is_recent(claims.auth_time, self.max_age_s, now=now, leeway_s=leeway_s):
            raise self._step_up("signed in too long ago")
        if not _is_recent(claims.second_step_at(), self.mfa_within_s, now=now, leeway_s=leeway_s):
            raise self._step_up("second step missing or too long ago")

    def _step_up(self, reason: str) -> InsufficientAuthentication:
        """The whole of what is needed, whichever part of it failed: one new sign-in must be enough.

        max_age alone makes the issuer ask for a password, not for a code, so a recent second step also names a level;
        and the level alone would be answered from the session without a question, so it also names max_age.
        """
        acr_values: tuple[str, ...] = () if self.acr is None else (self.acr,)
        if self.mfa_within_s is not None and (self.acr is None or _RANK[self.acr] < _RANK[TWO_STEP]):
            acr_values = (TWO_STEP,)
        elif self.acr == REMEMBERED:
            # Nobody can be asked to have a remembered device: whoever has none makes the step.
            acr_values = (REMEMBERED, TWO_STEP)
        ages = [seconds for seconds in (self.max_age_s, self.mfa_within_s) if seconds is not None]
        return InsufficientAuthentication(reason, acr_values=acr_values, max_age=min(ages, default=None))


def _rank(acr: str | None) -> int:
    """Place in LEVELS; an unknown level meets nothing."""
    return -1 if acr is None else _RANK.get(acr, -1)


def _is_account(account: Account | None, wanted: str) -> bool:
    return account is not None and wanted in (account.id, account.slug)


def _is_recent(at: int | None, within_s: int | None, *, now: float, leeway_s: int) -> bool:
    return within_s is None or (at is not None and -leeway_s <= now - at <= within_s)


def _is_date(value: object) -> TypeGuard[int]:
    # `type() is int`: True is an int to isinstance(), and json reads NaN, Infinity and 1e400 as floats.
    return type(value) is int and 0 <= value <= _LAST_DATE


def _date(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not _is_date(value):
        raise InvalidToken(f"{name} is missing or no NumericDate")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or (not value and name != "scope"):
        raise InvalidToken(f"{name} is missing or no string")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidToken(f"{name} is no list of strings")
    return tuple(value)


def _account(claims: Mapping[str, Any]) -> Account | None:
    if "account" not in claims:
        return None
    account = claims["account"]
    if not isinstance(account, dict):
        raise InvalidToken("account is no object")
    return Account(id=_text(account, "id"), slug=_text(account, "slug"), audience=_text(account, "audience"))


def _remembered_device(claims: Mapping[str, Any]) -> RememberedDevice | None:
    if "remembered_device" not in claims:
        return None
    device = claims["remembered_device"]
    if not isinstance(device, dict):
        raise InvalidToken("remembered_device is no object")
    if device.get("v") != 1:
        # A later schema may mean something else by the same names; the claim's absence is never a failure by itself.
        return None
    return RememberedDevice(
        v=1,
        state=_text(device, "state"),
        mfa_at=_date(device, "mfa_at"),
        exp=_date(device, "exp"),
        bind=_text(device, "bind"),
        mfa_amr=_texts(device, "mfa_amr"),
    )
