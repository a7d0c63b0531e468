"""The issuer's keys: one fetch in flight, a cool-down, refreshed ahead, kept while the issuer is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Barrier, Condition, Thread, get_ident
from typing import Any
from warnings import catch_warnings

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from authsvc.resource_server import InvalidToken, KeysUnavailable, TokenVerifier
from authsvc.resource_server.jwks_cache import JwksCache, VerifyingKey
from tests.unit.resource_server.local_issuer import (
    AUDIENCE,
    ES256,
    ISSUER,
    NEXT_ES256,
    LocalIssuer,
    Time,
    a_token,
)

DEADLINE_S = 10


def a_cache(issuer: LocalIssuer, time: Time, background: Callable[[Callable[[], None]], None]) -> JwksCache:
    return JwksCache(
        ISSUER, ["ES256", "RS256", "EdDSA"], fetch=issuer.fetch, monotonic=time.monotonic, background=background
    )


def at_once(work: Callable[[], None]) -> None:
    work()


def never(work: Callable[[], None]) -> None:
    raise AssertionError("nothing was to be done in the background")


def test_warm_keys_cost_no_call(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """After prefetch no request asks the issuer for anything, until the keys grow old."""
    verify.prefetch()
    assert issuer.asked == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/oauth/jwks.json"]
    for number in range(20):
        verify(a_token(jti=str(number)))
        time.advance(5)
    verify.prefetch()
    assert len(issuer.asked) == 2


def test_many_threads_cause_one_fetch(time: Time) -> None:
    """Single flight: while one thread fetches, the others wait for its answer."""
    issuer = LocalIssuer()
    threads_here: set[int] = set()
    arrival = Condition()
    at_the_start = Barrier(16)
    found: list[VerifyingKey | None] = []

    def monotonic() -> float:
        # Every look-up reads this clock first, so it tells which threads have arrived.
        with arrival:
            threads_here.add(get_ident())
            arrival.notify_all()
        return time.monotonic()

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        with arrival:
            assert arrival.wait_for(lambda: len(threads_here) == 17, timeout=DEADLINE_S)
        return issuer.fetch(url)

    cache = JwksCache(ISSUER, ["ES256"], fetch=fetch, monotonic=monotonic, background=never)

    def look_up() -> None:
        at_the_start.wait(DEADLINE_S)
        found.append(cache.key("es-1"))

    threads = [Thread(target=look_up) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert issuer.key_fetches() == 1
    assert len(found) == 16
    assert found[0] is not None
    assert set(found) == {found[0]}


def test_keys_are_refreshed_before_they_grow_old(time: Time) -> None:
    """From four fifths of max-age on, one request starts a refresh in the background and goes on with the old set."""
    issuer = LocalIssuer()
    waiting: list[Callable[[], None]] = []
    cache = a_cache(issuer, time, waiting.append)
    cache.prefetch()
    time.advance(239)
    cache.key("es-1")
    assert waiting == []
    time.advance(1)
    assert cache.key("es-1")
    assert cache.key("es-1")
    assert len(waiting) == 1
    assert issuer.key_fetches() == 1
    waiting.pop()()
    assert issuer.key_fetches() == 2
    time.advance(239)
    cache.key("es-1")
    assert waiting == []


def test_the_verifier_refreshes_in_a_thread_of_its_own(time: Time) -> None:
    """The request that starts a refresh ahead of time does not wait for it."""
    issuer = LocalIssuer()
    done = Condition()
    fetched_by: list[int] = []

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        answer = issuer.fetch(url)
        with done:
            fetched_by.append(get_ident())
            done.notify_all()
        return answer

    verify = TokenVerifier(ISSUER, AUDIENCE, fetch=fetch, now=time.now, monotonic=time.monotonic)
    verify.prefetch()
    time.advance(250)
    verify(a_token())
    with done:
        assert done.wait_for(lambda: len(fetched_by) == 3, timeout=DEADLINE_S)
    assert fetched_by[2] != get_ident()


def test_no_thread_for_a_refresh_fails_no_request(issuer: LocalIssuer, time: Time) -> None:
    """A machine out of threads still has good keys; the next try comes after the cool-down."""

    def no_thread(work: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    cache = a_cache(issuer, time, no_thread)
    cache.prefetch()
    time.advance(250)
    assert cache.key("es-1")
    assert cache.key("es-1")
    assert issuer.key_fetches() == 1


@pytest.mark.parametrize(
    ("cache_control", "fresh_for_s"),
    [
        ("public, max-age=300", 300),
        ("max-age=120, stale-if-error=86400", 120),
        ('Max-Age="120"', 120),
        ("max-age=5", 60),
        ("max-age=99999999", 600),
        ("s-maxage=500", 300),
        ("no-store", 60),
        ("max-age=300, no-cache", 60),
        ("", 300),
    ],
)
def test_max_age_is_honoured_within_bounds(
    issuer: LocalIssuer, time: Time, cache_control: str, fresh_for_s: int
) -> None:
    """Cache-Control decides (RFC 9111 5.2.2), between one and ten minutes; five when it says nothing."""
    issuer.cache_control = cache_control
    cache = a_cache(issuer, time, at_once)
    cache.prefetch()
    time.advance(fresh_for_s * 0.8 - 1)
    cache.key("es-1")
    assert issuer.key_fetches() == 1
    time.advance(1)
    cache.key("es-1")
    assert issuer.key_fetches() == 2


def test_after_a_quiet_hour_the_keys_are_asked_for_first(issuer: LocalIssuer, time: Time) -> None:
    """Keys past their max-age are not believed before the issuer was asked: one may have been withdrawn."""
    cache = a_cache(issuer, time, never)
    assert cache.key("es-1")
    issuer.keys = [NEXT_ES256.as_dict(private=False)]
    time.advance(3_600)
    assert cache.key("es-1") is None
    assert cache.key("es-2")


def test_a_new_key_is_found_by_its_first_token(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """Rotation: an unknown kid fetches the set again, once the cool-down is over."""
    verify(a_token())
    issuer.keys.append(NEXT_ES256.as_dict(private=False))
    with pytest.raises(InvalidToken, match="kid"):
        verify(a_token(NEXT_ES256))
    time.advance(30)
    verify(a_token(NEXT_ES256))


def test_an_unknown_kid_is_asked_for_once_in_30_seconds(issuer: LocalIssuer, time: Time) -> None:
    """Cool-down: whatever kids arrive, and whether or not the issuer answers."""
    cache = a_cache(issuer, time, at_once)
    cache.key("es-1")
    for second in range(1, 121):
        time.advance(1)
        issuer.down = second > 60
        try:
            cache.key(f"unknown-{second}")
        except KeysUnavailable:
            assert issuer.down
        assert len(issuer.asked) == 2 + second // 30


def test_last_good_keys_outlive_the_issuers_absence(issuer: LocalIssuer, time: Time) -> None:
    """Stale-if-error: known keys work for a day, and nobody waits for an issuer that did not answer."""
    waiting: list[Callable[[], None]] = []
    cache = a_cache(issuer, time, waiting.append)
    key = cache.key("es-1")
    issuer.down = True
    time.advance(400)
    assert cache.key("es-1") is key
    for _ in range(100):
        time.advance(60)
        assert cache.key("es-1") is key
        waiting.pop()()
    issuer.down = False
    time.advance(60)
    assert cache.key("es-1") is key
    waiting.pop()()
    time.advance(200)
    assert cache.key("es-1") is key
    assert waiting == []


def test_last_good_keys_end_after_a_day(issuer: LocalIssuer, time: Time) -> None:
    """Cut off for longer than any token lives, a service says 503: it must not believe a withdrawn key for ever."""
    cache = a_cache(issuer, time, never)
    cache.key("es-1")
    issuer.down = True
    time.advance(86_399)
    assert cache.key("es-1")
    time.advance(1)
    with pytest.raises(KeysUnavailable, match="too old"):
        cache.key("es-1")
    issuer.down = False
    time.advance(30)
    assert cache.key("es-1")


def test_an_unknown_kid_is_not_refused_while_the_issuer_is_away(
    issuer: LocalIssuer, verify: TokenVerifier, time: Time
) -> None:
    """The key may be new: 503 and not 401, so the client keeps its token (security.md 4.4)."""
    verify(a_token())
    issuer.down = True
    time.advance(30)
    with pytest.raises(KeysUnavailable) as refusal:
        verify(a_token(NEXT_ES256))
    assert refusal.value.retry_after_s == 30
    verify(a_token())


def test_without_any_keys_nothing_is_judged(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """Never a 401 because the issuer is away; garbage is refused all the same."""
    issuer.down = True
    with pytest.raises(KeysUnavailable, match="no keys were ever fetched") as refusal:
        verify(a_token())
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 30)
    with pytest.raises(KeysUnavailable):
        verify.prefetch()
    with pytest.raises(InvalidToken):
        verify("garbage")
    assert len(issuer.asked) == 1
    issuer.down = False
    time.advance(30)
    verify(a_token())


def test_keys_that_moved_are_found_again(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """Only the well-known paths are fixed: when the remembered address fails, discovery is asked at the next try."""
    verify.prefetch()
    issuer.metadata = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys/jwks.json"}
    old_address = f"{ISSUER}/oauth/jwks.json"
    time.advance(300)
    verify(a_token(exp=2_000_000_000))
    time.advance(300)
    verify(a_token(exp=2_000_000_000, jti="2"))
    verify.prefetch()
    assert issuer.asked.count(old_address) == 2
    assert issuer.asked[-1] == f"{ISSUER}/keys/jwks.json"


@pytest.mark.parametrize(
    "entry",
    [
        {"alg": "RS256"},
        {"alg": "HS256"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"kid": None},
        {"kid": ""},
        {"crv": "P-384"},
        {"x": "AAAA"},
        {"x": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["EC"]},
        {"alg": None},
    ],
    ids=repr,
)
def test_a_key_that_does_not_fit_is_left_out(issuer: LocalIssuer, time: Time, entry: Mapping[str, Any]) -> None:
    """An entry that is broken or meant for something else harms no other (RFC 7517 5)."""
    issuer.keys = [{**NEXT_ES256.as_dict(private=False), **entry}, "no key", *issuer.keys]
    cache = a_cache(issuer, time, never)
    assert cache.key("es-2") is None
    assert cache.key("es-1")


def test_a_short_rsa_key_is_left_out(issuer: LocalIssuer, time: Time) -> None:
    """Below 2048 bits anybody with a budget signs."""
    with catch_warnings(action="ignore"):
        short = RSAKey.generate_key(1024, {"kid": "short", "alg": "RS256"})
        issuer.keys.append(short.as_dict(private=False))
        assert a_cache(issuer, time, never).key("short") is None


def test_a_set_without_a_usable_key_is_a_fault(issuer: LocalIssuer, time: Time) -> None:
    """An empty set or a broken document must not end every session: the last good keys stay."""
    cache = a_cache(issuer, time, at_once)
    cache.prefetch()
    faults: list[list[Any]] = [[], [OctKey.generate_key(256, {"kid": "o"}).as_dict(private=True)], ["x"]]
    for keys in faults:
        issuer.keys = keys
        time.advance(400)
        assert cache.key("es-1")
    assert issuer.key_fetches() == 4


def test_a_published_private_part_is_not_read(issuer: LocalIssuer, time: Time) -> None:
    """Should an issuer blunder, its secret does not live on in every service."""
    issuer.keys = [ES256.as_dict(private=True)]
    key = a_cache(issuer, time, never).key("es-1")
    assert key is not None
    assert "d" not in key.jwk


def test_a_key_stays_the_same_object_until_it_changes(issuer: LocalIssuer, time: Time) -> None:
    """So a token seen before dies when its key leaves the set or is replaced under the same kid."""
    cache = a_cache(issuer, time, at_once)
    first = cache.key("es-1")
    time.advance(300)
    assert cache.key("es-1") is first
    other = ECKey.generate_key("P-256", {"kid": "es-1", "alg": "ES256", "use": "sig"})
    issuer.keys = [other.as_dict(private=False)]
    time.advance(300)
    second = cache.key("es-1")
    assert second is not None
    assert second is not first


@pytest.mark.parametrize(
    "issuer_url",
    [
        "http://login.ims.example",
        "login.ims.example",
        "",
        "https://",
        "ftp://login.ims.example",
        "https://login.ims.example?tenant=1",
        "https://login.ims.example#x",
        "https://user@login.ims.example",
        "http://localhost.evil.example",
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_at_once(issuer_url: str) -> None:
    """https without query or fragment (OpenID Discovery 3); plain http for development on one machine only."""
    with pytest.raises(ValueError, match="URL"):
        TokenVerifier(issuer_url, AUDIENCE)


@pytest.mark.parametrize("issuer_url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://ims.localhost"])
def test_plain_http_on_this_machine_is_fine(issuer_url: str) -> None:
    """`make run` has no certificate."""
    TokenVerifier(issuer_url, AUDIENCE)


def test_a_verifier_needs_an_audience() -> None:
    """Without one, every token of the issuer would pass."""
    with pytest.raises(ValueError, match="audience"):
        TokenVerifier(ISSUER, "")
