"""What a client registers about itself, in the names of RFC 7591 and the OpenID registries; one model for every way in.

The provisioning file, the command line, the account API and dynamic registration all end here. Fields whose meaning is
ours alone (`first_party`, `minimum_acr`, `resources`) stand apart: no client may set them for itself.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from authsvc.oauth.client_addresses import host_of, https_address, is_same_redirect, redirect_address, web_address
from authsvc.oauth.client_jwks import read_key_set

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


def scope_names(value: str) -> str:
    """`value`, if it is scope names with one space between them (RFC 6749 3.3). Raises: ValueError."""
    if not _SCOPES.fullmatch(value):
        raise ValueError("must be scope names with one space between them")
    return value


def plain_text(value: str) -> str:
    """`value`, if it can be shown: no control characters, no halves of characters. Raises: ValueError."""
    if not value.isprintable():
        raise ValueError("has a character that cannot be shown")
    return value


def _redirect(value: str, info: ValidationInfo) -> str:
    return redirect_address(value, info.data.get("application_type", "web"))


RedirectAddress = Annotated[str, AfterValidator(_redirect)]
WebAddress = Annotated[str, AfterValidator(web_address)]
HttpsAddress = Annotated[str, AfterValidator(https_address)]
Text = Annotated[str, AfterValidator(plain_text), Field(min_length=1, max_length=200)]
Contact = Annotated[str, AfterValidator(plain_text), Field(min_length=1, max_length=320)]
MOST_ADDRESSES = 50


class ClientMetadata(BaseModel):
    """Client metadata (RFC 7591 2, OpenID Connect Registration 2, RFC 9101, 9126, 9701, logout 1.0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    client_name: Text
    application_type: Literal["web", "native"] = "web"
    redirect_uris: tuple[RedirectAddress, ...] = Field((), max_length=MOST_ADDRESSES)
    post_logout_redirect_uris: tuple[RedirectAddress, ...] = Field((), max_length=MOST_ADDRESSES)
    grant_types: tuple[GrantType, ...] = ("authorization_code",)
    scope: Annotated[str, AfterValidator(scope_names), Field(max_length=2000)] = "openid"
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
    default_acr_values: tuple[Text, ...] = Field((), max_length=10)
    require_auth_time: bool = False
    initiate_login_uri: HttpsAddress | None = None
    backchannel_logout_uri: WebAddress | None = None
    backchannel_logout_session_required: bool = False
    client_uri: HttpsAddress | None = None
    logo_uri: HttpsAddress | None = None
    policy_uri: HttpsAddress | None = None
    tos_uri: HttpsAddress | None = None
    contacts: tuple[Contact, ...] = Field((), max_length=20)
    software_id: Text | None = None
    software_version: Text | None = None

    @field_validator("jwks")
    @classmethod
    def _keys_are_public(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            read_key_set(value, strict=True)
        return value

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
        several_hosts = len({host_of(address) for address in self.redirect_uris}) > 1
        if self.subject_type == "pairwise" and several_hosts and self.sector_identifier_uri is None:
            raise ValueError("pairwise with several hosts in redirect_uris needs a sector_identifier_uri (Core 8.1)")
        return self

    def accepts_redirect(self, sent: str) -> bool:
        """Whether answers may go there; one home for the authorization endpoint and PAR."""
        return any(is_same_redirect(known, sent, self.application_type) for known in self.redirect_uris)

    def stored(self) -> dict[str, Any]:
        """For the client's row: what differs from the defaults, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> ClientMetadata:
        """What a row holds. Lists are JSON's."""
        return cls.model_validate(stored, strict=False)
