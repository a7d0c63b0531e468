"""RP-Initiated Logout 1.0: Authlib's checks, our sessions."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oidc.rpinitiated import EndSessionEndpoint, EndSessionRequest
from joserfc.jwk import KeySet
from werkzeug.datastructures import Headers, MultiDict

from authsvc.keyring.ring import KeyRing
from authsvc.oauth.call import Call, check_parameters
from authsvc.oauth.server import AuthorizationServer
from authsvc.sessions.models import BrowserSession


class Logout(EndSessionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """Reads logout requests; what is done about them is the view's."""

    def __init__(self, server: AuthorizationServer, ring: KeyRing) -> None:
        super().__init__(server)
        self._ring = ring

    def get_server_jwks(self) -> KeySet:
        """Every published key: a hint may be older than the present one."""
        return self._ring.verification_key_set()

    def get_algorithms(self) -> list[str]:
        """Ours, and never `none`."""
        return list(self._ring.algorithms())

    def read(self, params: MultiDict[str, str]) -> EndSessionRequest | None:
        """The checked request; None when it cannot be trusted at all. Such a request never redirects (section 4)."""
        try:
            check_parameters(params)
            call = Call(method="GET", headers=Headers(), args=params, form=MultiDict(), issuer=self.server.issuer)
            found: EndSessionRequest = self.validate_request(call)
        except (OAuth2Error, ValueError):
            return None
        claims = found.id_token_claims
        if claims is not None and (claims.get("iss") != self.server.issuer or "sid" not in claims):
            return None
        return found


def is_about(request: EndSessionRequest, session: BrowserSession) -> bool:
    """Whether the hint names this very session, so that nobody need be asked (security.md LG-16)."""
    claims = request.id_token_claims or {}
    return claims.get("sid") == session.id and claims.get("sub") == session.user_id
