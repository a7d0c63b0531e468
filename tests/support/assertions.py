"""A client that authenticates with a key of its own (private_key_jwt)."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from werkzeug.test import TestResponse

from authsvc.clock import epoch_s
from authsvc.crypto.tokens import new_id
from authsvc.oauth.jose import Registry
from tests.support.service import ISSUER, Service

REFUSED = {"error": "invalid_client", "error_description": "Client authentication failed."}
GRANT = {"grant_type": "client_credentials"}
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Signer:
    """A key pair and what is signed with it."""

    def __init__(self, alg: str = "ES256", *, kid: str = "k1") -> None:
        self.alg, self.kid = alg, kid
        self.key: ECKey | RSAKey | OKPKey
        if alg == "ES256":
            self.key = ECKey.generate_key("P-256", {"kid": kid})
        elif alg == "EdDSA":
            self.key = OKPKey.generate_key("Ed25519", {"kid": kid})
        else:
            self.key = RSAKey.generate_key(2048, {"kid": kid})

    @property
    def jwks(self) -> dict[str, Any]:
        """What the client registers."""
        return {"keys": [{**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.alg}]}

    def claims(self, service: Service, client_id: str, **changed: Any) -> dict[str, Any]:
        """Proper claims with what the test changes; None leaves one out."""
        now = epoch_s(service.clock.now())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": ISSUER,
            "jti": new_id(),
            "iat": now,
            "exp": now + 300,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A JWT; `header` changes what stands there."""
        head = {name: value for name, value in {"alg": self.alg, "kid": self.kid, **header}.items() if value}
        registry: JWSRegistry = Registry(algorithms=[str(head["alg"])])
        registry.strict_check_header = False
        return jwt.encode(head, claims, self.key, registry=registry, default_type=None)

    def form(self, service: Service, client_id: str, **changed: Any) -> dict[str, str]:
        """The two parameters of an authenticated request."""
        return wrap(self.sign(self.claims(service, client_id, **changed)))


def wrap(assertion: str) -> dict[str, str]:
    """An assertion as it is sent."""
    return {"client_assertion_type": TYPE, "client_assertion": assertion}


def register(service: Service, signer: Signer, client_id: str = "robot", **fields: Any) -> None:
    """A machine that signs."""
    values = {"grant_types": ["client_credentials"], "scope": "investors.read", "redirect_uris": [], **fields}
    service.client(client_id, token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks, **values)


def send(service: Service, path: str = "/oauth/token", **form: str) -> TestResponse:
    """A machine's request, from an address of its own."""
    return service.machine().post(path, base_url=ISSUER, data=form)


def refused(service: Service, assertion: str, **form: str) -> str | None:
    """Asserts the one wording; answers the reason that the trail has."""
    answer = send(service, **{**GRANT, **wrap(assertion), **form})
    assert (answer.status_code, answer.json) == (401, REFUSED), answer.text
    service.forget_addresses()
    return service.events("client.authentication_failed")[-1].fields["reason"]
