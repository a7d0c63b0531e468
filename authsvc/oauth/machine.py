"""The endpoints that machines call: plain functions from request to response, answered in front of Flask (spikes.md 2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from authlib.oauth2.rfc6749 import OAuth2Error
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from authsvc import logs
from authsvc.db import Database
from authsvc.errors import AuthsvcError, Kind
from authsvc.oauth.device.endpoint import DeviceAuthorization
from authsvc.oauth.introspection import Introspection
from authsvc.oauth.par import PushEndpoint
from authsvc.oauth.registration_endpoint import PATH as REGISTRATION
from authsvc.oauth.registration_endpoint import RegistrationEndpoint
from authsvc.oauth.revocation import Revocation, RevokedTokens
from authsvc.oauth.server import NO_STORE, AuthorizationServer
from authsvc.oauth.userinfo import Refusal, UserInfo
from authsvc.throttle import AddressWindows
from authsvc.web.front import Endpoint

log = logs.logger(__name__)
#: No token request is larger; a bigger body is refused unread (security.md PL-02).
LARGEST_BODY = 64 * 1024


def endpoints(
    database: Database,
    server: AuthorizationServer,
    userinfo: UserInfo,
    par: PushEndpoint,
    registration: RegistrationEndpoint,
    *,
    revoked: RevokedTokens,
    windows: AddressWindows,
) -> Mapping[str, Mapping[str, Endpoint]]:
    """Every machine endpoint, by path and method.

    Each reads its call before it opens the transaction: a client assertion may mean to fetch the client's keys.
    """
    server.register_endpoint(Introspection(userinfo, revoked))
    server.register_endpoint(Revocation(userinfo, revoked))
    server.register_endpoint(DeviceAuthorization(windows))

    def token(request: Request) -> Response:
        call = server.create_oauth2_request(request)
        # Refusals are answers and are committed: the code that was spent stays spent. Only a crash rolls back.
        with database.transaction():
            answer: Response = server.create_token_response(call)
            return answer

    def endpoint(name: str) -> Callable[[Request], Response]:
        def answered(request: Request) -> Response:
            call = server.create_oauth2_request(request)
            # A writing transaction for introspection too: a caller that fails to authenticate is a row of the trail.
            with database.transaction():
                answer: Response = server.create_endpoint_response(name, call)
                return answer

        return answered

    def info(request: Request) -> Response:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer.strip():
            return _json({}, 401, {"WWW-Authenticate": f'Bearer realm="{server.issuer}"'})
        with database.transaction(read_only=True) as tx:
            found = userinfo.answer(tx, bearer.strip())
        if isinstance(found, Refusal):
            challenge = f'Bearer realm="{server.issuer}", error="{found.error}"'
            return _json({"error": found.error}, found.status, {"WWW-Authenticate": challenge})
        if found.signed_with is not None:
            return Response(userinfo.signed(found), 200, NO_STORE, mimetype="application/jwt")
        return _json(found.claims, 200)

    return {
        "/oauth/token": {"POST": _safely(token)},
        "/oauth/par": {"POST": _safely(par.push)},
        "/oauth/introspect": {"POST": _safely(endpoint("introspection"))},
        "/oauth/revoke": {"POST": _safely(endpoint("revocation"))},
        "/oauth/device_authorization": {"POST": _safely(endpoint("device_authorization"))},
        "/oauth/userinfo": {"GET": _safely(info), "POST": _safely(info)},
        REGISTRATION: dict.fromkeys(("POST", "GET", "PUT", "DELETE"), _safely(registration)),
    }


def _safely(endpoint: Callable[[Request], Response]) -> Endpoint:
    """The one mapping of errors: the RFC's words, 503 for a database that is away, and never a stack trace."""

    def answer(request: Request) -> Response:
        request.max_content_length = request.max_form_memory_size = LARGEST_BODY
        request.max_form_parts = 100
        try:
            return endpoint(request)
        except OAuth2Error as error:
            status, body, headers = error()
            return Response(json.dumps(dict(body)), status, {**dict(headers), **NO_STORE})
        except AuthsvcError as exc:
            status = 503 if exc.kind is Kind.UNAVAILABLE else 500
            log.error("request.refused", error=type(exc).__name__, detail=exc.detail, status=status)
            if status == 503:
                return _json({"error": "temporarily_unavailable"}, 503, {"Retry-After": "2"})
            return _json({"error": "server_error"}, 500)
        except HTTPException as exc:
            return _json({"error": "invalid_request"}, exc.code or 400)
        except Exception:
            log.exception("request.crashed", rule=request.path)
            return _json({"error": "server_error"}, 500)

    return answer


def _json(body: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, {**NO_STORE, **(headers or {})}, mimetype="application/json")
