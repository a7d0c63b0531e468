"""`authsvc doctor`, read at 3 a.m."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from authsvc.cli import main
from authsvc.cli.checks import CHECKS, State, check_clock, far_away
from authsvc.cli.context import LazyServices
from authsvc.clock import FixedClock
from authsvc.db import Database
from tests.support.service import DANA, SECRET, Service
from tests.support.smtp import SmtpSink

NAMES = [name for name, _ in CHECKS]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHSVC_SECRET", SECRET)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    """One command: exit status and everything it said."""
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def examined() -> tuple[int, dict[str, dict[str, Any]]]:
    """The doctor's findings by name."""
    status, said = run("doctor", "--json")
    report = json.loads(said)
    assert report["ok"] == (status == 0)
    assert all(check["do"] for check in report["checks"] if check["state"] == "wrong")
    return status, {check["name"]: check for check in report["checks"]}


def test_a_new_installation_becomes_well_by_doing_what_is_said(
    elsewhere: Path, smtp_sink: SmtpSink, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sentence leads to the next state; nothing is sent, made or kept by looking."""
    monkeypatch.setenv("AUTHSVC_REDIS_URL", redis_url)
    monkeypatch.setenv("AUTHSVC_EMAIL_URL", f"smtp://127.0.0.1:{smtp_sink.port}")
    status, found = examined()
    assert (status, found["database"]["state"]) == (1, "wrong")
    assert "authsvc migrate" in found["database"]["do"]
    assert not (elsewhere / "var/authsvc.db").exists()
    assert run("migrate")[0] == 0
    status, found = examined()
    assert (status, list(found)) == (0, NAMES)
    assert "would take a mail" in found["email"]["says"]
    assert found["redis"]["state"] == found["worker"]["state"] == "ok"
    assert (found["keys"]["state"], not (elsewhere / "keys/ring.yaml").exists()) == ("note", True)
    assert run("keys", "rotate")[0] == 0
    status, said = run("doctor")
    assert "ok     keys        ES256, RS256 in " in said
    assert said.endswith("\nEverything is well.\n")
    assert smtp_sink.messages == []
    with (database := Database("sqlite:///var/authsvc.db")).transaction(read_only=True) as tx:
        from authsvc.throttle.models import ThrottleBucket

        assert tx.query(ThrottleBucket).count() == 0
    database.dispose()


def test_everything_that_is_wrong_is_said_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """No finding keeps another back unless it explains it; no stack trace; each says what to do."""
    assert run("migrate")[0] == 0
    assert run("keys", "rotate")[0] == 0
    monkeypatch.setenv("AUTHSVC_SECRET", "another secret of more than 32 characters")
    monkeypatch.setenv("AUTHSVC_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("AUTHSVC_EMAIL_URL", "smtp://user:hidden-word@127.0.0.1:1")
    monkeypatch.setenv("AUTHSVC_SMS_URL", "dir:/dev/null/outbox")
    status, said = run("doctor")
    assert status == 1
    assert "\n4 of 11 wrong: redis, email, sms, keys.\n" in said
    assert "AUTHSVC_SECRET is not the one it was sealed with" in said
    assert said.count("-> ") == 4
    assert "hidden-word" not in said
    assert "Traceback" not in said
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("AUTHSVC_KEYS_URL", "sql:")
    monkeypatch.setenv("AUTHSVC_POLICIES_DIR", "/does/not/exist")
    _, found = examined()
    assert "Connection refused" in found["database"]["says"]
    assert [name for name in NAMES if found[name]["says"].startswith("not tried")] == [
        "migrations",
        "clock",
        "keys",
        "worker",
    ]
    monkeypatch.setenv("AUTHSVC_ENV", "production")
    status, said = run("doctor")
    assert status == 1
    assert said.count("in production") >= 3
    assert said.endswith("nothing else can be tried before.\n")


def test_a_worker_that_is_gone_is_seen_by_what_waits(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what people notice: no mail leaves. On both databases, as is the write that is taken back."""
    service.clock.advance(datetime.now(UTC) - service.clock.now() - timedelta(minutes=10))
    service.member(service.account(mfa="email"))
    service.sign_in(service.person())
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", service.services.settings.database_url)
    status, found = examined()
    assert (status, found["worker"]["state"]) == (1, "wrong")
    assert "no mail and no text message leaves" in found["worker"]["says"]
    assert found["database"]["state"] == found["clock"]["state"] == "ok"
    assert DANA not in str(found)
    needs = LazyServices()
    needs.clock = FixedClock(datetime.now(UTC) + timedelta(minutes=5))
    finding = check_clock(needs)
    needs.close()
    assert (finding.state, "ahead of the database" in finding.says) == (State.WRONG, True)


def test_sqlite_on_a_network_disk_is_refused(tmp_path: Path) -> None:
    """spikes.md 4: its write-ahead log wants a local disk; the nearest mount decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "disk / ext4 rw 0 0\nserver:/data /srv nfs4 rw 0 0\nlocal /srv/fast xfs rw 0 0\nshare /my\\040share cifs rw 0 0\n"
    )
    told = {
        file: far_away(Path(file), mounts) for file in ("/var/a.db", "/srv/a.db", "/srv/fast/a.db", "/my share/a.db")
    }
    assert told == {"/var/a.db": None, "/srv/a.db": "nfs4", "/srv/fast/a.db": None, "/my share/a.db": "cifs"}
    assert far_away(Path("/srv/a.db"), tmp_path / "none") is None
