"""Who calls the account API: our own access tokens, read and looked up live, without a request to ourselves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.oauth.clients import Registry
from authsvc.oauth.models import TokenFamily
from authsvc.oauth.revocation import RevokedTokens
from authsvc.oauth.subject import MACHINE, family_of_jti
from authsvc.oauth.userinfo import UserInfo


@dataclass(frozen=True)
class Person:
    """Who calls through a client: one person in one account for one audience, as their token says (security.md TN-14)."""

    user_id: str
    membership_id: str
    account_id: str
    account_slug: str


@dataclass(frozen=True)
class Caller:
    """An active client, and what it may do now. `person`: whose token it is; None: the client's own."""

    client_id: str
    scopes: frozenset[str]
    #: Slugs of the accounts it may touch; None: all (security.md TN-13).
    accounts: frozenset[str] | None
    #: One of IMS's own: no other reaches the API, whatever scopes it came by.
    first_party: bool
    person: Person | None


@dataclass(frozen=True)
class Callers:
    """Reads bearer tokens whose audience is this service."""

    userinfo: UserInfo
    revoked: RevokedTokens
    registry: Registry

    def of(self, tx: Session, token: str) -> Caller | None:
        """The caller behind a token; None when it is not ours, not for us, expired, revoked, or its client has ended.

        A person's token is worth something while their session, their membership and what else it rests on are, as
        everywhere (oauth/families.py): each is looked up now (security.md TN-11). A scope counts while the token and the
        client's registration both have it, so one taken away is gone at once.
        """
        claims = self.userinfo.claims_of(token)
        if claims is None or claims.get("aud") != self.userinfo.issuer:
            return None
        client = self.registry.client(str(claims.get("client_id")), tx)
        family = None if family_of_jti(claims) == MACHINE else self.userinfo.family_of(tx, claims)
        is_live = family is not None if family_of_jti(claims) != MACHINE else not self.revoked.holds(tx, claims)
        if client is None or not is_live:
            return None
        said = frozenset(str(claims.get("scope", "")).split())
        return Caller(
            client.client_id,
            said & frozenset(client.scopes),
            client.accounts,
            client.first_party,
            _person(family) if family is not None else None,
        )


def _person(family: TokenFamily) -> Person:
    of = family.membership
    return Person(family.user_id, of.id, of.account_id, of.account.slug)
