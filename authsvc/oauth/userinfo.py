"""The UserInfo endpoint (OpenID Connect Core 5.3), and reading our own access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.clock import Clock, epoch_s
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.asked_claims import names_for, person_claims
from authsvc.oauth.families import Families
from authsvc.oauth.models import TokenFamily

LONGEST = 16_384
#: How a text is refused that is no JWT of ours. TypeError and RecursionError: joserfc reads the header before it checks the
#: signature, and a header that is a list, a string or 9,000 brackets fails in its own way (security.md TK-21).
UNREADABLE = (JoseError, ValueError, TypeError, RecursionError)


@dataclass(frozen=True)
class Refusal:
    """Why the token will not do: the RFC 6750 error and its status."""

    error: str
    status: int


@dataclass(frozen=True)
class UserInfo:
    """Answers what a person's token may learn about them, live."""

    issuer: str
    ring: KeyRing
    families: Families
    clock: Clock

    def claims_of(self, token: str) -> dict[str, Any] | None:
        """The claims of one of our unexpired access tokens; None for anything else (RFC 9068 4)."""
        if len(token) > LONGEST:
            return None
        try:
            decoded = jwt.decode(token, self.ring.verification_key_set(), algorithms=["ES256"])
        except UNREADABLE:
            return None
        claims: dict[str, Any] = decoded.claims
        fresh = isinstance(claims.get("exp"), int) and claims["exp"] > epoch_s(self.clock.now())
        return claims if decoded.header.get("typ") == "at+jwt" and claims.get("iss") == self.issuer and fresh else None

    def family_of(self, tx: Session, claims: dict[str, Any]) -> TokenFamily | None:
        """The live family behind a token; None when it was ended or the token is a machine's."""
        family_id = str(claims.get("jti", "")).partition(".")[0]
        family = tx.get(TokenFamily, family_id) if len(family_id) == 32 else None
        return family if family is not None and self.families.problem(tx, family) is None else None

    def answer(self, tx: Session, token: str) -> dict[str, Any] | Refusal:
        """`sub`, and what the scopes open. Revoked, ended and foreign tokens are all `invalid_token`."""
        claims = self.claims_of(token)
        family = self.family_of(tx, claims) if claims else None
        if claims is None or family is None:
            return Refusal("invalid_token", 401)
        scopes = set(str(claims.get("scope", "")).split())
        if "openid" not in scopes:
            return Refusal("insufficient_scope", 403)
        user = tx.get_one(User, family.user_id)
        found: dict[str, Any] = {"sub": user.id}
        asked = (family.asked_claims or {}).get("userinfo", ())
        return found | person_claims(user, family.membership, names_for(scopes, asked))
