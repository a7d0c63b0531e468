"""The UserInfo endpoint (OpenID Connect Core 5.3), and reading our own access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.clock import Clock, epoch_s
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.asked_claims import names_for, person_claims
from authsvc.oauth.clients import Registry
from authsvc.oauth.families import Families
from authsvc.oauth.jose import DEFAULT_ALG, UNREADABLE, algorithm_for, sign, verified
from authsvc.oauth.models import TokenFamily
from authsvc.oauth.subject import family_of_jti

LONGEST = 16_384


@dataclass(frozen=True)
class Refusal:
    """Why the token will not do: the RFC 6750 error and its status."""

    error: str
    status: int


@dataclass(frozen=True)
class Told:
    """What may be told. `signed_with`: the client registered for a JWT by this algorithm; None: plain JSON."""

    claims: dict[str, Any]
    signed_with: str | None


@dataclass(frozen=True)
class UserInfo:
    """Answers what a person's token may learn about them, live."""

    issuer: str
    ring: KeyRing
    families: Families
    registry: Registry
    clock: Clock

    def claims_of(self, token: str) -> dict[str, Any] | None:
        """The claims of one of our unexpired access tokens; None for anything else (RFC 9068 4)."""
        if len(token) > LONGEST:
            return None
        try:
            decoded = verified(token, self.ring.verification_key_set(), [DEFAULT_ALG])
        except UNREADABLE:
            return None
        claims: dict[str, Any] = decoded.claims
        fresh = isinstance(claims.get("exp"), int) and claims["exp"] > epoch_s(self.clock.now())
        return claims if decoded.header.get("typ") == "at+jwt" and claims.get("iss") == self.issuer and fresh else None

    def family_of(self, tx: Session, claims: dict[str, Any]) -> TokenFamily | None:
        """The live family behind a token; None when it was ended or the token is a machine's."""
        family_id = family_of_jti(claims)
        family = tx.get(TokenFamily, family_id) if len(family_id) == 32 else None
        return family if family is not None and self.families.problem(tx, family) is None else None

    def answer(self, tx: Session, token: str) -> Told | Refusal:
        """`sub` as the client knows it, and what the scopes open. Revoked, ended and foreign tokens are all `invalid_token`."""
        claims = self.claims_of(token)
        family = self.family_of(tx, claims) if claims else None
        if claims is None or family is None:
            return Refusal("invalid_token", 401)
        scopes = set(str(claims.get("scope", "")).split())
        if "openid" not in scopes:
            return Refusal("insufficient_scope", 403)
        user = tx.get_one(User, family.user_id)
        asked = (family.asked_claims or {}).get("userinfo", ())
        found = {"sub": claims["sub"], **person_claims(user, family.membership, names_for(scopes, asked))}
        return self._as_registered(tx, family.client_id, found)

    def signed(self, told: Told) -> str:
        """As a JWT. Outside the transaction, for a key may lie in KMS. Raises: RingHasNoSigningKey."""
        return sign(self.ring, told.claims, alg=told.signed_with or DEFAULT_ALG, typ="JWT")

    def _as_registered(self, tx: Session, client_id: str, found: dict[str, Any]) -> Told:
        """Core 5.3.2: a signed answer says whose it is and for whom."""
        client = self.registry.client(client_id, tx)
        wanted = client.metadata.userinfo_signed_response_alg if client else None
        if wanted is None:
            return Told(found, None)
        return Told({"iss": self.issuer, "aud": client_id, **found}, algorithm_for(self.ring, wanted))
