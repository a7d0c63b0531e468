"""The verifier in front of Flask views. The only module of the kit that needs Flask.

verify = TokenVerifier(issuer="https://login.ims.example", audience="https://api.ims.example/investors")

@app.get("/investors")
@protect(verify, Requirement(scope="investors.read"))
def investors():
    return list_of(g.token_claims.account.id)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue

from authsvc.resource_server.claims import Requirement
from authsvc.resource_server.errors import InvalidRequest, KeysUnavailable, MissingToken, TokenError
from authsvc.resource_server.verifier import ANYTHING, TokenVerifier

log = logging.getLogger(__name__)
P = ParamSpec("P")


def protect(
    verify: TokenVerifier, requirement: Requirement = ANYTHING, *, realm: str | None = None
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """A decorator: the view runs only for a good token that meets `requirement`, with its claims in `g.token_claims`.

    Anything else is answered here: status and challenge of the TokenError, a JSON body with `error` and
    `error_description`, never stored by a cache; 503 with Retry-After while the issuer's keys are out of reach.
    """

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def protected(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            try:
                g.token_claims = verify(_bearer_token(), requirement)
            except TokenError as error:
                log.info("Request refused: %s", error.reason)
                return _refusal(error, realm=realm)
            answer: ResponseReturnValue = current_app.ensure_sync(view)(*args, **kwargs)
            return answer

        return protected

    return decorate


def _bearer_token() -> str:
    """The token of the Authorization header (RFC 6750 2.1). Raises: MissingToken, InvalidRequest.

    A token in the query ends up in logs, histories and Referer headers; it is refused even beside a good header
    (RFC 6750 2.3, RFC 9700 4.3.2).
    """
    if "access_token" in request.args:
        raise InvalidRequest("token in the query string")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken("no bearer token")
    return token.strip(" ")


def _refusal(error: TokenError, *, realm: str | None) -> Response:
    response = jsonify(error=error.error, error_description=error.description)
    response.status_code = error.status
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, KeysUnavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    else:
        response.headers["WWW-Authenticate"] = error.challenge(realm)
    return response
