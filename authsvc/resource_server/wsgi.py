"""The verifier in front of a whole WSGI application.

application = TokenMiddleware(application, verify, Requirement(scope="investors.read"), open_paths=["/healthz"])
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from authsvc.resource_server.answers import bearer_token, refusal
from authsvc.resource_server.claims import Requirement
from authsvc.resource_server.errors import TokenError
from authsvc.resource_server.guard import PathRules
from authsvc.resource_server.verifier import ANYTHING, Verifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CLAIMS = "authsvc.claims"


class TokenMiddleware:
    """Lets a request through only with a good token that meets its path's requirement; its Claims are then in
    `environ["authsvc.claims"]`. Anything else is answered here, as `authsvc.resource_server.answers` says.
    """

    def __init__(
        self,
        app: WSGIApplication,
        verify: Verifier,
        requirement: Requirement = ANYTHING,
        *,
        paths: Mapping[str, Requirement] | None = None,
        open_paths: Collection[str] = (),
        realm: str | None = None,
    ) -> None:
        """`paths`: path -> requirement for it and all below it, instead of `requirement`. `open_paths`: need no token.

        Paths are as `app` sees them in PATH_INFO. Raises: ValueError for one that no request can have.
        """
        self._app = app
        self._verify = verify
        self._rules = PathRules(requirement, paths or {}, open_paths)
        self._realm = realm

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or pass on."""
        requirements = self._rules.of(environ.get("PATH_INFO") or "/")
        try:
            if requirements:
                header = environ.get("HTTP_AUTHORIZATION")
                token = bearer_token([] if header is None else [header], query=environ.get("QUERY_STRING", ""))
                for requirement in requirements:
                    environ[CLAIMS] = self._verify(token, requirement)
        except TokenError as error:
            answer = refusal(error, realm=self._realm)
            start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(answer.headers))
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
        return self._app(environ, start_response)
