"""RP-Initiated Logout 1.0: Authlib's checks, our sessions."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from authlib.oidc.rpinitiated import EndSessionEndpoint, EndSessionRequest
from werkzeug.datastructures import Headers, MultiDict

from authsvc.oauth.call import Call, checked
from authsvc.oauth.clients import Client
from authsvc.oauth.id_token_hint import Hints
from authsvc.oauth.server import AuthorizationServer
from authsvc.sessions.models import BrowserSession


class Logout(EndSessionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """Reads logout requests; what is done about them is the view's."""

    def __init__(self, server: AuthorizationServer, hints: Hints) -> None:
        super().__init__(server)
        self._hints = hints

    def _validate_id_token_hint(self, id_token_hint: str) -> dict[str, Any]:
        """The claims of an ID token of ours, also long after its end (section 2). Raises: InvalidRequestError."""
        claims = self._hints.claims_of(id_token_hint)
        if claims is None:
            raise InvalidRequestError("The id_token_hint is not one of ours.")
        return claims

    def resolve_client_from_id_token_claims(self, id_token_claims: dict[str, Any]) -> Client | None:
        """The client the hint was made for; Authlib knows it only where `aud` is no list."""
        client: Client | None = self.server.query_client(id_token_claims.get("azp"))
        return client

    def read(self, params: MultiDict[str, str]) -> EndSessionRequest | None:
        """The checked request; None when it cannot be trusted at all. Such a request never redirects (section 4)."""
        try:
            args = checked(params)
            call = Call(method="GET", headers=Headers(), args=args, form=MultiDict(), issuer=self.server.issuer)
            found: EndSessionRequest = self.validate_request(call)
        except OAuth2Error:
            return None
        return found

    def onward(self, request: EndSessionRequest | None, session: BrowserSession | None) -> str | None:
        """The registered address to end at, or None: without a good hint, and with one about somebody else than is signed
        in.
        """
        if request is None or request.redirect_uri is None:
            return None
        return str(request.redirect_uri) if session is None or self._is_theirs(request, session) else None

    def is_about(self, request: EndSessionRequest, session: BrowserSession) -> bool:
        """Whether the hint names this very session, so that nobody need be asked (security.md LG-16)."""
        claims = request.id_token_claims or {}
        return claims.get("sid") == session.id and self._is_theirs(request, session)

    def _is_theirs(self, request: EndSessionRequest, session: BrowserSession) -> bool:
        """Whether the hint speaks of whoever is signed in, by the `sub` that its client knows."""
        claims = request.id_token_claims or {}
        client = self.resolve_client_from_id_token_claims(claims)
        return client is not None and claims.get("sub") == self.server.subjects.sub(client, session.user_id)
