"""The client's side of HTTP: one kept connection with the cookies of one browser, and the first form of a page."""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 30.0
OK = (200,)
#: Both are used to send a browser on with GET.
REDIRECT = (302, 303)


class UnexpectedAnswer(Exception):
    """The server answered something else than the step wants; the text counts as the kind of error."""


@dataclass(frozen=True)
class Answer:
    """One answer, read whole."""

    status: int
    location: str
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Browser:
    """One connection that is kept, and the cookies that came over it. For one thread."""

    def __init__(self, base_url: str) -> None:
        self._host = urlsplit(base_url).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
        self.cookies: dict[str, str] = {}
        self._lasting: set[str] = set()
        #: Requests so far.
        self.count = 0

    def get(self, url: str, *, expect: Collection[int] = OK, headers: Mapping[str, str] | None = None) -> Answer:
        """GET, following no redirect. Raises: UnexpectedAnswer for a status that is not among `expect`."""
        return self._ask("GET", url, None, dict(headers or {}), expect)

    def post(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        expect: Collection[int] = OK,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST a form. Raises: UnexpectedAnswer."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._ask("POST", url, urlencode(form), sent, expect)

    def disconnect(self) -> None:
        """Close the connection; the next request opens another. Servers end kept ones that were idle for some seconds."""
        self._connection.close()

    def restart(self) -> None:
        """What closing all windows does: cookies that were not to last are gone."""
        self.cookies = {name: value for name, value in self.cookies.items() if name in self._lasting}

    def _ask(self, method: str, url: str, body: str | None, headers: dict[str, str], expect: Collection[int]) -> Answer:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.count += 1
        try:
            self._connection.request(method, path, body, headers)
            got = self._connection.getresponse()
            content = got.read()
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            raise UnexpectedAnswer(f"{method} {parts.path}: {type(exc).__name__}") from exc
        if got.status not in expect:
            raise UnexpectedAnswer(f"{method} {parts.path}: {got.status}")
        self._keep(got.headers.get_all("Set-Cookie") or [])
        return Answer(got.status, got.headers.get("Location", ""), content)

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            for name, morsel in SimpleCookie(line).items():
                if not morsel.value or morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                    continue
                self.cookies[name] = morsel.value
                if morsel["max-age"] or morsel["expires"]:
                    self._lasting.add(name)


class FirstForm(HTMLParser):
    """The first form of a page: where it goes, and its fields with what stands in them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the form and its inputs."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action, self._inside = found.get("action", ""), True
        elif tag == "input" and self._inside and "name" in found:
            self.fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """The form is over."""
        if tag == "form":
            self._inside = False
