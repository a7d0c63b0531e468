"""The exact text of WWW-Authenticate (RFC 6750 3, RFC 9470 3)."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.resource_server import (
    InsufficientAuthentication,
    InsufficientPrivilege,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    Requirement,
    TokenError,
    TokenVerifier,
)
from tests.unit.resource_server.local_issuer import NOW, Time, a_header, a_token, remembered_claims, signed

STEP_UP = (
    'Bearer error="insufficient_user_authentication", '
    'error_description="A stronger or more recent sign-in is required."'
)


@pytest.mark.parametrize(
    ("error", "status", "challenge"),
    [
        (MissingToken("x"), 401, "Bearer"),
        (
            InvalidRequest("x"),
            400,
            (
                'Bearer error="invalid_request", '
                'error_description="The access token belongs in the Authorization header and nowhere else."'
            ),
        ),
        (
            InvalidToken("x"),
            401,
            (
                'Bearer error="invalid_token", '
                'error_description="The access token is malformed, expired or not meant for this API."'
            ),
        ),
        (
            InsufficientScope("x", scope="investors.read investors.write"),
            403,
            (
                'Bearer error="insufficient_scope", '
                'error_description="The access token lacks the scope for this request.", '
                'scope="investors.read investors.write"'
            ),
        ),
        (
            InsufficientPrivilege("x"),
            403,
            'Bearer error="insufficient_scope", error_description="The access token does not reach this resource."',
        ),
        (
            InsufficientAuthentication("x", acr_values=("urn:ims:acr:two-step",), max_age=900),
            401,
            f'{STEP_UP}, acr_values="urn:ims:acr:two-step", max_age="900"',
        ),
        (KeysUnavailable("x", retry_after_s=30), 503, "Bearer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, TokenError) else "",
)
def test_each_refusal_has_its_status_and_challenge(error: TokenError, status: int, challenge: str) -> None:
    """401 invalid_token, 403 insufficient_scope, 401 insufficient_user_authentication; none without a token."""
    assert (error.status, error.challenge()) == (status, challenge)


@pytest.mark.parametrize(
    ("requirement", "asked"),
    [
        (Requirement(acr="urn:ims:acr:two-step"), 'acr_values="urn:ims:acr:two-step"'),
        (Requirement(acr="urn:ims:acr:two-factor"), 'acr_values="urn:ims:acr:two-factor"'),
        (Requirement(acr="phr", max_age_s=60), 'acr_values="phr", max_age="60"'),
        (Requirement(max_age_s=60), 'max_age="60"'),
        (Requirement(max_age_s=0), 'max_age="0"'),
        (Requirement(mfa_within_s=900), 'acr_values="urn:ims:acr:two-step", max_age="900"'),
        (Requirement(mfa_within_s=900, max_age_s=60), 'acr_values="urn:ims:acr:two-step", max_age="60"'),
        (Requirement(mfa_within_s=900, max_age_s=3_600), 'acr_values="urn:ims:acr:two-step", max_age="900"'),
        (
            Requirement(mfa_within_s=900, acr="urn:ims:acr:password"),
            'acr_values="urn:ims:acr:two-step", max_age="900"',
        ),
        (
            Requirement(mfa_within_s=900, acr="urn:ims:acr:two-factor"),
            'acr_values="urn:ims:acr:two-factor", max_age="900"',
        ),
        (
            Requirement(mfa_within_s=900, acr="urn:ims:acr:remembered"),
            'acr_values="urn:ims:acr:two-step", max_age="900"',
        ),
        (Requirement(acr="urn:ims:acr:remembered"), 'acr_values="urn:ims:acr:remembered urn:ims:acr:two-step"'),
    ],
    ids=repr,
)
def test_the_challenge_asks_for_all_that_one_new_sign_in_must_bring(
    verify: TokenVerifier, time: Time, requirement: Requirement, asked: str
) -> None:
    """max_age alone forces a password only, so a recent second step names a level too (claims.md, RFC 9470 3)."""
    token = a_token(acr="urn:ims:acr:password", amr=["pwd"], exp=NOW + 9_000)
    time.advance(4_000)
    with pytest.raises(InsufficientAuthentication) as refusal:
        verify(token, requirement)
    assert refusal.value.challenge() == f"{STEP_UP}, {asked}"


def test_an_old_second_step_is_asked_for_anew(verify: TokenVerifier) -> None:
    """A remembered device whose code is too old: the challenge names two-step, for which a code is always asked."""
    token = signed(a_header(), remembered_claims(mfa_at=NOW - 901))
    with pytest.raises(InsufficientAuthentication) as refusal:
        verify(token, Requirement(mfa_within_s=900))
    assert refusal.value.acr_values == ("urn:ims:acr:two-step",)


def test_a_realm_cannot_break_out_of_its_quotes() -> None:
    """Quoted-string (RFC 9110 5.6.4): quotes and backslashes escaped, anything else that is odd replaced."""
    challenge = MissingToken("x").challenge('in"ves\\tors\r\nX-Evil: é')
    assert challenge == 'Bearer realm="in\\"ves\\\\tors??X-Evil: ?"'
    assert InvalidToken("x").challenge("api").startswith('Bearer realm="api", error="invalid_token", ')


def test_nothing_of_the_token_is_echoed(verify: TokenVerifier) -> None:
    """Neither the client nor the log gets back what somebody put into a token."""
    marker = "s3cr3tm4rk"
    unknown: dict[str, Any] = {marker: 1, "crit": [marker]}
    tokens = [
        marker,
        f"{marker}.{marker}.{marker}",
        signed(a_header(kid=marker), {}),
        signed(a_header(alg=marker), {}),
        signed(a_header(typ=marker), {}),
        signed(a_header(**unknown), {}),
        a_token(iss=marker),
        a_token(aud=marker),
        a_token(exp=marker),
        a_token(account=marker),
        a_token(scope=marker, acr=marker),
    ]
    for token in tokens:
        with pytest.raises(TokenError) as refusal:
            verify(token, Requirement(acr="phr"))
        assert marker not in refusal.value.challenge() + refusal.value.reason + str(refusal.value)
