"""A person at a browser without scripts: opens pages, submits the real forms, follows redirects on our host."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from werkzeug.test import Client, TestResponse

CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


@dataclass
class Form:
    """One form of a page: where it goes, what it holds."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    boxes: set[str] = field(default_factory=set)

    def names(self) -> set[str]:
        """Every name that this form can send."""
        return {*self.fields, *self.boxes, *(name for name, _ in self.buttons)}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.title, self.h1, self.links = "", "", {}
        self.text: list[str] = []
        self._within: list[str] = []
        self._ids: dict[str, Form] = {}
        self._elsewhere: list[tuple[str, str, str]] = []
        self._link: tuple[str, list[str]] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._within.append(tag)
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._ids[given.get("id", "")] = self.forms[-1]
        elif tag == "a":
            self._link = (given.get("href", ""), [])
        elif tag == "select" and self.forms:
            self._select = given["name"]
            self.forms[-1].fields[self._select] = ""
        elif tag == "option" and self.forms and "selected" in given:
            self.forms[-1].fields[self._select] = given.get("value", "")
        elif tag in ("input", "button") and self.forms and "name" in given:
            self._take(tag, given)

    def _take(self, tag: str, given: dict[str, str]) -> None:
        form, kind = self.forms[-1], given.get("type", "text")
        if "form" in given:  # a button that belongs to a form elsewhere on the page
            self._elsewhere.append((given["form"], given["name"], given.get("value", "")))
        elif tag == "button" or kind == "submit":
            form.buttons.append((given["name"], given.get("value", "")))
        elif kind in ("checkbox", "radio"):
            form.boxes.add(given["name"])
            if "checked" in given:
                form.fields[given["name"]] = given.get("value", "on")
        else:
            form.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link:
            self.links[" ".join("".join(self._link[1]).split())] = self._link[0]
            self._link = None
        while self._within and self._within.pop() != tag:
            pass

    def close(self) -> None:
        """Hand each button to its form."""
        super().close()
        for form_id, name, value in self._elsewhere:
            self._ids[form_id].buttons.append((name, value))

    def handle_data(self, data: str) -> None:
        if "title" in self._within:
            self.title += data
            return
        if "h1" in self._within:
            self.h1 += data
        if self._link:
            self._link[1].append(data)
        self.text.append(data)


@dataclass
class Page:
    """What the person sees."""

    status: int
    path: str
    title: str
    h1: str
    text: str
    forms: list[Form]
    links: dict[str, str]
    response: TestResponse

    def has_button(self, label: str) -> bool:
        """Whether a button or its text says so."""
        return label in self.text


class Person:
    """Somebody with one browser profile."""

    def __init__(self, app: Any, issuer: str, *, user_agent: str = CHROME, address: str = "198.51.100.7") -> None:
        self.client = Client(app, use_cookies=True)
        self.issuer, self.user_agent, self.address = issuer, user_agent, address
        self.left_for: str | None = None
        self.page: Page | None = None

    def open(self, path: str, **params: str) -> Page:
        """Go to an address of ours and follow redirects; a redirect to elsewhere is kept in `left_for`."""
        return self._follow(self._send("GET", path, query_string=params or None))

    def submit(
        self, *, button: str | None = None, value: str | None = None, form: int | None = None, **typed: str | None
    ) -> Page:
        """Send a form of the present page: the one that holds `button` and every typed name. None unticks a box."""
        chosen = self._choose({*typed, *({button} if button else set())}) if form is None else self.here.forms[form]
        data = {**chosen.fields, **{name: text for name, text in typed.items() if text is not None}}
        for name in [name for name, text in typed.items() if text is None]:
            data.pop(name, None)
        if button:
            data[button] = value if value is not None else next(v for n, v in chosen.buttons if n == button)
        return self._follow(self._send("POST", urljoin(self.here.path, chosen.action or self.here.path), data=data))

    def post(self, path: str, data: dict[str, Any], **headers: str) -> TestResponse:
        """A request as an attacker would make it: nothing is filled in."""
        return self._send("POST", path, data=data, headers=headers)

    @property
    def here(self) -> Page:
        """The present page."""
        assert self.page is not None, "no page is open"
        return self.page

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, by its plain name."""
        found = next((c for c in self.client._cookies.values() if c.key.removeprefix("__Host-").startswith(name)), None)
        return found.value if found else None

    def callback(self) -> dict[str, str]:
        """The parameters of the redirect that left for the client."""
        assert self.left_for, f"still on our pages: {self.page and self.page.h1}"
        return {name: values[0] for name, values in parse_qs(urlsplit(self.left_for).query).items()}

    def _choose(self, names: set[str]) -> Form:
        fitting = [form for form in self.here.forms if names <= form.names()]
        assert fitting, f"no form of {self.here.h1!r} has {names}: {[form.names() for form in self.here.forms]}"
        return fitting[0]

    def _send(self, method: str, path: str, **rest: Any) -> TestResponse:
        headers = {"User-Agent": self.user_agent, **rest.pop("headers", {})}
        return self.client.open(
            path,
            method=method,
            base_url=self.issuer,
            headers=headers,
            environ_base={"REMOTE_ADDR": self.address},
            **rest,
        )

    def _follow(self, response: TestResponse) -> Page:
        self.left_for = None
        for _ in range(10):
            if response.status_code not in (301, 302, 303, 307):
                return self._read(response)
            target = urljoin(f"{self.issuer}{response.request.path}", response.headers["Location"])
            if not target.startswith(f"{self.issuer}/"):
                self.left_for = target
                return self._read(response)
            response = self._send("GET", target.removeprefix(self.issuer))
        raise AssertionError(f"redirects without end, the last to {response.headers['Location']}")

    def _read(self, response: TestResponse) -> Page:
        reader = _Reader()
        reader.feed(response.get_data(as_text=True))
        reader.close()
        query = response.request.query_string.decode()
        path = response.request.path + (f"?{query}" if query else "")
        text = " ".join("".join(reader.text).split())
        self.page = Page(
            response.status_code, path, reader.title, reader.h1.strip(), text, reader.forms, reader.links, response
        )
        return self.page
