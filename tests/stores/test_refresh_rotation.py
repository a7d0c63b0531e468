"""Rotation of refresh tokens: one live successor whatever happens at once, and reuse that ends the family (security.md 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from authsvc.clock import FixedClock
from authsvc.oauth.models import RefreshToken
from tests.protocol.portal import Portal, body
from tests.support.service import CALLBACK, CLIENT_SECRET, Service, make_ring

AT_ONCE = 12


@pytest.fixture
def portal(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Portal]:
    """A service with a connection for each thread."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=AT_ONCE + 4)
    yield Portal.on(service)
    service.services.database.dispose()


def live_leaves(portal: Portal) -> int:
    """Refresh tokens that have not been used."""
    with portal.service.services.database.transaction(read_only=True) as tx:
        return tx.scalars(
            select(func.count()).select_from(RefreshToken).where(RefreshToken.consumed_at.is_(None))
        ).one()


def successor(portal: Portal, refresh_token: str) -> str:
    """The refresh token that comes of this one."""
    answer = portal.refresh(refresh_token)
    assert answer.status_code == 200, answer.text
    found: str = body(answer)["refresh_token"]
    return found


def is_refused(portal: Portal, refresh_token: str) -> bool:
    """Whether it is worth nothing."""
    answer = portal.refresh(refresh_token)
    assert answer.status_code in (200, 400)
    return answer.status_code == 400 and body(answer)["error"] == "invalid_grant"


def test_twelve_refreshes_at_once_get_the_identical_successor(portal: Portal) -> None:
    """Two tabs, a retry, a lost answer: "the same client presenting the same parent gets the identical successor" (4.2). One
    live leaf, no siblings (TK-14). Authlib alone made up to eleven (models.md 1.2).
    """
    token = portal.tokens()["refresh_token"]
    for _ in range(3):
        answers = portal.service.at_once(*[partial(portal.refresh, token)] * AT_ONCE)

        assert [answer.status_code for answer in answers] == [200] * AT_ONCE
        assert len({body(answer)["refresh_token"] for answer in answers}) == 1
        assert len({body(answer)["access_token"] for answer in answers}) == AT_ONCE
        assert live_leaves(portal) == 1
        token = body(answers[0])["refresh_token"]
    assert portal.service.events("token.family_revoked") == []


def test_a_race_of_a_token_with_its_own_successor_leaves_one_line(portal: Portal) -> None:
    """A client that already has the successor while another of its threads still retries: never two leaves."""
    first = portal.tokens()["refresh_token"]
    second = successor(portal, first)

    answers = portal.service.at_once(
        *[partial(portal.refresh, first), partial(portal.refresh, second)] * (AT_ONCE // 2)
    )

    ended = portal.service.events("token.family_revoked")
    granted = {body(answer)["refresh_token"] for answer in answers if answer.status_code == 200}
    assert live_leaves(portal) == 1
    assert granted, "somebody was first"
    assert all(is_refused(portal, token) for token in granted) == bool(ended)


def test_a_lost_answer_may_be_asked_for_again(portal: Portal) -> None:
    """Within 30 s, while the successor is unused; how often does not matter (P3: no false alarm)."""
    assert portal.service.services.policies.tokens.refresh.retry_window == timedelta(seconds=30)
    first = portal.tokens()["refresh_token"]
    second = successor(portal, first)
    for _ in range(3):
        portal.service.pass_time(seconds=10)
        assert successor(portal, first) == second

    third = successor(portal, second)

    assert third not in (first, second)
    assert portal.service.events("token.refresh_reused") == []
    retries = [event.fields["retry"] for event in portal.service.events("token.refreshed")]
    assert retries == [False, True, True, True, False]


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_a_replay_after_thirty_seconds_ends_the_family(
    database_url: str, clock: FixedClock, ring_folder: Path, public: bool
) -> None:
    """RFC 9700 4.14.2: "Authorization servers MUST utilize one of these methods to detect refresh token replay by malicious
    actors for public clients"; ours is rotation, for all. "The authorization server cannot determine which party submitted the
    invalid refresh token, but it will revoke the active refresh token." (TK-13)
    """
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock))
    portal = Portal.on(service, public=public)
    tokens = portal.tokens()
    second = body(portal.refresh(tokens["refresh_token"]))
    portal.service.pass_time(seconds=31)

    assert is_refused(portal, tokens["refresh_token"])

    assert portal.is_dead(second)
    [reused] = portal.service.events("token.refresh_reused")
    [revoked] = portal.service.events("token.family_revoked")
    assert (revoked.fields["reason"], revoked.user_id) == ("refresh_token_reused", portal.membership.user_id)
    assert (reused.client_id, reused.fields["family_id"]) == ("ims-portal", revoked.fields["family_id"])
    service.services.database.dispose()


