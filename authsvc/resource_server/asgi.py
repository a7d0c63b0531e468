"""The verifier in front of a whole ASGI application. Needs neither Starlette nor FastAPI, and works in both.

app.add_middleware(TokenMiddleware, verify=verify, requirement=Requirement(scope="investors.read"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from authsvc.resource_server.answers import Answer, bearer_token, refusal
from authsvc.resource_server.claims import Claims, Requirement
from authsvc.resource_server.errors import TokenError
from authsvc.resource_server.guard import PathRules
from authsvc.resource_server.verifier import ANYTHING, Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLAIMS = "authsvc.claims"
#: The close code of a WebSocket that policy forbids (RFC 6455 7.4.1).
POLICY_VIOLATION = 1008


class TokenMiddleware:
    """Lets a request through only with a good token that meets its path's requirement; its Claims are then in
    `scope["authsvc.claims"]`. Anything else is answered here, as `authsvc.resource_server.answers` says.

    WebSockets are judged by their handshake, once: one that outlives its token is the application's to close. A token is
    judged on the event loop, from memory; whatever must ask the issuer waits in a thread. Runs under asyncio.
    """

    def __init__(
        self,
        app: App,
        verify: Verifier,
        requirement: Requirement = ANYTHING,
        *,
        paths: Mapping[str, Requirement] | None = None,
        open_paths: Collection[str] = (),
        realm: str | None = None,
        threads: int = 8,
    ) -> None:
        """`paths`: path -> requirement for it and all below it, instead of `requirement`. `open_paths`: need no token.

        Paths are as `app` sees them, without the root_path. `threads`: how many requests may ask the issuer at a time;
        own ones, so that an issuer that hangs does not use up the event loop's. Raises: ValueError for a path that no
        request can have.
        """
        self._app = app
        self._verify = verify
        self._rules = PathRules(requirement, paths or {}, open_paths)
        self._realm = realm
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="authsvc-verify")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on. What is neither a request nor a WebSocket is passed on."""
        if scope["type"] in ("http", "websocket"):
            requirements = self._rules.of(_path(scope))
            try:
                if requirements:
                    token = _token(scope)
                    for requirement in requirements:
                        scope[CLAIMS] = await self._claims(token, requirement)
            except TokenError as error:
                await _refuse(refusal(error, realm=self._realm), scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _claims(self, token: str, requirement: Requirement) -> Claims:
        claims = self._verify.at_once(token, requirement)
        if claims is None:
            loop = asyncio.get_running_loop()
            claims = await loop.run_in_executor(self._threads, self._verify, token, requirement)
        return claims


def _token(scope: Scope) -> str:
    authorization = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
    return bearer_token(authorization, query=scope.get("query_string", b"").decode("latin-1"))


def _path(scope: Scope) -> str:
    """The path below where `app` is mounted; servers put root_path in front of it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return (path[len(root) :] if root and (path + "/").startswith(root + "/") else path) or "/"


async def _refuse(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    prefix = "http"
    if scope["type"] == "websocket":
        await receive()  # the handshake; nothing may be sent before it
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        prefix = "websocket.http"
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    body = b"" if scope.get("method") == "HEAD" else answer.body
    await send({"type": f"{prefix}.response.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
