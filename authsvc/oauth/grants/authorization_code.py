"""The authorization code grant (RFC 6749 4.1)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as Authlibs

from authsvc.oauth.client_auth import ANY
from authsvc.oauth.clients import Client
from authsvc.oauth.codes import CodeGrant
from authsvc.oauth.subject import Subject


class AuthorizationCodeGrant(Authlibs):  # type: ignore[misc]  # Authlib is untyped
    """Codes come from and go to oauth/codes.py; everything else is Authlib's."""

    TOKEN_ENDPOINT_AUTH_METHODS = list(ANY)

    def query_authorization_code(self, code: str, client: Client) -> CodeGrant | None:
        """Spend the code here: Authlib deletes it only after the tokens are saved (models.md 1.2)."""
        spent: CodeGrant | None = self.server.codes.consume(self.server.tx(), code, client_id=client.client_id)
        return spent

    def delete_authorization_code(self, authorization_code: CodeGrant) -> None:
        """It is spent already."""

    def authenticate_user(self, authorization_code: CodeGrant) -> Subject:
        """Whom the code speaks of."""
        asked = self.request.form.get("resource")
        subject: Subject = self.server.subject_of(authorization_code.family, self.request.client, asked)
        return subject

    def generate_token(self, *, user: Subject, scope: str, include_refresh_token: bool) -> dict[str, Any]:
        """Authlib's token for the granted resource, with our refresh token beside it."""
        said = self.server.scope_said(self.request.client, user.resource, scope)
        token: dict[str, Any] = super().generate_token(user=user, scope=said, include_refresh_token=False)
        if include_refresh_token:
            token["refresh_token"] = self.server.refresh_tokens.first(self.server.tx(), user.family)
        return token

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Client) -> str:
        """The registered address, to the letter; the refusal repeats nothing of what was sent."""
        redirect_uri = request.payload.redirect_uri
        if not redirect_uri or not client.check_redirect_uri(redirect_uri):
            raise InvalidRequestError("The redirect_uri is missing or not registered for this client.")
        return str(redirect_uri)
