"""The refresh token grant (RFC 6749 6), with rotation."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant as Authlibs

from authsvc.oauth.client_auth import ANY
from authsvc.oauth.refresh import Presented
from authsvc.oauth.subject import Subject


class RefreshTokenGrant(Authlibs):  # type: ignore[misc]  # Authlib is untyped
    """The token is locked when it is presented and spent when its successor is made, in one transaction.

    So a refused request (a wider scope, another resource) burns nothing.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = list(ANY)

    def authenticate_refresh_token(self, refresh_token: str) -> Presented | None:
        """What was presented, if it is worth something."""
        client_id = self.request.client.client_id
        presented: Presented | None = self.server.refresh_tokens.present(
            self.server.tx(), refresh_token, client_id=client_id
        )
        return presented

    def authenticate_user(self, refresh_token: Presented) -> Subject:
        """Whom the family speaks of."""
        asked = self.request.form.get("resource")
        subject: Subject = self.server.subject_of(refresh_token.family, self.request.client, asked)
        return subject

    def generate_token(self, *, user: Subject, scope: str, include_refresh_token: bool) -> dict[str, Any]:
        """An access token for the granted resource. `scope`: what was asked of the granted one, else all of it."""
        said = self.server.scope_said(self.request.client, user.resource, scope)
        token: dict[str, Any] = super().generate_token(user=user, scope=said, include_refresh_token=False)
        return token

    def issue_token(self, user: Subject, refresh_token: Presented) -> dict[str, Any]:
        """A new access token, and the successor of the refresh token."""
        token: dict[str, Any] = super().issue_token(user, refresh_token)
        token["refresh_token"] = self.server.refresh_tokens.rotate(self.server.tx(), refresh_token)
        return token

    def revoke_old_credential(self, refresh_token: Presented) -> None:
        """Done by the rotation itself."""
