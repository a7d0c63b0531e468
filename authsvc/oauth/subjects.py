"""What a client may call a person: the `sub` of everything it is told (OpenID Connect Core 8).

First-party clients, and third parties that registered `public`, hear the person's id, which is globally unique and never
an address (claims.md). A third party that registered `pairwise` hears another name, which only clients of its own sector
share: its ID token, UserInfo, introspection and its access tokens all say it. Access tokens too, although other services
read them: the client can read its own access token, so a public `sub` there would undo the rest.
What it does not hide: `sid` and `account` are the same for every client of one session.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from authsvc.crypto.tokens import Digester
from authsvc.oauth.clients import Client

PURPOSE = "pairwise-subject"


@dataclass(frozen=True)
class Subjects:
    """Names people for clients. The key comes of the oldest secret of AUTHSVC_SECRET: without that one, every name changes."""

    digester: Digester

    def sub(self, client: Client, user_id: str) -> str:
        """The `sub` of this person for this client."""
        if client.first_party or client.metadata.subject_type == "public":
            return user_id
        return self.digester.digest(PURPOSE, f"{sector_of(client)}\0{user_id}")


def sector_of(client: Client) -> str:
    """The sector identifier (Core 8.1): the host of sector_identifier_uri, or the one host of the redirect addresses.

    A client with neither (a device that signs people in by code) is a sector of its own.
    """
    metadata = client.metadata
    uri = metadata.sector_identifier_uri or next(iter(metadata.redirect_uris), None)
    return (urlsplit(uri).hostname if uri else None) or f"client {client.client_id}"
