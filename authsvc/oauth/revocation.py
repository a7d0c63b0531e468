"""The revocation endpoint (RFC 7009): a client says that a token is needed no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.crypto.tokens import Digester
from authsvc.oauth.call import Call
from authsvc.oauth.client_auth import ANY
from authsvc.oauth.clients import Client
from authsvc.oauth.models import RefreshToken, RevokedToken, TokenFamily
from authsvc.oauth.refresh import PURPOSE as REFRESH_PURPOSE
from authsvc.oauth.subject import MACHINE, family_of_jti
from authsvc.oauth.userinfo import UserInfo

PURPOSE = "revoked-jti"
REASON = "revoked_by_client"


@dataclass(frozen=True)
class RevokedTokens:
    """Machines' access tokens that were revoked: a row each until they end, for there is nothing else to end."""

    digester: Digester
    audit: AuditLog

    def revoke(self, tx: Session, claims: dict[str, object]) -> None:
        """Once and again is the same."""
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(RevokedToken)
        ends = datetime.fromtimestamp(int(str(claims["exp"])), UTC)
        done = tx.execute(
            insert.values(jti_digest=self._digest(claims), expires_at=ends)
            .on_conflict_do_nothing()
            .returning(RevokedToken.jti_digest)
        ).one_or_none()
        if done is not None:
            self.audit.record(tx, Event.TOKEN_REVOKED, client_id=str(claims["client_id"]))

    def holds(self, tx: Session, claims: dict[str, object]) -> bool:
        """Whether it was revoked."""
        return tx.get(RevokedToken, self._digest(claims)) is not None

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget what has ended by itself."""
        tx.execute(delete(RevokedToken).where(RevokedToken.expires_at < now))

    def _digest(self, claims: dict[str, object]) -> str:
        return self.digester.digest(PURPOSE, str(claims["jti"]))


@dataclass(frozen=True)
class Revocable:
    """A token of ours. `family_id`: what ends with it; None for a machine's."""

    client_id: str
    family_id: str | None
    claims: dict[str, object]

    def check_client(self, client: Client) -> bool:
        """Whether it was issued to this client."""
        return self.client_id == client.client_id


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """A refresh token takes its family along, and so does a person's access token: what a client gives back is over.

    Another client's token is refused and left alone (2.1); what is garbage, ended or expired is answered 200, for the
    client's purpose is reached (2.2).
    """

    CLIENT_AUTH_METHODS = list(ANY)

    def __init__(self, userinfo: UserInfo, revoked: RevokedTokens) -> None:
        super().__init__(None)
        self._userinfo, self._revoked = userinfo, revoked

    def check_params(self, request: Call, client: Client) -> None:
        """A token there must be; a hint that nobody knows is no hint: both look-ups are cheap."""
        if "token" not in request.form:
            raise InvalidRequestError("The token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Revocable | None:
        """The token, whichever of our kinds it is."""
        tx = self.server.tx()
        claims = self._userinfo.claims_of(token_string)
        if claims is not None:
            family_id = family_of_jti(claims)
            client_id = str(claims.get("client_id"))
            return Revocable(client_id, None if family_id == MACHINE else family_id, claims)
        row = tx.get(RefreshToken, self.server.refresh_tokens.digester.digest(REFRESH_PURPOSE, token_string))
        family = tx.get(TokenFamily, row.family_id) if row is not None else None
        return Revocable(family.client_id, family.id, {}) if family is not None else None

    def revoke_token(self, token: Revocable, request: Call) -> None:
        """End it; again is the same."""
        tx = self.server.tx()
        if token.family_id is None:
            self._revoked.revoke(tx, token.claims)
        else:
            self._userinfo.families.revoke(tx, token.family_id, REASON)
