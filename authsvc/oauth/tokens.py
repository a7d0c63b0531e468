"""Access tokens (RFC 9068) and ID tokens (OpenID Connect Core 2): what claims.md says, signed by the one active key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.util import create_half_hash
from joserfc.jwk import KeySet

from authsvc.clock import Clock, epoch_s
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.asked_claims import person_claims
from authsvc.oauth.call import Call
from authsvc.oauth.clients import Client
from authsvc.oauth.jose import DEFAULT_ALG, algorithm_for, sign
from authsvc.oauth.subject import MACHINE, Machine, Subject, remembered_device_claim
from authsvc.policy.schema import TokenPolicy

ACCESS_TOKEN_ALG = DEFAULT_ALG


class AccessTokens(JWTBearerTokenGenerator):  # type: ignore[misc]  # Authlib is untyped
    """Makes JWT access tokens. `user` is a Subject or a Machine and carries what Authlib does not hand over."""

    def __init__(self, *, issuer: str, ring: KeyRing, policy: TokenPolicy, clock: Clock) -> None:
        lifetime_s = int(policy.access_token.total_seconds())
        super().__init__(issuer, alg=ACCESS_TOKEN_ALG, expires_generator=lifetime_s)
        self._ring, self._clock, self._lifetime_s = ring, clock, lifetime_s

    def get_jwks(self) -> KeySet:
        """A set of one: Authlib picks at random from a larger one and names no kid for a bare key (libraries.md 1.5, 10)."""
        return self._ring.active_as_key_set(ACCESS_TOKEN_ALG)

    def get_audiences(self, client: Client, user: Subject | Machine, scope: str) -> str:
        """The resource server; never a client id."""
        return user.resource

    def get_jti(self, client: Client, grant_type: str, user: Subject | Machine, scope: str) -> str:
        """Random, behind the family's id, so that a token leads to what can revoke it."""
        family = user.family.id if isinstance(user, Subject) else MACHINE
        return f"{family}.{secrets.token_urlsafe(16)}"

    def get_extra_claims(self, client: Client, grant_type: str, user: Subject | Machine, scope: str) -> dict[str, Any]:
        """The subject's claims, and times from our clock: Authlib reads its own (libraries.md 1.5, 18)."""
        now = epoch_s(self._clock.now())
        return user.access_claims() | {"iat": now, "exp": now + self._lifetime_s}


@dataclass
class IdTokenSettings:
    """What ID tokens are made with."""

    issuer: str
    ring: KeyRing
    policy: TokenPolicy
    clock: Clock


class IdTokens(OpenIDCode):  # type: ignore[misc]  # Authlib is untyped
    """Adds an ID token to the answer of a grant whose scope has `openid`, on redemption and on refresh alike."""

    def __init__(self, settings: IdTokenSettings) -> None:
        super().__init__(require_nonce=False)
        self._settings = settings

    def exists_nonce(self, nonce: str, request: Call) -> bool:
        """Replay of a nonce is for the client to notice (Core 3.1.2.1); the code itself is single-use."""
        return False

    def encode_id_token(self, token: dict[str, Any], request: Call) -> str:
        """Signed as the client registered. Authlib's own knows neither our key ring nor EdDSA by its registered name."""
        claims = self.get_compatible_claims(request)
        if request.authorization_code:
            claims |= self.get_authorization_code_claims(request.authorization_code)
        alg = algorithm_for(self._settings.ring, request.client.metadata.id_token_signed_response_alg)
        claims["at_hash"] = create_half_hash(token["access_token"], alg).decode()
        claims |= self.generate_user_info(request.user, token["scope"])
        return sign(self._settings.ring, claims, alg=alg, typ="JWT")

    def get_compatible_claims(self, request: Call) -> dict[str, Any]:
        """Every claim but the nonce, from the family: on refresh Authlib would say that the person signed in now."""
        subject: Subject = request.user
        now = epoch_s(self._settings.clock.now())
        client_id = request.client.client_id
        claims = {
            "iss": self._settings.issuer,
            "aud": [client_id],
            "azp": client_id,
            "iat": now,
            "exp": now + int(self._settings.policy.id_token.total_seconds()),
            "account": subject.account_claim(),
        }
        if subject.family.remembered:
            claims["remembered_device"] = remembered_device_claim(subject.family.remembered, full=True)
        if asked := (subject.family.asked_claims or {}).get("id_token"):
            claims |= person_claims(subject.membership.user, subject.membership, asked)
        return claims | subject.authentication_claims()

    def get_authorization_code_claims(self, authorization_code: Any) -> dict[str, str]:
        """The nonce, on redemption only."""
        nonce = authorization_code.family.nonce
        return {"nonce": nonce} if nonce else {}

    def generate_user_info(self, user: Subject, scope: str) -> dict[str, str]:
        """Merged last by Authlib, so it says `sub` and nothing that could overwrite."""
        return {"sub": user.get_user_id()}
