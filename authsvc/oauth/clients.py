"""Clients and resource servers as the protocol sees them: frozen, and cached for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.clock import Clock, SystemClock
from authsvc.crypto.tokens import Digester, same
from authsvc.db import Database, DatabaseUnavailable
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.models import OAuthClient, ResourceServer

#: How old what is known of a client may be; its deactivation takes that long to reach every replica (architecture 2.5).
FRESH_S = 5.0
SECRET_PURPOSE = "client-secret"
STANDARD_SCOPES = ("openid", "profile", "email", "offline_access")


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """One registered client."""

    client_id: str
    secret_digest: str | None
    metadata: ClientMetadata
    first_party: bool
    minimum_acr: str | None
    #: The resource servers its tokens may be for; None: any that has one of its scopes.
    resources: frozenset[str] | None
    digester: Digester
    #: The secret before the last rotation, while it still does.
    previous_secret_digest: str | None = None
    #: Slugs of the accounts it may touch through the account API; None: all.
    accounts: frozenset[str] | None = None

    @property
    def client_name(self) -> str:
        """What pages call it."""
        return self.metadata.client_name

    @property
    def auth_method(self) -> str:
        """The one registered way to authenticate."""
        return self.metadata.token_endpoint_auth_method

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """Every scope it may ask for."""
        return tuple(self.metadata.scope.split())

    @property
    def client_metadata(self) -> dict[str, Any]:
        """What Authlib's endpoints look up by its registered name."""
        return {"post_logout_redirect_uris": list(self.metadata.post_logout_redirect_uris)}

    def reachable(self, resources: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        """The resource servers that this client's tokens may be for."""
        if self.resources is None:
            return resources
        return {name: scopes for name, scopes in resources.items() if name in self.resources}

    def get_client_id(self) -> str:
        """The client_id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: OpenID Connect wants redirect_uri in every request (Core 3.1.2.1)."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What of the asked scopes this client may have, in the order asked.

        None, which is invalid_scope, when nothing is left or nothing was asked: there is no default (RFC 6749 3.3).
        """
        asked = scope.split() if scope else []
        return " ".join(dict.fromkeys(name for name in asked if name in self.scopes)) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact string comparison (RFC 9700 4.1.3), but for the port of a native app on loopback (RFC 8252 7.3)."""
        return self.metadata.accepts_redirect(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether the secret is right; compared as digests. For a while after a rotation the one before does too."""
        sent = self.digester.digest(SECRET_PURPOSE, client_secret)
        return any(
            same(sent, known) for known in (self.secret_digest, self.previous_secret_digest) if known is not None
        )

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether this is the registered way."""
        return method == self.auth_method

    def check_response_type(self, response_type: str) -> bool:
        """The code flow alone is offered."""
        return response_type == "code" and "authorization_code" in self.metadata.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether the client registered for it."""
        return grant_type in self.metadata.grant_types


class Registry:
    """Looks clients and resource servers up; a warm look-up asks no database."""

    def __init__(
        self,
        database: Database,
        digester: Digester,
        *,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._digester, self._monotonic = database, digester, monotonic
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[float, Client | None]] = {}
        self._resources: tuple[float, dict[str, frozenset[str]]] | None = None

    def client(self, client_id: str | None, tx: Session | None = None) -> Client | None:
        """The active client, or None. `tx`: the caller's transaction, where one is open."""
        if not client_id or len(client_id) > 64 or not client_id.isprintable():
            return None
        known = self._clients.get(client_id)
        now = self._monotonic()
        if known is None or now - known[0] > FRESH_S:
            known = (now, self._load(client_id, tx))
            with self._lock:
                if len(self._clients) > 1000:  # unknown names are cached too; a flood of them must not grow without end
                    self._clients.clear()
                self._clients[client_id] = known
        return known[1]

    def look_again(self, client_id: str | None, tx: Session) -> Client | None:
        """As `client`, whatever is remembered: for whoever would be refused, perhaps by what was true some seconds ago."""
        with self._lock:
            self._clients.pop(client_id or "", None)
        return self.client(client_id, tx)

    def resources(self, tx: Session | None = None) -> dict[str, frozenset[str]]:
        """Every resource server's identifier with its scopes."""
        now = self._monotonic()
        if self._resources is None or now - self._resources[0] > FRESH_S:
            rows = self._read(tx, lambda t: t.execute(select(ResourceServer.identifier, ResourceServer.scopes)).all())
            self._resources = (now, {row.identifier: frozenset(row.scopes) for row in rows})
        return self._resources[1]

    def last_scopes(self) -> frozenset[str]:
        """The scopes of every resource server; what was last known while the database is away."""
        try:
            return frozenset().union(*self.resources().values())
        except DatabaseUnavailable:
            return frozenset().union(*self._resources[1].values()) if self._resources else frozenset()

    def forget(self) -> None:
        """Drop what is cached: something was changed here."""
        with self._lock:
            self._clients.clear()
            self._resources = None

    def _load(self, client_id: str, tx: Session | None) -> Client | None:
        row = self._read(tx, lambda t: t.get(OAuthClient, client_id))
        if row is None or row.deactivated_at is not None:
            return None
        overlaps = row.previous_secret_until is not None and row.previous_secret_until > self._clock.now()
        return Client(
            client_id=row.client_id,
            secret_digest=row.client_secret_digest,
            metadata=ClientMetadata.read(row.client_metadata),
            first_party=row.first_party,
            minimum_acr=row.minimum_acr,
            resources=None if row.resources is None else frozenset(row.resources),
            digester=self._digester,
            previous_secret_digest=row.previous_secret_digest if overlaps else None,
            accounts=None if row.accounts is None else frozenset(row.accounts),
        )

    def _read(self, tx: Session | None, ask: Callable[[Session], Any]) -> Any:
        if tx is not None:
            return ask(tx)
        with self._database.transaction(read_only=True) as own:
            return ask(own)


class NoSuchTarget(Exception):
    """The resource is not registered, not this client's, or not clear from the scopes."""


def audience_for(asked: str | None, scope: str, *, resources: dict[str, frozenset[str]], issuer: str) -> str:
    """The one `aud` of the access token (RFC 8707 2, RFC 9068 3). Raises: NoSuchTarget.

    Without `resource`, the scopes say which API is meant; scopes of ours alone mean this service itself.
    """
    wanted = set(scope.split()) - set(STANDARD_SCOPES)
    if asked is not None:
        if asked == issuer:
            return asked
        if asked not in resources or (wanted and not wanted & resources[asked]):
            raise NoSuchTarget
        return asked
    meant = [identifier for identifier, scopes in resources.items() if wanted & scopes]
    if len(meant) > 1:
        raise NoSuchTarget
    return meant[0] if meant else issuer


def scope_for(resource: str, scope: str, resources: dict[str, frozenset[str]]) -> str:
    """What of a granted scope an access token for `resource` says: what that audience knows, in the order granted (RFC 8707 3).

    `resources`: every registered API, not only the client's own. Names that belong to no API are this service's, and so are
    the standard ones; those stay in every token, for UserInfo takes a token for any audience.
    """
    theirs = frozenset().union(*(scopes for name, scopes in resources.items() if name != resource))
    known = resources.get(resource, frozenset()) | frozenset(STANDARD_SCOPES)
    is_ours = resource not in resources
    return " ".join(name for name in scope.split() if name in known or (is_ours and name not in theirs))
