"""A sign-in service in memory, with real signatures, and the way the demonstration's portal reaches it and its API."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.datastructures import Headers

from authsvc.clock import FixedClock, epoch_s
from authsvc.demo.calls import Answer, Unreachable
from authsvc.demo.export_desk import CLIENT_ID, ExportDesk
from authsvc.demo.microservice import create_app
from authsvc.demo.places import Places, Sample, url_of
from authsvc.resource_server import TokenVerifier

PLACES, SAMPLE = Places(), Sample.read()
ISSUER, API = url_of(PLACES.sign_in), url_of(PLACES.microservice)
SECRET = "portal-secret-of-the-tests"
SERVICE_SECRET = "investors-secret-of-the-tests"
KEY = ECKey.generate_key("P-256", {"kid": "k-1", "alg": "ES256", "use": "sig"})
STRANGERS_KEY = ECKey.generate_key("P-256", {"kid": "k-1", "alg": "ES256", "use": "sig"})
DANA = {"sub": "u-dana", "name": "Dana Whitfield", "email": "dana@northgate.example", "zoneinfo": "America/New_York"}
TWO_FACTOR = {"acr": "urn:ims:acr:two-factor", "amr": ["pwd", "sms", "mfa"]}


class Provider:
    """Grants what it is asked. `said`: what its next tokens say of the sign-in. `id_token`: changes to the ID token.

    `key` signs; `down` makes it unreachable; `refuses_refresh` ends every session; `asked` lists what was called.
    `unread`: what the person's bell says; None: it is refused.
    """

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.key = clock, KEY
        self.said: dict[str, Any] = dict(TWO_FACTOR)
        self.id_token: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = dict(DANA)
        self.down = self.refuses_refresh = False
        self.asked: list[str] = []
        self.unread: int | None = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._fetched: dict[str, Any] = {
            f"{ISSUER}/.well-known/openid-configuration": {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/oauth/authorize",
                "token_endpoint": f"{ISSUER}/oauth/token",
                "userinfo_endpoint": f"{ISSUER}/oauth/userinfo",
                "jwks_uri": f"{ISSUER}/oauth/jwks",
                "end_session_endpoint": f"{ISSUER}/oauth/logout",
            },
            f"{ISSUER}/oauth/jwks": {"keys": [KEY.as_dict(private=False)]},
        }
        verify = TokenVerifier(
            ISSUER,
            SAMPLE.audience,
            fetch=lambda url: (json.dumps(self._fetched[url]).encode(), {}),
            now=lambda: clock.now().timestamp(),
        )
        self.api: FlaskClient = create_app(verify, ExportDesk(ISSUER, SERVICE_SECRET, self.send)).test_client()
        #: What the sign-in service was handed over, and what it answers to an announcement instead of 201.
        self.handed_over: list[tuple[dict[str, Any], bytes]] = []
        self.refuses_exports: tuple[int, dict[str, Any]] | None = None

    def approve(self, location: str) -> dict[str, str]:
        """The person signs in at `location`; the parameters that come back to the portal."""
        sent = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = secrets.token_urlsafe(16)
        self._codes[code] = sent
        return {"code": code, "state": sent["state"], "iss": ISSUER}

    def send(self, method: str, url: str, *, headers: dict[str, str], body: str | bytes | None = None) -> Answer:
        """The portal's way out: this provider, and the real microservice."""
        if self.down:
            raise Unreachable("away")
        for_the_bell = f"resource={quote_plus(ISSUER)}" in str(body) or url.endswith("/notifications/unread")
        self.asked.append(f"{method} {url}{' for the bell' if for_the_bell else ''}")
        if url == f"{ISSUER}/api/v1/notifications/unread":
            return _answer(200, {"unread": self.unread}) if self.unread is not None else _answer(403, {})
        if url.startswith(API):
            found = self.api.open(url.removeprefix(API), method=method, headers=headers)
            return Answer(found.status_code, Headers(found.headers), found.data)
        if url.startswith(f"{ISSUER}/api/v1/exports"):
            assert headers["Authorization"] == "Bearer the-services-own"
            return self._export(method, url, body or "")
        if url in self._fetched:
            return _answer(200, self._fetched[url])
        if url.endswith("/oauth/userinfo"):
            return _answer(200, self.userinfo)
        assert (method, url) == ("POST", f"{ISSUER}/oauth/token")
        form = {name: values[0] for name, values in parse_qs(str(body or "")).items()}
        if form["grant_type"] == "client_credentials":
            own = base64.b64encode(f"{CLIENT_ID}:{SERVICE_SECRET}".encode()).decode()
            assert (headers["Authorization"], form["scope"]) == (f"Basic {own}", "exports.write")
            return _answer(200, {"access_token": "the-services-own", "token_type": "Bearer", "expires_in": 300})
        basic = base64.b64encode(f"{SAMPLE.client_id}:{SECRET}".encode()).decode()
        assert headers["Authorization"] == f"Basic {basic}"
        return self._token(form)

    def _export(self, method: str, url: str, body: str | bytes) -> Answer:
        if method == "POST":
            if self.refuses_exports is not None:
                return _answer(*self.refuses_exports)
            self.handed_over.append((json.loads(body), b""))
            return _answer(201, {"id": "e-1", "page": f"{ISSUER}/profile/exports"})
        assert (method, url) == ("PUT", f"{ISSUER}/api/v1/exports/e-1/file")
        assert isinstance(body, bytes)
        self.handed_over[-1] = (self.handed_over[-1][0], body)
        return _answer(200, {"status": "ready"})

    def access_token(self, **changes: Any) -> str:
        """An access token for the API."""
        now = epoch_s(self.clock.now())
        claims = self._common() | {
            "aud": SAMPLE.audience,
            "client_id": SAMPLE.client_id,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
            "scope": "openid investors.read",
        }
        return jwt.encode({"typ": "at+jwt", "alg": "ES256", "kid": "k-1"}, claims | changes, KEY)

    def _token(self, form: dict[str, str]) -> Answer:
        sent: dict[str, str] = {}
        if form["grant_type"] == "authorization_code":
            sent = self._codes.pop(form["code"], {})
            if not sent or create_s256_code_challenge(form["code_verifier"]) != sent["code_challenge"]:
                return _answer(400, {"error": "invalid_grant"})
        elif self.refuses_refresh:
            return _answer(400, {"error": "invalid_grant"})
        access_token = self.access_token()
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = self._common() | {
            "aud": [SAMPLE.client_id],
            "azp": SAMPLE.client_id,
            "exp": epoch_s(self.clock.now()) + 300,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **({"nonce": sent["nonce"]} if sent else {}),
        }
        claims = {name: value for name, value in (claims | self.id_token).items() if value is not None}
        return _answer(
            200,
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": 300,
                "refresh_token": secrets.token_urlsafe(16),
                "id_token": jwt.encode({"typ": "JWT", "alg": "ES256", "kid": "k-1"}, claims, self.key),
            },
        )

    def _common(self) -> dict[str, Any]:
        now = epoch_s(self.clock.now())
        account = {"id": "a-17", "slug": SAMPLE.slug, "audience": "team"}
        return {
            "iss": ISSUER,
            "sub": DANA["sub"],
            "iat": now,
            "auth_time": now,
            "sid": "s-1",
            "account": account,
            **self.said,
        }


def _answer(status: int, content: Any) -> Answer:
    return Answer(status, Headers({"Content-Type": "application/json"}), json.dumps(content).encode())
