"""What a client registers about itself, in the names of RFC 7591 and the OpenID registries; one model for every way in.

The provisioning file, the command line, the account API and dynamic registration all end here. Fields whose meaning is
ours alone (`first_party`, `minimum_acr`, `resources`) stand apart: no client may set them for itself.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from authsvc.settings import LOOPBACK

SigningAlg = Literal["ES256", "RS256", "EdDSA"]
#: What clients may sign with: their assertions and request objects.
ClientAlg = Literal["ES256", "RS256", "PS256", "EdDSA"]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
]

_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


def web_address(value: str) -> str:
    """`value`, if it is an https address without surprises. Raises: ValueError with a sentence for its author."""
    parts = urlsplit(value)
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (
        not (parts.scheme == "https" or loopback)
        or not parts.hostname
        or parts.username
        or "#" in value
        or "*" in value
        or not value.isprintable()
    ):
        raise ValueError(
            "must be an https address (http on a loopback address), without a fragment, a wildcard or a user name"
        )
    return value


def scope_names(value: str) -> str:
    """`value`, if it is scope names with one space between them (RFC 6749 3.3). Raises: ValueError."""
    if not _SCOPES.fullmatch(value):
        raise ValueError("must be scope names with one space between them")
    return value


WebAddress = Annotated[str, AfterValidator(web_address)]


class ClientMetadata(BaseModel):
    """Client metadata (RFC 7591 2, OpenID Connect Registration 2, RFC 9101, 9126, 9701, logout 1.0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    client_name: str = Field(min_length=1, max_length=200)
    application_type: Literal["web", "native"] = "web"
    redirect_uris: tuple[WebAddress, ...] = ()
    post_logout_redirect_uris: tuple[WebAddress, ...] = ()
    grant_types: tuple[GrantType, ...] = ("authorization_code",)
    scope: Annotated[str, AfterValidator(scope_names)] = "openid"
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    token_endpoint_auth_signing_alg: ClientAlg | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: WebAddress | None = None
    id_token_signed_response_alg: SigningAlg = "ES256"
    userinfo_signed_response_alg: SigningAlg | None = None
    introspection_signed_response_alg: SigningAlg | None = None
    request_object_signing_alg: ClientAlg | None = None
    require_signed_request_object: bool = False
    require_pushed_authorization_requests: bool = False
    subject_type: Literal["public", "pairwise"] = "public"
    sector_identifier_uri: WebAddress | None = None
    default_max_age: int | None = Field(None, ge=0, le=10**9)
    default_acr_values: tuple[str, ...] = ()
    require_auth_time: bool = False
    initiate_login_uri: WebAddress | None = None
    backchannel_logout_uri: WebAddress | None = None
    backchannel_logout_session_required: bool = False
    client_uri: WebAddress | None = None
    logo_uri: WebAddress | None = None
    policy_uri: WebAddress | None = None
    tos_uri: WebAddress | None = None
    contacts: tuple[str, ...] = ()
    software_id: str | None = Field(None, max_length=200)
    software_version: str | None = Field(None, max_length=200)

    @model_validator(mode="after")
    def _fits_together(self) -> ClientMetadata:
        if self.token_endpoint_auth_method == "none" and "client_credentials" in self.grant_types:
            raise ValueError("a public client cannot have the grant client_credentials")
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        if self.jwks is not None and self.jwks_uri is not None:
            raise ValueError("has both jwks and jwks_uri; give one (RFC 7591 2)")
        if self.token_endpoint_auth_method == "private_key_jwt" and self.jwks is None and self.jwks_uri is None:
            raise ValueError("private_key_jwt needs jwks or jwks_uri")
        hosts = {urlsplit(uri).hostname for uri in self.redirect_uris}
        if self.subject_type == "pairwise" and self.sector_identifier_uri is None and len(hosts) > 1:
            raise ValueError("pairwise with redirect_uris of several hosts needs sector_identifier_uri (Core 8.1)")
        return self

    def stored(self) -> dict[str, Any]:
        """For the client's row: what differs from the defaults, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> ClientMetadata:
        """What a row holds. Lists are JSON's."""
        return cls.model_validate(stored, strict=False)
