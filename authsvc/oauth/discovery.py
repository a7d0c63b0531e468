"""What this provider is and can: the metadata documents and the key set, as ready bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import get_args

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.keyring.ring import KeyRing
from authsvc.oauth.assertions import ALGORITHMS as ASSERTION_ALGORITHMS
from authsvc.oauth.checks import PROMPTS
from authsvc.oauth.client_auth import ANY, CONFIDENTIAL
from authsvc.oauth.client_metadata import GrantType
from authsvc.oauth.clients import STANDARD_SCOPES, Registry
from authsvc.oauth.request_object import ALGORITHMS as REQUEST_OBJECT_ALGS
from authsvc.oauth.response_mode import OFFERED
from authsvc.policy.schema import TokenPolicy
from authsvc.sessions import levels
from authsvc.web.front import Document

OPENID_CONFIGURATION = "/.well-known/openid-configuration"
OAUTH_METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/oauth/jwks"
DEVICE_SCHEMA = "/schemas/remembered_device.json"
DISCOVERY_MAX_AGE_S = 300
ANYONE = (("Access-Control-Allow-Origin", "*"),)


def metadata(issuer: str, *, algorithms: tuple[str, ...], scopes: tuple[str, ...]) -> dict[str, object]:
    """Both documents (OpenID Discovery 3, RFC 8414 2): everything that works, nothing that does not."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}{JWKS}",
        "end_session_endpoint": f"{issuer}/oauth/logout",
        "registration_endpoint": f"{issuer}/oauth/register",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": list(CONFIDENTIAL),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_signing_alg_values_supported": list(algorithms),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": list(ANY),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": list(OFFERED),
        "grant_types_supported": list(get_args(GrantType)),
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": list(algorithms),
        "userinfo_signing_alg_values_supported": list(algorithms),
        "token_endpoint_auth_methods_supported": list(ANY),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": list(levels.ORDER),
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": False,
        "prompt_values_supported": sorted(PROMPTS),
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *(
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "nonce",
                "acr",
                "amr",
                "azp",
                "sid",
                "at_hash",
                "account",
            ),
            *("remembered_device", "name", "email", "email_verified", "zoneinfo"),
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_signed_request_object": False,
        "request_object_signing_alg_values_supported": list(REQUEST_OBJECT_ALGS),
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["en-US"],
        "service_documentation": "https://help.imscre.net/",
    }


class Documents:
    """Ready bytes, made anew only when the keys or the registered scopes have changed."""

    def __init__(self, *, issuer: str, ring: KeyRing, registry: Registry, policy: TokenPolicy) -> None:
        self._issuer, self._ring, self._registry = issuer, ring, registry
        self._jwks_max_age_s = int(policy.jwks_max_age.total_seconds())
        self._jwks: tuple[str, Document] | None = None
        self._metadata: tuple[object, Document] | None = None
        self._schema = _json(
            json.loads((files("authsvc.oauth") / "schemas" / "remembered_device.json").read_text()), max_age_s=86400
        )

    def by_path(self) -> dict[str, Callable[[], Document]]:
        """Every document by its address."""
        return {
            OPENID_CONFIGURATION: self.metadata,
            OAUTH_METADATA: self.metadata,
            JWKS: self.jwks,
            DEVICE_SCHEMA: lambda: self._schema,
        }

    def jwks(self) -> Document:
        """The public keys (RFC 7517 5), with the max-age that rotation counts on."""
        version = self._ring.version
        if self._jwks is None or self._jwks[0] != version:
            self._jwks = (
                version,
                _json(self._ring.public_jwks(), max_age_s=self._jwks_max_age_s, mimetype="application/jwk-set+json"),
            )
        return self._jwks[1]

    def metadata(self) -> Document:
        """Discovery. Served from memory while the database is away."""
        algorithms = self._ring.algorithms()
        scopes = self._scopes()
        if self._metadata is None or self._metadata[0] != (algorithms, scopes):
            document = _json(
                metadata(self._issuer, algorithms=algorithms, scopes=scopes), max_age_s=DISCOVERY_MAX_AGE_S
            )
            self._metadata = ((algorithms, scopes), document)
        return self._metadata[1]

    def _scopes(self) -> tuple[str, ...]:
        known = self._registry.last_scopes()
        return (*STANDARD_SCOPES, *API_SCOPES, *sorted(known))


def _json(content: object, *, max_age_s: int, mimetype: str = "application/json") -> Document:
    control = f"public, max-age={max_age_s}, stale-if-error=86400"
    return Document.of(
        json.dumps(content, separators=(",", ":")).encode(), mimetype=mimetype, cache_control=control, extra=ANYONE
    )
