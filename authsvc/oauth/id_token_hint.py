"""Reading an ID token of ours that comes back as a hint (OpenID Connect Core 3.1.2.1, RP-Initiated Logout 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from authsvc.accounts.models import User
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.jose import UNREADABLE, verified
from authsvc.sessions.models import BrowserSession


@dataclass(frozen=True)
class Hints:
    """Knows our own ID tokens."""

    issuer: str
    ring: KeyRing

    def claims_of(self, hint: str) -> dict[str, Any] | None:
        """The claims of an ID token of ours, also long after its end; None for anything else.

        Not Authlib's own reading, which asks the machine's clock about `iat` and takes an access token, which any API may
        hold (security.md TK-07).
        """
        try:
            token = verified(hint, self.ring.verification_key_set(), self.ring.algorithms())
        except UNREADABLE:
            return None
        claims: dict[str, Any] = token.claims
        is_ours = token.header.get("typ") == "JWT" and claims.get("iss") == self.issuer and "sid" in claims
        return claims if is_ours else None


def hinted_user(tx: Session, claims: dict[str, Any]) -> User | None:
    """Whom an ID token is about: by its session, for a `sub` may be pairwise; by its `sub` once that is forgotten."""
    session = tx.get(BrowserSession, str(claims["sid"]))
    return session.user if session is not None else tx.get(User, str(claims.get("sub", "")))
