"""Clients are made, changed, given new secrets and ended here: one use case each, for the commands, the account API and
dynamic registration. Secrets are kept as digests and shown once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.crypto.tokens import Digester, new_id, new_secret
from authsvc.db import after_commit
from authsvc.errors import AuthsvcError, Kind
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import SECRET_PURPOSE, Registry
from authsvc.oauth.families import Families
from authsvc.oauth.guarded_fetch import FetchFailed, GuardedFetch
from authsvc.oauth.models import OAuthClient

REGISTRATION_PURPOSE = "registration-access-token"
LONGEST_OVERLAP = timedelta(days=30)
BY_SECRET = ("client_secret_basic", "client_secret_post")
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class NoSuchClient(AuthsvcError):
    """There is no client of this name."""

    kind = Kind.NOT_FOUND


class ClientIsThere(AuthsvcError):
    """There is a client of this name already."""

    kind = Kind.CONFLICT


class ClientIsDeactivated(AuthsvcError):
    """The client is deactivated; only `authsvc client reactivate` brings it back."""

    kind = Kind.CONFLICT


class ClientIsActive(AuthsvcError):
    """The client is active already."""

    kind = Kind.CONFLICT


class HasNoSecret(AuthsvcError):
    """The client does not authenticate with a secret, so there is none to replace."""

    kind = Kind.CONFLICT


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field, in words for its author; never with the value."""

    field: str
    text: str


