"""The pushed authorization request endpoint (RFC 9126): a client leaves its request here and gets a link to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request, Response

from authsvc.db import Database
from authsvc.oauth.authorization_request import Reader
from authsvc.oauth.call import Call
from authsvc.oauth.checks import Asked, examine
from authsvc.oauth.client_auth import TooManyRequests
from authsvc.oauth.clients import Client
from authsvc.oauth.grants.authorization_code import AuthorizationCodeGrant
from authsvc.oauth.id_token_hint import Hints
from authsvc.oauth.server import AuthorizationServer
from authsvc.throttle import AddressWindows

METHODS = AuthorizationCodeGrant.TOKEN_ENDPOINT_AUTH_METHODS
#: What shows who calls; it is no part of the request that is kept.
CREDENTIALS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


@dataclass(frozen=True)
class PushEndpoint:
    """Takes requests that pass every check of the authorization endpoint, from clients that authenticate as for tokens."""

    database: Database
    server: AuthorizationServer
    reader: Reader
    hints: Hints
    windows: AddressWindows
    lifetime: timedelta

    def push(self, request: Request) -> Response:
        """201 with the link, or the error that the authorization endpoint would have answered (RFC 9126 2.2, 2.3)."""
        call = self.server.create_oauth2_request(request)
        try:
            client = self._authenticate(call)
            if not self.windows.admit("token_per_client", client.client_id):
                raise TooManyRequests("This client calls too often. Try again in a second.", retry_after_s=1)
            request_uri = self._keep(call, client)
        except OAuth2Error as error:
            error.redirect_uri = None  # Authlib would send the machine there
            answer: Response = self.server.handle_error_response(call, error)
            return answer
        body = {"request_uri": request_uri, "expires_in": int(self.lifetime.total_seconds())}
        return self.server.handle_response(201, body, [("Content-Type", "application/json")])

    def _authenticate(self, call: Call) -> Client:
        """In a transaction of its own, for a refusal is a row that stays, and keys may be fetched after it."""
        refusal = None
        with self.database.transaction():
            try:
                client = self.server.authenticate_client(call, METHODS, "par")
            except OAuth2Error as error:
                refusal = error
        if refusal is not None:
            raise refusal
        return client

    def _keep(self, call: Call, client: Client) -> str:
        params = MultiDict((name, value) for name, value in call.form.items() if name not in CREDENTIALS)
        sent = self.reader.read_pushed(params, client)
        with self.database.transaction() as tx:
            if sent.to is None:
                raise InvalidRequestError("The redirect_uri is missing or not registered for this client.")
            examine(Asked(sent, sent.to, self.server, self.hints, tx), pushing=True)
            return self.reader.pushed.keep(tx, sent.params, client_id=client.client_id, signed=sent.signed)
