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

from authsvc.oauth.assertions import Flawed, Proof

#: The characters that an error description may hold (RFC 6749 5.2); Authlib copies values there and fails on others.
PLAIN = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
#: What Authlib copies into descriptions, and what we look up. Every other value may hold anything: it comes back untouched
#: (`state`), is only compared as a digest (`client_secret`), or is not ours to judge (parameters nobody knows).
COPIED = frozenset(
    {
        *("response_type", "client_id", "redirect_uri", "scope", "response_mode", "prompt", "max_age", "acr_values"),
        *("account", "resource", "code_challenge", "code_challenge_method", "request", "request_uri"),
        *("grant_type", "code_verifier", "post_logout_redirect_uri"),
    }
)
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
        #: What came of the client assertion, if there is one: found before the transaction (oauth/assertions.py).
        self.assertion: Proof | Flawed | None = None

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
    args, form = checked(request.args), checked(request.form)
    check_basic_header(request.headers.get("Authorization", ""))
    call = Call(method=request.method, headers=request.headers, args=args, form=form, issuer=issuer)
    call.remote_address = request.remote_addr or ""
    return call


def checked(values: MultiDict[str, str]) -> MultiDict[str, str]:
    """The parameters: each name once, of bounded size, in characters that cannot break an answer. Raises: InvalidRequestError."""
    return plain(once(values))


def once(values: MultiDict[str, str]) -> MultiDict[str, str]:
    """The parameters, each sent once and of bounded size. Raises: InvalidRequestError.

    "Parameters sent without a value MUST be treated as if they were omitted" (RFC 6749 3.1 and 3.2), so they are.
    """
    if len(values) > MOST:
        raise InvalidRequestError("Too many parameters were sent.")
    for name, sent in values.lists():
        if len(sent) > 1:
            raise InvalidRequestError("A parameter was sent more than once.")
        if len(name) + len(sent[0]) > LONGEST:
            raise InvalidRequestError("A parameter is too long.")
    return MultiDict((name, value) for name, value in values.items() if value)


def plain(values: MultiDict[str, str]) -> MultiDict[str, str]:
    """The same, once every known parameter has been seen to hold plain characters. Raises: InvalidRequestError."""
    if not all(PLAIN.fullmatch(value) for name, value in values.items() if name in COPIED):
        raise InvalidRequestError("A parameter has a character that is not allowed.")
    return values


def check_basic_header(header: str) -> None:
    """Basic credentials must be base64 of UTF-8 text; Authlib would crash on others."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequestError("The Authorization header cannot be read.") from exc
