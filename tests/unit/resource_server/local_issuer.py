"""An issuer in memory: real keys, real signatures, and a count of what was asked of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from authsvc.resource_server import TokenVerifier

ISSUER = "https://login.ims.example"
AUDIENCE = "https://api.ims.example/investors"
NOW = 1_763_800_000


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()

ES256 = ECKey.generate_key("P-256", {"kid": "es-1", "alg": "ES256", "use": "sig"})
NEXT_ES256 = ECKey.generate_key("P-256", {"kid": "es-2", "alg": "ES256", "use": "sig"})
RS256 = RSAKey.generate_key(2048, {"kid": "rs-1", "alg": "RS256", "use": "sig"})
EDDSA = OKPKey.generate_key("Ed25519", {"kid": "ed-1", "alg": "EdDSA", "use": "sig"})


class Time:
    """Both clocks of a verifier. They stand still until they are moved."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> float:
        return NOW + self.passed_s

    def monotonic(self) -> float:
        return 1_000.0 + self.passed_s

    def advance(self, seconds: float) -> None:
        self.passed_s += seconds


class LocalIssuer:
    """`keys` are published; `down` makes every fetch fail; `asked` lists the addresses that were fetched."""

    def __init__(self, *keys: Key) -> None:
        self.keys: list[Any] = [key.as_dict(private=False) for key in keys or (ES256, RS256, EDDSA)]
        self.metadata: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/oauth/jwks.json"}
        self.cache_control = "public, max-age=300"
        self.down = False
        self.asked: list[str] = []

    def fetch(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        self.asked.append(url)
        if self.down:
            raise ConnectionError("the issuer is away")
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return json.dumps(self.metadata).encode(), {}
        if url == self.metadata["jwks_uri"]:
            return json.dumps({"keys": self.keys}).encode(), {"Cache-Control": self.cache_control}
        raise AssertionError(f"nobody may ask for {url}")

    def key_fetches(self) -> int:
        return sum(1 for url in self.asked if url.endswith("jwks.json"))

    def verifier(self, time: Time, **options: Any) -> TokenVerifier:
        return TokenVerifier(ISSUER, AUDIENCE, fetch=self.fetch, now=time.now, monotonic=time.monotonic, **options)


def named(value: object) -> str:
    """The name of a parametrized case."""
    return repr(value)[:40]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def a_header(key: Key = ES256, **changes: Any) -> dict[str, Any]:
    return _changed({"typ": "at+jwt", "alg": key.alg, "kid": key.kid}, changes)


def some_claims(**changes: Any) -> dict[str, Any]:
    """The payload of a person's token, two-step, signed in at NOW; ABSENT takes a claim away."""
    claims = {
        "iss": ISSUER,
        "sub": "3f9c1d52",
        "aud": AUDIENCE,
        "client_id": "ims-portal",
        "exp": NOW + 300,
        "iat": NOW,
        "jti": "b7a2",
        "scope": "openid investors.read",
        "acr": "urn:ims:acr:two-step",
        "amr": ["pwd", "otp", "mca"],
        "auth_time": NOW,
        "sid": "5d01",
        "account": {"id": "a-17", "slug": "northgate", "audience": "team"},
        "roles": ["admin"],
        "entitlements": ["sensitive_data_access"],
    }
    return _changed(claims, changes)


def remembered_claims(*, mfa_at: int, **changes: Any) -> dict[str, Any]:
    """The payload after a sign-in at NOW whose code was skipped because of a device that passed one at `mfa_at`."""
    device = {"v": 1, "state": "used", "mfa_at": mfa_at, "exp": mfa_at + 30 * 86_400, "bind": "cookie"}
    changes = {"acr": "urn:ims:acr:remembered", "amr": ["pwd"], "remembered_device": device, **changes}
    return some_claims(**changes)


def signed(header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, key: Key = ES256) -> str:
    """A compact JWS with a good signature of `key`, whatever `header` and `payload` say."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing_input = f"{b64(json.dumps(header).encode())}.{b64(body)}"
    name = "Ed25519" if key.key_type == "OKP" else str(key.alg)
    signature = JWSRegistry(algorithms=[name]).get_alg(name).sign(signing_input.encode(), key)
    return f"{signing_input}.{b64(signature)}"


def a_token(key: Key = ES256, **changes: Any) -> str:
    """A good access token, but for `changes` to its claims."""
    return signed(a_header(key), some_claims(**changes), key)


def _changed(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not ABSENT}
