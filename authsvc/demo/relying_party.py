"""An OpenID Connect client on Authlib: the code flow with PKCE, refreshing, step-up and signing out.

Everything an IMS portal must check is on this page; nothing here knows about pages or cookies.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from authlib.common.security import generate_token
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from werkzeug.datastructures import WWWAuthenticate

from authsvc.clock import Clock
from authsvc.demo.calls import Answer, Send, Unreachable

ALGORITHMS = ["ES256", "RS256"]
LEEWAY_S = 30


class SignInFailed(Exception):
    """What came back is not the answer to what was asked; whoever brought it is not signed in. Holds a sentence."""


class SessionOver(Exception):
    """The sign-in behind the refresh token has ended."""


@dataclass(frozen=True)
class StepUp:
    """What an API wants of the sign-in, from its challenge (RFC 9470 3): goes into the next authorization request."""

    acr_values: str | None = None
    max_age: int | None = None


@dataclass(frozen=True)
class Started:
    """An authorization request that is out: where it leads, and what the answer is held against."""

    url: str
    state: str
    nonce: str
    code_verifier: str
    max_age: int | None


@dataclass(frozen=True)
class Tokens:
    """What one sign-in gave. `claims` are the checked ones of the ID token."""

    access_token: str
    refresh_token: str | None
    id_token: str
    claims: Mapping[str, Any]
    expires_at: datetime


@dataclass(frozen=True)
class Registration:
    """How the provider knows this client."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    scope: str


