"""An issuer for your own tests: real keys, real signatures, and a token for every state that yours may meet.

    issuer = MockIssuer(audience="https://api.ims.example/investors")
    verify = issuer.verifier()
    verify(issuer.mint(State.REMEMBERED))

With pytest there is nothing to set up: the fixture `ims_issuer` comes with the package. Never for production: whoever holds
a MockIssuer can be anybody.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from authsvc.resource_server.claims import PASSWORD, REMEMBERED, TWO_STEP
from authsvc.resource_server.fetching import OPENID_CONFIGURATION
from authsvc.resource_server.introspection import IntrospectionVerifier
from authsvc.resource_server.mock_server import MockServer
from authsvc.resource_server.verifier import TokenVerifier

ISSUER = "https://login.ims.test"
AUDIENCE = "https://api.ims.test/investors"
CLIENT = ("your-api", "your-api-secret")
JWKS = "/oauth/jwks"
INTROSPECT = "/oauth/introspect"
TWO_FACTOR = "urn:ims:acr:two-factor"
MONTH_S = 30 * 86_400


class State(StrEnum):
    """What has happened to a token, or before it. All but the last five are good tokens of the person Dana, or of a machine."""

    #: A password and nothing else, now.
    PASSWORD = "password"
    #: A password; the code was skipped, for this device passed one by text message ten days ago.
    REMEMBERED = "remembered"
    #: The same, and the person has ended the device since. Only introspection can tell.
    DEVICE_ENDED = "device_ended"
    #: A password and an emailed code, now.
    TWO_STEP = "two_step"
    #: A password and a code by text message, now; and the device is remembered from now on.
    ENROLLED = "enrolled"
    #: Came back from a challenge (RFC 9470): a code by text message, now, although the device is remembered.
    STEPPED_UP = "stepped_up"
    #: A client for itself (client_credentials): nobody's token.
    MACHINE = "machine"
    #: Signed by the key before the present one, which is still published.
    OLD_KEY = "old_key"
    #: Signed by a key that came into use just now: the keys must be fetched once more.
    NEW_KEY = "new_key"
    #: A good token whose session was ended. Only introspection can tell.
    REVOKED = "revoked"
    # From here on no verifier may let it pass.
    #: Signed by a key that nobody has published.
    UNKNOWN_KEY = "unknown_key"
    #: For another API.
    WRONG_AUDIENCE = "wrong_audience"
    #: Of another issuer, signed by this one's key.
    WRONG_ISSUER = "wrong_issuer"
    #: Ended an hour ago.
    EXPIRED = "expired"
    #: Without a signature: `"alg": "none"`.
    UNSIGNED = "unsigned"

    @property
    def is_good(self) -> bool:
        """Whether a TokenVerifier lets it pass, as long as nothing is required of it."""
        return self not in _BAD

    @property
    def is_live(self) -> bool:
        """Whether an IntrospectionVerifier does."""
        return self.is_good and self is not State.REVOKED


_BAD = {State.UNKNOWN_KEY, State.WRONG_AUDIENCE, State.WRONG_ISSUER, State.EXPIRED, State.UNSIGNED}


class MockIssuer:
    """Mints tokens, publishes keys, answers introspection. What it publishes is reached through `fetch` and `post`, which
    `verifier()` and `introspection_verifier()` use, or over HTTP on this machine after `serve()`.

    `issuer`, `audience`: go into tokens minted from now on. `down`: when True, nothing is answered. `asked`: the paths that
    were asked for, in order.
    """

    def __init__(
        self,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        client: tuple[str, str] = CLIENT,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`client`: id and secret of the one client that may introspect. `now`: seconds since 1970."""
        self.issuer = issuer
        self.audience = audience
        self.client = client
        self.down = False
        self.asked: list[str] = []
        self._now = now
        self._passed_s = 0.0
        self._keys: dict[str, ECKey] = {}
        self._kids: list[str] = []
        self._told: dict[str, dict[str, Any] | None] = {}
        self._server: MockServer | None = None
        self.rotate()
        self.rotate()

    # Time.

    def now(self) -> float:
        """The issuer's time, and that of the verifiers it made: seconds since 1970."""
        return self._now() + self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass, for the issuer and the verifiers it made."""
        self._passed_s += seconds

    # Keys.

    @property
    def kids(self) -> tuple[str, ...]:
        """The published keys, oldest first; the last one signs."""
        return tuple(self._kids)

    def rotate(self) -> str:
        """Sign with a new key from now on, and go on publishing the old ones; answers the new one's id."""
        kid = f"mock-{secrets.token_hex(4)}"
        self._keys[kid] = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})
        self._kids.append(kid)
        return kid

    def withdraw(self, kid: str) -> None:
        """Publish a key no longer; where it was the one that signs, the newest of the rest does."""
        self._kids.remove(kid)
        if not self._kids:
            self.rotate()

    # Tokens.

    def mint(self, state: State = State.TWO_STEP, **changes: Any) -> str:
        """An access token in `state`, with `changes` to its claims; None leaves a claim out."""
        claims = self._claims(state)
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        if state is State.NEW_KEY:
            self.rotate()
        kid = self._kids[-2 if state is State.OLD_KEY and len(self._kids) > 1 else -1]
        header = {"typ": "at+jwt", "alg": "ES256", "kid": kid}
        if state is State.UNSIGNED:
            return f"{_b64(_json({**header, 'alg': 'none'}))}.{_b64(_json(claims))}."
        key = self._keys[kid]
        if state is State.UNKNOWN_KEY:
            key = ECKey.generate_key("P-256")
            header["kid"] = "unknown"
        token = sign(header, claims, key)
        if state.is_good:
            self._told[token] = {"active": True, "token_type": "Bearer", **_in_full(claims)}
        if state is State.REVOKED:
            self.revoke(token)
        if state is State.DEVICE_ENDED:
            self.end_device(token)
        return token

    def revoke(self, token: str) -> None:
        """End the session behind a token: introspection knows at once, the token itself stays as it is."""
        self._told[token] = None

    def end_device(self, token: str) -> None:
        """End the remembered device behind a token: introspection no longer tells of it."""
        told = self._told.get(token)
        if told is not None:
            self._told[token] = {name: value for name, value in told.items() if name != "remembered_device"}

    # Reaching it.

    def verifier(self, **options: Any) -> TokenVerifier:
        """A TokenVerifier for this issuer, audience and clock; `options` as TokenVerifier takes them."""
        given = {"fetch": self.fetch, "now": self.now, "monotonic": self.now, **options}
        return TokenVerifier(self.issuer, self.audience, **given)

    def introspection_verifier(self, **options: Any) -> IntrospectionVerifier:
        """An IntrospectionVerifier for this issuer, audience and clock; `options` as IntrospectionVerifier takes them."""
        given = {"fetch": self.fetch, "post": self.post, "now": self.now, "monotonic": self.now, **options}
        return IntrospectionVerifier(self.issuer, *self.client, self.audience, **given)

    def serve(self) -> str:
        """Answer over HTTP on a free port of this machine until `close`; answers the address, which is the issuer now."""
        if self._server is None:
            self._server = MockServer(self.answer)
            self.issuer = self._server.url
            self._server.start()
        return self.issuer

    def close(self) -> None:
        """End what `serve` began."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> MockIssuer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def fetch(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        """The `fetch` of a TokenVerifier."""
        status, headers, body = self._answer_for(url, {}, None)
        if status != 200:
            raise ValueError(f"HTTP status {status}")
        return body, headers

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """The `post` of an IntrospectionVerifier."""
        return self._answer_for(url, headers, body)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body for a GET of `path`, or for a POST of `body` to it."""
        self.asked.append(path)
        if self.down:
            return 503, {"Retry-After": "2"}, b""
        if path == OPENID_CONFIGURATION:
            return _found(self._metadata())
        if path == JWKS:
            keys = [self._keys[kid].as_dict(private=False) for kid in self._kids]
            return _found({"keys": keys}, control="public, max-age=300")
        if path == INTROSPECT and body is not None:
            if headers.get("authorization") != _basic(*self.client):
                return 401, {"WWW-Authenticate": "Basic"}, _json({"error": "invalid_client"})
            return _found(self._introspect(parse_qs(body.decode()).get("token", [""])[0]))
        return 404, {}, b""

    def _answer_for(
        self, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        if not url.startswith(self.issuer):
            raise ConnectionError(f"{url} is not this issuer's")
        return self.answer(urlsplit(url).path, {name.lower(): value for name, value in headers.items()}, body)

    def _metadata(self) -> dict[str, str]:
        return {
            "issuer": self.issuer,
            "jwks_uri": self.issuer + JWKS,
            "introspection_endpoint": self.issuer + INTROSPECT,
        }

    def _introspect(self, token: str) -> dict[str, Any]:
        told = self._told.get(token)
        return told if told is not None and told.get("exp", 0) > self.now() else {"active": False}

    def _claims(self, state: State) -> dict[str, Any]:
        now = int(self.now())
        claims = {
            "iss": "https://login.other.test" if state is State.WRONG_ISSUER else self.issuer,
            "aud": "https://api.other.test" if state is State.WRONG_AUDIENCE else self.audience,
            "iat": now,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
        }
        if state is State.EXPIRED:
            claims |= {"iat": now - 3_900, "exp": now - 3_600}
        if state is State.MACHINE:
            return claims | {"sub": "a-machine", "client_id": "a-machine", "scope": "investors.read"}
        claims |= {
            "sub": "3f9c1d5270be4e6d9a51c4f8d2e6b7a0",
            "client_id": "ims-portal",
            "scope": "openid investors.read",
            "auth_time": claims["iat"],
            "sid": "5d01f7c2",
            "account": {"id": "a-17", "slug": "northgate", "audience": "team"},
            "roles": ["admin"],
            "entitlements": ["sensitive_data_access"],
        }
        return claims | _sign_in(state, now)


def _sign_in(state: State, now: int) -> dict[str, Any]:
    """What the person showed: acr and amr, and the device."""
    if state is State.PASSWORD:
        return {"acr": PASSWORD, "amr": ["pwd"]}
    if state in (State.REMEMBERED, State.DEVICE_ENDED):
        mfa_at = now - 10 * 86_400
        device = {"v": 1, "state": "used", "mfa_at": mfa_at, "exp": mfa_at + MONTH_S, "bind": "cookie"}
        return {"acr": REMEMBERED, "amr": ["pwd"], "remembered_device": device}
    if state is State.ENROLLED:
        device = {"v": 1, "state": "enrolled", "mfa_at": now, "exp": now + MONTH_S, "bind": "cookie"}
        return {"acr": TWO_FACTOR, "amr": ["pwd", "sms", "mfa"], "remembered_device": device}
    if state is State.STEPPED_UP:
        return {"acr": TWO_FACTOR, "amr": ["pwd", "sms", "mfa"]}
    return {"acr": TWO_STEP, "amr": ["pwd", "otp", "mca"]}


def _in_full(claims: dict[str, Any]) -> dict[str, Any]:
    """As introspection tells them: with how the step was passed that the device remembers."""
    if isinstance(device := claims.get("remembered_device"), dict):
        return claims | {"remembered_device": {"mfa_amr": ["pwd", "sms", "mfa"], **device}}
    return claims


def sign(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: ECKey) -> str:
    """A compact JWS with a good ES256 signature of `key`, whatever `header` and `claims` say."""
    payload = claims if isinstance(claims, bytes) else _json(claims)
    signing_input = f"{_b64(_json(header))}.{_b64(payload)}"
    signature = JWSRegistry(algorithms=["ES256"]).get_alg("ES256").sign(signing_input.encode(), key)
    return f"{signing_input}.{_b64(signature)}"


def _found(content: Mapping[str, Any], *, control: str = "no-store") -> tuple[int, Mapping[str, str], bytes]:
    return 200, {"Content-Type": "application/json", "Cache-Control": control}, _json(content)


def _basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
