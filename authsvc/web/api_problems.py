"""Errors of the account API: application/problem+json (RFC 9457), whatever went wrong and wherever."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from flask import request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from authsvc.errors import AuthsvcError, Kind
from authsvc.web import facts

API = "/api/"
MEDIA_TYPE = "application/problem+json"
#: A problem's `type` is this and a short name; the document at /api/openapi.json says the same.
PREFIX = "urn:ims:problem:"
RETRY_AFTER_S = 5
#: By status: the name, the title and what to do about it.
WORDS = {
    400: ("invalid-request", "The request is not valid", "Nothing was changed."),
    401: ("unauthenticated", "An access token is needed", "Send Authorization: Bearer with a token for this service."),
    403: ("forbidden", "This is not allowed", "Nothing was changed."),
    404: ("not-found", "Not found", "There is nothing of this name here, or it is not yours to see."),
    405: ("method-not-allowed", "This address takes another method", "See the Allow header."),
    409: ("conflict", "It cannot be done now", "Nothing was changed."),
    413: ("too-large", "The request is too large", "Nothing was changed. Send less."),
    415: ("unsupported-media-type", "The body must be JSON", "Send Content-Type: application/json."),
    429: ("too-many-requests", "Too many requests", "Wait as long as Retry-After says."),
    500: ("internal-error", "Something went wrong on our side", "Nothing was changed. Try again in a minute."),
    503: ("unavailable", "Briefly unavailable", "Nothing was changed. Try again as Retry-After says."),
}


def is_api() -> bool:
    """Whether the present request is one of the API's, known path or not."""
    return request.path.startswith(API)


def answer(
    status: int,
    detail: str | None = None,
    *,
    name: str | None = None,
    title: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem. `name` and `title` where the status alone says too little; never what the caller sent."""
    known_name, known_title, known_detail = WORDS[status]
    problem = {
        "type": PREFIX + (name or known_name),
        "title": title or known_title,
        "status": status,
        "detail": detail or known_detail,
        "instance": facts.current().request_id,
        **({"errors": [dict(error) for error in errors]} if errors else {}),
    }
    response = Response(json.dumps(problem), status, headers, mimetype=MEDIA_TYPE)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def of_error(error: AuthsvcError, status: int) -> Response:
    """A broken promise. Its text is for whoever asked, unless it is about our inside."""
    is_told = error.kind in (Kind.INVALID, Kind.REFUSED, Kind.NOT_FOUND, Kind.CONFLICT)
    return answer(status, str(error) if is_told else None)


def of_http(error: HTTPException) -> Response:
    """What Flask and werkzeug refuse: unknown paths, other methods, bodies that are too large."""
    code = error.code or 500
    status = code if code in WORDS else 400 if code < 500 else 500
    if isinstance(error, MethodNotAllowed):
        return answer(405, headers={"Allow": ", ".join(sorted(error.valid_methods or ()))})
    return answer(status)
