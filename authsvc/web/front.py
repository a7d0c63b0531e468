"""What machines call is answered before Flask: ready documents and plain endpoint functions (spikes.md 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from authsvc.web.observe import RULE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Endpoint = Callable[[Request], Response]


@dataclass(frozen=True)
class Document:
    """Ready bytes with their headers; answers 304 to whoever has them."""

    body: bytes
    headers: tuple[tuple[str, str], ...]
    etag: str

    @classmethod
    def of(cls, body: bytes, *, mimetype: str, cache_control: str, extra: Iterable[tuple[str, str]] = ()) -> Document:
        """A document of `body`."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        headers = (
            ("Content-Type", mimetype),
            ("Content-Length", str(len(body))),
            ("Cache-Control", cache_control),
            ("ETag", etag),
            ("X-Content-Type-Options", "nosniff"),
            *extra,
        )
        return cls(body, headers, etag)

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """200 with the bytes, or 304."""
        if self._is_known(environ.get("HTTP_IF_NONE_MATCH", "")):
            start_response("304 Not Modified", [header for header in self.headers if header[0] != "Content-Length"])
            return []
        start_response("200 OK", list(self.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]

    def _is_known(self, if_none_match: str) -> bool:
        """RFC 9110 13.1.2: any of a list, or `*`. Weak comparison, for a proxy that compresses weakens the tag."""
        known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return self.etag in known or "*" in known


class MachineFront:
    """Answers exact machine paths; every other path goes to the pages."""

    def __init__(
        self,
        pages: WSGIApplication,
        *,
        documents: Mapping[str, Callable[[], Document]],
        endpoints: Mapping[str, Mapping[str, Endpoint]],
    ) -> None:
        self._pages, self._documents, self._endpoints = pages, documents, endpoints

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or pass on."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if (document := self._documents.get(path)) is not None:
            environ[RULE] = path
            if method in ("GET", "HEAD"):
                return document().answer(environ, start_response)
            return _not_allowed("GET, HEAD")(environ, start_response)
        if (methods := self._endpoints.get(path)) is None:
            return self._pages(environ, start_response)
        environ[RULE] = path
        endpoint = methods.get(method)
        answer = endpoint(Request(environ)) if endpoint else _not_allowed(", ".join(methods))
        return answer(environ, start_response)


def _not_allowed(allow: str) -> Response:
    return Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allow}, mimetype="text/plain")
