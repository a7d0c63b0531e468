"""How an answer reaches the client: in the query of a redirect, or in a form that the browser posts (Form Post Response Mode)."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import OAuth2Error
from werkzeug.datastructures import MultiDict

from authsvc.oauth.clients import Client
from authsvc.web.headers import origin_of

QUERY, FORM_POST = "query", "form_post"
OFFERED = (QUERY, FORM_POST)


@dataclass(frozen=True)
class Return:
    """A registered address of a known client, and how it wants to be answered there."""

    client: Client
    redirect_uri: str
    state: str | None
    mode: str

    @property
    def origin(self) -> str:
        """The one foreign origin at which this request may end."""
        return origin_of(self.redirect_uri)


@dataclass(frozen=True)
class Answer:
    """What goes back. `waits`: the person must see it first, for a client that is not ours must not be able to use us as a way
    to send people to itself (RFC 9700 4.11.2, security.md AZ-06).
    """

    to: Return
    params: tuple[tuple[str, str], ...]
    waits: bool = False

    @property
    def location(self) -> str:
        """The address with the answer in its query."""
        return str(add_params_to_uri(self.to.redirect_uri, list(self.params)))


def return_of(client: Client | None, params: MultiDict[str, str]) -> Return | None:
    """Where answers to these parameters may go; None without a known client and an address that it registered.

    A mode that is not offered is itself refused, by query.
    """
    redirect_uri = params.get("redirect_uri")
    if client is None or redirect_uri is None or not client.check_redirect_uri(redirect_uri):
        return None
    mode, state = params.get("response_mode", QUERY), params.get("state")
    fits = mode in OFFERED and (mode == QUERY or form_can_carry(state))
    return Return(client, redirect_uri, state, mode if fits else QUERY)


def form_can_carry(state: str | None) -> bool:
    """Whether a browser posts it as it is: it writes every line break its own way, and takes a NUL for another character."""
    return state is None or not set("\0\r\n") & set(state)


def granted(to: Return, issuer: str, code: str) -> Answer:
    """The code, with the state as it was sent and who we are (RFC 6749 4.1.2, RFC 9207 2)."""
    return Answer(to, (("code", code), *_end(to, issuer)))


def refused(to: Return, issuer: str, error: OAuth2Error, *, waits: bool) -> Answer:
    """The error (RFC 6749 4.1.2.1), with the same around it."""
    body = [(name, value) for name, value in error.get_body() if name != "state"]
    return Answer(to, (*body, *_end(to, issuer)), waits)


def _end(to: Return, issuer: str) -> tuple[tuple[str, str], ...]:
    return (*((("state", to.state),) if to.state else ()), ("iss", issuer))
