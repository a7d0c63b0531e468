"""private_key_jwt: a client proves itself with a JWT that it signed (RFC 7523 3, OpenID Connect Core 9).

Two halves. `Assertions.read` checks everything but reuse and is called before the transaction is opened, for the client's
keys may have to be fetched from its jwks_uri; `Assertions.spend` takes the jti inside it, by one INSERT.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeGuard

from joserfc.jwk import ECKey, KeySet
from joserfc.jws import extract_compact
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc.clock import Clock, epoch_s
from authsvc.crypto.tokens import Digester
from authsvc.errors import AuthsvcError
from authsvc.oauth.clients import Client, Registry
from authsvc.oauth.jose import UNREADABLE, kid_of, verified
from authsvc.oauth.models import SpentAssertion

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHOD = "private_key_jwt"
ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")
PURPOSE = "client-assertion"
#: Endpoints whose own address may be named as `aud` beside the issuer (RFC 7523 3, RFC 9126 2); no other (TK-23).
AUDIENCE_PATHS = ("/oauth/token", "/oauth/par")
LONGEST_LIFE = timedelta(hours=1)
LONGEST = 8192
#: A request object is signed by the same keys; its typ says that it is no authentication (RFC 9101 10.8, RFC 8725 3.11).
TYPES = ("JWT", "CLIENT-AUTHENTICATION+JWT")
_NOBODYS = KeySet([ECKey.generate_key("P-256", {"kid": "nobody"})])
_DUMMY = "eyJhbGciOiJFUzI1NiJ9.e30." + "A" * 86


class KeySource(Protocol):
    """Where clients' public keys come from: oauth/client_keys.py."""

    def keys(self, client: Client, kid: str | None = None) -> KeySet:
        """The client's keys; fetched anew where `kid` is not among them. Never inside a transaction."""
        ...


@dataclass(frozen=True)
class Proof:
    """A good assertion that was not spent yet."""

    client_id: str
    jti: str
    expires_at: datetime


@dataclass(frozen=True)
class Flawed:
    """An assertion that proves nothing. `reason` is for the trail, never for the caller."""

    client_id: str | None
    reason: str


@dataclass(frozen=True)
class Assertions:
    """Reads and spends assertions."""

    issuer: str
    registry: Registry
    keys: KeySource
    skew: timedelta
    digester: Digester
    clock: Clock

    def read(self, assertion: str, *, assertion_type: str | None, client_id: str | None) -> Proof | Flawed:
        """Check who signed it, for whom, and when. Outside any transaction. `client_id`: of the body, if it is there.

        Whatever is wrong, one signature is checked, so that the time tells nothing about the client.
        """
        claimed = claimed_client(assertion)
        client = self.registry.client(claimed)
        flaw = self._flaw_of_client(client, assertion_type, named=client_id)
        if flaw is None and client is not None:
            try:
                keys = self.keys.keys(client, kid_of(assertion))
                registered = client.metadata.token_endpoint_auth_signing_alg
                token = verified(assertion, keys, [registered] if registered else ALGORITHMS)
                return self._proof(client, token.header, token.claims)
            except (*UNREADABLE, AuthsvcError):
                return Flawed(client.client_id, "bad_signature")
        with suppress(*UNREADABLE):
            verified(_DUMMY, _NOBODYS, ["ES256"])
        return Flawed(client.client_id if client else None, flaw or "unknown_client")

    def spend(self, tx: Session, proof: Proof) -> bool:
        """Take the jti; False when it was taken before. One INSERT, so of two at once one wins (TK-23)."""
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(SpentAssertion)
        taken = tx.execute(
            insert.values(
                client_id=proof.client_id,
                jti_digest=self.digester.digest(PURPOSE, proof.jti),
                expires_at=proof.expires_at,
            )
            .on_conflict_do_nothing()
            .returning(SpentAssertion.jti_digest)
        ).one_or_none()
        return taken is not None

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget those that time refuses by now."""
        tx.execute(delete(SpentAssertion).where(SpentAssertion.expires_at < now))

    def _flaw_of_client(self, client: Client | None, assertion_type: str | None, *, named: str | None) -> str | None:
        if client is None:
            return "unknown_client"
        if client.auth_method != METHOD or assertion_type != TYPE:
            return "wrong_method"
        return "other_client_id" if named not in (None, client.client_id) else None

    def _proof(self, client: Client, header: dict[str, Any], claims: dict[str, Any]) -> Proof | Flawed:
        flaw = self._flaw(client, header, claims)
        if flaw is not None:
            return Flawed(client.client_id, flaw)
        return Proof(client.client_id, claims["jti"], datetime.fromtimestamp(claims["exp"], UTC) + self.skew)

    def _flaw(self, client: Client, header: dict[str, Any], claims: dict[str, Any]) -> str | None:
        """RFC 7523 3, points 1 to 8, in the order of the claims."""
        typ = header.get("typ", "JWT")
        if not isinstance(typ, str) or typ.upper().removeprefix("APPLICATION/") not in TYPES:
            return "wrong_typ"
        if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
            return "wrong_issuer"
        aud = claims.get("aud")
        ours = {self.issuer, *(self.issuer + path for path in AUDIENCE_PATHS)}
        if not any(isinstance(one, str) and one in ours for one in (aud if isinstance(aud, list) else [aud])):
            return "wrong_audience"
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            return "no_jti"
        now, skew_s, life_s = epoch_s(self.clock.now()), self.skew.total_seconds(), LONGEST_LIFE.total_seconds()
        exp, nbf, iat = claims.get("exp"), claims.get("nbf", now), claims.get("iat", now)
        if not (_is_instant(exp) and _is_instant(nbf) and _is_instant(iat)):
            return "wrong_times"
        if exp <= now - skew_s:
            return "expired"
        if exp > now + life_s + skew_s:
            return "too_long_a_life"
        if nbf > now + skew_s or iat > now + skew_s or iat < now - life_s - skew_s:
            return "wrong_times"
        return None


def claimed_client(assertion: str) -> str | None:
    """Whom the unchecked assertion says it is from; None when that cannot be read."""
    if len(assertion) > LONGEST:
        return None
    try:
        claims = json.loads(extract_compact(assertion.encode()).payload)
    except UNREADABLE:
        return None
    sub = claims.get("sub") if isinstance(claims, dict) else None
    return sub if isinstance(sub, str) else None


def _is_instant(value: object) -> TypeGuard[float]:
    """A number that a clock can show: no boolean, no text, no NaN and no 1e400 (TK-10)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value < 1e11
