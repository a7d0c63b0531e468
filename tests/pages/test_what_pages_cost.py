"""Headers of every sign-in page (ux.md section 4; ASVS 3.4, LG-13), and how many statements each costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from werkzeug.test import TestResponse

from tests.support.databases import ON_SQLITE
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, PORTAL, Service, pkce

pytestmark = ON_SQLITE

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{also}; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Cookie",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}


@contextmanager
def statements(service: Service) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile, without what begins and tunes a transaction."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA", "SELECT set_config")):
            sent.append(statement)

    engines = [replica.database.engine for replica in service.replicas]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def assert_headers(answer: TestResponse, *, ends_at: str | None = None) -> None:
    """Strict policy, nothing kept, and no form that may end elsewhere but at the one portal."""
    found = {name: answer.headers[name] for name in HEADERS}
    assert found == HEADERS
    assert answer.headers["Content-Security-Policy"] == CSP.format(also=f" {ends_at}" if ends_at else "")
    assert "otp-credentials=(self)" in answer.headers["Permissions-Policy"]
    assert answer.headers["X-Request-Id"]
    for inline in ("<script>", "<style", " style=", " onclick=", "javascript:"):
        assert inline not in answer.text


def test_every_page_has_the_strict_headers_whatever_its_status(service: Service) -> None:
    """200, 303, 400, 401, 404, 413, 422 and 429 alike."""
    service.member(service.account(mfa="email+sms"))
    person, found = service.person(), {}
    answers = [person.open("/sign-in").response]
    answers.append(person.submit(email="", password="").response)
    answers.append(person.submit(email=DANA, password="not the password of dana").response)
    answers.append(person.post("/sign-in", {}))
    answers.append(person.post("/sign-in", {"password": "x" * 70_000}))
    answers.append(person.open("/nowhere").response)
    person.open("/sign-in")
    answers.append(person.submit(email=DANA, password=PASSWORD).response)
    answers.append(person.submit(method="email").response)
    answers.append(person.submit(code="1").response)
    answers.append(person.submit(button="resend").response)
    token = person.here.forms[0].fields["csrf_token"]
    answers.append(person.post("/sign-in/code", {"code": service.code_for(DANA), "csrf_token": token}))
    answers.append(person.open("/").response)
    answers.append(person.open("/sign-out").response)
    answers.append(person.submit(form=0).response)
    for answer in answers:
        assert_headers(answer)
        found[answer.status_code] = found.get(answer.status_code, 0) + 1
    assert found.keys() == {200, 303, 400, 401, 404, 413, 422, 429}


def test_the_form_may_end_at_the_one_portal_of_its_request(service: Service) -> None:
    """Chromium applies form-action to redirects after a POST: that origin is named, on each page of that sign-in alone."""
    service.member(service.account(mfa="email+sms"))
    service.client()
    _, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    assert_headers(person.here.response, ends_at=PORTAL)
    person.submit(email=DANA, password="not the password of dana")
    assert_headers(person.here.response, ends_at=PORTAL)
    person.submit(email=DANA, password=PASSWORD)
    assert_headers(person.here.response, ends_at=PORTAL)
    person.submit(method="email")
    assert_headers(person.here.response, ends_at=PORTAL)
    assert_headers(person.open("/sign-in").response)
    assert_headers(person.open("/sign-in", **{"continue": "https://evil.example"}).response)


def test_every_cookie_is_for_this_host_alone(service: Service) -> None:
    """`__Host-`, Secure, HttpOnly, Lax; the session's and the sign-in's end with the browser (ASVS 3.3)."""
    service.member(service.account(mfa="email"))
    person = service.person()
    lines = person.open("/sign-in").response.headers.getlist("Set-Cookie")
    form = person.here.forms[0]
    answer = person.post(form.action, {**form.fields, "email": DANA, "password": PASSWORD})
    lines += answer.headers.getlist("Set-Cookie")
    form = person.open("/sign-in/code").forms[0]
    lines += person.post(form.action, {**form.fields, "code": service.code_for(DANA)}).headers.getlist("Set-Cookie")
    assert {line.partition("=")[0] for line in lines} == {"__Host-attempt", "__Host-browser", "__Host-sid"}
    for line in lines:
        parts = line.split("; ")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(parts)
        assert not any(part.startswith("Domain") for part in parts)
        lasts = any(part.startswith(("Max-Age", "Expires")) for part in parts)
        assert lasts == line.startswith(("__Host-browser", "__Host-attempt=;"))


def at_the_code(service: Service) -> Person:
    """Dana, where her code is asked."""
    person = service.person()
    service.sign_in(person)
    return person


def test_what_each_page_asks_of_the_database(service: Service) -> None:
    """Bounds, so that a join lost or a loop gained is seen: who opens a page costs little, who proves nothing costs least."""
    service.member(service.account(mfa="email"))
    counts: dict[str, int] = {}

    def count(name: str, act: Any) -> Any:
        with statements(service) as sent:
            found = act()
        counts[name] = len(sent)
        return found

    stranger = service.person()
    count("GET /sign-in", lambda: stranger.open("/sign-in"))
    count("GET /sign-in?account", lambda: stranger.open("/sign-in", account="northgate"))
    form = stranger.here.forms[0].fields
    count("POST /sign-in unknown", lambda: stranger.post("/sign-in", {**form, "email": "a@b", "password": "x"}))
    count("POST /sign-in wrong", lambda: stranger.post("/sign-in", {**form, "email": DANA, "password": "x"}))
    right = {**form, "email": DANA, "password": PASSWORD}
    count("POST /sign-in right", lambda: stranger.post("/sign-in", right))
    person = at_the_code(service)
    count("GET /sign-in/code", lambda: person.open("/sign-in/code"))
    form = person.here.forms[0].fields
    code = service.code_for(DANA)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    count("POST /sign-in/code wrong", lambda: person.post("/sign-in/code", {**form, "code": wrong}))
    count("POST /sign-in/code right", lambda: person.post("/sign-in/code", {**form, "code": code, "remember": "1"}))
    count("GET / signed in", lambda: person.open("/"))
    count("GET /sign-in signed in", lambda: person.client.get("/sign-in", base_url=person.issuer))
    bounds = {
        "GET /sign-in": 0,
        "GET /sign-in?account": 2,
        "POST /sign-in unknown": 8,
        "POST /sign-in wrong": 8,
        "POST /sign-in right": 24,
        "GET /sign-in/code": 6,
        "POST /sign-in/code wrong": 12,
        "POST /sign-in/code right": 27,
        "GET / signed in": 3,
        "GET /sign-in signed in": 3,
    }
    assert {name: n for name, n in counts.items() if n > bounds[name]} == {}, counts


def test_a_page_costs_the_same_whoever_else_there_is(service: Service) -> None:
    """A hundred colleagues and a hundred old sign-ins add no statement."""
    account = service.account(mfa="email")
    service.member(account)
    with statements(service) as few:
        at_the_code(service)
    for number in range(30):
        service.member(account, f"person{number}@northgate.example")
    with statements(service) as many:
        at_the_code(service)
    assert len(many) == len(few)