class RelyingParty:
    """One client of one provider. Safe for threads."""

    def __init__(self, registration: Registration, *, send: Send, clock: Clock) -> None:
        self._registration, self._send, self._clock = registration, send, clock
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def begin(self, *, account: str | None = None, step_up: StepUp | None = None) -> Started:
        """A fresh authorization request. Raises: Unreachable."""
        state, nonce, verifier = generate_token(43), generate_token(43), generate_token(64)
        wanted = {
            "account": account,
            "acr_values": step_up.acr_values if step_up else None,
            "max_age": step_up.max_age if step_up else None,
        }
        url, _ = self._client().create_authorization_url(
            self._provider()["authorization_endpoint"],
            state=state,
            nonce=nonce,
            code_verifier=verifier,
            **{name: value for name, value in wanted.items() if value is not None},
        )
        return Started(url, state, nonce, verifier, step_up.max_age if step_up else None)

    def complete(self, started: Started, answer: Mapping[str, str]) -> Tokens:
        """Redeem the answer to `started`, whose state the caller has compared. Raises: SignInFailed, Unreachable."""
        # Whose answer is this? Another provider's code must never reach our token endpoint (RFC 9207 2.4).
        if answer.get("iss") != self._registration.issuer:
            raise SignInFailed("The answer came from another sign-in service.")
        if "error" in answer:
            raise SignInFailed(f"The sign-in service refused ({answer['error'][:60]}).")
        try:
            token = self._client().fetch_token(
                self._provider()["token_endpoint"],
                grant_type="authorization_code",
                code=answer.get("code", ""),
                code_verifier=started.code_verifier,
            )
        except (OAuth2Error, ValueError) as exc:
            raise SignInFailed("The sign-in service did not accept the code.") from exc
        tokens = self._tokens(token, nonce=started.nonce)
        oldest = self._clock.now().timestamp() - (started.max_age or 0) - LEEWAY_S
        if started.max_age is not None and tokens.claims.get("auth_time", 0) < oldest:
            raise SignInFailed("The sign-in is older than was asked for.")
        return tokens

    def refresh(self, tokens: Tokens, *, resource: str | None = None) -> Tokens:
        """Newer tokens of the same sign-in; the access token for `resource` (RFC 8707 2.2). Raises: SessionOver, Unreachable."""
        wanted = {} if resource is None else {"resource": resource}
        if tokens.refresh_token is None:
            raise SessionOver
        try:
            token = self._client().refresh_token(self._provider()["token_endpoint"], tokens.refresh_token, **wanted)
            newer = self._tokens(token, nonce=None)
        except (OAuth2Error, ValueError, SignInFailed) as exc:
            raise SessionOver from exc
        # The same person, from the same sign-in, or none (OpenID Connect Core 12.2).
        if any(newer.claims.get(name) != tokens.claims.get(name) for name in ("iss", "sub", "aud", "auth_time")):
            raise SessionOver
        return newer

    def expires_soon(self, tokens: Tokens) -> bool:
        """Whether the access token could run out on its way."""
        return tokens.expires_at - self._clock.now() < timedelta(seconds=LEEWAY_S)

    def person(self, tokens: Tokens) -> dict[str, Any]:
        """Name and address of who signed in. Raises: SignInFailed, Unreachable."""
        found = self.get(self._provider()["userinfo_endpoint"], tokens)
        said = _object(found) if found.status_code == 200 else {}
        # Names are taken for the person of the ID token and for nobody else (Core 5.3.2).
        if said.get("sub") != tokens.claims["sub"]:
            raise SignInFailed("The sign-in service did not say who signed in.")
        return said

    def get(self, url: str, tokens: Tokens) -> Answer:
        """Call an API with the access token. Raises: Unreachable."""
        return self._send("GET", url, headers={"Authorization": f"Bearer {tokens.access_token}"})

    def post(self, url: str, tokens: Tokens) -> Answer:
        """Have an API do something. Raises: Unreachable."""
        return self._send("POST", url, headers={"Authorization": f"Bearer {tokens.access_token}"}, body="")

    def sign_out_url(self, tokens: Tokens, *, return_to: str, state: str) -> str:
        """Where the browser ends its session with the provider (RP-Initiated Logout 2). Raises: Unreachable."""
        query = {
            "id_token_hint": tokens.id_token,
            "client_id": self._registration.client_id,
            "post_logout_redirect_uri": return_to,
            "state": state,
        }
        return f"{self._provider()['end_session_endpoint']}?{urlencode(query)}"

    def _tokens(self, token: Mapping[str, Any], *, nonce: str | None) -> Tokens:
        if not isinstance(token.get("id_token"), str) or str(token.get("token_type", "")).lower() != "bearer":
            raise SignInFailed("The sign-in service answered without an ID token.")
        claims = self._checked(token["id_token"], nonce=nonce, access_token=token["access_token"])
        lasts = timedelta(seconds=int(token.get("expires_in", 0)))
        return Tokens(
            token["access_token"], token.get("refresh_token"), token["id_token"], claims, self._clock.now() + lasts
        )

    def _checked(self, id_token: str, *, nonce: str | None, access_token: str) -> dict[str, Any]:
        """The claims, once signature, issuer, audience, times, nonce and at_hash are right (Core 3.1.3.7)."""
        registration = self._registration
        try:
            try:
                decoded = jwt.decode(id_token, self._key_set(), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                # Perhaps signed by a key that is newer than what we hold; another look, and no more.
                decoded = jwt.decode(id_token, self._key_set(again=True), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": registration.issuer},
                    "aud": {"essential": True, "value": registration.client_id},
                },
                params={"client_id": registration.client_id, "access_token": access_token, "nonce": nonce},
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError) as exc:
            raise SignInFailed("The ID token could not be trusted.") from exc
        # Ours and nobody else's: whoever shares a token could bring it here (Core 3.1.3.7, point 3).
        if claims["aud"] not in (registration.client_id, [registration.client_id]):
            raise SignInFailed("The ID token is for others too.")
        return dict(claims)

    def _client(self) -> OAuth2Client:
        """Authlib's client; a new one for each use, for it keeps the token that it was given last."""
        registration = self._registration
        return OAuth2Client(
            _Session(self._send),
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            token_endpoint_auth_method="client_secret_basic",
            scope=registration.scope,
            redirect_uri=registration.redirect_uri,
            code_challenge_method="S256",
        )

    def _provider(self) -> dict[str, Any]:
        """The provider's metadata, read once. Raises: Unreachable."""
        with self._lock:
            if self._metadata is None:
                issuer = self._registration.issuer
                found = self._read(f"{issuer}/.well-known/openid-configuration")
                # A document that speaks of another issuer would send our secret there (OpenID Discovery 4.3).
                if found.get("issuer") != issuer:
                    raise Unreachable("the metadata names another issuer")
                self._metadata = found
            return self._metadata

    def _key_set(self, *, again: bool = False) -> KeySet:
        address = self._provider()["jwks_uri"]
        with self._lock:
            if self._keys is None or again:
                self._keys = KeySet.import_key_set(self._read(address))  # type: ignore[arg-type]  # joserfc checks it
            return self._keys

    def _read(self, url: str) -> dict[str, Any]:
        found = self._send("GET", url, headers={"Accept": "application/json"})
        found.raise_for_status()
        return _object(found)


class _Session:
    """What Authlib's client needs of a session: one method, on our own way to send."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def post(self, url: str, *, data: dict[str, str], headers: dict[str, str], auth: Any) -> Answer:
        """Send a form, signed by the client."""
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return self._send("POST", url, headers=headers, body=body)


def step_up_wanted(answer: Answer) -> StepUp | None:
    """What a 401 asks of the sign-in, or None when it is about something else (RFC 9470 3)."""
    challenge = WWWAuthenticate.from_header(answer.headers.get("WWW-Authenticate"))
    if answer.status_code != 401 or challenge is None or challenge.type != "bearer":
        return None
    if challenge.parameters.get("error") != "insufficient_user_authentication":
        return None
    max_age = challenge.parameters.get("max_age") or ""
    return StepUp(challenge.parameters.get("acr_values") or None, int(max_age) if max_age.isdecimal() else None)


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as exc:
        raise Unreachable("it answered with something else than JSON") from exc
    if not isinstance(found, dict):
        raise Unreachable("it answered with something else than an object")
    return found
