"""What may not be guessed: 256 random bits each (RFC 6749 10.10 wants 128 and recommends 160; OAuch, *Entropy*)."""

from __future__ import annotations

import base64

from tests.protocol.devices import Device
from tests.protocol.portal import Portal
from tests.protocol.registering import Registering
from tests.support.service import Service


def bits(secret: str) -> int:
    """How long it is, read as the base64url that it is."""
    assert secret.isascii()
    return 8 * len(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))


def test_codes_and_refresh_tokens_have_256_bits(portal: Portal) -> None:
    """And no two are the same, nor does one begin like another: nothing of a time or a counter is in them."""
    codes = [portal.code() for _ in range(5)]
    refresh_tokens = [portal.tokens()["refresh_token"] for _ in range(5)]
    for made in (codes, refresh_tokens):
        assert {bits(secret) for secret in made} == {256}
        assert len({secret[:4] for secret in made}) == len({secret[-5:-1] for secret in made}) == 5


def test_access_tokens_are_signed_and_their_ids_are_random(portal: Portal) -> None:
    """Signed with 256 bits (P-256); whoever could guess the random 128 bits of a jti would still have no token."""
    one, two = (portal.tokens()["access_token"] for _ in range(2))
    assert bits(one.rpartition(".")[2]) == 512, "r and s"
    ids = {portal.claims(token)["jti"].partition(".")[2] for token in (one, two)}
    assert len(ids) == 2
    assert {bits(one) for one in ids} == {128}


def test_what_clients_are_given_has_256_bits(registering: Registering) -> None:
    """A client's secret, the token that manages it, and the one that let it in."""
    made = registering.registered()
    for secret in (made["client_secret"], made["registration_access_token"], registering.token):
        assert bits(secret) >= 256


def test_links_and_device_codes_have_256_bits(service: Service) -> None:
    """RFC 9126 7.1, RFC 8628 5.2."""
    device = Device.on(service)
    assert bits(device.start()["device_code"]) == 256
    assert bits(device.portal.pushed().rpartition(":")[2]) >= 256
