"""The keys that clients sign with: registered, or fetched from their own site (RFC 7591 2, OpenID Connect Core 10.1)."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from authsvc.clock import FixedClock
from authsvc.crypto.tokens import Digester
from authsvc.errors import Kind
from authsvc.oauth.client_jwks import MOST_KEYS, UnusableKeys, read_key_set
from authsvc.oauth.client_keys import ClientKeys, NoUsableKeys
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import Client
from authsvc.oauth.guarded_fetch import GuardedFetch
from tests.support.client_site import ClientSite, client_site

FIRST = ECKey.generate_key("P-256", {"kid": "first", "alg": "ES256", "use": "sig"})
SECOND = OKPKey.generate_key("Ed25519", {"kid": "second", "alg": "EdDSA"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256"})


def public(*keys: Key) -> dict[str, Any]:
    """A JWK set."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def client(**metadata: Any) -> Client:
    """A client that authenticates with its key."""
    known = {"client_name": "x", "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"]}
    return Client(
        client_id="keyed",
        secret_digest=None,
        metadata=ClientMetadata.read(known | metadata),
        first_party=True,
        minimum_acr=None,
        resources=None,
        digester=Digester(b"x" * 32),
    )


@dataclass
class Keyed:
    """A client whose keys are on its site."""

    site: ClientSite
    clock: FixedClock
    found: ClientKeys
    client: Client

    def kids(self, kid: str | None = None) -> list[str | None]:
        """The kids that are found, looking for one of them."""
        return [key.kid for key in self.found.keys(self.client, kid).keys]


@pytest.fixture
def keyed(clock: FixedClock) -> Iterator[Keyed]:
    """FIRST is published."""
    with client_site() as site:
        found = ClientKeys(GuardedFetch(allow_loopback=True, timeout_s=0.5), clock)
        yield Keyed(site, clock, found, client(jwks_uri=site.publish("/jwks", public(FIRST))))


def test_inline_keys_are_used_as_they_are(clock: FixedClock) -> None:
    """No fetch, whatever kid is looked for."""
    found = ClientKeys(GuardedFetch(), clock).keys(client(jwks=public(FIRST, SECOND, RSA)), "unknown")
    assert [key.kid for key in found.keys] == ["first", "second", "rsa"]
    assert not any(key.is_private for key in found.keys)


def test_fetched_keys_are_kept_for_five_minutes(keyed: Keyed) -> None:
    """One fetch for all requests of that time."""
    for _ in range(3):
        assert keyed.kids("first") == ["first"]
    keyed.clock.advance(timedelta(minutes=4, seconds=59))
    assert keyed.kids() == ["first"]
    assert len(keyed.site.asked) == 1
    keyed.site.publish("/jwks", public(SECOND))
    keyed.clock.advance(timedelta(seconds=2))
    assert keyed.kids() == ["second"], "and then a withdrawn key is gone"


def test_an_unknown_kid_makes_us_look_again_at_most_once_a_minute(keyed: Keyed) -> None:
    """OpenID conformance, refresh-token-rp-key-rotation: the new key is found after 60 s. Between, a stranger who sends
    made-up kids costs the client's site nothing.
    """
    assert keyed.kids() == ["first"]
    keyed.site.publish("/jwks", public(FIRST, SECOND))
    for _ in range(20):
        assert keyed.kids("second") == ["first"]
    assert len(keyed.site.asked) == 1
    keyed.clock.advance(timedelta(seconds=61))
    assert keyed.kids("second") == ["first", "second"]
    for number in range(20):
        keyed.kids(f"made-up-{number}")
    assert len(keyed.site.asked) == 2


@pytest.mark.parametrize("status", [500, 404, 302])
def test_the_last_good_keys_do_while_the_site_is_away_and_not_for_ever(keyed: Keyed, status: int) -> None:
    """Stale on error, for a day."""
    assert keyed.kids() == ["first"]
    keyed.site.answer("/jwks", status, b"")
    keyed.clock.advance(timedelta(hours=23))
    assert keyed.kids() == ["first"]
    assert keyed.kids("first") == ["first"]
    assert len(keyed.site.asked) == 2, "a site that is away is asked every ten seconds, not with each request"
    keyed.clock.advance(timedelta(hours=2))
    with pytest.raises(NoUsableKeys) as caught:
        keyed.kids()
    assert caught.value.detail == f"its jwks_uri: it answered with status {status}"
    keyed.site.publish("/jwks", public(SECOND))
    keyed.clock.advance(timedelta(seconds=11))
    assert keyed.kids() == ["second"]


def test_no_keys_at_all_is_one_error(clock: FixedClock) -> None:
    """Which nobody takes for a failure of ours."""
    bare = client(token_endpoint_auth_method="client_secret_basic")
    with pytest.raises(NoUsableKeys) as caught:
        ClientKeys(GuardedFetch(), clock).keys(bare)
    assert (caught.value.kind, caught.value.detail) == (Kind.REFUSED, "it registered neither jwks nor jwks_uri")


