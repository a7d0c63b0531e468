"""Which scope names an access token says, and which audiences a client may ask for (RFC 8707)."""

from __future__ import annotations

import pytest

from authsvc.crypto.tokens import Digester
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import Client, scope_for

ISSUER, INVESTORS, EXPORTS = "https://login.ims.test", "https://api.ims.test/investors", "https://api.ims.test/exports"
RESOURCES = {
    INVESTORS: frozenset({"investors.read", "investors.write"}),
    EXPORTS: frozenset({"exports.read", "investors.read"}),
}


@pytest.mark.parametrize(
    ("resource", "scope", "said"),
    [
        (INVESTORS, "openid investors.write exports.read", "openid investors.write"),
        (EXPORTS, "openid investors.write exports.read", "openid exports.read"),
        (EXPORTS, "exports.read investors.read", "exports.read investors.read"),
        (ISSUER, "openid profile investors.read members.read", "openid profile members.read"),
        (INVESTORS, "members.read investors.read", "investors.read"),
        (INVESTORS, "openid profile email offline_access", "openid profile email offline_access"),
        (ISSUER, "investors.read", ""),
    ],
)
def test_a_token_says_what_its_audience_knows(resource: str, scope: str, said: str) -> None:
    """RFC 8707 3: the token's scope is "applicable to the resource"; another API's names would mean nothing, or too much."""
    assert scope_for(resource, scope, RESOURCES) == said


def test_a_client_reaches_the_resource_servers_it_was_given() -> None:
    """None: any that has one of its scopes; an empty list: none."""

    def reached(resources: frozenset[str] | None) -> set[str]:
        metadata = ClientMetadata(client_name="x", redirect_uris=("https://x.test/",))
        client = Client("x", None, metadata, True, None, resources, Digester(b"k"))
        return set(client.reachable(RESOURCES))

    assert reached(None) == {INVESTORS, EXPORTS}
    assert reached(frozenset({EXPORTS, "https://gone.test"})) == {EXPORTS}
    assert reached(frozenset()) == set()
