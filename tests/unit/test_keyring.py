"""The key ring in memory: which key signs, what is published, how a rotation runs its course."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from authsvc.keyring.ring import RSA_BITS, KeyRing, RingHasNoSigningKey, RingIsEmpty
from authsvc.keyring.schedule import NOTICED_WITHIN, RotationUnsafe
from tests.support.key_ring import RULES, SMALL_RSA_BITS, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty place."""
    return Home(tmp_path / "keys")


def signed(ring: KeyRing, algorithm: str = "ES256") -> str:
    """A token as the service makes it."""
    return jwt.encode({"alg": algorithm}, {"sub": "u"}, ring.active_as_key_set(algorithm))


def test_an_empty_ring_signs_nothing_and_says_what_to_do(home: Home) -> None:
    """A process never invents a key: opening makes neither a key nor a folder."""
    ring = home.open()
    with pytest.raises(RingIsEmpty, match="authsvc keys rotate"):
        ring.active("ES256")
    assert ring.public_jwks() == {"keys": []}
    assert ring.algorithms() == ()
    assert not home.path.exists()


def test_first_keys_are_es256_and_rs256_and_sign_at_once(home: Home) -> None:
    """Development's first start; RSA has 3072 bits unless a test asks for less (ASVS 11.2.3)."""
    assert RSA_BITS == 3072
    ring = home.open()
    assert len(ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)) == 2
    assert ring.algorithms() == ("ES256", "RS256")
    for algorithm in ring.algorithms():
        token = jwt.decode(signed(ring, algorithm), ring.verification_key_set(), algorithms=[algorithm])
        assert token.header["kid"] == ring.active(algorithm).kid


def test_first_keys_are_made_once(home: Home) -> None:
    """Web process and worker of one machine start together."""
    first, second = home.open(), home.open()
    first.create_first_keys(rsa_bits=SMALL_RSA_BITS)
    assert second.create_first_keys(rsa_bits=SMALL_RSA_BITS) == ()
    assert second.active("ES256").kid == first.active("ES256").kid


def test_an_eddsa_key_can_join_the_ring(home: Home) -> None:
    """The third algorithm needs no other code than its name."""
    ring = home.with_es256()
    ring.rotate("EdDSA", rules=RULES)
    assert ring.algorithms() == ("ES256", "EdDSA")
    key = home.open().active("EdDSA").key
    assert isinstance(key, OKPKey)
    assert key.thumbprint() == ring.public_jwks()["keys"][1]["kid"]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", ""])
def test_no_key_answers_for_an_algorithm_that_has_none(home: Home, algorithm: str) -> None:
    """Client metadata names algorithms; what the ring does not have is an error and never another key."""
    ring = home.with_es256()
    for ask in (ring.active, ring.active_as_key_set):
        with pytest.raises(RingHasNoSigningKey):
            ask(algorithm)


def test_the_kid_is_the_thumbprint_of_the_public_key(home: Home) -> None:
    """RFC 7638: the name follows from the key, so one name can never mean two keys."""
    ring = home.with_es256()
    [published] = ring.public_jwks()["keys"]
    assert published["kid"] == ECKey.import_key(published).thumbprint() == ring.active("ES256").kid


def test_nothing_private_is_published(home: Home) -> None:
    """TK-22: public members only, of every key, in every answer that leaves the process."""
    ring = home.open()
    ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)
    ring.rotate("EdDSA", rules=RULES)
    published = ring.public_jwks()["keys"]
    assert [set(jwk) for jwk in published] == [
        {"kty", "crv", "x", "y", "use", "alg", "kid"},
        {"kty", "n", "e", "use", "alg", "kid"},
        {"kty", "crv", "x", "use", "alg", "kid"},
    ]
    assert {jwk["use"] for jwk in published} == {"sig"}
    assert '"d":' not in json.dumps(published)
    assert not any(key.is_private for key in ring.verification_key_set())
    private = ring.active("ES256").key.as_dict(private=True)
    for shown in (repr(ring.active("ES256")), repr(ring.entries()), (home.path / "ring.yaml").read_text()):
        assert str(private["d"]) not in shown


def test_who_changes_the_published_set_changes_a_copy(home: Home) -> None:
    """A caller that adds a member does not publish it for everybody."""
    ring = home.with_es256()
    ring.public_jwks()["keys"][0]["d"] = "x"
    assert "d" not in ring.public_jwks()["keys"][0]


def test_key_objects_are_imported_once(home: Home) -> None:
    """RSA import costs 0.1 s: a token, a re-read and a rotation of another key get the object that is there."""
    ring = home.open()
    ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)
    key, key_set = ring.active("RS256").key, ring.active_as_key_set("RS256")
    assert ring.active_as_key_set("RS256") is key_set
    home.clock.advance(NOTICED_WITHIN)
    assert ring.active_as_key_set("RS256") is key_set
    ring.rotate("ES256", rules=RULES)
    assert ring.active("RS256").key is key


