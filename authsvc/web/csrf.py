"""Forged and stale forms: Flask-WTF's token, bound to the secret in the browser's own cookie.

Nothing is stored: the token is keyed by the attempt's or the session's secret, so it changes when that does (LG-10), and a
form that was left open too long is told apart from a forged one only by its page, never by its effect.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, current_app, g, request, session
from flask.sessions import SessionInterface, SessionMixin
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from authsvc.crypto.tokens import Digester
from authsvc.web.api_problems import is_api
from authsvc.web.cookies import ATTEMPT, SESSION, Cookies

#: What Flask-WTF says of a token that we signed for another cookie: our own page, from before the last password.
OF_ANOTHER_COOKIE = "The CSRF tokens do not match."


class _BoundSession(dict[str, Any], SessionMixin):
    """What Flask-WTF needs of a session: one value, derived, never saved."""


class BoundToCookie(SessionInterface):
    """Gives each request a session that holds only the CSRF value of its cookies."""

    def __init__(self, cookies: Cookies, digester: Digester) -> None:
        self._cookies, self._digester = cookies, digester

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """The CSRF value of the presented cookies."""
        attempt, session = self._cookies.read(request, ATTEMPT), self._cookies.read(request, SESSION)
        bound = _BoundSession()
        if attempt or session:
            bound["csrf_token"] = self.value(attempt or session or "")
        return bound

    def value(self, secret: str) -> str:
        """What forms of the browser holding `secret` carry."""
        return self._digester.digest("csrf", secret)

    def save_session(self, app: Flask, session: SessionMixin, response: BaseResponse) -> None:
        """Nothing to save."""


def install(
    app: Flask, *, issuer: str, cookies: Cookies, digester: Digester, exempt: frozenset[str] = frozenset()
) -> None:
    """Check every POST of `app`: the token, and that a browser which says where it comes from comes from here (LG-12).

    `exempt`: endpoints that other sites may post to by their protocol; they change nothing.
    """
    app.session_interface = BoundToCookie(cookies, digester)
    app.config.update(
        SECRET_KEY=digester.digest("csrf-signing", issuer),
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    protect = CSRFProtect(app)

    @app.before_request
    def refuse_foreign_posts() -> None:
        if request.method in ("GET", "HEAD", "OPTIONS") or request.endpoint in exempt or is_api():
            return  # the API knows no cookies, so no browser can be misled into calling it
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if (origin and origin != issuer) or (site and site not in ("same-origin", "none")):
            raise CSRFError("The form came from another site.")
        protect.protect()


def field(secret: str | None = None) -> Markup:
    """The hidden field for a form. `secret`: the cookie value this answer sets, when the request brought none."""
    if secret is not None:
        interface = current_app.session_interface
        assert isinstance(interface, BoundToCookie)  # noqa: S101 - installed above
        session["csrf_token"] = interface.value(secret)
        g.pop("csrf_token", None)
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())
