"""The verifier in front of Flask views. The only module of the kit that needs Flask.

verify = TokenVerifier(issuer="https://login.ims.example", audience="https://api.ims.example/investors")

@app.get("/investors")
@protect(verify, Requirement(scope="investors.read"))
def investors():
    return list_of(g.token_claims.account.id)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Response, current_app, g, request
from flask.typing import ResponseReturnValue

from authsvc.resource_server.answers import bearer_token, refusal
from authsvc.resource_server.claims import Requirement
from authsvc.resource_server.errors import TokenError
from authsvc.resource_server.verifier import ANYTHING, Verifier

P = ParamSpec("P")


def protect(
    verify: Verifier, requirement: Requirement = ANYTHING, *, realm: str | None = None
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """A decorator: the view runs only for a good token that meets `requirement`, with its claims in `g.token_claims`.

    Anything else is answered here, as `authsvc.resource_server.answers` says.
    """

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def protected(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            try:
                query = request.query_string.decode("latin-1")
                token = bearer_token(request.headers.getlist("Authorization"), query=query)
                g.token_claims = verify(token, requirement)
            except TokenError as error:
                answer = refusal(error, realm=realm)
                return Response(answer.body, answer.status, list(answer.headers))
            returned: ResponseReturnValue = current_app.ensure_sync(view)(*args, **kwargs)
            return returned

        return protected

    return decorate
