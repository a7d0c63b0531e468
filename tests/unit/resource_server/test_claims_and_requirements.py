"""What a token says, and what a request may require of it (claims.md)."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.resource_server import (
    LEVELS,
    Account,
    InsufficientAuthentication,
    InsufficientPrivilege,
    InsufficientScope,
    InvalidToken,
    RememberedDevice,
    Requirement,
    TokenError,
    TokenVerifier,
)
from tests.unit.resource_server.local_issuer import (
    ABSENT,
    NOW,
    Time,
    a_header,
    a_token,
    named,
    remembered_claims,
    signed,
    some_claims,
)

TWO_STEP = "urn:ims:acr:two-step"
REMEMBERED = "urn:ims:acr:remembered"


def test_a_persons_token_is_read_in_full(verify: TokenVerifier) -> None:
    """Typed access to every claim of claims.md; the rest stays in raw."""
    claims = verify(a_token(nbf=NOW, new_claim={"a": 1}))
    assert (claims.sub, claims.client_id, claims.jti, claims.sid) == ("3f9c1d52", "ims-portal", "b7a2", "5d01")
    assert (claims.issued_at, claims.not_before, claims.expires_at) == (NOW, NOW, NOW + 300)
    assert claims.scope == {"openid", "investors.read"}
    assert (claims.acr, claims.amr, claims.auth_time) == (TWO_STEP, ("pwd", "otp", "mca"), NOW)
    assert claims.account == Account(id="a-17", slug="northgate", audience="team")
    assert claims.roles == {"admin"}
    assert claims.entitlements == {"sensitive_data_access"}
    assert claims.remembered_device is None
    assert claims.raw == some_claims(nbf=NOW, new_claim={"a": 1})


def test_a_machines_token_names_no_person(verify: TokenVerifier) -> None:
    """client_credentials: no acr, amr, auth_time, account or remembered_device, and sub is the client."""
    personal = ("acr", "amr", "auth_time", "sid", "account", "roles", "entitlements", "scope")
    claims = verify(a_token(sub="ims-batch", client_id="ims-batch", **dict.fromkeys(personal, ABSENT)))
    assert claims.sub == claims.client_id
    assert claims.scope == claims.roles == claims.entitlements == frozenset()
    assert (claims.acr, claims.amr, claims.auth_time, claims.sid, claims.account) == (None, (), None, None, None)


def test_a_remembered_device_is_read(verify: TokenVerifier) -> None:
    """The claim without id and mfa_amr, as access tokens carry it."""
    claims = verify(signed(a_header(), remembered_claims(mfa_at=NOW - 900)))
    assert claims.remembered_device == RememberedDevice(
        v=1, state="used", mfa_at=NOW - 900, exp=NOW - 900 + 30 * 86_400, bind="cookie"
    )


def test_unknown_fields_of_the_device_are_ignored(verify: TokenVerifier) -> None:
    """Readers ignore unknown fields."""
    device = {"v": 1, "state": "enrolled", "mfa_at": NOW, "exp": NOW + 9, "bind": "dbsc", "colour": "blue"}
    found = verify(a_token(remembered_device=device)).remembered_device
    assert found == RememberedDevice(v=1, state="enrolled", mfa_at=NOW, exp=NOW + 9, bind="dbsc")


def test_a_later_schema_of_the_device_counts_as_none(verify: TokenVerifier) -> None:
    """What we cannot read we do not guess at; the rest of the token stays good."""
    device = {"v": 2, "state": "used", "mfa_at": NOW, "exp": NOW + 9, "bind": "cookie"}
    token = a_token(acr=REMEMBERED, remembered_device=device)
    assert verify(token).remembered_device is None
    with pytest.raises(InsufficientAuthentication):
        verify(token, Requirement(mfa_within_s=900))


@pytest.mark.parametrize(
    "claim",
    [
        {"scope": ["investors.read"]},
        {"scope": None},
        {"acr": 2},
        {"amr": "pwd"},
        {"amr": [1]},
        {"auth_time": "now"},
        {"auth_time": True},
        {"auth_time": 1.5},
        {"sid": 1},
        {"account": "northgate"},
        {"account": {"id": "a-17", "slug": "northgate"}},
        {"account": {"id": 17, "slug": "northgate", "audience": "team"}},
        {"roles": "admin"},
        {"entitlements": {"sensitive_data_access": True}},
        {"remembered_device": True},
        {"remembered_device": {"v": 1}},
        {"remembered_device": {"v": 1, "state": "used", "mfa_at": float("nan"), "exp": NOW, "bind": "cookie"}},
        {"nbf": "0"},
    ],
    ids=repr,
)
def test_a_claim_of_the_wrong_type_spoils_the_token(verify: TokenVerifier, claim: dict[str, Any]) -> None:
    """Nothing is guessed from a malformed claim, least of all a level or a privilege."""
    with pytest.raises(InvalidToken):
        verify(a_token(**claim))


@pytest.mark.parametrize(
    ("requirement", "error"),
    [
        (Requirement(), None),
        (Requirement(scope="investors.read"), None),
        (Requirement(scope="investors.read openid"), None),
        (Requirement(scope="investors.write"), InsufficientScope),
        (Requirement(scope="investors.read investors.write"), InsufficientScope),
        (Requirement(scope="investors"), InsufficientScope),
        (Requirement(entitlement="sensitive_data_access"), None),
        (Requirement(entitlement="admin"), InsufficientPrivilege),
        (Requirement(account="a-17"), None),
        (Requirement(account="northgate"), None),
        (Requirement(account="Northgate"), InsufficientPrivilege),
        (Requirement(account="team"), InsufficientPrivilege),
        (Requirement(account=""), InsufficientPrivilege),
    ],
    ids=repr,
)
def test_what_may_be_done(verify: TokenVerifier, requirement: Requirement, error: type[TokenError] | None) -> None:
    """Every scope is needed; the entitlement and the account must be the token's own."""
    assert _refusal(verify, a_token(), requirement) == error


