"""Every email and text that the demonstration sends, as it would look. Development only: anybody here reads the codes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from flask import Flask, Response, abort, make_response, render_template, request
from pydantic import BaseModel, ValidationError

from authsvc.demo.places import Places, Sample, url_of
from authsvc.demo.sites import new_site, serve
from authsvc.web.text import exact_time

OUTBOX = "AUTHSVC_DEMO_OUTBOX"
MOST = 40
REFRESH_S = 3
#: The accent of IMS itself: the inbox belongs to no account.
NEUTRAL = "#1b4e6b"
#: A mail is somebody's HTML: no scripts, no requests, an origin of its own; styles, for mails carry theirs inline. Its links
#: open in a tab of their own.
MAIL_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox "
MAIL_CSP += "allow-popups allow-popups-to-escape-sandbox"


class File(BaseModel):
    """What the `dir:` sender writes."""

    channel: Literal["email", "sms"]
    to: str
    subject: str
    text: str
    html: str
    created_at: datetime


@dataclass(frozen=True)
class Message:
    """One message, named by its file."""

    name: str
    file: File

    @property
    def title(self) -> str:
        """What the list shows: a text has no subject."""
        return self.file.subject or self.file.text.partition("\n")[0]


def read(folder: Path) -> list[Message]:
    """The newest messages first. The names sort by time; a file that is none of the sender's is passed over."""
    found = []
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            found.append(Message(path.stem, File.model_validate_json(path.read_bytes())))
        except (OSError, ValidationError):
            continue
        if len(found) == MOST:
            break
    return found


def create_app(folder: Path, *, url: str, portal_url: str, time_zone: str) -> Flask:
    """The inbox over the sender's folder."""
    app = new_site("inbox", url=url, title="Inbox", accent=NEUTRAL)
    zone = ZoneInfo(time_zone)
    app.jinja_env.globals["portal_url"] = portal_url
    app.jinja_env.filters["at"] = lambda instant: exact_time(instant, zone)

    @app.get("/")
    def home() -> Response:
        paused = "pause" in request.args
        messages = read(folder)
        response = _page(messages, messages[0] if messages else None, live=not paused)
        if not paused:
            # Without script; who is disturbed by it can stop it (WCAG 2.2, 2.2.1 and 2.2.2).
            response.headers["Refresh"] = str(REFRESH_S)
        return response

    @app.get("/messages/<name>")
    def message(name: str) -> Response:
        messages = read(folder)
        return _page(messages, _named(messages, name), live=None)

    @app.get("/messages/<name>/mail")
    def mail(name: str) -> Response:
        found = _named(read(folder), name)
        if not found.file.html:
            abort(404)
        response = make_response(found.file.html.replace("<head>", '<head><base target="_blank">', 1))
        response.headers["Content-Security-Policy"] = MAIL_CSP
        return response

    return app


def _named(messages: list[Message], name: str) -> Message:
    """By comparing with what is there: a name from outside never becomes a path."""
    found = next((message for message in messages if message.name == name), None)
    return found if found is not None else abort(404)


def _page(messages: list[Message], chosen: Message | None, *, live: bool | None) -> Response:
    return make_response(render_template("demo/inbox.html", messages=messages, chosen=chosen, live=live))


def main() -> None:
    """Serve it where the demonstration says."""
    places = Places.read(os.environ)
    app = create_app(
        Path(os.environ[OUTBOX]),
        url=url_of(places.inbox),
        portal_url=url_of(places.portal),
        time_zone=Sample.read().time_zone,
    )
    serve(app, places.inbox)


if __name__ == "__main__":
    main()
