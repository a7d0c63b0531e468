"""The published key set (RFC 7517): every key that verifies something, and public members only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authsvc.clock import FixedClock
from authsvc.keyring.schedule import RotationRules
from tests.protocol.portal import Portal, body, header
from tests.support.service import Service, make_ring

JWKS = "/oauth/jwks"
#: RFC 7518 6.2.2, 6.3.2 and 6.4: the members of private and symmetric keys.
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
PUBLIC = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}, "OKP": {"crv", "x"}}


def keys(portal: Portal) -> list[dict[str, Any]]:
    """The published keys."""
    found: list[dict[str, Any]] = portal.get(JWKS).get_json()["keys"]
    return found


def test_it_holds_public_members_only(portal: Portal) -> None:
    """TK-22: no "d" in any response. RFC 7517 5: {"keys": [...]}, and a media type of its own (8.5.2)."""
    answer = portal.get(JWKS)

    assert answer.mimetype == "application/jwk-set+json"
    assert answer.get_json().keys() == {"keys"}
    for key in keys(portal):
        assert not key.keys() & PRIVATE
        assert key.keys() == {"kty", "use", "alg", "kid"} | PUBLIC[key["kty"]]
        assert key["use"] == "sig"


def test_every_key_has_its_own_id(portal: Portal) -> None:
    """RFC 7517 4.5: different keys "SHOULD use distinct kid values"; tokens name theirs."""
    kids = [key["kid"] for key in keys(portal)]
    tokens = portal.tokens()

    assert len(set(kids)) == len(kids) >= 2
    assert {header(tokens["id_token"])["kid"], header(tokens["access_token"])["kid"]} <= set(kids)


def test_rsa_and_ec_keys_are_there(portal: Portal) -> None:
    """ES256 by default, RS256 in the set too (claims.md). The numbers are as long as the algorithms want."""
    found = {key["alg"]: key for key in keys(portal)}

    assert found.keys() == {"ES256", "RS256"}
    assert found["ES256"]["crv"] == "P-256"
    assert len(found["RS256"]["n"]) * 6 >= 2048


def test_its_max_age_is_what_rotation_counts_on(portal: Portal) -> None:
    """contract.md: "JWKS is served with a truthful Cache-Control": jwks_max_age of policies/tokens.yaml, no other number."""
    max_age = portal.service.services.policies.tokens.jwks_max_age

    control = portal.get(JWKS).headers["Cache-Control"]

    assert max_age == timedelta(minutes=5)
    assert control.split(", ")[:2] == ["public", f"max-age={int(max_age.total_seconds())}"]


@pytest.fixture
def rotating(database_url: str, clock: FixedClock, tmp_path: Path) -> Iterator[Portal]:
    """A service with a ring of its own, which the test may rotate."""
    service = Service.on(database_url, clock=clock, ring=make_ring(tmp_path / "keys", clock))
    yield Portal.on(service)
    service.dispose()


def test_a_key_is_published_before_it_signs_and_after(rotating: Portal) -> None:
    """A rotation refuses no valid token (P9): the successor is in the set before the first token it signs, the predecessor stays
    until its last token has expired. OpenID conformance, server-rotate-keys.
    """
    policy, service = rotating.service.services.policies.tokens, rotating.service
    rules = RotationRules(
        jwks_max_age=policy.jwks_max_age,
        clock_skew=policy.clock_skew,
        longest_token=max(policy.access_token, policy.id_token),
        publish_ahead=policy.keys.publish_ahead,
    )
    old = service.services.ring.active("ES256").kid
    etag = rotating.get(JWKS).headers["ETag"]

    service.services.ring.rotate("ES256", rules=rules)

    if len(service.replicas) > 1:  # the one that rotated knows at once, the others when they look again
        service.clock.advance(service.services.ring.home.noticed_within)
    assert rotating.get(JWKS).headers["ETag"] != etag
    [new] = {key["kid"] for key in keys(rotating) if key["alg"] == "ES256"} - {old}
    tokens = rotating.tokens()
    assert header(tokens["access_token"])["kid"] == old
    service.pass_time(days=policy.keys.publish_ahead.days)
    assert {key["kid"] for key in keys(rotating)} > {old, new}
    last_of_the_old = tokens["id_token"]
    tokens = rotating.tokens()
    assert header(tokens["access_token"])["kid"] == header(tokens["id_token"])["kid"] == new
    assert rotating.claims(last_of_the_old)["sub"] == rotating.claims(tokens["id_token"])["sub"]
    assert body(rotating.userinfo(tokens["access_token"]))["sub"]
