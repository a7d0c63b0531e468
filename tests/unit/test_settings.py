"""Start-up: every mistake at once, in words, and no secret shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authsvc.errors import ConfigurationError
from authsvc.settings import Settings

GOOD = {
    "env": "production",
    "issuer": "https://login.ims.example",
    "secret": "s" * 40,
    "email_url": "smtp://mail.ims.example:587",
    "email_from": "no-reply@ims.example",
    "sms_url": "none:",
    "database_url": "postgresql://authsvc:hidden@db.ims.example/authsvc",
    "exports_url": "s3://ims-exports/sealed",
}


def problems(**given: Any) -> list[str]:
    """What `read` complains about."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(**given)
    return caught.value.problems


def test_development_needs_nothing() -> None:
    """`make run` sets no variable."""
    settings = Settings.read()
    assert (settings.env, settings.issuer, settings.is_https) == ("development", "http://127.0.0.1:8000", False)


def test_a_production_configuration_is_accepted() -> None:
    """The smallest one that is right."""
    assert Settings.read(**GOOD).is_production


def test_clients_on_this_machine_are_a_development_switch() -> None:
    """In production a client's jwks_uri would reach whatever listens on loopback (security.md AZ-16)."""
    assert not Settings.read().allow_loopback_clients
    [problem] = problems(**GOOD, allow_loopback_clients=True)
    assert "AUTHSVC_ALLOW_LOOPBACK_CLIENTS must be off in production" in problem


def test_a_folder_of_exports_beside_postgresql_is_a_folder_that_all_replicas_mount() -> None:
    """Else a person would be told that an export is ready, and the replica they ask would not have it."""
    folder = {**GOOD, "exports_url": "dir:/var/lib/authsvc/exports"}
    [problem] = problems(**folder)
    assert "AUTHSVC_EXPORTS_URL must be s3://BUCKET/PREFIX beside PostgreSQL" in problem
    assert Settings.read(**GOOD | {"exports_url": "dir:/mnt/exports?shared"}).is_production
    assert Settings.read(**folder | {"database_url": "sqlite:////var/lib/authsvc/authsvc.db"}).is_production


def test_production_lists_every_problem_at_once() -> None:
    """Nobody learns of the second mistake at the second start (contract.md)."""
    found = "\n".join(problems(env="production", workers=2))
    for name in ("ISSUER", "SECRET", "EMAIL_URL", "SMS_URL", "EMAIL_FROM", "WORKERS"):
        assert f"AUTHSVC_{name}" in found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"issuer": "https://login.ims.example/"}, "AUTHSVC_ISSUER: must be an origin"),
        ({"issuer": "http://login.ims.example"}, "AUTHSVC_ISSUER may use http on a loopback address only"),
        ({"issuer": "ftp://login.ims.example"}, "AUTHSVC_ISSUER: must be an origin"),
        ({"bind": "8000"}, "AUTHSVC_BIND: must be HOST:PORT"),
        ({"database_url": "mysql://x"}, "AUTHSVC_DATABASE_URL must start with sqlite: or postgresql:"),
        ({"redis_url": "http://x"}, "AUTHSVC_REDIS_URL must start with redis:"),
        ({"keys_url": "kms:x"}, "AUTHSVC_KEYS_URL must start with dir:"),
        ({"email_url": "ses:"}, "AUTHSVC_EMAIL_URL must start with dir: or smtp:"),
        ({"exports_url": "s3://Bucket"}, "AUTHSVC_EXPORTS_URL must be dir:PATH, dir:PATH?shared or s3://"),
        ({"secret": "short"}, "AUTHSVC_SECRET must be 32 characters at least"),
        ({"secret_file": Path("/does/not/exist")}, "AUTHSVC_SECRET_FILE names /does/not/exist"),
        ({"trusted_proxies": "10.0.0.0/8, nonsense"}, "AUTHSVC_TRUSTED_PROXIES"),
        ({"workers": 0}, "AUTHSVC_WORKERS"),
        ({"threads": 1}, "AUTHSVC_THREADS"),
        ({"env": "staging"}, "AUTHSVC_ENV"),
    ],
)
def test_a_mistake_is_named_by_its_variable(given: dict[str, Any], said: str) -> None:
    """One sentence that says which variable and what it should be."""
    assert any(problem.startswith(said) for problem in problems(**given))


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTHSVC_<FIELD>; an empty variable is as good as none; unknown ones are no reason not to start."""
    monkeypatch.setenv("AUTHSVC_BIND", "127.0.0.1:9000")
    monkeypatch.setenv("AUTHSVC_REDIS_URL", "")
    monkeypatch.setenv("AUTHSVC_SOMETHING_NEW", "1")
    settings = Settings.read()
    assert (settings.bind, settings.redis_url) == ("127.0.0.1:9000", "")


def test_authlibs_own_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Authlib reads it at every request and stops checking for https (libraries.md 1.5, 2)."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    assert any("AUTHLIB_INSECURE_TRANSPORT" in problem for problem in problems())


def test_secrets_rotate_as_a_list(tmp_path: Path) -> None:
    """The first seals, all open; a file holds one a line."""
    file = tmp_path / "secret"
    file.write_text(f"{'n' * 32}\n{'o' * 32}\n")
    assert Settings.read(secret_file=file).secrets == ["n" * 32, "o" * 32]
    assert Settings.read(secret=f"{'n' * 32},{'o' * 32}").secrets == ["n" * 32, "o" * 32]


def test_the_summary_shows_no_secret() -> None:
    """What start-up prints may be pasted into a ticket."""
    shown = str(Settings.read(**GOOD).summary())
    assert "hidden" not in shown
    assert "s" * 40 not in shown
    assert "login.ims.example" in shown
