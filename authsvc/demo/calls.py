"""Calls from one server to another, small enough that a test can stand in for the network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3
from werkzeug.datastructures import Headers

TIMEOUT_S = 5.0


class Unreachable(Exception):
    """The other side did not answer, or with nothing that can be used."""


@dataclass(frozen=True)
class Answer:
    """What came back; in the names that Authlib expects of an answer."""

    status_code: int
    headers: Headers
    content: bytes

    def json(self) -> Any:
        """The body. Raises: ValueError."""
        return json.loads(self.content)

    def raise_for_status(self) -> None:
        """Raises: Unreachable, for 4xx and 5xx."""
        if self.status_code >= 400:
            raise Unreachable(f"it answered {self.status_code}")


class Send(Protocol):
    """Makes one request. Raises: Unreachable."""

    def __call__(
        self, method: str, url: str, *, headers: dict[str, str], body: str | bytes | None = None
    ) -> Answer: ...


def over_network() -> Send:
    """Real requests. No redirect is followed: a server that redirects a token request has lost its way."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)

    def send(method: str, url: str, *, headers: dict[str, str], body: str | bytes | None = None) -> Answer:
        try:
            found = pool.request(method, url, headers=headers, body=body, redirect=False)
        except urllib3.exceptions.HTTPError as exc:
            raise Unreachable(f"{url} does not answer") from exc
        return Answer(found.status, Headers(list(found.headers.items())), found.data)

    return send
