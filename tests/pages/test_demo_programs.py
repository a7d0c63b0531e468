"""The rest of the demonstration: the microservice, the inbox, and what starts them."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authsvc.accounts.passwords import PasswordRules
from authsvc.clock import FixedClock, epoch_s
from authsvc.crypto.breached import BreachedPasswords
from authsvc.demo import run
from authsvc.demo.inbox import create_app
from authsvc.demo.places import PORTS, Places, Sample, provisioning, url_of
from authsvc.demo.words import lines
from authsvc.errors import ConfigurationError
from authsvc.messaging.directory import DirectorySender
from authsvc.messaging.message import Message
from authsvc.policy.load import load
from authsvc.settings import Settings
from tests.pages.demo_provider import PLACES, Provider
from tests.support.processes import free_port

INBOX = url_of(PLACES.inbox)
SENSITIVE = "/investors/bank-details"


@pytest.fixture
def provider(clock: FixedClock) -> Provider:
    return Provider(clock)


def ask(provider: Provider, path: str, **claims: Any) -> TestResponse:
    """Call the microservice with an access token that says `claims`."""
    return provider.api.get(path, headers={"Authorization": f"Bearer {provider.access_token(**claims)}"})


def test_the_microservice_wants_a_token_for_itself(provider: Provider) -> None:
    """None, one for another API, one without the scope."""
    assert provider.api.get("/investors").status_code == 401
    assert ask(provider, "/investors", aud="https://api.ims.example/exports").status_code == 401
    assert ask(provider, "/investors", scope="openid").status_code == 403
    assert ask(provider, "/investors").status_code == 200


def test_the_microservice_answers_with_the_accounts_own_data(provider: Provider) -> None:
    """The account in the token decides, and nothing in the request."""
    other = {"id": "a-18", "slug": "southgate", "audience": "team"}

    assert len(ask(provider, "/investors").json["investors"]) == 3
    assert ask(provider, "/investors", account=other).json["investors"] == []


def test_bank_details_want_a_code_entered_a_moment_ago(provider: Provider, clock: FixedClock) -> None:
    """A remembered device is not enough, nor is a code of an hour ago; the challenge says what would be."""
    now = epoch_s(clock.now())
    device = {"v": 1, "state": "used", "mfa_at": now - 60, "exp": now + 86_400, "bind": "cookie"}
    remembered = ask(provider, SENSITIVE, acr="urn:ims:acr:remembered", amr=["pwd"], remembered_device=device)
    old = ask(provider, SENSITIVE, acr="urn:ims:acr:two-step", auth_time=now - 901)

    for refused in (remembered, old):
        challenge = refused.headers["WWW-Authenticate"]
        assert refused.status_code == 401
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'acr_values="urn:ims:acr:two-step"' in challenge
        assert 'max_age="900"' in challenge
    assert ask(provider, SENSITIVE, acr="urn:ims:acr:two-step", auth_time=now - 899).status_code == 200


def a_message(channel: Any, *, at: datetime, **changed: str) -> Message:
    fields = {
        "to": "dana@northgate.example" if channel == "email" else "+15125550142",
        "subject": "123456 is your code" if channel == "email" else "",
        "text": "123456 is your code.\n\n@login.example #123456",
        "html": "<p>123456</p>" if channel == "email" else "",
        "sender_name": "",
        "purpose": "sign_in_code",
    }
    return Message(channel=channel, created_at=at, **(fields | changed))


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def inbox(outbox: Path) -> FlaskClient:
    app = create_app(outbox, url=INBOX, portal_url="http://127.0.0.1:8001", time_zone="America/New_York")
    return app.test_client()


def test_the_inbox_shows_the_newest_message_as_it_would_look(
    outbox: Path, inbox: FlaskClient, clock: FixedClock
) -> None:
    """An email in a frame of its own, a text as a bubble; times in the account's zone."""
    empty = inbox.get("/", base_url=INBOX).text
    DirectorySender(outbox).send(a_message("email", at=clock.now()))
    mail = inbox.get("/", base_url=INBOX).text
    DirectorySender(outbox).send(a_message("sms", at=clock.now() + timedelta(minutes=1)))
    text = inbox.get("/", base_url=INBOX).text

    assert "Nothing was sent yet" in empty
    assert "<iframe" in mail
    assert "4:31:00 PM EST" in mail
    assert "123456 is your code.\n\n@login.example #123456</p>" in text
    assert text.index("4:32:00 PM EST") < text.index("4:31:00 PM EST")
    assert "Development only" in text


def test_a_mail_in_the_inbox_can_run_nothing_and_fetch_nothing(
    outbox: Path, inbox: FlaskClient, clock: FixedClock
) -> None:
    """Its HTML is whatever somebody put into a name; it gets no origin, no script and no network."""
    DirectorySender(outbox).send(a_message("email", at=clock.now(), subject="<b>1</b>", html="<script>x()</script>"))
    page = inbox.get("/", base_url=INBOX)
    name = next(outbox.glob("*.json")).stem
    mail = inbox.get(f"/messages/{name}/mail", base_url=INBOX)

    assert "&lt;b&gt;1&lt;/b&gt;" in page.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox" title=' in page.text
    assert mail.text == "<script>x()</script>"
    policy = mail.headers["Content-Security-Policy"].split("; ")
    kept = "sandbox allow-popups allow-popups-to-escape-sandbox"
    assert {"default-src 'none'", kept, "frame-ancestors 'self'"} <= set(policy)


