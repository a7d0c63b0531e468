"""A token seen before: its signature is remembered, everything that can change is looked at again."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from authsvc.resource_server import (
    InsufficientAuthentication,
    InsufficientScope,
    InvalidToken,
    Requirement,
    TokenVerifier,
)
from tests.unit.resource_server.local_issuer import (
    ES256,
    NEXT_ES256,
    NOW,
    RS256,
    LocalIssuer,
    Time,
    a_header,
    a_token,
    remembered_claims,
    signed,
    some_claims,
)


def test_the_same_token_is_verified_once(verify: TokenVerifier) -> None:
    """The second time, the very same claims come back."""
    token = a_token()
    assert verify(token) is verify(token)


def test_a_token_expires_although_it_was_seen(verify: TokenVerifier, time: Time) -> None:
    """exp is looked at every time."""
    token = a_token(exp=NOW + 100)
    verify(token)
    time.advance(159)
    verify(token)
    time.advance(1)
    with pytest.raises(InvalidToken, match="expired"):
        verify(token)


def test_a_token_may_not_become_younger_than_its_nbf(verify: TokenVerifier, time: Time) -> None:
    """nbf is looked at every time, even when the clock was set back."""
    token = a_token(nbf=NOW)
    verify(token)
    time.advance(-61)
    with pytest.raises(InvalidToken, match="not yet valid"):
        verify(token)


def test_the_requirement_is_looked_at_every_time(verify: TokenVerifier, time: Time) -> None:
    """What one view allowed says nothing about the next, nor about a minute later."""
    token = signed(a_header(), remembered_claims(mfa_at=NOW - 800))
    verify(token, Requirement(scope="investors.read", mfa_within_s=900))
    with pytest.raises(InsufficientScope):
        verify(token, Requirement(scope="investors.write"))
    time.advance(101)
    with pytest.raises(InsufficientAuthentication, match="second step"):
        verify(token, Requirement(scope="investors.read", mfa_within_s=900))


def test_a_token_dies_with_its_key(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """`keys withdraw`: what the key signed is refused as soon as the key has left the set."""
    old, other = a_token(ES256, exp=NOW + 3_600), a_token(RS256, exp=NOW + 3_600)
    verify(old)
    verify(other)
    issuer.keys = [NEXT_ES256.as_dict(private=False), RS256.as_dict(private=False)]
    time.advance(300)
    with pytest.raises(InvalidToken, match="kid"):
        verify(old)
    verify(other)


def test_a_token_dies_when_its_key_is_replaced(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """The same kid with another key is another key."""
    token = a_token(exp=NOW + 3_600)
    verify(token)
    issuer.keys = [{**NEXT_ES256.as_dict(private=False), "kid": "es-1"}]
    time.advance(300)
    with pytest.raises(InvalidToken, match="signature"):
        verify(token)


def test_a_refresh_of_the_keys_forgets_no_token(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """Every five minutes the set is new and its keys are the same."""
    token = a_token(exp=NOW + 3_600)
    claims = verify(token)
    time.advance(300)
    assert verify(token) is claims
    assert issuer.key_fetches() == 2


def test_only_so_many_tokens_are_remembered(issuer: LocalIssuer, time: Time) -> None:
    """Bounded: the one used longest ago goes first, and is verified anew when it comes back."""
    verify = issuer.verifier(time, cache_size=2)
    first, second, third = (a_token(jti=jti) for jti in "123")
    claims = {token: verify(token) for token in (first, second)}
    assert verify(first) is claims[first]
    verify(third)
    assert verify(first) is claims[first]
    assert verify(second) is not claims[second]


def test_remembering_can_be_turned_off(issuer: LocalIssuer, time: Time) -> None:
    """cache_size 0: every token is verified every time."""
    verify = issuer.verifier(time, cache_size=0)
    token = a_token()
    assert verify(token) is not verify(token)


def test_an_expired_token_takes_no_place(issuer: LocalIssuer, time: Time) -> None:
    """What was refused is not remembered: nobody can push good tokens out with old ones."""
    verify = issuer.verifier(time, cache_size=1)
    good = a_token()
    claims = verify(good)
    with pytest.raises(InvalidToken):
        verify(a_token(exp=NOW - 100))
    assert verify(good) is claims


def test_what_a_caller_changes_reaches_no_other(verify: TokenVerifier) -> None:
    """Claims are shared between requests, so the raw ones are made anew at each look."""
    token = a_token(extra={"list": [1]})
    first = verify(token).raw
    first["extra"]["list"].append(2)
    assert verify(token).raw["extra"] == {"list": [1]}


def test_many_threads_may_share_one_verifier(issuer: LocalIssuer, time: Time) -> None:
    """More tokens than places, from eight threads: every answer belongs to its token."""
    verify = issuer.verifier(time, cache_size=3)
    tokens = {str(number): signed(a_header(), some_claims(jti=str(number))) for number in range(8)}
    start = Barrier(8)
    wrong: list[str] = []

    def work() -> None:
        start.wait(10)
        for _ in range(5):
            wrong.extend(jti for jti, token in tokens.items() if verify(token).jti != jti)

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert wrong == []
