"""The command line as an operator reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.service import Service


def run(*arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own, quietly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHSVC_LOG_LEVEL", "error")
    return tmp_path


def test_help_lists_the_commands_of_the_contract() -> None:
    """Those that exist in this release."""
    result = run("--help")
    assert result.exit_code == 0
    for command in (
        "serve",
        "demo",
        "worker",
        "migrate",
        "apply",
        "keys",
        "policy",
        "audit",
        "account",
        "member",
        "doctor",
    ):
        assert f"  {command} " in result.output


def test_an_unknown_option_is_a_usage_error() -> None:
    """Exit 2, and what was meant."""
    assert run("migrate", "--nonsense").exit_code == 2


def test_migrate_says_what_it_did_and_what_is_missing() -> None:
    """`--check` changes nothing and answers by its exit status."""
    check = run("migrate", "--check", "--json")
    said = json.loads(check.output)
    assert (check.exit_code, said["applied"], said["missing"][0]) == (1, [], "0001")
    assert run("migrate").output.startswith(f"Applied {len(said['missing'])} migration(s): 0001")
    assert run("migrate").output == "The database is up to date.\n"
    assert run("migrate", "--check").exit_code == 0


def test_every_misconfiguration_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence a problem, on stderr, exit 1, no stack trace."""
    monkeypatch.setenv("AUTHSVC_ENV", "production")
    result = run("serve")
    assert result.exit_code == 1
    assert result.stderr.startswith("authsvc cannot start:\n  - AUTHSVC_ISSUER must be https in production\n")
    assert result.stderr.count("\n  - ") >= 4


def test_production_never_invents_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty ring is a sentence that says which command makes one."""
    for name, value in {
        "ENV": "production",
        "ISSUER": "https://login.ims.example",
        "SECRET": "s" * 40,
        "EMAIL_URL": "smtp://mail.ims.example",
        "EMAIL_FROM": "no-reply@ims.example",
        "SMS_URL": "none:",
    }.items():
        monkeypatch.setenv(f"AUTHSVC_{name}", value)
    run("migrate")
    result = run("serve")
    assert result.exit_code == 1
    assert "keys rotate" in result.stderr
    assert not Path("keys/ring.yaml").exists()


def test_a_database_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack trace at 3 a.m."""
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("migrate")
    assert result.exit_code == 1
    assert result.stderr.startswith("The database cannot answer at the moment.")


def test_the_trail_is_read_and_verified(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """`audit tail` shows who did what and from where; `audit verify` answers by its exit status."""
    service.member(service.account())
    service.sign_in(service.person())
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", str(service.services.settings.database_url))
    tail = run("audit", "tail", "--json")
    names = [json.loads(line)["name"] for line in tail.output.splitlines()]
    assert names[-1] == "session.started"
    assert "198.51.100.7" in run("audit", "tail").output
    verified = run("audit", "verify", "--json")
    assert (verified.exit_code, json.loads(verified.output)["valid"]) == (0, True)