def test_the_inbox_opens_its_own_files_only(outbox: Path, inbox: FlaskClient, clock: FixedClock) -> None:
    """A name in the address is looked up, never opened; a broken file is passed over."""
    DirectorySender(outbox).send(a_message("email", at=clock.now()))
    (outbox / "99991231T235959.json").write_text("{")
    (outbox.parent / "secret.json").write_text(next(outbox.glob("2026*.json")).read_text())

    assert "123456 is your code" in inbox.get("/", base_url=INBOX).text
    for name in ("..%2Fsecret", "99991231T235959", "nothing"):
        assert inbox.get(f"/messages/{name}", base_url=INBOX).status_code == 404
    assert inbox.get("/", base_url="http://evil.example").status_code == 400


def test_the_inbox_follows_the_newest_until_it_is_told_to_stop(inbox: FlaskClient) -> None:
    """WCAG 2.2, 2.2.2: what moves by itself can be stopped."""
    assert inbox.get("/", base_url=INBOX).headers["Refresh"] == "3"
    assert "Refresh" not in inbox.get("/?pause", base_url=INBOX).headers


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"acr": "urn:ims:acr:password", "amr": ["pwd"]}, "Password, just now"),
        ({"acr": "urn:ims:acr:two-step", "amr": ["pwd", "otp", "mca"]}, "Password and an emailed code, just now"),
        ({"acr": "urn:ims:acr:two-factor", "amr": ["pwd", "otp", "mfa"]}, "Password and a second factor, just now"),
        ({"acr": "urn:ims:acr:later", "amr": []}, "urn:ims:acr:later, just now"),
    ],
)
def test_levels_are_told_in_words_and_never_better_than_they_are(claims: dict[str, Any], words: str) -> None:
    """An unknown level is shown as it is."""
    now = datetime(2026, 11, 22, 21, 31, tzinfo=UTC)
    said = lines(
        claims | {"auth_time": epoch_s(now)}, {}, account="Northgate", now=now, fallback_zone="America/New_York"
    )

    assert next(line.words for line in said if line.label == "Sign-in") == words


def test_the_demonstration_refuses_production() -> None:
    """In one sentence, before anything is touched."""
    settings = Settings(env="production")

    with pytest.raises(ConfigurationError, match="for development"):
        run.main(settings)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_named_before_anything_starts(taken: int) -> None:
    """With what to do about it."""
    free = [free_port() for _ in range(3)]
    with pytest.raises(ConfigurationError, match=rf"uses port {taken} \(inbox\).*{PORTS}"):
        run.refuse_taken(Places(*free, inbox=taken))


@pytest.mark.parametrize("given", ["8000", "a,b,c,d", "8000,8000,8001,8002", "0,1,2,3", "1,2,3,65536"])
def test_ports_that_cannot_be_are_refused(given: str) -> None:
    """Four different ones, in order."""
    with pytest.raises(ConfigurationError):
        Places.read({PORTS: given})


def test_the_applied_file_follows_the_ports() -> None:
    """Redirect addresses are compared to the letter."""
    file = yaml.safe_load(provisioning(Places(18000, 18001, 18002, 18003)))

    assert file["clients"][0]["redirect_uris"] == ["http://127.0.0.1:18001/callback"]
    assert file["accounts"][0]["portal_url"] == "http://127.0.0.1:18001"
    assert Places.read(Places(1, 2, 3, 4).as_environment()) == Places(1, 2, 3, 4)


def test_secrets_are_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    """The password is one that the policy takes; the environment wins over the file."""
    file, sample = tmp_path / "var" / "demo.env", Sample.read()
    first, second = run.keep_secrets(file, {}), run.keep_secrets(file, {})
    given = run.keep_secrets(file, {"DEMO_PASSWORD": "another one of my own"})

    assert first == second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert given == first | {"DEMO_PASSWORD": "another one of my own"}
    rules = PasswordRules(load(None).password, BreachedPasswords())
    assert rules.refuse(first["DEMO_PASSWORD"], context=[sample.email, sample.name]) is None


def test_nothing_of_the_demonstration_reaches_a_real_mailbox() -> None:
    """Whatever the environment says, messages become files."""
    told = run.environment(Places(), {"AUTHSVC_EMAIL_URL": "smtp://mail.example:25"})

    assert told["AUTHSVC_EMAIL_URL"] == told["AUTHSVC_SMS_URL"] == "dir:var/outbox"


def test_each_program_is_told_its_own_secret() -> None:
    """Each gets what it needs and no more."""
    values = {"PORTAL_SECRET": "the-portals-own", "INVESTORS_SECRET": "the-services-own", "DESK_SECRET": "the-desks"}
    programs = run.children(run.environment(Places(), {}), values)
    told = {
        secret: [one.name for one in programs if secret in json.dumps(dict(one.environment))]
        for secret in values.values()
    }

    assert told == {"the-portals-own": ["portal"], "the-services-own": ["microservice"], "the-desks": []}
    assert [child.name for child in programs if child.essential] == ["sign-in service"]
