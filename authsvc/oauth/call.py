"""A request as Authlib reads it, checked before Authlib sees it (libraries.md 1.5, points 1, 3, 4)."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Payload, OAuth2Request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

#: The characters that an error description may hold (RFC 6749 5.2); Authlib copies values there and fails on others.
PLAIN = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
#: `state` comes back untouched and `claims` is JSON, so they may hold more; they are never copied into a description.
FREE = frozenset({"state", "claims", "login_hint", "ui_locales", "display", "id_token_hint", "nonce"})
LONGEST = 8192
MOST = 60


class Payload(OAuth2Payload):  # type: ignore[misc]  # Authlib is untyped
    """Parameters, each sent once."""

    def __init__(self, values: MultiDict[str, str]) -> None:
        self._values = values

    @property
    def data(self) -> MultiDict[str, str]:
        """The values by name."""
        return self._values

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Every value by name."""
        return defaultdict(list, dict(self._values.lists()))


class Call(OAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    """One request. The front has checked scheme and host, so the issuer stands for the URL."""

    def __init__(
        self, *, method: str, headers: Any, args: MultiDict[str, str], form: MultiDict[str, str], issuer: str
    ) -> None:
        super().__init__(method=method, uri=issuer, headers=headers)
        self._args, self._form = args, form
        self.payload = Payload(form if method == "POST" else args)
        self.remote_address = ""

    @property
    def args(self) -> MultiDict[str, str]:
        """The query."""
        return self._args

    @property
    def form(self) -> MultiDict[str, str]:
        """The body."""
        return self._form


def read_call(request: Request, issuer: str) -> Call:
    """The call behind a request. Raises: InvalidRequestError for anything a careful client never sends."""
    if request.method == "POST" and request.args:
        raise InvalidRequestError("Parameters belong in the body.")
    values = request.form if request.method == "POST" else request.args
    check_parameters(values)
    check_basic_header(request.headers.get("Authorization", ""))
    call = Call(method=request.method, headers=request.headers, args=request.args, form=request.form, issuer=issuer)
    call.remote_address = request.remote_addr or ""
    return call


def check_parameters(values: MultiDict[str, str]) -> None:
    """Each name once (RFC 6749 3.1), of bounded size, in characters that cannot break an answer."""
    if len(values) > MOST:
        raise InvalidRequestError("Too many parameters were sent.")
    for name, sent in values.lists():
        if len(sent) > 1:
            raise InvalidRequestError("A parameter was sent more than once.")
        if len(name) + len(sent[0]) > LONGEST:
            raise InvalidRequestError("A parameter is too long.")
        if not PLAIN.fullmatch(name) or not (name in FREE or PLAIN.fullmatch(sent[0])):
            raise InvalidRequestError("A parameter has a character that is not allowed.")


def check_basic_header(header: str) -> None:
    """Basic credentials must be base64 of UTF-8 text; Authlib would crash on others."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequestError("The Authorization header cannot be read.") from exc
