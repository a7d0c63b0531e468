"""An authorization request: as it was sent, and as it reads once every check has passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from authsvc.accounts.models import Account, User
from authsvc.oauth.asked_claims import AskedClaims
from authsvc.oauth.call import once
from authsvc.oauth.clients import Client, Registry
from authsvc.oauth.errors import InvalidRequestUri, RequestUriNotSupported
from authsvc.oauth.pushed import URN, PushedRequests
from authsvc.oauth.request_object import RequestObjects
from authsvc.oauth.response_mode import Return, return_of
from authsvc.sessions.models import SignInRequest


@dataclass(frozen=True)
class Sent:
    """What arrived. `params` are those that count: from inside where the request was signed or pushed.

    signed, pushed: how it came; pushed is the digest of its link. error: why it cannot be read at all.
    """

    params: MultiDict[str, str]
    client: Client | None
    signed: bool = False
    pushed: str | None = None
    error: OAuth2Error | None = None

    @property
    def to(self) -> Return | None:
        """Where its answer may go."""
        return return_of(self.client, self.params)

    def kept(self) -> dict[str, Any]:
        """For a row, until the person is back."""
        return {"sent": dict(self.params.items()), "signed": self.signed, "pushed": self.pushed}


@dataclass(frozen=True)
class Demand:
    """What the client wants of the sign-in.

    prefers: acr values, the first that can be met is welcome. needs: the least acr that will do. person: the only one who will.
    """

    prompt: frozenset[str]
    max_age: timedelta | None
    prefers: tuple[str, ...]
    needs: str | None
    account: Account | None
    person: Person | None


@dataclass(frozen=True)
class Person:
    """Somebody the client names by an ID token or a sub. `user`: whose address the sign-in fills in, where we can tell."""

    sub: str
    user: User | None


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that passed every check."""

    sent: Sent
    to: Return
    scope: str
    resource: str
    nonce: str | None
    code_challenge: str
    claims: AskedClaims
    demand: Demand

    @property
    def client(self) -> Client:
        """Whose it is."""
        return self.to.client

    @property
    def wanted_consent(self) -> tuple[str, ...]:
        """The scopes a person agrees to: those asked for, and those that open the claims asked for one by one."""
        return tuple(dict.fromkeys([*self.scope.split(), *sorted(self.claims.scopes)]))


@dataclass(frozen=True)
class Reader:
    """Finds the parameters that count, wherever they are."""

    registry: Registry
    objects: RequestObjects
    pushed: PushedRequests

    def read(self, params: MultiDict[str, str]) -> Sent:
        """The request of a browser. May fetch the client's keys, so no transaction may be open."""
        try:
            params = once(params)
        except OAuth2Error as error:
            return Sent(MultiDict(), None, error=error)
        sent = Sent(params, self.registry.client(params.get("client_id")))
        return self._attempt(sent, lambda client: self._unsigned_or_signed(params, client))

    def read_pushed(self, params: MultiDict[str, str], client: Client) -> Sent:
        """The request of a client that has authenticated. Raises: OAuth2Error."""
        if "request_uri" in params:
            raise InvalidRequestError("A pushed request must not name a request_uri.")
        if params.get("client_id", client.client_id) != client.client_id:
            raise InvalidRequestError("The request names another client.")
        return self._unsigned_or_signed(MultiDict([*params.items(), *_missing_id(params, client)]), client)

    def resume(self, parked: SignInRequest, tx: Session) -> Sent:
        """The request as it was first read: nothing on the way through sign-in can change it (security.md AZ-07)."""
        kept = parked.params
        params: MultiDict[str, str] = MultiDict(kept["sent"].items())
        return Sent(params, self.registry.client(params.get("client_id"), tx), kept["signed"], kept["pushed"])

    def open_pushed(self, tx: Session, sent: Sent) -> Sent:
        """The request behind `request_uri`, if that is what was sent; only what was pushed counts (RFC 9126 4)."""
        request_uri = sent.params.get("request_uri")
        if request_uri is None or sent.error is not None:
            return sent
        return self._attempt(sent, lambda client: self._pushed(tx, request_uri, client))

    def _attempt(self, sent: Sent, read: Callable[[Client], Sent]) -> Sent:
        if sent.client is None:
            return replace(sent, error=InvalidRequestError("The client is not known."))
        try:
            return read(sent.client)
        except OAuth2Error as error:
            return replace(sent, error=error)

    def _unsigned_or_signed(self, params: MultiDict[str, str], client: Client) -> Sent:
        text, request_uri = params.get("request"), params.get("request_uri", URN)
        if text is not None and "request_uri" in params:
            raise InvalidRequestError("A request comes by value or by reference, not both.")
        if not request_uri.startswith(URN):
            # The seam for fetching what a client has registered in request_uris; until then never ignored.
            raise RequestUriNotSupported("Request objects by reference are not supported.")
        if text is None:
            return Sent(params, client)
        return Sent(self.objects.open(text, client), client, signed=True)

    def _pushed(self, tx: Session, request_uri: str, client: Client) -> Sent:
        row = self.pushed.open(tx, request_uri, client_id=client.client_id)
        if row is None:
            raise InvalidRequestUri("The request_uri is unknown, too old or used.")
        return Sent(MultiDict(row.params.items()), client, row.signed, row.digest)


def _missing_id(params: MultiDict[str, str], client: Client) -> list[tuple[str, str]]:
    return [] if "client_id" in params else [("client_id", client.client_id)]
