"""Where things are and which secrets open them, read once from the environment. How strict things are stands in policies/."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from authsvc.errors import ConfigurationError

DEVELOPMENT_SECRET = "development-only-secret-of-authsvc"
#: `kms:` alone: the region that boto3 is configured with.
_KEYS_IN_SQL = r"sql:|kms:([a-z]{2}(-[a-z]+)+-[0-9])?"
#: Of AUTHSVC_EXPORTS_URL: a folder, or a bucket with a prefix and the KMS key that S3 shall seal with.
EXPORTS_HOME = (
    r"dir:(?P<folder>[^?]+)(?P<shared>\?shared)?"
    r"|s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[A-Za-z0-9_-][A-Za-z0-9/_.-]*)?)?"
    r"(\?kms_key_id=(?P<kms_key_id>[A-Za-z0-9:/_-]+))?"
)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Every setting, named AUTHSVC_<FIELD> in the environment. Frozen: a change is a restart."""

    model_config = SettingsConfigDict(env_prefix="AUTHSVC_", frozen=True, extra="ignore", env_ignore_empty=True)

    env: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start on development defaults"
    )
    issuer: str = Field(
        "http://127.0.0.1:8000",
        description="Public address of this service; every link and endpoint address starts with it",
    )
    bind: str = Field("127.0.0.1:8000", description="Address and port to listen on")
    database_url: str = Field("sqlite:///var/authsvc.db", description="`sqlite:///PATH` or `postgresql://...`")
    redis_url: str = Field(
        "", description="`redis://...`, `unix://...`, or empty: rate windows per process, worker polls"
    )
    keys_url: str = Field(
        "dir:keys",
        description="Home of the key ring: `dir:PATH`, `sql:` (the database), `kms:REGION` (the database, keys in AWS KMS)",
    )
    aws_endpoint_url: str = Field("", description="Address to reach AWS services at, instead of AWS's own")
    secret: SecretStr = Field(
        SecretStr(""),
        description="Seals stored secrets and keys the digests; 32 characters at least. Comma-separated: first seals, all open",
    )
    secret_file: Path | None = Field(None, description="File with the secret, instead of `AUTHSVC_SECRET`; one a line")
    policies_dir: Path | None = Field(
        None, description="Folder of the policy files; empty: those shipped with the package"
    )
    email_url: str = Field(
        "dir:var/outbox",
        description="`dir:PATH` (one JSON file a message) or `smtp://[user:password@]host:port[?tls=starttls|implicit|none]`",
    )
    email_from: str = Field("no-reply@localhost", description="Address that mail is sent from")
    sms_url: str = Field(
        "dir:var/outbox",
        description="`dir:PATH`, or `none:` when no text messages can be sent: the method is then not offered",
    )
    exports_url: str = Field(
        "dir:var/exports",
        description="Where export files lie, sealed: `dir:PATH` (one machine), `dir:PATH?shared` (a volume that every process "
        "mounts) or `s3://BUCKET/PREFIX[?kms_key_id=KEY]`",
    )
    trusted_proxies: str = Field("", description="Comma-separated addresses or networks whose `X-Forwarded-For` counts")
    embedded_worker: bool = Field(
        True, description="`authsvc serve` runs the job worker too; 0 leaves it to `authsvc worker`"
    )
    allow_loopback_clients: bool = Field(
        False,
        description="Development: clients' addresses (`jwks_uri`, `backchannel_logout_uri`) may be on this machine, also by http",
    )
    workers: int = Field(1, ge=1, le=64, description="Web worker processes")
    threads: int = Field(8, ge=4, le=128, description="Threads in each web worker")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment and nothing else; `read` passes what a test or a command gives."""
        return init_settings, env_settings

    @field_validator("issuer")
    @classmethod
    def _issuer_is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise ValueError("must be an origin such as https://login.example.com, without a path or a trailing slash")
        return value

    @field_validator("bind")
    @classmethod
    def _bind_is_host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:8000")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            ip_network(part, strict=False)
        return value

    @classmethod
    def read(cls, **given: object) -> Self:
        """The settings of this process. Raises: ConfigurationError that lists every mistake at once."""
        try:
            settings = cls(**given)  # type: ignore[arg-type]  # names and values are pydantic's to check
        except ValidationError as exc:
            raise ConfigurationError([_sentence(error) for error in exc.errors()]) from exc
        if problems := settings.problems(os.environ):
            raise ConfigurationError(problems)
        return settings

    def problems(self, environ: Mapping[str, str]) -> list[str]:
        """What does not fit together, one sentence each. `environ` is looked at for switches that libraries read themselves."""
        found = []
        for name, url, schemes in (
            ("AUTHSVC_DATABASE_URL", self.database_url, ("sqlite:", "postgresql:", "postgresql+psycopg:")),
            ("AUTHSVC_REDIS_URL", self.redis_url or "redis:", ("redis:", "rediss:", "unix:")),
            ("AUTHSVC_KEYS_URL", self.keys_url, ("dir:", "sql:", "kms:")),
            ("AUTHSVC_EMAIL_URL", self.email_url, ("dir:", "smtp:")),
            ("AUTHSVC_SMS_URL", self.sms_url, ("dir:", "none:")),
        ):
            if not url.startswith(schemes):
                found.append(f"{name} must start with {' or '.join(schemes)}")
        if self.keys_url.startswith(("sql:", "kms:")) and not re.fullmatch(_KEYS_IN_SQL, self.keys_url):
            found.append("AUTHSVC_KEYS_URL must start with dir:, be sql:, or name an AWS region as kms:us-east-1 does")
        if not re.fullmatch(EXPORTS_HOME, self.exports_url):
            found.append(
                "AUTHSVC_EXPORTS_URL must be dir:PATH, dir:PATH?shared or s3://BUCKET/PREFIX, optionally with ?kms_key_id=KEY"
            )
        if self.secret_file is not None and not self.secret_file.is_file():
            found.append(f"AUTHSVC_SECRET_FILE names {self.secret_file}, which is not a readable file")
        elif any(len(secret) < 32 for secret in self.secrets):
            found.append("AUTHSVC_SECRET must be 32 characters at least; `openssl rand -base64 32` makes one")
        if environ.get("AUTHLIB_INSECURE_TRANSPORT"):
            found.append("AUTHLIB_INSECURE_TRANSPORT is set, which switches off the https check; unset it")
        if self.env == "production":
            found += self._production_problems()
        elif not self.is_https and urlsplit(self.issuer).hostname not in LOOPBACK:
            found.append("AUTHSVC_ISSUER may use http on a loopback address only; use https")
        return found

    def _production_problems(self) -> list[str]:
        found = []
        if not self.is_https:
            found.append("AUTHSVC_ISSUER must be https in production")
        if DEVELOPMENT_SECRET in self.secrets:
            found.append("AUTHSVC_SECRET or AUTHSVC_SECRET_FILE must be set in production")
        if self.email_url.startswith("dir:"):
            found.append("AUTHSVC_EMAIL_URL must be a real sender in production, not dir:")
        if self.sms_url.startswith("dir:"):
            found.append("AUTHSVC_SMS_URL must be a real sender or none: in production, not dir:")
        if self.aws_endpoint_url and not self.aws_endpoint_url.startswith("https:"):
            found.append("AUTHSVC_AWS_ENDPOINT_URL must be https in production")
        if self.allow_loopback_clients:
            found.append(
                "AUTHSVC_ALLOW_LOOPBACK_CLIENTS must be off in production: clients would reach into this machine"
            )
        if self.email_from.endswith("@localhost"):
            found.append("AUTHSVC_EMAIL_FROM must be an address of yours in production")
        if self.database_url.startswith("sqlite:") and self.workers > 1:
            found.append("AUTHSVC_WORKERS above 1 wants AUTHSVC_DATABASE_URL to be postgresql:// in production")
        home = re.fullmatch(EXPORTS_HOME, self.exports_url)
        if home and home["folder"] and not home["shared"] and not self.database_url.startswith("sqlite:"):
            # PostgreSQL means replicas, and who downloads from one what another built would find nothing.
            found.append(
                "AUTHSVC_EXPORTS_URL must be s3://BUCKET/PREFIX beside PostgreSQL in production,"
                " or dir:PATH?shared where every web process and worker mounts the same folder"
            )
        return found

    @property
    def secrets(self) -> list[str]:
        """The key-encryption secrets, newest first."""
        if self.secret_file is not None:
            lines = self.secret_file.read_text().splitlines()
        else:
            lines = self.secret.get_secret_value().split(",")
        return [line.strip() for line in lines if line.strip()] or [DEVELOPMENT_SECRET]

    @property
    def is_https(self) -> bool:
        """Whether browsers reach us over TLS, so that cookies are `Secure` and `__Host-`."""
        return self.issuer.startswith("https:")

    @property
    def is_production(self) -> bool:
        """Whether development conveniences are off."""
        return self.env == "production"

    def summary(self) -> dict[str, object]:
        """What start-up prints: every setting, without passwords."""
        shown: dict[str, object] = {}
        for name, value in self:
            if name == "secret":
                shown[name] = (
                    f"{len(self.secrets)} set" if DEVELOPMENT_SECRET not in self.secrets else "development default"
                )
            elif isinstance(value, str) and "://" in value and (password := urlsplit(value).password):
                shown[name] = value.replace(f":{password}@", ":***@")
            else:
                shown[name] = str(value) if isinstance(value, Path) else value
        return shown


def _sentence(error: Mapping[str, object]) -> str:
    where = error["loc"]
    name = str(where[0]) if isinstance(where, tuple) and where else "?"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"AUTHSVC_{name.upper()}: {text}"
