"""From an HTTP request to its token, and from a TokenError to the answer; the same for every framework."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from authsvc.resource_server.errors import InvalidRequest, IssuerUnavailable, MissingToken, TokenError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def bearer_token(authorization: Sequence[str], *, query: str) -> str:
    """The token of the Authorization header (RFC 6750 2.1). `authorization`: every such header; `query`: as it was sent.

    A token in the query ends up in logs, histories and Referer headers; it is refused even beside a good header
    (RFC 6750 2.3, RFC 9700 4.3.2). Raises: MissingToken, InvalidRequest.
    """
    if query and any(name == "access_token" for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise InvalidRequest("token in the query string")
    # Two headers make one value that is no token (RFC 9110 5.3), so nobody chooses which of them counts.
    scheme, _, token = ", ".join(authorization).partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken("no bearer token")
    return token.strip(" ")


def refusal(error: TokenError, *, realm: str | None) -> Answer:
    """Status and challenge of the error, a JSON body with `error` and `error_description`, never stored by a cache.

    503 with Retry-After, and no challenge, while the issuer is out of reach. The reason goes to the log.
    """
    log.info("Request refused: %s", error.reason)
    body = json.dumps({"error": error.error, "error_description": error.description}).encode()
    if isinstance(error, IssuerUnavailable):
        why = ("Retry-After", str(error.retry_after_s))
    else:
        why = ("WWW-Authenticate", error.challenge(realm))
    headers = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        why,
    )
    return Answer(error.status, headers, body)
