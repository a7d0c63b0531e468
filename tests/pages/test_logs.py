"""What the log says of a sign-in: one JSON line an event, and nothing that opens anything."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import IntegrityError

from authsvc import logs
from authsvc.accounts.models import EmailAddress
from authsvc.crypto.tokens import new_id
from tests.support.databases import ON_SQLITE
from tests.support.journey import CHROME
from tests.support.service import CLIENT_SECRET, DANA, DANAS_PHONE, PASSWORD, Service, pkce

HOSTILE = '\r\nX-Forged: 1\x1b[31m{"level": "info"}\u2028\\u0000'


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything is logged, as nobody does in production."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("debug")
    text = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(text)
    yield text
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def lines(text: str) -> list[dict[str, object]]:
    """Each line is one JSON object; whatever was in it, it is one line, and a short one."""
    found = [json.loads(line) for line in text.split("\n") if line]
    assert all(isinstance(line, dict) and {"event", "level", "timestamp"} <= line.keys() for line in found)
    assert "\r" not in text
    assert "\x1b" not in text
    return found


@ON_SQLITE
def test_pl_04_a_whole_sign_in_leaves_no_secret_in_the_log(service: Service, log: io.StringIO) -> None:
    """Codes, tokens, passwords, cookies, phones and addresses: none of them at any level, Authlib's included."""
    service.member(service.account(mfa="email+sms"))
    service.client()
    verifier, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge, account="northgate"))
    dana.submit(email=DANA, password="a password I mistyped")
    dana.submit(email=DANA, password=PASSWORD)
    dana.submit(method="sms")
    by_text = service.code_for(DANAS_PHONE)
    dana.submit(code=by_text, remember="1")
    code = dana.callback()["code"]
    first = service.redeem(dana, verifier)
    second = service.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    machine = service.machine()
    issuer = service.services.settings.issuer
    machine.get("/oauth/userinfo", base_url=issuer, headers={"Authorization": f"Bearer {second['access_token']}"})
    dana.open("/forgot")
    dana.submit(email=DANA)
    service.deliver()
    [link] = [part for part in service.emails.to(DANA)[-1].text.split() if "/reset/" in part]
    dana.open(link.removeprefix(issuer))
    said = log.getvalue()
    found = lines(said)
    assert {"request", "job.done"} <= {line["event"] for line in found}
    tokens = [
        token[name]
        for token in (first, second)
        for name in ("access_token", "refresh_token", "id_token")
        if name in token
    ]
    cookies = [cookie for name in ("__Host-", "authsvc") if (cookie := dana.cookie(name))]
    assert tokens
    secrets = [
        *(PASSWORD, "a password I mistyped", CLIENT_SECRET, verifier, code, by_text, DANA, DANAS_PHONE),
        *(DANAS_PHONE[2:], link.rpartition("/")[2], *tokens, *cookies),
    ]
    assert [secret for secret in secrets if secret in said] == []


@ON_SQLITE
def test_pl_04_what_clients_send_stays_inside_its_line(service: Service, log: io.StringIO) -> None:
    """CRLF, escape sequences, JSON and a megabyte, in user name, user agent, path, method and referrer."""
    service.member(service.account())
    for text in (HOSTILE, "{" * 1000, "x" * 1_000_000):
        person = service.person(user_agent=CHROME)
        person.open("/sign-in")
        person.post("/sign-in", {"email": text, "password": text})
        machine = service.machine()
        headers = {"User-Agent": text.replace("\r\n", " "), "Referer": text.replace("\r\n", " ")}
        machine.open("/" + text[:2000], method="BREW", base_url=service.services.settings.issuer, headers=headers)
        logging.getLogger("gunicorn.error").warning("Invalid request from ip=%s: %s", "198.51.100.7", text)
    said = log.getvalue()
    found = lines(said)
    assert len([line for line in found if line["event"] == "request"]) >= 6
    assert max(len(line) for line in said.split("\n")) < 4000
    assert "X-Forged" not in "".join(line for line in said.split("\n") if "Invalid request" not in line)


def test_pl_04_an_error_of_the_database_names_no_row(service: Service, log: io.StringIO) -> None:
    """PostgreSQL quotes the row in a second line, SQLAlchemy statement and parameters in further ones."""
    user = service.member(service.account()).user_id
    try:
        with service.services.database.transaction() as tx:
            tx.add(EmailAddress(user_id=new_id(), address=DANA, canonical=DANA, verified_at=None))
    except IntegrityError as exc:
        logs.logger("test").error("request.crashed", exc_info=exc)
    [line] = lines(log.getvalue())
    assert "IntegrityError" in str(line["exception"])
    assert "email_address" in str(line["exception"])
    assert "test_logs.py" in str(line["exception"])
    for secret in (DANA, user, "INSERT INTO", "[parameters", "DETAIL"):
        assert secret not in str(line), secret