def test_tn15_a_jwks_uri_that_leads_inside_is_not_fetched(keyed: Keyed, clock: FixedClock) -> None:
    """The row may be older than the rule, and names change where they lead to."""
    closed = ClientKeys(GuardedFetch(), clock)
    for uri in (keyed.site.url + "/jwks", keyed.site.url.replace("http:", "https:") + "/jwks"):
        with pytest.raises(NoUsableKeys):
            closed.keys(client(jwks_uri=uri))
    assert keyed.site.asked == []


@pytest.mark.parametrize(
    ("document", "mimetype"),
    [
        (public(FIRST), "text/html"),
        ([], "application/json"),
        ({"keys": []}, "application/json"),
        ({"keys": [OctKey.generate_key(256).as_dict()]}, "application/json"),
        ({"keys": [FIRST.as_dict(private=True)]}, "application/json"),
        ({"keys": [RSA.as_dict(private=False) | {"use": "enc"}]}, "application/json"),
    ],
)
def test_what_is_fetched_is_judged_as_what_is_registered(keyed: Keyed, document: Any, mimetype: str) -> None:
    """And a document that is refused leaves the last good one in force."""
    assert keyed.kids() == ["first"]
    keyed.clock.advance(timedelta(minutes=6))
    keyed.site.publish("/jwks", document, mimetype=mimetype)
    assert keyed.kids() == ["first"]
    keyed.site.answer("/other", 200, b"[" * 60_000, Content_Type="application/json")
    with pytest.raises(NoUsableKeys):
        keyed.found.keys(client(jwks_uri=keyed.site.url + "/other"))


def test_many_requests_at_once_fetch_once(keyed: Keyed) -> None:
    """Those that have nothing to go on with wait for the one that fetches."""
    together = threading.Barrier(8)
    seen: list[list[str | None]] = []

    def ask() -> None:
        together.wait()
        seen.append(keyed.kids("first"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["first"]] * 8
    assert len(keyed.site.asked) == 1


def short_rsa() -> dict[str, str]:
    """1024 bits, which joserfc warns of."""
    modulus = 2**1023 + 12345
    return {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(modulus.to_bytes(128)).rstrip(b"=").decode()}


EC = FIRST.as_dict(private=False)
BAD: list[tuple[Any, str]] = [
    (None, "must be a JWK set"),
    ("keys", "must be a JWK set"),
    ({"keys": EC}, "must be a JWK set"),
    ({"keys": [EC] * (MOST_KEYS + 1)}, "more than 20 keys"),
    ({"keys": ["x"]}, "no JSON object"),
    ({"keys": [FIRST.as_dict(private=True)]}, "private or a symmetric key"),
    ({"keys": [RSA.as_dict(private=True)]}, "private or a symmetric key"),
    ({"keys": [OctKey.generate_key(256).as_dict()]}, "private or a symmetric key"),
    ({"keys": [EC, OctKey.generate_key(256).as_dict()]}, "private or a symmetric key"),
    ({"keys": [{"kty": "oct"}]}, "private or a symmetric key"),
    ({"keys": [short_rsa()]}, "RSA key of 1024 bits"),
    ({"keys": [RSA.as_dict(private=False) | {"e": "AQAAAAAAAQ"}]}, "large exponent"),
    ({"keys": [RSA.as_dict(private=False) | {"n": "a b"}]}, "cannot be read"),
    ({"keys": [RSA.as_dict(private=False) | {"n": 5}]}, "cannot be read"),
    ({"keys": [{"kty": "RSA"}]}, "cannot be read"),
    ({"keys": [EC | {"kty": "XX"}]}, "none of RSA, EC and OKP"),
    ({"keys": [EC | {"kty": []}]}, "none of RSA, EC and OKP"),
    ({"keys": [EC | {"crv": "secp256k1"}]}, "curve is none of"),
    ({"keys": [EC | {"crv": {}}]}, "curve is none of"),
    ({"keys": [EC | {"x": "AAAA"}]}, "cannot be read"),
    ({"keys": [EC | {"x": 5}]}, "cannot be read"),
    ({"keys": [EC | {"use": "enc"}]}, "not for signatures"),
    ({"keys": [EC | {"key_ops": ["encrypt"]}]}, "not for signatures"),
    ({"keys": [EC | {"key_ops": 7}]}, "not for signatures"),
    ({"keys": [EC | {"kid": ["a"]}]}, "kid that is no short text"),
    ({"keys": [EC | {"kid": "x" * 201}]}, "kid that is no short text"),
    ({"keys": [EC | {"alg": 7}]}, "cannot be read"),
]


@pytest.mark.parametrize(("document", "said"), BAD)
def test_a_set_with_a_wrong_key_is_refused_in_words(document: Any, said: str) -> None:
    """Never a symmetric, private or short key; every refusal is one sentence, never a crash."""
    with pytest.raises(UnusableKeys, match=said):
        read_key_set(document, strict=True)


def test_kinds_of_keys_that_nobody_knows_yet_are_passed_over_when_fetched() -> None:
    """RFC 7517 5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" values that are not understood by them"."""
    found = read_key_set({"keys": [{"kty": "AKP", "pub": "x"}, EC, EC | {"use": "enc"}]}, strict=False)
    assert [key.kid for key in found.keys] == ["first"]
