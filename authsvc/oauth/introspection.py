"""The introspection endpoint (RFC 7662): what a token is worth now, for those who may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from sqlalchemy.orm import Session

from authsvc.clock import epoch_s
from authsvc.oauth.call import Call
from authsvc.oauth.client_auth import CONFIDENTIAL
from authsvc.oauth.clients import Client
from authsvc.oauth.jose import algorithm_for, sign
from authsvc.oauth.models import RefreshToken, TokenFamily
from authsvc.oauth.refresh import PURPOSE
from authsvc.oauth.revocation import RevokedTokens
from authsvc.oauth.subject import MACHINE, SENSITIVE_DATA, family_of_jti, remembered_device_claim
from authsvc.oauth.userinfo import UserInfo

#: RFC 9701 4 and 5: the media type of a signed answer, and the typ of its JWT.
SIGNED = "application/token-introspection+jwt"
SIGNED_TYP = "token-introspection+jwt"
#: RFC 9701 6: "The default, if omitted, is RS256."
SIGNED_DEFAULT_ALG = "RS256"
#: An ended device ends what it stood for, not the sign-in (claims.md): access tokens live on without the claim.
DEVICE_ENDED = "device_ended"


@dataclass(frozen=True)
class Active:
    """A token that is worth something now, and all that may be said of it. `is_access`: else a refresh token."""

    client_id: str
    said: dict[str, Any]
    is_access: bool

    def is_expired(self) -> bool:
        """Never: such a one is not found."""
        return False

    def is_revoked(self) -> bool:
        """Never: such a one is not found."""
        return False


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """Everything is looked up live. What is garbage, ended, or not the caller's to know is `active: false` and no more."""

    CLIENT_AUTH_METHODS = list(CONFIDENTIAL)

    def __init__(self, userinfo: UserInfo, revoked: RevokedTokens) -> None:
        super().__init__()
        self._userinfo, self._revoked = userinfo, revoked

    def create_endpoint_response(self, request: Call) -> tuple[int, Any, list[tuple[str, str]]]:
        """The answer as JSON, or signed for the caller that asks for it or registered for it (RFC 9701 5)."""
        status, body, headers = super().create_endpoint_response(request)
        registered = request.client.metadata.introspection_signed_response_alg
        if not wants_signed(request.headers.get("Accept", ""), registered=registered is not None):
            return status, body, headers
        ring = self._userinfo.ring
        claims = {
            "iss": self.server.issuer,
            "aud": request.client.client_id,
            "iat": epoch_s(self._userinfo.clock.now()),
            "token_introspection": body,
        }
        alg = algorithm_for(ring, registered, default=SIGNED_DEFAULT_ALG)
        return status, sign(ring, claims, alg=alg, typ=SIGNED_TYP), [("Content-Type", SIGNED)]

    def check_params(self, request: Call, client: Client) -> None:
        """A token there must be; a hint that nobody knows is no hint (RFC 7662 2.1: the search is extended anyway)."""
        if "token" not in request.form:
            raise InvalidRequestError("The token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Active | None:
        """The token, whichever of our kinds it is; the hint decides nothing, for both look-ups are cheap."""
        tx = self.server.tx()
        claims = self._userinfo.claims_of(token_string)
        found = self._access(tx, claims) if claims else self._refresh(tx, token_string)
        return found if found and self.server.registry.client(found.client_id, tx) is not None else None

    def check_permission(self, token: Active, client: Client, request: Call) -> bool:
        """A client's own tokens; and access tokens for an API one of whose scopes the client is registered for.

        Anybody else could probe other clients' tokens (security.md TK-22). A refresh token concerns nobody but its client.
        """
        if token.client_id == client.client_id:
            return True
        reachable = client.reachable(self.server.registry.resources(self.server.tx()))
        scopes = reachable.get(str(token.said.get("aud")), frozenset())
        return token.is_access and not scopes.isdisjoint(client.scopes)

    def introspect_token(self, token: Active) -> dict[str, Any]:
        """The answer (RFC 7662 2.2, with the claims of RFC 9068)."""
        return token.said

    def _access(self, tx: Session, claims: dict[str, Any]) -> Active | None:
        said = {**claims, "token_type": "Bearer"}
        family_id = family_of_jti(claims)
        if family_id == MACHINE:
            if self._revoked.holds(tx, claims):
                return None
            return Active(str(claims.get("client_id")), said, is_access=True)
        family = tx.get(TokenFamily, family_id)
        if family is None or self._userinfo.families.problem(tx, family) not in (None, DEVICE_ENDED):
            return None
        if not _still_holds(claims, family):
            return None
        device = family.device_id and self._userinfo.families.devices.live(tx, family.device_id)
        if family.remembered and device:
            said["remembered_device"] = remembered_device_claim(family.remembered, full=True)
        else:
            said.pop("remembered_device", None)
        return Active(family.client_id, said, is_access=True)

    def _refresh(self, tx: Session, secret: str) -> Active | None:
        """Only looked at: to ask about a spent token is no use of it, and must not end a family."""
        tokens = self.server.refresh_tokens
        row = tx.get(RefreshToken, tokens.digester.digest(PURPOSE, secret))
        if row is None or row.consumed_at is not None or row.expires_at <= tokens.clock.now():
            return None
        family = tx.get(TokenFamily, row.family_id)
        if family is None or self._userinfo.families.problem(tx, family) is not None:
            return None
        client = self.server.registry.client(family.client_id, tx)
        if client is None:
            return None
        subject = self.server.subject_of(family, client)
        said = {
            "iss": self.server.issuer,
            "sub": subject.get_user_id(),
            "aud": subject.resource,
            "client_id": family.client_id,
            "scope": family.scope,
            "iat": epoch_s(row.created_at),
            "exp": epoch_s(row.expires_at),
            "account": subject.account_claim(),
            **subject.authentication_claims(),
        }
        return Active(family.client_id, said, is_access=False)


def wants_signed(accept: str, *, registered: bool) -> bool:
    """Whether the answer is to be a JWT: the caller accepts it by name, or registered for it and does not ask for plain JSON."""
    named = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return SIGNED in named or (registered and "application/json" not in named)


def _still_holds(claims: dict[str, Any], family: TokenFamily) -> bool:
    """Whether the person may still do all that the token says; a role or entitlement taken away ends it at once (TK-12)."""
    membership = family.membership
    held = {SENSITIVE_DATA} if membership.sensitive_data_access else set()
    return set(claims.get("roles", ())) <= {membership.role} and set(claims.get("entitlements", ())) <= held