@pytest.mark.parametrize("required", LEVELS)
@pytest.mark.parametrize("acr", [*LEVELS, "urn:other:acr:strong", ABSENT], ids=named)
def test_levels_are_ordered(verify: TokenVerifier, acr: Any, required: str) -> None:
    """password < remembered < two-step < two-factor < phr; an unknown level meets nothing."""
    meets = acr in LEVELS and LEVELS.index(acr) >= LEVELS.index(required)
    refusal = _refusal(verify, a_token(acr=acr), Requirement(acr=required))
    assert refusal == (None if meets else InsufficientAuthentication)


def test_a_remembered_device_never_counts_as_a_step_made_now(verify: TokenVerifier) -> None:
    """However fresh its second step: `remembered` does not satisfy two-step."""
    token = signed(a_header(), remembered_claims(mfa_at=NOW))
    verify(token, Requirement(mfa_within_s=60, acr=REMEMBERED))
    with pytest.raises(InsufficientAuthentication):
        verify(token, Requirement(mfa_within_s=60, acr=TWO_STEP))


def test_max_age_counts_from_the_last_proof(verify: TokenVerifier, time: Time) -> None:
    """auth_time: the last time the person proved anything, a password included."""
    token = a_token(acr="urn:ims:acr:password", amr=["pwd"])
    time.advance(300)
    assert _refusal(verify, token, Requirement(max_age_s=300)) is None
    assert _refusal(verify, token, Requirement(max_age_s=299)) == InsufficientAuthentication
    assert _refusal(verify, a_token(auth_time=ABSENT), Requirement(max_age_s=300)) == InsufficientAuthentication


@pytest.mark.parametrize("acr", [TWO_STEP, "urn:ims:acr:two-factor", "phr"])
def test_a_second_step_in_the_sign_in_counts_from_auth_time(verify: TokenVerifier, time: Time, acr: str) -> None:
    """Two-step or more was made at auth_time."""
    token = a_token(acr=acr)
    time.advance(300)
    assert _refusal(verify, token, Requirement(mfa_within_s=300)) is None
    assert _refusal(verify, token, Requirement(mfa_within_s=299)) == InsufficientAuthentication


def test_a_second_step_of_a_remembered_device_counts_from_mfa_at(verify: TokenVerifier) -> None:
    """auth_time is only the password here."""
    token = signed(a_header(), remembered_claims(mfa_at=NOW - 900))
    assert _refusal(verify, token, Requirement(mfa_within_s=900)) is None
    assert _refusal(verify, token, Requirement(mfa_within_s=899)) == InsufficientAuthentication


@pytest.mark.parametrize("acr", ["urn:ims:acr:password", "urn:other:acr:strong", ABSENT], ids=named)
def test_without_a_second_step_there_is_none(verify: TokenVerifier, acr: Any) -> None:
    """A fresh password is no second step, whatever device claim stands beside it."""
    claims = remembered_claims(mfa_at=NOW, acr=acr)
    assert _refusal(verify, signed(a_header(), claims), Requirement(mfa_within_s=900)) == InsufficientAuthentication


@pytest.mark.parametrize("requirement", [Requirement(max_age_s=900), Requirement(mfa_within_s=900)], ids=repr)
def test_a_sign_in_in_the_future_is_not_recent(verify: TokenVerifier, requirement: Requirement) -> None:
    """Beyond the leeway for clocks, a time to come proves nothing."""
    assert _refusal(verify, a_token(auth_time=NOW + 60), requirement) is None
    assert _refusal(verify, a_token(auth_time=NOW + 61), requirement) == InsufficientAuthentication


def test_nobody_is_sent_for_a_code_in_vain(verify: TokenVerifier) -> None:
    """What the person may not do at all is said before a stronger sign-in is asked for."""
    requirement = Requirement(account="westbrook", acr="phr")
    assert _refusal(verify, a_token(), requirement) == InsufficientPrivilege


@pytest.mark.parametrize(
    "mistake",
    [
        {"acr": "two-step"},
        {"acr": ""},
        {"max_age_s": -1},
        {"mfa_within_s": -1},
        {"scope": ""},
        {"scope": " investors.read"},
        {"scope": "investors.read  openid"},
        {"scope": 'a"b'},
        {"scope": "a\r\nX-Header: 1"},
        {"scope": "a\n"},
    ],
    ids=repr,
)
def test_a_mistaken_requirement_fails_where_it_is_written(mistake: dict[str, Any]) -> None:
    """At import, not at the first request that it would wrongly let through or refuse."""
    with pytest.raises(ValueError, match=next(iter(mistake))):
        Requirement(**mistake)


def _refusal(verify: TokenVerifier, token: str, requirement: Requirement) -> type[TokenError] | None:
    try:
        verify(token, requirement)
    except TokenError as error:
        return type(error)
    return None