def test_between_two_looks_no_file_is_touched(home: Home) -> None:
    """Asking on each token costs no stat: within 5 s even a ring that vanished is not noticed."""
    ring = home.with_es256()
    for file in home.path.glob("*"):
        file.unlink()
    home.clock.advance(NOTICED_WITHIN - timedelta(seconds=1))
    assert ring.problem is None
    home.clock.advance(timedelta(seconds=1))
    assert ring.problem is not None


def test_a_rotation_runs_its_course_by_the_clock_alone(home: Home) -> None:
    """Published, then active, then the old key retires and goes; tokens of both verify while they live."""
    ring = home.with_es256()
    old, old_token = ring.active("ES256").kid, signed(ring)
    [rotation] = ring.rotate("ES256", rules=RULES)
    new = rotation.successor.kid
    versions = [ring.version]

    def kids() -> set[str]:
        versions.append(ring.version)
        return {jwk["kid"] for jwk in ring.public_jwks()["keys"]}

    assert (ring.active("ES256").kid, kids()) == (old, {old, new})
    home.clock.advance(RULES.publish_ahead)
    assert (ring.active("ES256").kid, kids()) == (new, {old, new})
    for token in (old_token, signed(ring)):
        jwt.decode(token, ring.verification_key_set(), algorithms=["ES256"])
    home.clock.advance(RULES.longest_token + RULES.clock_skew)
    assert (ring.active("ES256").kid, kids()) == (new, {new})
    assert len(set(versions)) == 3  # one for each state, so that bytes kept ready are rebuilt at each of them


def test_a_key_takes_over_in_its_very_second(home: Home) -> None:
    """What is kept between two looks at the file ends when a key changes its state."""
    ring = home.with_es256()
    [rotation] = ring.rotate("ES256", rules=RULES)
    home.clock.advance(RULES.publish_ahead - timedelta(seconds=1))
    assert ring.active("ES256").kid != rotation.successor.kid
    home.clock.advance(timedelta(seconds=1))
    assert ring.active("ES256").kid == rotation.successor.kid


def test_two_processes_agree_after_a_rotation(home: Home) -> None:
    """The other process sees it within 5 s, without a restart, and both publish the same set."""
    here, there = home.with_es256(), home.open()
    here.rotate("ES256", rules=RULES)
    home.clock.advance(NOTICED_WITHIN)
    for _ in range(2):
        assert here.active("ES256").kid == there.active("ES256").kid
        assert (here.version, here.public_jwks(), here.entries()) == (
            there.version,
            there.public_jwks(),
            there.entries(),
        )
        home.clock.advance(RULES.publish_ahead)


def test_a_new_process_publishes_what_an_old_one_does(home: Home) -> None:
    """What is kept on disk is the whole truth: equal version, equal set."""
    ring = home.with_es256()
    ring.rotate("ES256", rules=RULES)
    home.clock.advance(RULES.publish_ahead)
    fresh = home.open()
    assert (fresh.version, fresh.public_jwks()) == (ring.version, ring.public_jwks())


def test_several_algorithms_rotate_together_or_not_at_all(home: Home) -> None:
    """A refusal for one leaves all as they were."""
    ring = home.with_es256()
    ring.rotate("EdDSA", rules=RULES)
    ring.rotate("EdDSA", rules=RULES)
    before = ring.entries()
    with pytest.raises(RotationUnsafe, match="EdDSA is already under way"):
        ring.rotate("ES256", "EdDSA", rules=RULES)
    assert ring.entries() == home.open().entries() == before


def test_a_clock_that_is_set_back_finds_the_keys_of_its_time(home: Home) -> None:
    """Keys that are gone are not opened; when the clock was wrong they are opened after all."""
    ring = home.with_es256()
    old = ring.active("ES256").kid
    ring.rotate("ES256", rules=RULES)
    home.clock.advance(RULES.publish_ahead + timedelta(days=1))
    ring = home.open()
    assert ring.active("ES256").kid != old
    home.clock.advance(-timedelta(days=2))
    assert ring.active("ES256").kid == old


def test_a_gone_key_needs_no_file(home: Home) -> None:
    """Its private part may be destroyed."""
    ring = home.with_es256()
    old = home.key_file()
    ring.rotate("ES256", rules=RULES)
    home.clock.advance(RULES.publish_ahead + timedelta(days=1))
    old.unlink()
    home.clock.advance(NOTICED_WITHIN)
    assert ring.problem is None
    assert home.open().public_jwks() == ring.public_jwks()
