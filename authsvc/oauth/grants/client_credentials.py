"""The client credentials grant (RFC 6749 4.4): a machine for itself."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant as Authlibs

from authsvc.oauth.client_auth import CONFIDENTIAL
from authsvc.oauth.clients import NoSuchTarget, audience_for
from authsvc.oauth.errors import InvalidTarget
from authsvc.oauth.subject import Machine

NEVER = frozenset({"openid", "profile", "email", "offline_access"})


class ClientCredentialsGrant(Authlibs):  # type: ignore[misc]  # Authlib is untyped
    """No person, so no acr, no account, no refresh token and none of OpenID's scopes."""

    TOKEN_ENDPOINT_AUTH_METHODS = list(CONFIDENTIAL)

    def validate_requested_scope(self) -> None:
        """The scopes must be the client's own and a machine's."""
        client, asked = self.request.client, (self.request.payload.scope or "").split()
        if set(asked) - (set(client.scopes) - NEVER):
            raise InvalidScopeError("A scope is not one this client may have.")

    def generate_token(self, *, scope: str | None, include_refresh_token: bool) -> dict[str, Any]:
        """An access token whose subject is the client; without `scope`, for everything it registered for."""
        client = self.request.client
        granted = scope or " ".join(name for name in client.scopes if name not in NEVER)
        if not granted:
            raise InvalidScopeError("This client has no scope of its own.")
        try:
            resource = audience_for(
                self.request.form.get("resource"),
                granted,
                resources=client.reachable(self.server.registry.resources(self.server.tx())),
                issuer=self.server.issuer,
            )
        except NoSuchTarget as exc:
            raise InvalidTarget("Name one registered resource.") from exc
        said = self.server.scope_said(client, resource, granted)
        token: dict[str, Any] = super().generate_token(
            user=Machine(client.client_id, resource), scope=said, include_refresh_token=include_refresh_token
        )
        return token