def test_a_replay_after_the_successor_was_used_ends_the_family(portal: Portal) -> None:
    """Then nobody can have lost it, and even one second later it is a copy (TK-13)."""
    first = portal.tokens()["refresh_token"]
    second = successor(portal, first)
    third = body(portal.refresh(second))
    portal.service.pass_time(seconds=1)

    assert is_refused(portal, first)

    assert portal.is_dead(third)


def test_only_the_immediate_parent_may_ask_again(portal: Portal) -> None:
    """django-oauth-toolkit 1617: a grandparent is a copy, however young it is."""
    first = portal.tokens()["refresh_token"]
    third = successor(portal, successor(portal, first))

    assert is_refused(portal, first)
    assert is_refused(portal, third)


def test_twelve_replays_at_once_end_the_family_once(portal: Portal) -> None:
    """Each is refused and in the trail; the family is ended by one UPDATE."""
    first = portal.tokens()["refresh_token"]
    second = body(portal.refresh(first))
    portal.service.pass_time(minutes=5)

    answers = portal.service.at_once(*[partial(portal.refresh, first)] * AT_ONCE)

    assert {body(answer)["error"] for answer in answers} == {"invalid_grant"}
    assert len(portal.service.events("token.family_revoked")) == 1
    assert portal.is_dead(second)


def test_another_client_cannot_use_a_refresh_token_and_cannot_end_its_family(portal: Portal) -> None:
    """RFC 6749 10.4: "The authorization server MUST verify the binding between the refresh token and client identity whenever
    the client identity can be authenticated." The family is untouched by strangers (TK-16).
    """
    service = portal.service
    service.client("another", redirect_uris=[CALLBACK])
    service.client("app", public=True)
    first = portal.tokens()["refresh_token"]
    second = successor(portal, first)
    portal.service.pass_time(minutes=1)
    for token in (first, second):
        form = {"grant_type": "refresh_token", "refresh_token": token}
        for client in (("another", CLIENT_SECRET), ("ims-portal", "wrong"), ("nobody", CLIENT_SECRET)):
            answer = body(service.token(client=client, **form))
            assert answer["error"] == ("invalid_grant" if client[0] == "another" else "invalid_client")
        assert body(service.token(client=None, client_id="app", **form))["error"] == "invalid_grant"
        assert body(service.token(client=None, client_id="ims-portal", **form))["error"] == "invalid_client"
        assert body(service.token(client=None, **form))["error"] == "invalid_client"

    assert service.events("token.family_revoked") == []
    assert not is_refused(portal, second)


def test_a_refused_request_burns_nothing(portal: Portal) -> None:
    """A wider scope, another resource, a secret in the query: the token works afterwards as if nothing had been (TK-16)."""
    token = portal.tokens(scope="openid offline_access investors.read")["refresh_token"]
    assert body(portal.refresh(token, scope="openid email"))["error"] == "invalid_scope"
    assert body(portal.refresh(token, scope="openid investors.write"))["error"] == "invalid_scope"
    assert body(portal.refresh(token, resource="https://api.evil.example/"))["error"] == "invalid_target"
    assert live_leaves(portal) == 1

    portal.service.pass_time(minutes=5)
    assert not is_refused(portal, token)
    assert portal.service.events("token.refresh_reused") == []


def test_an_unknown_token_is_refused_and_touches_nothing(portal: Portal) -> None:
    """RFC 6749 10.4: tokens "cannot be generated, modified, or guessed"."""
    token = portal.tokens()["refresh_token"]
    for guess in ("x", token[:-1], token + "A", token.swapcase(), "é\0", "x" * 5000):
        assert is_refused(portal, guess)
    assert not is_refused(portal, token)


def test_rotation_survives_a_restart(database_url: str, clock: FixedClock, ring_folder: Path) -> None:
    """What is spent stays spent and what may be repeated may be repeated: the rows decide, not a process (TK-15)."""
    ring = make_ring(ring_folder, clock)
    before = Portal.on(Service.on(database_url, clock=clock, ring=ring))
    first = before.tokens()["refresh_token"]
    second = successor(before, first)
    before.service.services.database.dispose()

    after = Portal(Service.on(database_url, clock=clock, ring=ring), before.membership)

    assert successor(after, first) == second
    clock.advance(timedelta(seconds=31))
    assert is_refused(after, first)
    assert is_refused(after, second)
    after.service.services.database.dispose()


def test_the_database_alone_reveals_no_refresh_token(portal: Portal) -> None:
    """The successor is sealed under a key derived from the parent: rows without the parent in hand open nothing (4.2)."""
    first = portal.tokens()["refresh_token"]
    second = successor(portal, first)

    stored = portal.service.everything_stored()

    assert first not in stored
    assert second not in stored
