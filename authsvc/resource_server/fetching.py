"""HTTP as the kit speaks it: bounded in time and size, no redirects, and only addresses of the issuer itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.response import BaseHTTPResponse

#: Address in; body and headers out. Raises anything when the answer is not a 200.
Fetch = Callable[[str], tuple[bytes, Mapping[str, str]]]
Origin = tuple[str, str | None, int | None]

TIMEOUT_S = 5.0
LARGEST_BODY = 128 * 1024
OPENID_CONFIGURATION = "/.well-known/openid-configuration"


def http_get(url: str) -> tuple[bytes, Mapping[str, str]]:
    """The body and headers of a 200 answer. Redirects and larger bodies are refused; 5 s, and no connection is kept.

    A pool for each call: one fetch in minutes gains nothing from a kept connection, and one opened before a fork would
    be shared by two processes. Raises: urllib3.exceptions.HTTPError, ValueError.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with (
        urllib3.PoolManager() as pool,
        closing(
            pool.request(
                "GET",
                url,
                headers={"Accept": "application/json, application/jwk-set+json"},
                timeout=urllib3.Timeout(total=TIMEOUT_S),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        ) as response,
    ):
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        return read_body(response, deadline=deadline), response.headers


def read_body(response: BaseHTTPResponse, *, deadline: float) -> bytes:
    """The whole body. `deadline`: an instant of time.monotonic(). Raises: ValueError when it is too large or too slow."""
    body = bytearray()
    while chunk := response.read1(16_384):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise ValueError("body too large")
        if time.monotonic() > deadline:
            # The socket's own time-out starts anew with every byte that drips in.
            raise ValueError("body too slow")
    return bytes(body)


def origin_of(url: str) -> Origin:
    """Scheme, host and port. Raises: ValueError unless it is https, or http on this machine, and free of trimmings."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError("an https URL is needed (http: on this machine only)")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the URL may have no query, fragment or user name")
    return parts.scheme, host, parts.port or {"https": 443, "http": 80}[parts.scheme]


def discover(issuer: str, member: str, *, fetch: Fetch) -> str:
    """The address that the issuer's metadata names as `member` (OpenID Connect Discovery 4).

    The document must name the very issuer that was asked for (4.3), and an address of the same origin: another server's
    document, or one that was tampered with, must not choose whose signatures are believed, nor who is sent a client's
    secret (security.md TK-18). Raises: ValueError, and whatever `fetch` raises.
    """
    body, _ = fetch(issuer.removesuffix("/") + OPENID_CONFIGURATION)
    document = json_object(body)
    if document.get("issuer") != issuer:
        raise ValueError("the discovery document is another issuer's")
    address = document.get(member)
    if not isinstance(address, str) or origin_of(address) != origin_of(issuer):
        raise ValueError(f"{member} is not at the issuer's own origin")
    return address


def json_object(body: bytes) -> dict[str, Any]:
    """The object. Raises: ValueError for anything else."""
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("JSON nested beyond reason") from error
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document
