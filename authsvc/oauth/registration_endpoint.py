"""Dynamic registration (RFC 7591, OpenID Connect Registration 1.0) and management (RFC 7592), at one address.

On Authlib's errors, not on its endpoints: those check with looser rules than the one model of ours (libraries.md 1.5, 8),
read the machine's clock, and keep nothing that a race could be decided by.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc7591 import (
    InvalidClientMetadataError,
    InvalidRedirectURIError,
    InvalidSoftwareStatementError,
    UnapprovedSoftwareStatementError,
)
from sqlalchemy.orm import Session
from werkzeug.wrappers import Request, Response

from authsvc.audit import AuditLog, Event
from authsvc.clock import epoch_s
from authsvc.crypto.tokens import Digester, same
from authsvc.db import Database
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import SECRET_PURPOSE
from authsvc.oauth.initial_access import InitialAccess
from authsvc.oauth.models import OAuthClient
from authsvc.oauth.registration import ClientView, Issued, MetadataRefused, Registration, read_metadata
from authsvc.oauth.server import NO_STORE
from authsvc.policy.schema import RegistrationPolicy
from authsvc.throttle import AddressWindows

PATH = "/oauth/register"
BY = "registration"
#: Grants that a client may give itself. client_credentials is not among them: nobody would have consented to anything.
GRANTS = ("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code")
#: RFC 7592 2.2: an update "MUST NOT include" these.
NOT_IN_UPDATES = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
LONGEST_TOKEN = 200
_NOT_PLAIN = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]+")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class InvalidToken(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """No token, or one that does not do here, and never why (RFC 6750 3.1, RFC 7592 2)."""

    error = "invalid_token"
    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        """With the challenge."""
        return [*super().get_headers(), ("WWW-Authenticate", 'Bearer error="invalid_token"')]


class TooMany(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """Too many wrong tokens from one address."""

    error = "temporarily_unavailable"
    status_code = 429

    def get_headers(self) -> list[tuple[str, str]]:
        """With the wait."""
        return [*super().get_headers(), ("Retry-After", "60")]


@dataclass(frozen=True)
class RegistrationEndpoint:
    """Answers POST with an initial access token, and GET, PUT and DELETE with the token that the client got."""

    issuer: str
    database: Database
    registration: Registration
    initial_access: InitialAccess
    policy: RegistrationPolicy
    digester: Digester
    windows: AddressWindows
    audit: AuditLog

    def __call__(self, request: Request) -> Response:
        """The answer. Raises: OAuth2Error."""
        about = f"{request.remote_addr} registration"
        if not self.windows.has_room("client_auth_failures", about):
            raise TooMany("Too many failed attempts. Try again in a minute.")
        token = _bearer(request)
        try:
            if request.method == "POST":
                return self._register(request, token)
            return self._manage(request, token)
        except InvalidToken:
            self.windows.admit("client_auth_failures", about)
            with self.database.transaction() as tx:
                self.audit.record(tx, Event.REGISTRATION_REFUSED, reason="wrong_token" if token else "no_token")
            raise

    def _register(self, request: Request, token: str) -> Response:
        # Before anything is read or fetched: what a stranger sends decides nothing.
        with self.database.transaction(read_only=True) as tx:
            if not token or not self.initial_access.is_usable(tx, token):
                raise InvalidToken
        metadata = self._checked(_document(request))
        with self.database.transaction() as tx:
            if not self.initial_access.take(tx, token):
                raise InvalidToken
            made = self.registration.create_client(tx, metadata, by=BY, first_party=False, registers_itself=True)
        return self._answer(made, made.registration_token or "", 201)

    def _manage(self, request: Request, token: str) -> Response:
        client_id = request.args.get("client_id", "")
        with self.database.transaction(read_only=True) as tx:
            client = self._managed(tx, client_id, token)
        if request.method == "GET":
            return self._answer(Issued(client), token, 200)
        if request.method == "DELETE":
            with self.database.transaction() as tx:
                self._managed(tx, client_id, token)
                self.registration.deactivate_client(tx, client_id, by=BY)
            return Response(status=204, headers=NO_STORE)
        given = _document(request)
        self._refuse_what_is_no_update(given, client_id)
        metadata = self._checked(given)
        with self.database.transaction() as tx:
            self._managed(tx, client_id, token)
            secret = given.get("client_secret")
            if secret is not None and not self._is_secret(tx, client_id, secret):
                # Also a masked or an empty one: an update never sets a secret (TN-15).
                raise InvalidClientMetadataError("client_secret is not the one that was issued. Leave it out.")
            changed = self.registration.change_client(tx, client_id, metadata, by=BY)
        return self._answer(changed, token, 200)

    def _managed(self, tx: Session, client_id: str, token: str) -> ClientView:
        """Asked again in the transaction that changes it: a deactivation in between counts."""
        known = 0 < len(client_id) <= 64 and client_id.isprintable()
        client = self.registration.managed(tx, client_id, token) if token and known else None
        if client is None:
            raise InvalidToken
        return client

    def _is_secret(self, tx: Session, client_id: str, secret: object) -> bool:
        digest = tx.get_one(OAuthClient, client_id).client_secret_digest
        sent = self.digester.digest(SECRET_PURPOSE, secret) if isinstance(secret, str) else None
        return sent is not None and digest is not None and same(sent, digest)

    def _refuse_what_is_no_update(self, given: dict[str, Any], client_id: str) -> None:
        if any(name in given for name in NOT_IN_UPDATES):
            raise InvalidClientMetadataError(f"An update must not include {', '.join(NOT_IN_UPDATES)}.")
        if given.get("client_id") != client_id:
            raise InvalidClientMetadataError("An update must include the client_id of the client.")

    def _checked(self, given: dict[str, Any]) -> ClientMetadata:
        """The metadata that will be registered: what we know of what was sent, within what the policy allows.

        "The authorization server MUST ignore any client metadata sent by the client that it does not understand", and may
        put another value in the place of one (RFC 7591 2); the answer says what was registered.
        """
        _refuse_software_statement(given.get("software_statement"))
        if given.get("response_types") not in (None, ["code"], []):
            raise InvalidClientMetadataError("response_types: the code flow alone is offered.")
        known = {name: given[name] for name in ClientMetadata.model_fields if given.get(name) is not None}
        known["scope"] = self._scope(known.get("scope"))
        if isinstance(asked := known.get("grant_types"), list):
            known["grant_types"] = [grant for grant in asked if grant in GRANTS]
            if asked and not known["grant_types"]:
                raise InvalidClientMetadataError(f"grant_types: offered are {', '.join(GRANTS)}.")
        known.setdefault("client_name", _name_from(known.get("redirect_uris")))
        known.setdefault("id_token_signed_response_alg", "RS256")  # OpenID Connect Registration 2
        try:
            metadata = read_metadata(known)
            self.registration.check_outside(metadata)
        except MetadataRefused as exc:
            about_redirects = exc.problems[0].field.startswith("redirect_uris")
            error = InvalidRedirectURIError if about_redirects else InvalidClientMetadataError
            raise error(_NOT_PLAIN.sub("'", str(exc))[:500]) from exc
        return metadata

    def _scope(self, asked: object) -> str:
        """The asked scopes that may be had; all of them when none was asked for."""
        if asked is None:
            return " ".join(self.policy.scopes)
        names = asked.split() if isinstance(asked, str) else ()
        allowed = [name for name in dict.fromkeys(names) if name in self.policy.scopes]
        if not allowed:
            raise InvalidClientMetadataError(f"scope: may be of {' '.join(self.policy.scopes)}.")
        return " ".join(allowed)

    def _answer(self, issued: Issued, token: str, status: int) -> Response:
        """The client information response (RFC 7591 3.2.1, RFC 7592 3): "all registered metadata about this client"."""
        client, metadata = issued.client, issued.client.metadata
        body: dict[str, Any] = {
            "client_id": client.client_id,
            "client_id_issued_at": epoch_s(client.created_at),
            "registration_client_uri": f"{self.issuer}{PATH}?client_id={quote(client.client_id)}",
            "registration_access_token": token,
            "response_types": ["code"] if "authorization_code" in metadata.grant_types else [],
            **metadata.model_dump(mode="json", exclude_none=True),
        }
        if issued.secret is not None:
            body |= {"client_secret": issued.secret, "client_secret_expires_at": 0}
        return Response(json.dumps(body), status, NO_STORE, mimetype="application/json")


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= LONGEST_TOKEN else ""


def _document(request: Request) -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise InvalidClientMetadataError("The metadata must be sent as application/json.")
    try:
        given = json.loads(request.get_data())
    except (ValueError, RecursionError) as exc:
        raise InvalidClientMetadataError("The metadata is no JSON.") from exc
    if not isinstance(given, dict):
        raise InvalidClientMetadataError("The metadata is no JSON object.")
    return given


def _refuse_software_statement(statement: object) -> None:
    """Nobody's is approved. Passing it over would register what its author had promised otherwise (RFC 7591 2.3)."""
    if statement is None:
        return
    if not isinstance(statement, str) or not _JWT.fullmatch(statement):
        raise InvalidSoftwareStatementError("The software_statement is no JWT.")
    raise UnapprovedSoftwareStatementError("Software statements are not accepted here. Leave it out.")


def _name_from(redirect_uris: object) -> str:
    """For a client that gave itself no name: the host that people are sent back to, which is the one thing known of it."""
    first = redirect_uris[0] if isinstance(redirect_uris, list) and redirect_uris else None
    try:
        host = urlsplit(first).hostname if isinstance(first, str) else None
    except ValueError:
        host = None
    return (host or "Unnamed client")[:200]
