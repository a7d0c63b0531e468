"""The authorization server: Authlib's neutral one, with every grant and endpoint registered on this page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from authlib.oauth2 import rfc6749
from authlib.oauth2.rfc6749 import OAuth2Error
from sqlalchemy.orm import Session
from werkzeug.wrappers import Request, Response

from authsvc import logs
from authsvc.accounts.api_scopes import PERSONS_SCOPES
from authsvc.audit import AuditLog, Event
from authsvc.oauth.call import Call, read_call
from authsvc.oauth.client_auth import ClientAuthenticator, TooManyRequests
from authsvc.oauth.clients import Client, Registry, scope_for
from authsvc.oauth.codes import Codes
from authsvc.oauth.device.codes import DeviceCodes
from authsvc.oauth.errors import InvalidTarget
from authsvc.oauth.grants.authorization_code import AuthorizationCodeGrant
from authsvc.oauth.grants.client_credentials import ClientCredentialsGrant
from authsvc.oauth.grants.device_code import DeviceCodeGrant
from authsvc.oauth.grants.refresh_token import RefreshTokenGrant
from authsvc.oauth.models import TokenFamily
from authsvc.oauth.pkce import S256Challenge
from authsvc.oauth.refresh import Presented, RefreshTokens
from authsvc.oauth.subject import Subject
from authsvc.oauth.subjects import Subjects
from authsvc.oauth.tokens import AccessTokens, IdTokens

log = logs.logger(__name__)
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AuthorizationServer(rfc6749.AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Takes werkzeug requests, gives werkzeug responses, and knows no Flask."""

    def __init__(
        self,
        *,
        issuer: str,
        registry: Registry,
        authenticator: ClientAuthenticator,
        codes: Codes,
        refresh_tokens: RefreshTokens,
        access_tokens: AccessTokens,
        id_tokens: IdTokens,
        subjects: Subjects,
        device_codes: DeviceCodes,
        audit: AuditLog,
        tx: Callable[[], Session],
    ) -> None:
        super().__init__()
        self.issuer, self.registry, self.authenticator = issuer, registry, authenticator
        self.codes, self.refresh_tokens, self.audit, self.tx = codes, refresh_tokens, audit, tx
        self.subjects, self.device_codes = subjects, device_codes
        self.register_token_generator("default", access_tokens)
        self.register_grant(AuthorizationCodeGrant, [S256Challenge(required=True), id_tokens])
        self.register_grant(RefreshTokenGrant, [IdTokensWithoutCode(id_tokens)])
        self.register_grant(DeviceCodeGrant, [IdTokensWithoutCode(id_tokens)])
        self.register_grant(ClientCredentialsGrant)

    def query_client(self, client_id: str) -> Client | None:
        """The active client; warm from memory."""
        return self.registry.client(client_id, self.tx())

    def get_token_grant(self, request: Call) -> Any:
        """The grant asked for. Raises: InvalidRequestError when none was named, where Authlib says it is unsupported."""
        if not request.payload.grant_type:
            raise rfc6749.InvalidRequestError("The grant_type is missing.")
        return super().get_token_grant(request)

    def authenticate_client(self, request: Call, methods: list[str], endpoint: str = "token") -> Client:
        """One method, one wording (oauth/client_auth.py). Raises: OAuth2Error."""
        client = self.authenticator.authenticate(self.tx(), request, endpoint)
        if request.auth_method not in methods:
            raise rfc6749.UnauthorizedClientError("This client may not use this grant.")
        request.client = client
        return client

    def subject_of(self, family: TokenFamily, client: Client, asked: str | None = None) -> Subject:
        """Whom the tokens of a family speak of, by the name that its client knows.

        `asked`: the resource that the client wants the access token for (RFC 8707 2.2): the one that was granted; or this
        service itself, where one of its own scopes was granted too, so that one sign-in serves an API and the bell.
        Raises: InvalidTarget.
        """
        is_granted = asked == self.issuer and PERSONS_SCOPES & set(family.scope.split())
        if asked and asked != family.resource and not is_granted:
            raise InvalidTarget("The resource is not the one that was granted.")
        sub = self.subjects.sub(client, family.user_id)
        return Subject(family, family.membership, sub, asked or family.resource)

    def scope_said(self, client: Client, resource: str, granted: str) -> str:
        """What a token for `resource` says of what was granted: what that audience knows and the client may still have.

        Raises: InvalidTarget when the client may not reach the resource (any more); InvalidScopeError when nothing is left.
        """
        resources = self.registry.resources(self.tx())
        if resource != self.issuer and resource not in client.reachable(resources):
            raise InvalidTarget("This client may have no tokens for that resource.")
        said = scope_for(resource, client.get_allowed_scope(granted) or "", resources)
        if not said:
            raise rfc6749.InvalidScopeError("The resource knows nothing of this scope.")
        return said

    def save_token(self, token: dict[str, Any], request: Call) -> None:
        """Access tokens are kept nowhere. What was issued to a person is a row of the trail; to a machine, a log line."""
        subject = request.user
        if isinstance(subject, Subject):
            about = {
                "user_id": subject.family.user_id,
                "account_id": subject.membership.account_id,
                "client_id": request.client.client_id,
            }
            if isinstance(request.refresh_token, Presented):
                self.audit.record(
                    self.tx(),
                    Event.TOKEN_REFRESHED,
                    **about,
                    family_id=subject.family.id,
                    retry=request.refresh_token.retry,
                )
            else:
                family = subject.family
                self.audit.record(
                    self.tx(),
                    Event.TOKEN_ISSUED,
                    **about,
                    session_id=family.session_id,
                    grant=request.payload.grant_type.rpartition(":")[2],
                    scope=family.scope,
                    family_id=family.id,
                )
        else:
            log.info(
                "token.issued", grant="client_credentials", client_id=request.client.client_id, scope=token.get("scope")
            )

    def create_oauth2_request(self, request: Request | Call) -> Call:
        """Authlib's view of a request, its client assertion read. Raises: InvalidRequestError.

        Called before the transaction is opened, with the result handed on to Authlib: to check an assertion may mean to
        fetch the client's keys. Inside one it stops at TransactionAlreadyOpen.
        """
        if isinstance(request, Call):
            return request
        call = read_call(request, self.issuer)
        self.authenticator.look_at_assertion(call)
        return call

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        """The answer, never kept by anyone (RFC 6749 5.1)."""
        text = json.dumps(body) if isinstance(body, dict) else body
        response = Response(text, status=status, headers=headers)
        response.headers.update(NO_STORE)
        return response

    def handle_error_response(self, request: Call, error: OAuth2Error) -> Response:
        """The RFC's error, as JSON. Those that go to a client by its redirect address: response_mode.py."""
        log.info("oauth.refused", error=error.error, reason=error.description or "", client_id=_client_id(request))
        response: Response = super().handle_error_response(request, error)
        if response.status_code == 401 and getattr(error, "used_header", True):
            response.headers["WWW-Authenticate"] = f'Basic realm="{self.issuer}"'
        elif response.status_code == 401:
            response.headers.pop("WWW-Authenticate", None)
        if isinstance(error, TooManyRequests):
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib announces successes only; the trail records both (libraries.md 1.5, 17)."""


class IdTokensWithoutCode:
    """The ID token of a refresh or of a device: the same claims without a nonce (OpenID Connect Core 12.2)."""

    def __init__(self, id_tokens: IdTokens) -> None:
        self._id_tokens = id_tokens

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_create_token_response", self._id_tokens.process_token)


def _client_id(request: Call | None) -> str:
    client_id = request.payload.client_id if request is not None else None
    return str(client_id)[:64] if client_id else "-"
