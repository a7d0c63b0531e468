"""Calls an ASGI application as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def http_scope(path: str, headers: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """The scope of a request."""
    path, _, query = path.partition("?")
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": raw}
    return {**scope, "root_path": "", **changes}


async def received(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that the application sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if scope["type"] == "websocket":
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def completed(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, from a loop in a thread of its own: Playwright leaves one running in the test's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
