"""From an error to a page: the one place where a kind becomes a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from authsvc import logs
from authsvc.errors import AuthsvcError, Kind
from authsvc.web import api_problems, facts
from authsvc.web.api_problems import is_api
from authsvc.web.context import services
from authsvc.web.observe import RULE
from authsvc.web.page import page_for

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

STATUS = {
    Kind.INVALID: 400,
    Kind.REFUSED: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}
WORDS = {
    400: ("This page was open too long", "Nothing was changed. Start again."),
    403: ("You don’t have access to this page", "An account admin can give you access."),
    404: (
        "Page not found",
        "Check the address for a typing mistake. If you followed a link in an email, it may have been cut in two.",
    ),
    413: ("That was too much at once", "Nothing was changed. Send less and try again."),
    429: ("Too many requests", "Wait a minute and try again."),
    500: ("Something went wrong on our side", "Nothing was changed. Try again in a minute."),
    503: ("Sign-in is briefly unavailable", "Try again in a minute."),
}

log = logs.logger(__name__)


def error_page(
    status: int,
    heading: str | None = None,
    text: str | None = None,
    *,
    button: tuple[str, str] | None = ("Go to sign in", "/sign-in"),
) -> Response:
    """A page that says what happened and what to do. 5xx pages need neither the database nor an account's brand."""
    words = WORDS.get(status, WORDS[500])
    values = {"heading": heading or words[0], "text": text or words[1], "reference": facts.current().request_id}
    assets = services().assets
    if status >= 500:
        body = render_template("error_bare.html", css_url=assets.url("auth.css"), **values)
    else:
        label, url = button or (None, None)
        body = render_template("error.html", page=page_for(None, assets), button_label=label, button_url=url, **values)
    response = Response(body, status=status, mimetype="text/html")
    if status == 503:
        response.headers["Retry-After"] = str(api_problems.RETRY_AFTER_S)
    return response


def unusable_link() -> Response:
    """S11 for a parked request: too old, or another browser's (security.md LG-11). Nothing of it is said or used."""
    body = render_template(
        "link_unusable.html",
        page=page_for(None, services().assets),
        heading="This link has expired",
        text="A sign-in must be finished in the browser it began in, within the hour. Go back to the portal and sign in again.",
        button_label="Go to sign in",
        button_url="/sign-in",
        second_label=None,
        second_url=None,
    )
    return Response(body, status=410, mimetype="text/html")


def install(app: Flask) -> None:
    """Answer every error of `app` with a page."""

    @app.errorhandler(AuthsvcError)
    def known(error: AuthsvcError) -> Response:
        status = STATUS[error.kind]
        level = log.error if status >= 500 else log.info
        level("request.refused", error=type(error).__name__, detail=error.detail, status=status)
        if is_api():
            return api_problems.of_error(error, status)
        shown = str(error) if error.kind in (Kind.REFUSED, Kind.CONFLICT) else None
        return error_page(status, text=shown)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if is_api():
            return api_problems.of_http(error)
        # 405 as 404: which methods a page has is nobody's business (ux.md S12).
        status = 404 if error.code == 405 else error.code or 500
        return error_page(status if status in WORDS else 400 if status < 500 else 500)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        log.error("request.crashed", exc_info=error)
        return api_problems.answer(500) if is_api() else error_page(500)


def with_rule(app: Flask) -> WSGIApplication:
    """The pages of `app`, noting the matched rule for the log: never the raw path, which may hold a secret."""
    pages = app.wsgi_app

    @app.before_request
    def note() -> None:
        request.environ[RULE] = str(request.url_rule) if request.url_rule else "unmatched"

    return pages
