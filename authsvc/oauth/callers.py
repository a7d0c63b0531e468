"""Who calls the account API: our own access tokens, read and looked up live, without a request to ourselves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.oauth.clients import Registry
from authsvc.oauth.revocation import RevokedTokens
from authsvc.oauth.subject import MACHINE, family_of_jti
from authsvc.oauth.userinfo import UserInfo


@dataclass(frozen=True)
class Caller:
    """An active client, and what it may do now. `is_machine` False: a person through it."""

    client_id: str
    scopes: frozenset[str]
    #: Slugs of the accounts it may touch; None: all (security.md TN-13).
    accounts: frozenset[str] | None
    #: One of IMS's own: no other reaches the API, whatever scopes it came by.
    first_party: bool
    is_machine: bool


@dataclass(frozen=True)
class Callers:
    """Reads bearer tokens whose audience is this service."""

    userinfo: UserInfo
    revoked: RevokedTokens
    registry: Registry

    def of(self, tx: Session, token: str) -> Caller | None:
        """The caller behind a token; None when it is not ours, not for us, expired, revoked, or its client has ended.

        A scope counts while the token and the client's registration both have it, so one taken away is gone at once.
        """
        claims = self.userinfo.claims_of(token)
        if claims is None or claims.get("aud") != self.userinfo.issuer:
            return None
        client = self.registry.client(str(claims.get("client_id")), tx)
        is_machine = family_of_jti(claims) == MACHINE
        is_live = not self.revoked.holds(tx, claims) if is_machine else self.userinfo.family_of(tx, claims) is not None
        if client is None or not is_live:
            return None
        said = frozenset(str(claims.get("scope", "")).split())
        return Caller(
            client.client_id, said & frozenset(client.scopes), client.accounts, client.first_party, is_machine
        )