class MetadataRefused(AuthsvcError):
    """The client's metadata is refused."""

    kind = Kind.INVALID

    def __init__(self, problems: list[Problem]) -> None:
        """`problems`: every one of them, so that one try shows them all."""
        super().__init__("; ".join(f"{problem.field}: {problem.text}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class ClientView:
    """A client as operators and the account API see it: everything but secrets."""

    client_id: str
    metadata: ClientMetadata
    first_party: bool
    minimum_acr: str | None
    resources: list[str] | None
    accounts: list[str] | None
    registered_itself: bool
    has_secret: bool
    previous_secret_until: datetime | None
    created_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True)
class Issued:
    """What was made or changed. The secrets are shown this once, and only where they are new."""

    client: ClientView
    secret: str | None = None
    registration_token: str | None = None
    changed: tuple[str, ...] = ()


def read_metadata(given: Mapping[str, Any]) -> ClientMetadata:
    """The metadata, checked. Raises: MetadataRefused with every problem."""
    try:
        # As JSON: the strict model takes its lists for tuples, and nothing else for anything else.
        return ClientMetadata.model_validate_json(json.dumps(given))
    except ValidationError as exc:
        raise MetadataRefused(
            [
                Problem(_place(error["loc"]), str(error["msg"]).removeprefix("Value error, "))
                for error in exc.errors(include_input=False, include_url=False)
            ]
        ) from None


def _place(loc: Iterable[str | int]) -> str:
    """Where a problem is. A name that no field of ours can have is not repeated: it is whatever somebody sent."""
    place = ".".join(map(str, loc))
    return place if re.fullmatch(r"[a-z0-9_.]{1,80}", place) else "metadata"


@dataclass(frozen=True)
class Registration:
    """The life of clients."""

    registry: Registry
    families: Families
    fetch: GuardedFetch
    digester: Digester
    clock: Clock
    audit: AuditLog

    def read(self, given: Mapping[str, Any]) -> ClientMetadata:
        """As read_metadata, for those who may not import this module."""
        return read_metadata(given)

    def check_outside(self, metadata: ClientMetadata) -> None:
        """Look at what lies elsewhere, before any transaction: addresses that lead inside are refused when they are
        registered (TN-15), and the sector document must name every redirect address (OpenID Connect Registration 5).

        Raises: MetadataRefused.
        """
        problems = []
        for field in ("jwks_uri", "backchannel_logout_uri", "sector_identifier_uri"):
            address = getattr(metadata, field)
            try:
                if address is not None:
                    self.fetch.check(address)
            except FetchFailed as exc:
                problems.append(Problem(field, f"cannot be used: {exc.reason}"))
        if not problems and metadata.sector_identifier_uri is not None:
            problems += self._sector_problems(metadata.sector_identifier_uri, metadata.redirect_uris)
        if problems:
            raise MetadataRefused(problems)

    def create_client(
        self,
        tx: Session,
        metadata: ClientMetadata,
        *,
        by: str,
        first_party: bool,
        client_id: str | None = None,
        minimum_acr: str | None = None,
        resources: list[str] | None = None,
        accounts: list[str] | None = None,
        registers_itself: bool = False,
    ) -> Issued:
        """A new client, with a secret if it authenticates with one. Call `check_outside` first.

        `registers_itself`: it gets a token with which it manages itself. Raises: ClientIsThere, MetadataRefused.
        """
        if client_id is not None and not _CLIENT_ID.fullmatch(client_id):
            raise MetadataRefused(
                [Problem("client_id", "must be 1 to 64 of A-Z, a-z, 0-9, dot, hyphen, underscore, ~")]
            )
        if client_id is not None and tx.get(OAuthClient, client_id) is not None:
            raise ClientIsThere
        secret = new_secret() if metadata.token_endpoint_auth_method in BY_SECRET else None
        token = new_secret() if registers_itself else None
        row = OAuthClient(
            client_id=client_id or new_id(),
            client_secret_digest=self._digest(secret),
            registration_token_digest=token and self.digester.digest(REGISTRATION_PURPOSE, token),
            client_metadata=metadata.stored(),
            first_party=first_party,
            minimum_acr=minimum_acr,
            resources=resources,
            accounts=accounts,
            created_at=self.clock.now(),
        )
        tx.add(row)
        try:
            tx.flush()
        except IntegrityError as exc:  # made a moment ago, by another
            raise ClientIsThere from exc
        self.audit.record(tx, Event.CLIENT_CREATED, client_id=row.client_id, by=by)
        return self._done(tx, row, secret=secret, registration_token=token)

    def change_client(self, tx: Session, client_id: str, metadata: ClientMetadata, *, by: str) -> Issued:
        """New metadata in the place of the old; the answer names the fields that differ. Call `check_outside` first.

        A way to authenticate that needs a secret brings a new one, one that needs none ends the old. What IMS alone decides
        stays, and a deactivated client stays deactivated (TN-15). Raises: NoSuchClient, ClientIsDeactivated.
        """
        row = self._active(tx, client_id)
        before = ClientMetadata.read(row.client_metadata)
        changed = tuple(
            name for name in ClientMetadata.model_fields if getattr(before, name) != getattr(metadata, name)
        )
        secret = None
        if metadata.token_endpoint_auth_method not in BY_SECRET:
            row.client_secret_digest = row.previous_secret_digest = row.previous_secret_until = None
        elif row.client_secret_digest is None:
            secret = new_secret()
            row.client_secret_digest = self._digest(secret)
        if changed:
            row.client_metadata = metadata.stored()
            self.audit.record(tx, Event.CLIENT_CHANGED, client_id=client_id, fields=list(changed), by=by)
        return self._done(tx, row, secret=secret, changed=changed)

    def change_rules(
        self,
        tx: Session,
        client_id: str,
        *,
        first_party: bool,
        minimum_acr: str | None,
        resources: list[str] | None,
        accounts: list[str] | None,
    ) -> Issued:
        """What IMS alone decides about a client. Raises: NoSuchClient, ClientIsDeactivated."""
        row = self._active(tx, client_id)
        wanted = {"first_party": first_party, "minimum_acr": minimum_acr, "resources": resources, "accounts": accounts}
        changed = tuple(name for name, value in wanted.items() if getattr(row, name) != value)
        for name in changed:
            setattr(row, name, wanted[name])
        if changed:
            self.audit.record(tx, Event.CLIENT_CHANGED, client_id=client_id, fields=list(changed), by="operator")
        return self._done(tx, row, changed=changed)

    def rotate_secret(self, tx: Session, client_id: str, *, overlap: timedelta = timedelta(0)) -> Issued:
        """A new secret. The old one does for `overlap` more, 30 days at most; without an overlap it is dead at once.

        Raises: NoSuchClient, ClientIsDeactivated, HasNoSecret.
        """
        row = self._active(tx, client_id)
        if row.client_secret_digest is None:
            raise HasNoSecret
        overlap = min(max(overlap, timedelta(0)), LONGEST_OVERLAP)
        row.previous_secret_digest = row.client_secret_digest if overlap else None
        row.previous_secret_until = self.clock.now() + overlap if overlap else None
        secret = new_secret()
        row.client_secret_digest = self._digest(secret)
        hours = int(overlap.total_seconds() // 3600)
        self.audit.record(tx, Event.CLIENT_SECRET_ROTATED, client_id=client_id, overlap_hours=hours)
        return self._done(tx, row, secret=secret)

    def deactivate_client(self, tx: Session, client_id: str, *, by: str) -> int:
        """End a client, its tokens and codes, and its right to manage itself; answers how many token families ended.

        Raises: NoSuchClient, ClientIsDeactivated.
        """
        ended = tx.execute(
            update(OAuthClient)
            .where(OAuthClient.client_id == client_id, OAuthClient.deactivated_at.is_(None))
            .values(deactivated_at=self.clock.now(), registration_token_digest=None)
        )
        if not ended.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result has it
            raise ClientIsDeactivated if tx.get(OAuthClient, client_id) else NoSuchClient
        families = self.families.end_client(tx, client_id, "client_deactivated")
        self.audit.record(tx, Event.CLIENT_DEACTIVATED, client_id=client_id, families=families, by=by)
        after_commit(tx, self.registry.forget)
        return families

    def reactivate_client(self, tx: Session, client_id: str) -> ClientView:
        """Bring a client back with its secret; what ended stays ended. Raises: NoSuchClient, ClientIsActive."""
        row = self._row(tx, client_id)
        if row.deactivated_at is None:
            raise ClientIsActive
        row.deactivated_at = None
        self.audit.record(tx, Event.CLIENT_REACTIVATED, client_id=client_id)
        return self._done(tx, row).client

    def client(self, tx: Session, client_id: str) -> ClientView:
        """One client, active or not. Raises: NoSuchClient."""
        return _view(self._row(tx, client_id))

    def clients(self, tx: Session) -> list[ClientView]:
        """Every client, oldest first."""
        rows = tx.scalars(select(OAuthClient).order_by(OAuthClient.created_at, OAuthClient.client_id))
        return [_view(row) for row in rows]

    def by_client_id(self, tx: Session, *, after: str | None, limit: int) -> list[ClientView]:
        """Clients by client_id, from the one after `after` on."""
        query = select(OAuthClient).order_by(OAuthClient.client_id).limit(limit)
        return [_view(row) for row in tx.scalars(query.where(OAuthClient.client_id > (after or "")))]

    def managed(self, tx: Session, client_id: str, token: str) -> ClientView | None:
        """The active client that this registration access token was issued to (RFC 7592 2); None for any other pair."""
        row = tx.scalars(
            select(OAuthClient).where(
                OAuthClient.client_id == client_id,
                OAuthClient.registration_token_digest == self.digester.digest(REGISTRATION_PURPOSE, token),
                OAuthClient.deactivated_at.is_(None),
            )
        ).one_or_none()
        return _view(row) if row is not None else None

    def _sector_problems(self, address: str, redirect_uris: Iterable[str]) -> list[Problem]:
        try:
            fetched = self.fetch.get(address)
            named = json.loads(fetched.body)
        except FetchFailed as exc:
            return [Problem("sector_identifier_uri", f"cannot be used: {exc.reason}")]
        except (ValueError, RecursionError):
            return [Problem("sector_identifier_uri", "does not lead to a JSON document")]
        if fetched.content_type != "application/json" or not isinstance(named, list):
            return [Problem("sector_identifier_uri", "does not lead to a JSON array, sent as application/json")]
        if not all(uri in named for uri in redirect_uris):
            return [Problem("sector_identifier_uri", "leads to an array that lacks one of the redirect_uris")]
        return []

    def _row(self, tx: Session, client_id: str) -> OAuthClient:
        # fullmatch: a NUL in a name would be an error of PostgreSQL, not an unknown client.
        row = tx.get(OAuthClient, client_id) if _CLIENT_ID.fullmatch(client_id) else None
        if row is None:
            raise NoSuchClient
        return row

    def _active(self, tx: Session, client_id: str) -> OAuthClient:
        row = self._row(tx, client_id)
        if row.deactivated_at is not None:
            raise ClientIsDeactivated
        return row

    def _digest(self, secret: str | None) -> str | None:
        return self.digester.digest(SECRET_PURPOSE, secret) if secret is not None else None

    def _done(self, tx: Session, row: OAuthClient, **issued: Any) -> Issued:
        tx.flush()
        after_commit(tx, self.registry.forget)
        return Issued(_view(row), **issued)


def _view(row: OAuthClient) -> ClientView:
    return ClientView(
        client_id=row.client_id,
        metadata=ClientMetadata.read(row.client_metadata),
        first_party=row.first_party,
        minimum_acr=row.minimum_acr,
        resources=row.resources,
        accounts=row.accounts,
        registered_itself=row.registration_token_digest is not None,
        has_secret=row.client_secret_digest is not None,
        previous_secret_until=row.previous_secret_until,
        created_at=row.created_at,
        deactivated_at=row.deactivated_at,
    )
