"""keys/README.md is followed word for word: every command line of its code blocks, in order, in a scratch folder."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.aws import CREDENTIALS, moto_server

RUNBOOK = Path(__file__).resolve().parents[2] / "keys" / "README.md"
FIRST_SECRET = "first-secret-of-this-runbook-0123456789"


def command_lines() -> list[str]:
    """What stands in the code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```$", RUNBOOK.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, a secret, and an AWS that answers."""
    monkeypatch.chdir(tmp_path)
    with moto_server() as aws:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AUTHSVC_AWS_ENDPOINT_URL", aws)
        monkeypatch.setenv("AUTHSVC_SECRET", FIRST_SECRET)
        monkeypatch.setenv("AUTHSVC_LOG_LEVEL", "error")
        yield tmp_path


def test_the_runbook_works_word_for_word(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command fails, none asks, and after each chapter the ring is as the text says."""
    ran: list[tuple[str, Result]] = []
    for line in command_lines():
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value)
            continue
        assert words[0] == "authsvc", line
        result = CliRunner().invoke(main, words[1:], input="")
        assert result.exit_code == 0, f"{line}\n{result.output}"
        ran.append((line, result))
    said = {line: result.output for line, result in ran}
    assert "first key" in said["authsvc keys rotate"]
    assert "is withdrawn" in said["authsvc keys withdraw ES256 --yes"]
    assert "already sealed" in said["authsvc keys reseal"]
    assert "Ended:" in said["authsvc after-restore --yes"]
    for number in range(1, 6):
        assert (scratch / "backups" / f"keys-{number}" / "ring.yaml").is_file()
    keys = json.loads(CliRunner().invoke(main, ["keys", "status", "--json"]).stdout)["keys"]
    # ES256 came from the folder with its past, RS256 waits in KMS for its turn.
    assert [key["state"] for key in keys if "kms" in key] == ["published"]
    assert {key["algorithm"] for key in keys if key["state"] == "active"} == {"ES256", "RS256"}
    audited = CliRunner().invoke(main, ["audit", "tail", "--count", "100", "--json"]).output.splitlines()
    names = [json.loads(line)["name"] for line in audited]
    for name in ("rotated", "withdrawn", "descendants_ended", "rehearsed", "resealed", "restored"):
        assert f"key.{name}" in names


def test_the_runbook_names_every_key_command() -> None:
    """What exists is explained there, and what is explained there exists."""
    text = RUNBOOK.read_text()
    from authsvc.keyring.cli import keys

    assert set(keys.commands) == {"list", "status", "rotate", "withdraw", "rehearse", "reseal", "backup", "restore"}
    for name in keys.commands:
        assert re.search(rf"keys {name}\b", text), name
