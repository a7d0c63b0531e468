"""The outermost layer, for pages and machines alike: a request id, one log line, and a last resort."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog
from werkzeug.wrappers import Response

from authsvc import logs
from authsvc.web import facts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Letters and digits that are not mistaken for one another when read out on the phone.
ALPHABET = "23456789BCDFGHJKLMNPQRSTVWXYZ"
#: Where the matched route is noted, so that the log never holds a raw path (reset links are paths).
RULE = "authsvc.rule"

log = logs.logger("authsvc.request")


def new_request_id() -> str:
    """A reference such as `4F7K-22QX`: on the error page, in the log and in the audit trail."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


class Observe:
    """Sets the request's facts, times it, logs it and tells `answered`: method, route, status, seconds.

    An exception that got this far is answered 500 in plain words.
    """

    def __init__(self, app: WSGIApplication, answered: Callable[[str, str, int, float], None] | None = None) -> None:
        self._app, self._answered = app, answered

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request."""
        began = time.perf_counter()
        request_id = new_request_id()
        facts.remember(
            facts.RequestFacts(
                request_id=request_id,
                remote_address=environ.get("REMOTE_ADDR", ""),
                user_agent=environ.get("HTTP_USER_AGENT", "")[:512],
            )
        )
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        sent: list[str] = []

        def observed(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            sent.append(status)
            return start_response(status, [*headers, ("X-Request-Id", request_id)], exc_info)

        try:
            return self._app(environ, observed)
        except Exception:
            log.exception("request.crashed", rule=environ.get(RULE, "-"))
            if sent:
                raise
            return Response("Something went wrong on our side.\n", 500, mimetype="text/plain")(environ, observed)
        finally:
            method, rule = environ["REQUEST_METHOD"][:10], environ.get(RULE, "-")
            status, seconds = int(sent[0][:3]) if sent else 0, time.perf_counter() - began
            if self._answered is not None:
                self._answered(method, rule, status, seconds)
            log.info(
                "request",
                method=method,
                rule=rule,
                status=status,
                ms=round(seconds * 1000, 1),
                remote_address=environ.get("REMOTE_ADDR", ""),
            )
            # What this thread says next, of a connection for example, is about another request.
            structlog.contextvars.clear_contextvars()
