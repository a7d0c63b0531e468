"""What a provisioning file may say (contract.md, schema authsvc/config/1). Every mistake is reported at once."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.errors import ConfigurationError
from authsvc.oauth.client_metadata import ClientMetadata, WebAddress, scope_names
from authsvc.policy.load import StrictLoader
from authsvc.sessions import levels

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


class Strict(BaseModel):
    """Nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Secret(Strict):
    """Where a secret is read from: `{env: NAME}` or `{file: PATH}`; it is never in the file itself."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError("must be {env: NAME} or {file: PATH}")
        return self

    def read(self) -> str:
        """The secret. Raises: ConfigurationError that names the place and never the value."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value:
                raise ConfigurationError([f"the environment variable {self.env} is not set"])
            return value
        try:
            return Path(self.file or "").read_text().rstrip("\n")
        except OSError as exc:
            raise ConfigurationError([f"the file {self.file} cannot be read: {exc.strerror}"]) from exc


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError("must be lower-case letters, digits and hyphens, at most 63")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError("must be a time zone such as America/New_York") from exc
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be an email address like name@company.com")
    return value


class MfaSwitch(Strict):
    """The account's switch for one audience."""

    enabled: bool
    methods: tuple[Literal["email", "sms", "totp"], ...] = Field(("email",), min_length=1)
    remember_device: bool = True


class MfaSwitches(Strict):
    """Both audiences; one left out stays as it is."""

    team: MfaSwitch | None = None
    investors: MfaSwitch | None = None


class MemberFile(Strict):
    """A person in the account."""

    email: Annotated[str, AfterValidator(_email)]
    name: str = Field(min_length=1, max_length=200)
    role: Literal["super_admin", "admin", "member", "crm_only", "kpi_only", "project_only"] = "member"
    audience: Literal["team", "investors"] = "team"
    sensitive_data_access: bool = False
    #: Mailed an invitation when they are added, and in once they accept it; nothing of it is repeated.
    invited: bool = False
    email_verified: bool = False
    phone: str | None = None
    phone_verified: bool = False
    password: Secret | None = None
    password_hash: str | None = Field(None, pattern=r"^\$argon2id\$")

    @model_validator(mode="after")
    def _one_password(self) -> MemberFile:
        if self.password is not None and self.password_hash is not None:
            raise ValueError("has both password and password_hash; give one")
        return self


class AccountFile(Strict):
    """A sponsor's account."""

    slug: Annotated[str, AfterValidator(_slug)]
    name: str = Field(min_length=1, max_length=200)
    portal_url: WebAddress
    time_zone: Annotated[str, AfterValidator(_zone)] = "America/New_York"
    permission_model: Literal["functionality", "role"] = "functionality"
    accent: str | None = Field(None, pattern=r"^#[0-9a-fA-F]{6}$")
    mfa: MfaSwitches = MfaSwitches()
    members: tuple[MemberFile, ...] = ()


class ClientFile(ClientMetadata):
    """A client: its metadata, its name and secret, and what IMS alone decides about it."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    client_secret: Secret | None = None
    first_party: bool = True
    minimum_acr: Literal[levels.ORDER] | None = None  # type: ignore[valid-type]  # a tuple of literals
    resources: tuple[WebAddress, ...] | None = None
    #: What it may touch through the account API; left out: every account.
    accounts: tuple[Annotated[str, AfterValidator(_slug)], ...] | None = None

    @model_validator(mode="after")
    def _has_what_it_authenticates_with(self) -> ClientFile:
        by_secret = self.token_endpoint_auth_method in ("client_secret_basic", "client_secret_post")
        if by_secret != (self.client_secret is not None):
            raise ValueError(
                "client_secret_basic and client_secret_post need a client_secret; private_key_jwt and none have none"
            )
        return self

    def metadata(self) -> ClientMetadata:
        """What the client says of itself."""
        return ClientMetadata.model_validate({name: getattr(self, name) for name in ClientMetadata.model_fields})


def _scope_of_an_api(value: str) -> str:
    if value in API_SCOPES:
        raise ValueError("is a scope of this service itself; name it otherwise")
    return scope_names(value)


class ResourceServerFile(Strict):
    """An API that tokens are for."""

    identifier: WebAddress
    scopes: tuple[Annotated[str, AfterValidator(_scope_of_an_api)], ...]


class ProvisioningFile(Strict):
    """The whole file."""

    version: Literal["authsvc/config/1"] = Field(alias="schema")
    accounts: tuple[AccountFile, ...] = ()
    clients: tuple[ClientFile, ...] = ()
    resource_servers: tuple[ResourceServerFile, ...] = ()


def read(path: Path) -> ProvisioningFile:
    """The file, checked. Raises: ConfigurationError that lists every mistake."""
    try:
        loader = StrictLoader(path.read_text())
        content = loader.get_single_data()
    except OSError as exc:
        raise ConfigurationError([f"{path} cannot be read: {exc.strerror}"]) from exc
    except yaml.YAMLError as exc:
        raise ConfigurationError([f"{path} is not YAML as we take it: {exc}"]) from exc
    if loader.problems:
        raise ConfigurationError([f"{path}: {problem}" for problem in loader.problems])
    try:
        # As JSON: strict models take its lists for tuples, and nothing else for anything else.
        return ProvisioningFile.model_validate_json(json.dumps(content, default=str))
    except ValidationError as exc:
        problems = [
            f"{path}: {'.'.join(map(str, e['loc'])) or 'file'}: {str(e['msg']).removeprefix('Value error, ')}"
            for e in exc.errors()
        ]
        raise ConfigurationError(problems) from exc
