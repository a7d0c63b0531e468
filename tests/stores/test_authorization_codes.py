"""Twelve redemptions of one code at the same moment, each on a connection of its own (security.md AZ-11)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from authsvc.clock import FixedClock
from authsvc.oauth.models import AuthorizationCode, RefreshToken, TokenFamily
from tests.protocol.portal import Portal, body
from tests.support.service import CALLBACK, CLIENT_SECRET, Service, make_ring

AT_ONCE = 12


@pytest.fixture
def portal(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Portal]:
    """A service with a connection for each thread."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=AT_ONCE + 4)
    yield Portal.on(service)
    service.services.database.dispose()


def test_of_twelve_redemptions_at_most_one_succeeds_and_its_tokens_die(portal: Portal) -> None:
    """RFC 6749 10.5: "Authorization codes MUST be short lived and single-use. If the authorization server observes multiple
    attempts to exchange an authorization code for an access token, the authorization server SHOULD attempt to revoke all access
    tokens already granted based on the compromised authorization code." Authlib alone let all twelve through (models.md 1.2).
    """
    for _ in range(3):
        code = portal.code()

        answers = portal.service.at_once(*[partial(portal.redeem, code)] * AT_ONCE)

        won = [body(answer) for answer in answers if answer.status_code == 200]
        lost = [body(answer)["error"] for answer in answers if answer.status_code != 200]
        assert len(won) <= 1
        assert lost == ["invalid_grant"] * (AT_ONCE - len(won))
        assert all(portal.is_dead(tokens) for tokens in won)


def test_the_race_leaves_one_spent_code_and_one_ended_family(portal: Portal) -> None:
    """Eleven losers are eleven reuses in the trail, and one revocation: it is recorded by the UPDATE that did it."""
    code = portal.code()

    portal.service.at_once(*[partial(portal.redeem, code)] * AT_ONCE)

    with portal.service.services.database.transaction(read_only=True) as tx:
        codes = tx.scalars(select(AuthorizationCode)).all()
        families = tx.scalars(select(TokenFamily)).unique().all()
        refresh_tokens = tx.scalars(select(func.count()).select_from(RefreshToken)).one()
    assert [row.consumed_at for row in codes] == [portal.service.clock.now()]
    assert [row.revoked_reason for row in families] == ["authorization_code_reused"]
    assert refresh_tokens <= 1
    assert len(portal.service.events("token.issued")) == 1
    assert len(portal.service.events("token.code_reused")) == AT_ONCE - 1
    assert len(portal.service.events("token.family_revoked")) == 1


def test_strangers_in_the_race_neither_win_nor_break_it(portal: Portal) -> None:
    """Another client that found the code sends it eleven times beside the one it was issued to: that one gets its tokens."""
    portal.service.client("another", redirect_uris=[CALLBACK])
    code = portal.code()

    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": portal.verifier,
    }
    stranger = partial(portal.service.token, client=("another", CLIENT_SECRET), **form)

    answers = portal.service.at_once(partial(portal.redeem, code), *[stranger] * (AT_ONCE - 1))

    assert [answer.status_code for answer in answers] == [200] + [400] * (AT_ONCE - 1)
    assert portal.service.events("token.family_revoked") == []


def test_with_wrong_verifiers_in_the_race_still_at_most_one_succeeds(portal: Portal) -> None:
    """Whoever comes first spends it, whatever the verifier: guessing costs the code, never gives one away (AZ-09)."""
    code = portal.code()

    right, wrong = partial(portal.redeem, code), partial(portal.redeem, code, code_verifier="x" * 43)

    answers = portal.service.at_once(*[right, wrong] * (AT_ONCE // 2))

    won = [body(answer) for answer in answers if answer.status_code == 200]
    assert len(won) <= 1
    assert all(body(answer)["error"] == "invalid_grant" for answer in answers if answer.status_code != 200)
    assert all(portal.is_dead(tokens) for tokens in won)


def test_twelve_codes_at_once_are_twelve_families(portal: Portal) -> None:
    """The other side of it: what is not the same code does not get into each other's way."""
    codes = [portal.code() for _ in range(AT_ONCE)]

    answers = portal.service.at_once(*[partial(portal.redeem, code) for code in codes])

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert len({body(answer)["refresh_token"] for answer in answers}) == AT_ONCE


def test_signing_out_during_the_redemption_leaves_nothing_alive(portal: Portal) -> None:
    """Whichever comes first, in the end the session is over and so is what came of its code (TK-17)."""
    code = portal.code()
    portal.dana.open("/sign-out")
    [form] = portal.dana.here.forms

    sign_out = partial(portal.dana.post, "/sign-out", form.fields)

    _, redeemed = portal.service.at_once(sign_out, partial(portal.redeem, code))

    answer = body(redeemed)
    assert "error" in answer or portal.is_dead(answer)
